import { at, type Mutant } from "../Mutant.ts"

const file = "src/postgres/repository/Lookup.ts"
const test = at("test/postgres/repository/Lookup.test.ts")

/** What a lookup handles, taken out. */
export const lookup: ReadonlyArray<Mutant> = [
  {
    name: "Lookup: a failure of the statement is told to one of those who wait",
    file,
    find: "answer(batch, () => Effect.failCause(cause))",
    replace:
      "answer(batch, (key) => (batch.waiters.keys().next().value === key ? Effect.failCause(cause) : Effect.succeedNone))",
    red: [test("a failure of the statement fails those who wait")]
  },
  {
    name: "Lookup: a defect is told to nobody",
    file,
    find: "Effect.matchCause(asked(batch)",
    replace: "Effect.match(asked(batch)",
    red: [test("a defect of the lookup itself")]
  },
  {
    name: "Lookup: a defect of select is told to who starts the batch",
    file,
    find: "Effect.suspend(() => answers([...batch.waiters.keys()]))",
    replace: "answers([...batch.waiters.keys()])",
    red: [test("a defect of the lookup itself")]
  },
  {
    name: "Lookup: a key that has no row is never answered",
    file,
    find: "answer(batch, (key) => found.get(key) ?? Effect.succeedNone)",
    replace: "answer(batch, (key) => found.get(key) ?? Effect.never)",
    red: [test("seeks by one statement what is asked for at once, each key once")]
  },
  {
    name: "Lookup: of two who ask for one key one is answered",
    file,
    find: "    if (known !== undefined) return known\n",
    replace: "    void known\n",
    red: [test("seeks by one statement what is asked for at once, each key once")]
  },
  {
    name: "Lookup: a broken row fails everybody",
    file,
    find: "onFailure: () => new Map(rows.map((row) => [keyOf(row), Effect.asSome(reader.one(call, [row]))]))",
    replace: "onFailure: (error) => new Map(rows.map((row) => [keyOf(row), Effect.fail(error)]))",
    red: [test("a row that cannot be read fails those who asked for it")]
  },
  {
    name: "Lookup: who comes after the statement was sent waits for ever",
    file,
    find: "        close(batch)\n        return batch.waiters.size === 1",
    replace: "        return batch.waiters.size === 1",
    red: [test("seeks one after the other what is asked for one after the other")]
  },
  {
    name: "Lookup: a statement seeks any number of keys",
    file,
    find: "(batch.waiters.size < maxKeys || batch.waiters.has(key))",
    replace: "true",
    red: [test("seeks at most so many keys by one statement")]
  },
  {
    name: "Lookup: transactions share a statement",
    file,
    find: "          batch.transaction === transaction &&\n",
    replace: "",
    red: [test("never seeks by one statement for two transactions, or for inside and outside")]
  },
  {
    name: "Lookup: tenants share a statement",
    file,
    find: "          batch.tenant === tenant &&\n",
    replace: "",
    red: [test("never seeks by one statement for two tenants, or for one and none")]
  },
  {
    name: "Lookup: the first deadline holds for all",
    file,
    find: "Math.max(batch.deadline, deadline)",
    replace: "batch.deadline || deadline",
    red: [test("each waits until his own deadline")]
  },
  {
    name: "Lookup: the last deadline holds for all",
    file,
    find: "Math.max(batch.deadline, deadline)",
    replace: "deadline",
    red: [test("each waits until his own deadline")]
  },
  {
    name: "Lookup: who has a deadline waits for the slowest",
    file,
    find: "if (deadline === Number.POSITIVE_INFINITY) return",
    replace: "if (deadline > 0) return",
    red: [test("each waits until his own deadline")]
  },
  {
    name: "Lookup: what is too late is asked for",
    file,
    find: "return left <= 0\n",
    replace: "return left <= Number.NEGATIVE_INFINITY\n",
    red: [test("is not sent where the deadline has passed")]
  },
  {
    name: "Lookup: one who is interrupted ends the statement of all",
    file,
    find: "waiters.size > 0 || fiber === undefined",
    replace: "fiber === undefined",
    red: [test("one who is interrupted leaves the others their answer")]
  },
  {
    name: "Lookup: a statement for which nobody waits runs on",
    file,
    find: "waiters.size > 0 || fiber === undefined ? Effect.void : Fiber.interrupt(fiber)",
    replace: "Effect.void",
    red: [test("inside a transaction the statement ends when all who wait for it are interrupted")]
  },
  {
    name: "Lookup: who asked first takes the others with him",
    file,
    find: "Effect.onInterrupt(restOfTurn, () => others)",
    replace: "Effect.onInterrupt(restOfTurn, () => Effect.sync(() => close(batch)))",
    red: [test("one who is interrupted leaves the others their answer")]
  },
  {
    name: "Lookup: the key of the first is sought though he has left",
    file,
    find: "      if (own.size === 0) batch.waiters.delete(key)\n",
    replace: "",
    red: [test("one who is interrupted leaves the others their answer")]
  },
  {
    name: "Lookup: the key of one who joined others is sought though he has left",
    file,
    find: "      if (ofKey?.size === 0) waiters.delete(key)\n",
    replace: "",
    red: [test("one who is interrupted leaves the others their answer")]
  }
]
