// Run once by mongosh, on an empty data folder. A MongoDB database exists from its first collection on.
for (const name of ["ai_core_content", "ai_core_content_test"]) {
  db.getSiblingDB(name).createCollection("created_by_compose")
}
