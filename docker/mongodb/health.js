// Asked by the health check, in mongosh: starts the replica set the first time, and passes once this node takes writes.
// While the init files run, the temporary server has no replica set at all: rs.status() fails with 76 and so does the check.
const notYetInitialized = 94

db.getSiblingDB("admin").auth(process.env.MONGO_INITDB_ROOT_USERNAME, process.env.MONGO_INITDB_ROOT_PASSWORD)
try {
  rs.status()
} catch (error) {
  if (error.code !== notYetInitialized) throw error
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "localhost:27017" }] })
}
if (!db.hello().isWritablePrimary) quit(1)
