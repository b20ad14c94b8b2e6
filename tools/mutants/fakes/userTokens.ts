import type { Mutant } from "../Mutant.ts"

const red = [{ suite: "memory", file: "test/contracts/UserTokens.test.ts" }]

const tokens = "src/platform/users/UserTokens.ts"
const memory = "src/platform/users/UserTokensMemory.ts"
const tables = "src/platform/users/UserTokenTables.ts"
const users = "src/platform/users/UsersMemory.ts"

/** Defects of `UserTokens` in memory, and of the rules that it shares with PostgreSQL. */
export const userTokens: ReadonlyArray<Mutant> = [
  {
    name: "UserTokens: a token lives one moment too long",
    file: tokens,
    find: "token.expiresAt.epochMilliseconds <= now.epochMilliseconds",
    replace: "token.expiresAt.epochMilliseconds < now.epochMilliseconds",
    red
  },
  {
    name: "UserTokens: a token is good as often as one likes",
    file: tokens,
    find: '  if (token.usedAt !== null) return "used"\n',
    replace: "",
    red
  },
  {
    name: "UserTokens: an ended sign-in goes on",
    file: tokens,
    find: '  if (token.revokedAt !== null) return "revoked"\n',
    replace: "",
    red
  },
  {
    name: "UserTokens: a stolen token that has expired is no theft",
    file: tokens,
    find: '  if (token.usedAt !== null) return "used"\n',
    replace:
      '  if (token.expiresAt.epochMilliseconds <= now.epochMilliseconds) return "expired"\n' +
      '  if (token.usedAt !== null) return "used"\n',
    red
  },
  {
    name: "UserTokens: a refresh token is not used up",
    file: memory,
    find: "        yield* db.replace(refreshTokens, { ...token, usedAt: now })\n",
    replace: "",
    red
  },
  {
    name: "UserTokens: a stolen token ends all of the user's sign-ins",
    file: memory,
    find: "({ signIn }) => signIn === stolen",
    replace: "({ userId }) => userId === token?.userId",
    red
  },
  {
    name: "UserTokens: the refusal of a stolen token undoes the end of its sign-in",
    file: memory,
    find: 'return { refused: new TokenRefused({ because: because ?? "unknown" }), stolen }\n        }\n        const',
    replace: 'return yield* Result.fail(new TokenRefused({ because: because ?? "unknown" }))\n        }\n        const',
    red
  },
  {
    name: "UserTokens: the next token lives no longer than the first",
    file: memory,
    find: "const { signIn, userId } = token\n        const expiresAt = DateTime.addDuration(now, timeToLive)",
    replace: "const { expiresAt, signIn, userId } = token",
    red
  },
  {
    name: "UserTokens: signing out ends every sign-in",
    file: memory,
    find: "({ signIn }) => signIn === ended",
    replace: "() => true",
    red
  },
  {
    name: "UserTokens: a transaction that fails undoes the end of a stolen sign-in",
    file: memory,
    find: "if (next.stolen !== undefined) {",
    replace: "if (next.stolen !== undefined && next.stolen === undefined) {",
    red
  },
  {
    name: "UserTokens: signing out everywhere counts what was used up",
    file: tables,
    find: "if (tokenRefusal(token, now) === undefined) good++",
    replace: "good++",
    red
  },
  {
    name: "UserTokens: signing out everywhere counts what has expired",
    file: tables,
    find: "if (tokenRefusal(token, now) === undefined) good++",
    replace: "if (token.usedAt === null) good++",
    red
  },
  {
    name: "UserTokens: signing out everywhere signs everybody out",
    file: memory,
    find: "({ userId }) => userId === user, now)",
    replace: "() => true, now)",
    red
  },
  {
    name: "UserTokens: nobody signs in",
    file: memory,
    find: "Result.andThen(presentUser(db, user), () =>",
    replace: "Result.andThen(Result.void, () =>",
    red
  },
  {
    name: "UserTokens: a user who was sent a token is not removed",
    file: tables,
    find: 'one_time_tokens_user_id_fkey: { to: "users", key: ({ userId }) => userId, onRemoval: "cascade"',
    replace: 'one_time_tokens_user_id_fkey: { to: "users", key: ({ userId }) => userId, onRemoval: "restrict"',
    red
  },
  {
    name: "UserTokens: older tokens for a purpose stay good",
    file: memory,
    find: "        for (const token of older) yield* db.replace(oneTimeTokens, { ...token, usedAt: now })\n",
    replace: "",
    red
  },
  {
    name: "UserTokens: a new token ends those for other purposes",
    file: memory,
    find: "token.userId === user && token.purpose === purpose && token.usedAt",
    replace: "token.userId === user && token.usedAt",
    red
  },
  {
    name: "UserTokens: a new token ends those of other users",
    file: memory,
    find: "token.userId === user && token.purpose === purpose",
    replace: "token.purpose === purpose",
    red
  },
  {
    name: "UserTokens: a token is good for any purpose",
    file: memory,
    find: "token?.purpose === purpose",
    replace: "token !== undefined",
    red
  },
  {
    name: "UserTokens: a token that was sent is not used up",
    file: memory,
    find: "    yield* db.replace(oneTimeTokens, { ...token, usedAt: now })\n    return user.value",
    replace: "    return user.value",
    red
  },
  {
    name: "UserTokens: an e-mail is not marked as verified",
    file: memory,
    find: "{ emailVerifiedAt: now }",
    replace: "{}",
    red
  },
  {
    name: "UserTokens: a change of the user is no version",
    file: memory,
    find: "version: user.version + 1",
    replace: "version: user.version",
    red
  },
  {
    name: "UserTokens: a change of the user does not tell when",
    file: memory,
    find: "updatedAt: DateTime.max(user.updatedAt, now)",
    replace: "updatedAt: user.updatedAt",
    red
  },
  {
    name: "UserTokens: a reset leaves the sign-ins open",
    file: memory,
    find: "        yield* endSignIns(db, ({ userId }) => userId === user.id, now)\n",
    replace: "",
    red
  },
  {
    name: "UserTokens: a reset signs everybody out",
    file: memory,
    find: "({ userId }) => userId === user.id",
    replace: "() => true",
    red
  },
  {
    name: "UserTokens: a new password leaves the sign-ins open",
    file: users,
    find: "          if (changes.passwordHash !== undefined) yield* endSignIns(db, ({ userId }) => userId === id, now)\n",
    replace: "",
    red
  },
  {
    name: "UserTokens: a new password signs everybody out",
    file: users,
    find: "endSignIns(db, ({ userId }) => userId === id, now)",
    replace: "endSignIns(db, () => true, now)",
    red
  },
  {
    name: "UserTokens: any change signs the user out",
    file: users,
    find: "          if (changes.passwordHash !== undefined) yield* endSignIns",
    replace: "          yield* endSignIns",
    red
  },
  {
    name: "UserTokens: a new e-mail or password leaves good what was sent",
    file: users,
    find: "          yield* endSent(db, updated, changes.passwordHash !== undefined, now)\n",
    replace: "",
    red
  },
  {
    name: "UserTokens: any change ends what would reset the password",
    file: users,
    find: "endSent(db, updated, changes.passwordHash !== undefined, now)",
    replace: "endSent(db, updated, true, now)",
    red
  },
  {
    name: "UserTokens: a new password leaves good what would reset it",
    file: tables,
    find: '      if (token.email === email && !(newPassword && token.purpose === "password-reset")) continue\n',
    replace: "      if (token.email === email) continue\n",
    red
  },
  {
    name: "UserTokens: a new password ends what proves the e-mail",
    file: tables,
    find: ' && token.purpose === "password-reset"',
    replace: "",
    red
  },
  {
    name: "UserTokens: a new e-mail ends what was sent to others",
    file: tables,
    find: "userId === id && usedAt",
    replace: "usedAt",
    red
  },
  {
    name: "UserTokens: what expired a moment ago is removed",
    file: memory,
    find: "DateTime.subtractDuration(yield* DateTime.now, before)",
    replace: "(void before, yield* DateTime.now)",
    red
  },
  {
    name: "UserTokens: sent tokens are not removed",
    file: memory,
    find: "        for (const { hash } of oneTime) yield* db.remove(oneTimeTokens, hash)\n",
    replace: "",
    red
  },
  {
    name: "UserTokens: removed tokens that were sent are not counted",
    file: memory,
    find: "return refresh.length + oneTime.length",
    replace: "return refresh.length",
    red
  }
]
