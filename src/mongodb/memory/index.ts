/** MongoDB in memory: typed collections without a server. Loads mingo and bson. */
export * as MongoDbMemory from "../MongoDbMemory.ts"
