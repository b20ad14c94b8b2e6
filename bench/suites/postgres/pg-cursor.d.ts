/** What the stream bench uses of pg-cursor, which comes without types. */
declare module "pg-cursor" {
  import type { Connection, Submittable } from "pg"
  export default class Cursor<Row> implements Submittable {
    constructor(text: string)
    submit(connection: Connection): void
    read(rows: number): Promise<ReadonlyArray<Row>>
  }
}
