import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Statement from "effect/sql/Statement"
import { keyset } from "../../postgres/repository/Keyset.ts"
import { makeComposedLookup } from "../../postgres/repository/Lookup.ts"
import { PostgresClient } from "../../postgres/PostgresClient.ts"
import { rowReader } from "../../postgres/repository/Row.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { makeSeesOthers } from "../SeesOthersLive.ts"
import { present } from "../users/UserRow.ts"
import { UserNotFound } from "../users/Users.ts"
import { exactSum } from "./exactSum.ts"
import { lookupById } from "./lookupById.ts"
import type { Query, Table, Tables } from "./Tables.ts"

const snake = (field: string): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const isTime = (value: unknown): value is { readonly epochMilliseconds: number } =>
  typeof value === "object" && value !== null && "epochMilliseconds" in value

/** Columns of ids are uuids, which PostgreSQL does not compare with texts. */
const isId = (field: string): boolean => field === "id" || field.endsWith("Id")

const parameter = (value: unknown): unknown => (isTime(value) ? new Date(value.epochMilliseconds) : value)

const given = (fields: object = {}): ReadonlyArray<readonly [field: string, value: unknown]> =>
  Object.entries(fields).filter(([, value]) => value !== undefined)

/** One parameter for all rows, so that a table has one statement however many there are. */
const asJson = <Row>({ fields }: Table<Row>, rows: ReadonlyArray<Row>): string =>
  JSON.stringify(rows.map((row) => Object.fromEntries(fields.map((field) => [snake(field), row[field]]))))

const sums = rowReader(Schema.Struct({ sum: Schema.BigIntFromString }))

/** The rows of tables on PostgreSQL: a server, or the embedded engine. */
export const make: Effect.Effect<Tables, never, PostgresClient | Transaction> = Effect.gen(function* () {
  const client = yield* PostgresClient
  const { keyed, query, sql } = client
  const { run } = yield* Transaction

  const nameOf = ({ name }: { readonly name: string }) => sql`${sql(`ai_core.${name}`)}`
  const column = (field: string) => sql`${sql(snake(field))}`

  const compared = (sign: Statement.Fragment, fields: object | undefined) =>
    given(fields).map(([field, value]) => sql`${column(field)} ${sign} ${parameter(value)}`)

  const conditions = <Row>({ below, from, includes, isNull, only, oneOf, where }: Query<Row>) => {
    const wanted = given(where)
    const all = [
      ...wanted
        .filter(([, value]) => value !== null)
        .map(([field, value]) => sql`${column(field)} = ${parameter(value)}`),
      ...wanted.filter(([, value]) => value === null).map(([field]) => sql`${column(field)} is null`),
      ...given(oneOf).map(
        ([field, values]) => sql`${column(field)} = any(${values}::${isId(field) ? sql`uuid[]` : sql`text[]`})`
      ),
      // Contains, not "= any(…)": a GIN index knows no other.
      ...given(includes).map(([field, text]) => sql`${column(field)} @> array[${text}]::text[]`),
      ...compared(sql`>=`, from),
      ...compared(sql`<`, below),
      ...given(isNull).map(([field, isIt]) => sql`${column(field)} ${isIt === true ? sql`is null` : sql`is not null`}`),
      // Written in the source, never by a caller: the planner knows the partial index by its text.
      ...(only === undefined ? [] : [sql`${sql.literal(only.sql)}`])
    ]
    return all.length === 0 ? sql`true` : sql.and(all)
  }

  /** PostgreSQL compares a key as a row, and knows the types of its parts by their casts alone. */
  const keyPart = (value: unknown) =>
    isTime(value)
      ? sql`${parameter(value)}::timestamptz`
      : typeof value === "number"
        ? sql`${value}::bigint`
        : sql`${value}::uuid`

  const columnsOf = <Row>({ fields }: Table<Row>) =>
    sql.csv(fields.map((field) => sql`${column(field)} as ${sql(field)}`))

  const many: Tables["many"] = <Row>(operation: string, table: Table<Row>, asked: Query<Row>) => {
    const { after, direction = "ascending", limit, lock, order } = asked
    const page = keyset(sql, (order ?? []).map(snake), direction, after?.map(keyPart))
    const select = limit === 1 ? keyed : sql
    const statement = select<object>`select ${columnsOf(table)} from ${nameOf(table)} where ${conditions(asked)} and ${page.behind}
      ${order === undefined ? sql`` : sql`order by ${page.order}`} ${limit === undefined ? sql`` : sql`limit ${limit}`}
      ${lock === undefined ? sql`` : lock === "share" ? sql`for share` : sql`for no key update`}`
    const call = { operation, kind: "read" } as const
    return Effect.flatMap(query(call, statement), (rows) => table.rows.all(call, rows))
  }

  return {
    run,
    runSeeingOthers: makeSeesOthers(client, { run }),
    present: (operation, user) =>
      Effect.flatMap(
        query({ operation, kind: "write" }, keyed<object>`select id from ai_core.users where ${present(sql, user)}`),
        ([found]) => (found === undefined ? Effect.fail(new UserNotFound({ id: user })) : Effect.void)
      ),
    many,
    one: (operation, table, asked) =>
      Effect.map(many(operation, table, { ...asked, limit: 1 }), ([row]) => Option.fromUndefinedOr(row)),
    lookup: <Row extends { readonly id: string }>(operation: string, table: Table<Row>) =>
      lookupById(client, {
        operation,
        id: sql`id`,
        select: (condition) =>
          keyed<Pick<Row, "id">>`select ${columnsOf(table)} from ${nameOf(table)} where ${condition}`,
        rows: table.rows
      }),
    composed: (spec) => makeComposedLookup(client, spec),
    sum: (operation, table, field, asked) => {
      const call = { operation, kind: "read" } as const
      return Effect.flatMap(
        query(
          call,
          // As text: a sum of bigints is a numeric, and may be beyond all bigints.
          sql<object>`select coalesce(sum(${column(field)}), 0)::text as sum
            from ${nameOf(table)} where ${conditions(asked)}`
        ),
        (rows) => Effect.flatMap(sums.one(call, rows), ({ sum }) => exactSum(call, sum))
      )
    },
    insertNew: (operation, table, rows) => {
      if (rows.length === 0) return Effect.succeed([])
      const columns = sql.csv(table.fields.map(column))
      const statement = keyed<{ readonly key: string }>`insert into ${nameOf(table)} (${columns})
        select ${columns} from jsonb_populate_recordset(null::${nameOf(table)}, ${asJson(table, rows)}::jsonb)
        on conflict do nothing
        returning concat_ws('/', ${sql.csv(table.keyFields.map(column))}) as key`
      return Effect.map(query({ operation, kind: "write" }, statement), (made) => {
        const keys = new Set(made.map(({ key }) => key))
        return rows.filter((row) => keys.has(table.key(row)))
      })
    },
    replace: (operation, table, row) => {
      const changed = table.fields.filter((field) => !table.keyFields.includes(field))
      const columns = sql.csv(changed.map(column))
      const values = sql.csv(changed.map((field) => sql`r.${column(field)}`))
      const same = sql.and(table.keyFields.map((field) => sql`t.${column(field)} = r.${column(field)}`))
      const statement = keyed`update ${nameOf(table)} as t set (${columns}) = row(${values})
        from jsonb_populate_recordset(null::${nameOf(table)}, ${asJson(table, [row])}::jsonb) as r where ${same}`
      return Effect.asVoid(query({ operation, kind: "write" }, statement))
    },
    remove: (operation, table, where) =>
      Effect.asVoid(
        query({ operation, kind: "write" }, keyed`delete from ${nameOf(table)} where ${conditions({ where })}`)
      )
  }
})
