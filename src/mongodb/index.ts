/** MongoDB: a client, typed collections on it. */
export * from "./MongoCollection.ts"
export * from "./MongoDatabase.ts"
export * as MongoDbClient from "./MongoDbClient.ts"
export { type Condition, type Fields, type Filter, type Joined, Where } from "./MongoFilter.ts"
export { ObjectIdFromSelf, ObjectIdText } from "./ObjectIdSchema.ts"
