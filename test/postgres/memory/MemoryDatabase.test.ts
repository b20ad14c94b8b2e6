import { describe, it } from "@effect/vitest"
import { Option, Order, Result } from "effect"
import * as assert from "node:assert/strict"
import type { StoreError } from "../../../src/core/StoreError.ts"
import {
  emptyDatabase,
  type MemoryDatabase,
  type MemoryWriter,
  readerOf,
  writeTo
} from "../../../src/postgres/memory/MemoryDatabase.ts"
import { type MemoryTables, register } from "../../../src/postgres/memory/MemoryTables.ts"
import { memoryTable } from "../../../src/postgres/memory/MemoryTable.ts"

interface Author {
  readonly id: string
  readonly name: string
  readonly nick?: string | null | undefined
}
interface Book {
  readonly id: string
  readonly author: string
  readonly editor: string | null | undefined
  readonly pages: number
}
interface Review {
  readonly id: string
  readonly book: string
}

const authors = memoryTable<Author>({
  name: "authors",
  key: ({ id }) => id,
  unique: { authors_name_key: ({ name }) => name, authors_nick_key: ({ nick }) => nick }
})
const books = memoryTable<Book>({
  name: "books",
  key: ({ id }) => id,
  references: {
    books_author_fkey: { to: "authors", key: ({ author }) => author, onRemoval: "cascade" },
    books_editor_fkey: {
      to: "authors",
      key: ({ editor }) => editor,
      onRemoval: (book) => ({ ...book, editor: null })
    }
  },
  checks: { books_pages_check: ({ pages }) => pages > 0 }
})
const reviews = memoryTable<Review>({
  name: "reviews",
  key: ({ id }) => id,
  references: { reviews_book_fkey: { to: "books", key: ({ book }) => book, onRemoval: "restrict" } }
})

const tables: MemoryTables = new Map([authors, books, reviews].map((table) => [table.name, table]))

type Work<A> = (db: MemoryWriter) => Result.Result<A, StoreError>

const after = (database: MemoryDatabase, work: Work<unknown>): MemoryDatabase => {
  const done = writeTo(tables, database, "test", work)
  if (Result.isFailure(done)) assert.fail(done.failure.message)
  return done.success[1]
}

/** The rule that refuses the work. */
const refusal = (database: MemoryDatabase, work: Work<unknown>) => {
  const done = writeTo(tables, database, "test", work)
  assert.ok(Result.isFailure(done), "nothing refused it")
  const { reason } = done.failure
  return reason._tag === "ConstraintViolated" ? [reason.kind, reason.constraint, reason.table] : reason._tag
}

const ann = { id: "1", name: "Ann" }
const bob = { id: "2", name: "Bob", nick: "b" }
const book: Book = { id: "b1", author: "1", editor: "2", pages: 10 }

const start = after(emptyDatabase, (db) =>
  Result.gen(function* () {
    yield* db.insert(authors, ann)
    yield* db.insert(authors, bob)
    yield* db.insert(books, book)
  })
)
const look = (database: MemoryDatabase) => readerOf(tables, () => database)

describe("MemoryDatabase", () => {
  it("refuses a second row with a key or a unique value, and one that a check does not accept", () => {
    assert.deepEqual(
      refusal(start, (db) => db.insert(authors, { id: "1", name: "Zoe" })),
      ["unique", "authors_pkey", "authors"]
    )
    assert.deepEqual(
      refusal(start, (db) => db.insert(authors, { id: "3", name: "Ann" })),
      ["unique", "authors_name_key", "authors"]
    )
    assert.deepEqual(
      refusal(start, (db) => db.replace(authors, { ...bob, name: "Ann" })),
      ["unique", "authors_name_key", "authors"]
    )
    assert.deepEqual(
      refusal(start, (db) => db.insert(books, { ...book, id: "b2", pages: 0 })),
      ["check", "books_pages_check", "books"]
    )
  })

  it("leaves rows without a value out of a unique index", () => {
    const next = after(start, (db) => db.insert(authors, { id: "3", name: "Cid" }))
    assert.equal(look(next).rows(authors).length, 3)
  })

  it("frees what an update gives up and what a removal held, and finds what they leave", () => {
    const renamed = after(start, (db) => db.replace(authors, { ...bob, name: "Rob", nick: null }))
    assert.deepEqual(look(renamed).find(authors, "authors_name_key", "Bob"), Option.none())
    assert.deepEqual(look(renamed).find(authors, "authors_nick_key", "b"), Option.none())
    assert.throws(() => look(renamed).find(authors, "authors_nik_key", "b"), {
      message:
        'the memory table "authors" has no unique index "authors_nik_key"; it has authors_name_key, authors_nick_key'
    })
    const again = after(renamed, (db) => db.insert(authors, { id: "3", name: "Bob", nick: "b" }))
    assert.equal(Option.getOrThrow(look(again).find(authors, "authors_nick_key", "b")).id, "3")
  })

  it("refuses a row that refers to none", () => {
    assert.deepEqual(
      refusal(start, (db) => db.insert(books, { ...book, id: "b2", author: "9" })),
      ["foreign-key", "books_author_fkey", "books"]
    )
    assert.deepEqual(
      refusal(start, (db) => db.replace(books, { ...book, editor: "9" })),
      ["foreign-key", "books_editor_fkey", "books"]
    )
  })

  it("inserts many as one statement does: all or none, and what they refer to is looked at last", () => {
    const wrong: Work<unknown> = (db) =>
      db.insertAll(books, [
        { ...book, id: "b2", author: "9" },
        { ...book, id: "b3", pages: 0 }
      ])
    assert.deepEqual(refusal(start, wrong), ["check", "books_pages_check", "books"])
    assert.deepEqual(
      refusal(start, (db) => db.insertAll(books, [{ ...book, id: "b2", author: "9" }])),
      ["foreign-key", "books_author_fkey", "books"]
    )
    assert.deepEqual(
      refusal(start, (db) =>
        db.insertAll(authors, [
          { id: "3", name: "Cid" },
          { id: "3", name: "Dan" }
        ])
      ),
      ["unique", "authors_pkey", "authors"]
    )
    const undone = after(start, (db) => Result.succeed(Result.isFailure(wrong(db))))
    assert.deepEqual(look(undone).rows(books), [book])
    const two = after(start, (db) =>
      db.insertAll(books, [
        { ...book, id: "b2" },
        { ...book, id: "b3" }
      ])
    )
    assert.equal(look(two).rows(books).length, 3)
  })

  it("removes and changes what refers to a removed row, as it asks for", () => {
    assert.deepEqual(look(after(start, (db) => db.remove(authors, "1"))).rows(books), [])
    assert.deepEqual(look(after(start, (db) => db.remove(authors, "2"))).rows(books), [{ ...book, editor: null }])
  })

  it("lets go of a row as a removal would, but for the row itself and those that would keep it", () => {
    const both = after(start, (db) => db.insert(books, { ...book, id: "b2", author: "2", editor: "1" }))
    const left = after(both, (db) => db.letGo(authors, "1"))
    assert.deepEqual(look(left).rows(authors), look(both).rows(authors))
    assert.deepEqual(look(left).rows(books), [{ ...book, id: "b2", author: "2", editor: null }])
    const reviewed = after(both, (db) => db.insert(reviews, { id: "r1", book: "b2" }))
    assert.deepEqual(look(after(reviewed, (db) => db.letGo(books, "b2"))).rows(reviews), [{ id: "r1", book: "b2" }])
    assert.deepEqual(
      refusal(reviewed, (db) => db.letGo(authors, "2")),
      ["foreign-key", "reviews_book_fkey", "reviews"]
    )
  })

  it("does not remove what is still needed further down, nor anything on the way there", () => {
    const reviewed = after(start, (db) => db.insert(reviews, { id: "r1", book: "b1" }))
    assert.deepEqual(
      refusal(reviewed, (db) => db.remove(authors, "1")),
      ["foreign-key", "reviews_book_fkey", "reviews"]
    )
    // Who catches the refusal goes on with what was there before.
    const caught = after(reviewed, (db) => Result.succeed(Result.isFailure(db.remove(authors, "1"))))
    assert.deepEqual(look(caught).get(authors, "1"), Option.some(ann))
    assert.deepEqual(look(caught).get(books, "b1"), Option.some(book))
  })

  it("keeps nothing of a piece of work that fails", () => {
    const work: Work<void> = (db) =>
      Result.gen(function* () {
        yield* db.insert(authors, { id: "3", name: "Cid" })
        yield* db.insert(authors, { id: "4", name: "Cid" })
      })
    assert.equal(refusal(start, work)[1], "authors_name_key")
    assert.deepEqual(look(start).get(authors, "3"), Option.none())
  })

  it("sorts anew after a change, and by each order on its own", () => {
    const byName = Order.mapInput(Order.String, ({ name }: Author) => name)
    const names = (database: MemoryDatabase, order: Order.Order<Author>) =>
      look(database)
        .sorted(authors, order)
        .map(({ name }) => name)
    assert.deepEqual(names(start, byName), ["Ann", "Bob"])
    assert.deepEqual(names(start, Order.flip(byName)), ["Bob", "Ann"])
    const next = after(start, (db) => db.insert(authors, { id: "3", name: "Amy" }))
    assert.deepEqual(names(next, byName), ["Amy", "Ann", "Bob"])
  })

  it("names the foreign key, the table it leads to and the remedy, where nobody registered that table", () => {
    const bookmarks = memoryTable<Book>({
      name: "bookmarks",
      key: ({ id }) => id,
      references: {
        bookmarks_editor_fkey: { to: "ai_core.authors", key: ({ editor }) => editor, onRemoval: "cascade" }
      }
    })
    const mine = new Map(tables)
    register(mine, bookmarks)
    // Also of a row that refers to nothing: the next one will.
    assert.throws(() => writeTo(mine, start, "test", (db) => db.insert(bookmarks, { ...book, editor: undefined })), {
      message:
        'the foreign key bookmarks_editor_fkey of the memory table "bookmarks" refers to "ai_core.authors", which is not ' +
        "registered in this memory database; registered are authors, bookmarks, books, reviews. Write `to` as a table's " +
        "name without its schema, and provide the layer that registers that table over the same PostgresMemory.layer."
    })
  })

  it("refuses a table that was not registered, whatever is done with it", () => {
    const notes = memoryTable<Author>({ name: "notes", key: ({ id }) => id })
    const unknown = { message: /^the memory table "notes" is not registered .*Call `register` of PostgresMemory/ }
    assert.throws(() => look(start).rows(notes), unknown)
    assert.throws(() => look(start).get(notes, "1"), unknown)
    assert.throws(() => writeTo(tables, start, "test", (db) => db.remove(notes, "1")), unknown)
    assert.throws(() => writeTo(tables, start, "test", (db) => db.letGo(notes, "1")), unknown)
  })

  it("takes another table of the same name for none of its own", () => {
    const others = memoryTable<Author>({ name: "authors", key: ({ name }) => name })
    const twice = { message: /^two memory tables of one memory database are named "authors"/ }
    assert.throws(() => register(new Map(tables), others), twice)
    assert.throws(() => look(start).rows(others), twice)
    assert.throws(() => writeTo(tables, start, "test", (db) => db.insert(others, ann)), twice)
    register(new Map(tables), authors)
  })
})
