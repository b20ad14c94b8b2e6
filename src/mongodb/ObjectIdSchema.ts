import { ObjectId } from "bson"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** An ObjectId of whichever copy of `bson` made it: the driver may have loaded another one than this module. */
const isObjectId = (u: unknown): u is ObjectId =>
  typeof u === "object" && u !== null && "_bsontype" in u && u._bsontype === "ObjectId"

/** An id as MongoDB makes them: 12 bytes, the first four of which say when. */
export const ObjectIdFromSelf: Schema.declare<ObjectId> = Schema.declare(isObjectId, { expected: "an ObjectId" })

const digits = Schema.String.check(Schema.isPattern(/^[0-9a-f]{24}$/, { expected: "24 hexadecimal digits" }))

/** An ObjectId in the store, its 24 hexadecimal digits in the program. */
export const ObjectIdText = ObjectIdFromSelf.pipe(
  Schema.decodeTo(
    digits,
    SchemaTransformation.transform({
      decode: (id: ObjectId) => id.toHexString(),
      encode: (text: string) => ObjectId.createFromHexString(text)
    })
  )
)
