import { it } from "@effect/vitest"
import { Effect } from "effect"
import * as assert from "node:assert/strict"
import { describe, vi } from "vitest"
import { parseMigration, readFolder } from "../../src/migrations/MigrationFile.ts"
import { renderLint } from "../../src/migrations/LintReport.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import type { rules } from "../../src/postgres/migrations/LintRules.ts"
import { lint } from "../../src/postgres/migrations/PostgresLint.ts"
import { splitScript } from "../../src/postgres/migrations/SqlScript.ts"

const findings = (up: string, options: { readonly mark?: string; readonly down?: string } = {}) =>
  Effect.flatMap(
    parseMigration(
      "1_a.sql",
      `-- migrate:up${options.mark ?? ""}\n${up}\n${options.down === undefined ? "" : `-- migrate:down\n${options.down}\n`}`
    ),
    (migration) => lint([migration])
  )
const rulesOf = (up: string, mark?: string) =>
  Effect.map(findings(up, mark === undefined ? {} : { mark }), (found) => found.map(({ rule }) => rule))

const alone = " transaction:false"

/** For each rule, statements that it tells, and statements that do the same safely. */
const examples: Record<
  keyof typeof rules,
  { readonly bad: ReadonlyArray<string>; readonly good: ReadonlyArray<readonly [up: string, mark?: string]> }
> = {
  "syntax-error": { bad: ["selec 1;"], good: [["select 1;"]] },
  "require-concurrent-index-creation": {
    bad: [
      "create index i on t (a);",
      "create unique index on app.t (a);",
      "create table if not exists t (a bigint); create index i on t (a);",
      "create materialized view if not exists v as select 1 as a; create index i on v (a);"
    ],
    good: [
      ["create index concurrently i on t (a);", alone],
      ["create table t (a bigint); create index i on t (a);"],
      ["create table app.t (a bigint); create index i on app.t (a);"],
      ["create materialized view v as select 1 as a; create index i on v (a);"]
    ]
  },
  "require-concurrent-index-deletion": {
    bad: ["drop index i;"],
    good: [["drop index concurrently if exists i;", alone]]
  },
  "ban-concurrent-index-creation-in-transaction": {
    bad: [
      "create index concurrently i on t (a);",
      "drop index concurrently i;",
      "reindex index concurrently i;",
      "alter table t detach partition p concurrently;"
    ],
    good: [
      ["create index concurrently i on t (a);", alone],
      ["drop index concurrently i;", alone],
      ["reindex (concurrently) index i;", alone],
      ["alter table t detach partition p concurrently;", alone]
    ]
  },
  "require-concurrent-reindex": {
    bad: ["reindex table app.t;", "reindex (verbose) index i;", "reindex schema app;"],
    good: [
      ["reindex table concurrently app.t;", alone],
      ["create table app.t (a bigint primary key); reindex table app.t;"]
    ]
  },
  "require-concurrent-refresh": {
    bad: ["refresh materialized view app.v;", "refresh materialized view v with no data;"],
    good: [
      ["refresh materialized view concurrently app.v;"],
      ["create materialized view v as select 1 as a with no data; refresh materialized view v;"]
    ]
  },
  "require-concurrent-partition-detach": {
    bad: ["alter table t detach partition p;"],
    good: [
      ["alter table t detach partition p concurrently;", alone],
      ["alter table t detach partition p finalize;", alone],
      ["create table t (a bigint) partition by list (a); alter table t detach partition p;"]
    ]
  },
  "ban-unnamed-concurrent-index": {
    bad: ["create index concurrently on t (a);", "create unique index concurrently on only app.t (a);"],
    good: [["create index concurrently i on t (a);", alone], ["create table t (a bigint); create index on t (a);"]]
  },
  "validating-with-not-valid": {
    bad: [
      "alter table app.t add constraint c check (a > 0) not valid; alter table app.t validate constraint c;",
      "alter table t add constraint f foreign key (a) references o (id) not valid; select 1; alter table t validate constraint f;",
      "alter table t add constraint c check (a > 0) not valid, validate constraint c;",
      "alter table t add constraint c check (a > 0) not valid; alter table t validate constraint other;"
    ],
    good: [
      ["alter table t add constraint c check (a > 0) not valid; alter table t validate constraint c;", alone],
      ["alter table t add constraint c check (a > 0) not valid; alter table o validate constraint c;"],
      ["alter table t validate constraint c; alter table t add constraint d check (a > 1) not valid;"],
      [
        "create table t (a bigint); alter table t add constraint c check (a > 0) not valid; alter table t validate constraint c;"
      ]
    ]
  },
  "adding-foreign-key-constraint": {
    bad: [
      "alter table t add constraint f foreign key (a) references o (id);",
      "alter table t add column a bigint references o (id);"
    ],
    good: [
      ["alter table t add constraint f foreign key (a) references o (id) not valid;"],
      ["alter table t validate constraint f;"],
      ["create table t (a bigint references o (id));"],
      ["create table t (a bigint); alter table t add foreign key (a) references o (id);"]
    ]
  },
  "constraint-missing-not-valid": {
    bad: [
      "alter table t add constraint c check (a > 0);",
      "alter table t add column a bigint check (a > 0);",
      "alter domain d add constraint c check (value > 0);",
      "alter domain app.d set not null;"
    ],
    good: [
      ["alter table t add constraint c check (a > 0) not valid;"],
      ["create table t (a bigint check (a > 0));"],
      ["alter domain d add check (value > 0) not valid;"],
      ["alter domain d validate constraint c;"],
      ["create domain d as bigint; alter domain d add check (value > 0);"],
      ["create domain d as bigint; alter domain d set not null;"],
      ["alter domain d drop not null;"],
      ["alter domain d set default 0;"]
    ]
  },
  "disallowed-unique-constraint": {
    bad: [
      "alter table t add constraint u unique (a);",
      "alter table t add primary key (a);",
      "alter table t add column a text unique;",
      "alter table t add exclude using gist (r with &&);"
    ],
    good: [
      ["alter table t add constraint u unique using index i;"],
      ["alter table t add constraint p primary key using index i;"],
      ["create table t (a text unique);"]
    ]
  },
  "changing-column-type": {
    bad: ["alter table t alter column a type bigint;"],
    good: [["alter table t add column b bigint;"], ["create table t (a int); alter table t alter a type bigint;"]]
  },
  "adding-not-nullable-field": {
    bad: ["alter table t alter column a set not null;"],
    good: [
      ["alter table t add constraint c check (a is not null) not valid;"],
      ["alter table t alter a drop not null;"]
    ]
  },
  "adding-required-field": {
    bad: ["alter table t add column a text not null;"],
    good: [["alter table t add column a text not null default '';"], ["alter table t add column a text;"]]
  },
  "adding-field-with-default": {
    bad: [
      "alter table t add column a uuid default gen_random_uuid();",
      "alter table t add column a float8 not null default random() * 2;",
      "alter table t add column a timestamptz default clock_timestamp();",
      "alter table t add column a bigserial;",
      "alter table t add column a bigint generated always as identity;",
      "alter table t add column a bigint generated always as (b * 2) stored;"
    ],
    good: [
      ["alter table t add column a timestamptz not null default now();"],
      ["alter table t add column a timestamptz default current_timestamp - interval '1 day';"],
      ["alter table t add column a int default 1 + 2;"],
      ["alter table t alter column a set default gen_random_uuid();"]
    ]
  },
  "ban-drop-table": {
    bad: ["drop table t;", "drop table if exists app.t, other cascade;", "drop schema app cascade;"],
    good: [
      ["create table t (a bigint); drop table t;"],
      ["create table app.t (a bigint); drop table app.t;"],
      ["drop schema app;"]
    ]
  },
  "ban-drop-database": {
    bad: ["drop database d;", "drop database if exists d with (force);"],
    good: [["create database d;", alone]]
  },
  "ban-drop-column": {
    bad: [
      "alter table t drop column a;",
      "create table if not exists t (a bigint, b bigint); alter table t drop column a;"
    ],
    good: [
      ["alter table t alter column a drop default;"],
      ["create table t (a bigint, b bigint); alter table t drop column a;"]
    ]
  },
  "renaming-table": {
    bad: [
      "alter table t rename to u;",
      "alter view app.v rename to w;",
      "alter materialized view app.v rename to w;",
      "alter foreign table t rename to u;",
      "create or replace view v as select 1 as a; alter view v rename to w;",
      "alter table app.t set schema other;",
      "alter view v set schema other;"
    ],
    good: [
      ["create view app.v as select 1 as a; alter view app.v rename to w;"],
      ["create materialized view v as select 1 as a; alter materialized view v rename to w;"],
      ["create table t (a bigint); alter table t set schema other;"],
      ["create view u as select * from t;"],
      ["create table t (a bigint); alter table t rename to u;"]
    ]
  },
  "renaming-column": {
    bad: [
      "alter table t rename column a to b;",
      "alter table t rename a to b;",
      "alter view v rename column a to b;",
      "alter type app.pair rename attribute a to b;"
    ],
    good: [["alter table t rename constraint a to b;"], ["alter index i rename to j;"]]
  },
  "renaming-type": {
    bad: ["alter type app.e rename to f;", "alter domain d rename to e;", "alter type e set schema other;"],
    good: [
      ["create type app.e as enum ('a'); alter type app.e rename to f;"],
      ["create type pair as (a int, b int); alter type pair rename to two; alter type pair rename attribute a to c;"],
      ["alter type e owner to somebody;"]
    ]
  },
  "renaming-function": {
    bad: [
      "alter function app.f(int) rename to g;",
      "alter procedure p() rename to q;",
      "alter routine app.f rename to g;",
      "alter function f() set schema other;"
    ],
    good: [
      ["create function app.f() returns int language sql as 'select 1'; alter function app.f() rename to g;"],
      ["alter function f() owner to somebody;"],
      ["alter index i rename to j;"],
      ["alter trigger a on t rename to b;"]
    ]
  },
  "renaming-schema": {
    bad: ["alter schema app rename to other;"],
    good: [["create schema other;"], ["alter schema app owner to somebody;"]]
  },
  "renaming-value": {
    bad: ["alter type app.e rename value 'a' to 'b';"],
    good: [
      ["alter type e add value 'b' after 'a';"],
      ["create type app.e as enum ('a'); alter type app.e rename value 'a' to 'b';"]
    ]
  },
  "attaching-partition": {
    bad: [
      "alter table t attach partition p for values from (1) to (2);",
      "alter table t attach partition p default;",
      "create table t (a bigint) partition by list (a); alter table t attach partition p for values in (1);"
    ],
    good: [
      ["create table p (a bigint); alter table t attach partition p for values in (1);"],
      ["create table p partition of t for values in (1);"],
      ["alter index i attach partition j;"]
    ]
  },
  "changing-persistence": {
    bad: ["alter table t set logged;", "alter table t set unlogged;"],
    good: [["create unlogged table t (a bigint);"], ["create unlogged table t (a bigint); alter table t set logged;"]]
  },
  "changing-tablespace": {
    bad: [
      "alter table app.t set tablespace fast;",
      "alter index app.i set tablespace fast;",
      "alter table all in tablespace slow set tablespace fast;",
      "alter table t set access method heap2;"
    ],
    good: [
      ["create table t (a bigint) tablespace fast;"],
      ["create table t (a bigint); alter table t set tablespace x;"]
    ]
  },
  "ban-drop-cascade": {
    bad: [
      "drop view v cascade;",
      "drop type ty cascade;",
      "drop function f cascade;",
      "drop materialized view v cascade;"
    ],
    good: [["drop view v, w;"], ["drop type if exists ty;"]]
  },
  "ban-drop-owned": {
    bad: ["drop owned by somebody;", "drop owned by current_user cascade;"],
    good: [["reassign owned by somebody to another;"], ["drop role somebody;"]]
  },
  "ban-truncate-cascade": { bad: ["truncate t cascade;"], good: [["truncate t, u;"]] },
  "ban-vacuum-full": {
    bad: ["vacuum full t;", "vacuum (full, analyze) t;", "cluster t using i;"],
    good: [["vacuum (analyze) t;", alone]]
  },
  "backfill-with-schema-change": {
    bad: [
      "alter table t add column a text; update t set a = '';",
      "delete from o; alter table t add column a text;",
      "insert into n select * from t; alter table t add column a text;",
      "create table n (a text); insert into n select a from t union all select a from o; alter table t add column b text;",
      "merge into t using o on t.a = o.a when matched then delete; alter table t add column a text;",
      "alter table t add column a text; with s as (update t set a = '' returning *) select count(*) from s;",
      "alter table t add column a text; with s as (delete from o returning a) insert into n values (1);",
      "alter table t add column a text; do $$ begin update app.t set a = ''; end $$;",
      "alter table t add column a text; do $$ begin execute 'delete  from t'; end $$;",
      "alter table t add column a text; do $$ begin insert into n select a from t; end $$;",
      "alter table t add column a text; do $$ begin for i in 1..9 loop insert into n values (i); end loop; end $$;",
      "alter table t add column a text; do $$ begin perform app.backfill(); end $$;",
      "do $$ begin alter table t add column a text; update t set a = ''; end $$;",
      "alter table t add column a text; select backfill();",
      "alter table t add column a text; select app.backfill(id) from t;",
      "alter table t add column a text; select * from app.backfill();",
      "alter table t add column a text; call app.backfill();",
      "alter table t add column a text; copy t from '/tmp/rows';"
    ],
    good: [
      ["alter table t add column a text; with s as (select 1) select * from s;"],
      ["alter table t add column a text; create table n (a text); with s as (update n set a = '') select 1;"],
      [
        "alter table t add column a text; do $$ begin -- update t set a = ''\n perform set_config('a.b', 'c', true); perform pg_advisory_xact_lock(1); if exists (select from t for update of t) then raise exception 'x'; end if; end $$;"
      ],
      [
        "do $$ begin if not exists (select from pg_class) then alter table t add foreign key (a) references o on update cascade; end if; end $$;"
      ],
      ["alter table t add column a text; do $$ begin execute 'grant select, update on t to somebody'; end $$;"],
      ["alter table t add column a text; do $$ begin insert into o values (1) on conflict do nothing; end $$;"],
      ["alter table t add column a text; select set_config('a.b', 'c', true); select pg_catalog.setval('s', 9);"],
      ["alter table t add column a text; select lower(a) from t; select * from generate_series(1, 2);"],
      ["alter table t add column a text; do $$ begin for r in select a from t for update loop null; end loop; end $$;"],
      ["do $$ begin update t set a = ''; end $$;"],
      ["select backfill();"],
      ["alter table t add column a text; select backfill();", alone],
      ["update t set a = '';"],
      [
        "alter table t add column a text; insert into o values (1), (2); insert into o select 3; insert into o default values;"
      ],
      ["create table n (a text); insert into n select a from t;"],
      ["alter table t add column a text; update t set a = '';", alone],
      ["create table t (a text); update t set a = '';"],
      ["create table n (a text); update t set a = '';"]
    ]
  },
  "prefer-bigint-over-int": {
    bad: [
      "create table t (id int primary key);",
      "create table t (id serial);",
      "create table t (id smallint, primary key (id));"
    ],
    good: [["create table t (id bigint primary key, n int);"], ["create table t (id bigserial primary key);"]]
  },
  "prefer-timestamptz": {
    bad: ["create table t (at timestamp);", "alter table t add column at timestamp(3) without time zone;"],
    good: [["create table t (at timestamptz, day date);"]]
  },
  "ban-char-field": {
    bad: ["create table t (a char(3));", "create table t (a character);"],
    good: [["create table t (a varchar(3));"]]
  },
  "identifier-too-long": {
    bad: [`create table ${"t".repeat(64)} (a text);`, `create table "${"é".repeat(32)}" (a text);`],
    good: [[`create table ${"t".repeat(63)} (a text);`], [`create table "${"é".repeat(31)}" (a text);`]]
  },
  "lint-ignore-invalid": {
    bad: [
      "-- lint-ignore ban-drop-table:\nselect 1;",
      "-- lint-ignore no-such-rule: because\nselect 1;",
      "-- lint-ignore\nselect 1;"
    ],
    good: [
      ["-- lint-ignore ban-drop-table: nobody has used it since release 3\ndrop table t;"],
      ["select '-- lint-ignore';"]
    ]
  }
}

describe("lint of PostgreSQL migrations", () => {
  for (const [rule, { bad, good }] of Object.entries(examples)) {
    it.effect(`${rule}: tells what is dangerous, and lets the safe way pass`, () =>
      Effect.gen(function* () {
        for (const up of bad) {
          const mark = /^(?:vacuum|cluster)/.test(up) ? alone : undefined
          assert.ok((yield* rulesOf(up, mark)).includes(rule as keyof typeof rules), up)
        }
        for (const [up, mark] of good) assert.deepEqual(yield* rulesOf(up, mark), [], up)
      })
    )
  }

  it.effect("says where, with what stands before it in other alphabets, and what to do", () =>
    Effect.gen(function* () {
      const [first, second, third] = yield* findings(
        `-- größe: 😀\ncreate table größe ("naïve 😀" text,\n\t"ß" timestamp);\n/* 😀 */ select '😀'; alter table "übel" drop column a;\nselect '😀', ü ü ü;`
      )
      assert.deepEqual(
        [first?.rule, first?.severity, first?.line, first?.column],
        ["prefer-timestamptz", "warning", 4, 6]
      )
      assert.deepEqual([second?.rule, second?.line, second?.column], ["ban-drop-column", 5, 21])
      assert.deepEqual([third?.rule, third?.line, third?.column], ["syntax-error", 6, 17])
      assert.match(third?.problem ?? "", /syntax error at or near "ü"/)
      assert.equal(
        renderLint([second!]),
        `1_a.sql:5:21 · error: ban-drop-column

  Problem  The data is gone, and programs that still name the column fail
  Hint     Deploy programs that no longer name it, and drop it in a later release.

    /* 😀 */ select '😀'; alter table "übel" drop column a;
                          ^

1 error, 0 warnings`.replace("                          ^", `    ${" ".repeat(22)}^`)
      )
      assert.equal(renderLint([]), "Nothing dangerous was found.")
    })
  )

  it.effect("tells of a comment without an end, which hides all that is behind it", () =>
    Effect.gen(function* () {
      const [first, ...others] = yield* findings("select 1;\n/* from here on /* */\ndrop table t;")
      assert.deepEqual([first?.rule, first?.line, first?.column, others], ["syntax-error", 3, 1, []])
      assert.match(first?.problem ?? "", /comment has no end/)
    })
  )

  it.effect("an exception holds for its statement and its rule alone", () =>
    Effect.gen(function* () {
      assert.deepEqual(
        yield* rulesOf(
          "-- lint-ignore ban-drop-table: moved to other in release 3\ndrop table t;\ndrop table u;\n-- lint-ignore ban-drop-table: moved\nalter table w drop column a;"
        ),
        ["ban-drop-table", "ban-drop-column"]
      )
      assert.deepEqual(
        yield* rulesOf(
          "-- lint-ignore renaming-table: not deployed yet\n-- lint-ignore renaming-column: not deployed yet\nalter table t rename to u;"
        ),
        []
      )
      // In a string it is no comment.
      assert.deepEqual(yield* rulesOf("select '\n-- lint-ignore ban-drop-table: x\n'; drop table t;"), [
        "ban-drop-table"
      ])
    })
  )

  it.effect("what undoes a migration may drop what it made", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* findings("create table t (a text);", { down: "drop table t;" }), [])
    })
  )

  it.effect("where its package is not installed, it says how to get it", () =>
    Effect.gen(function* () {
      vi.doMock("libpg-query", () => {
        throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" })
      })
      vi.resetModules()
      const { lint } = yield* Effect.promise(() => import("../../src/postgres/migrations/PostgresLint.ts"))
      const error = yield* Effect.flip(lint([]))
      assert.deepEqual([error._tag, /npm install --save-dev libpg-query/.test(error.hint)], ["LinterMissing", true])
    }).pipe(Effect.ensuring(Effect.sync(() => vi.doUnmock("libpg-query"))))
  )

  it.effect("finds nothing in the platform's own migrations", () =>
    Effect.gen(function* () {
      const found = yield* lint(yield* readFolder(PlatformMigrations.postgresFolder))
      assert.equal(renderLint(found), "Nothing dangerous was found.")
    })
  )
})

describe("the two splitters of SQL", () => {
  it.effect("find the same statements", () =>
    Effect.gen(function* () {
      const { loadModule, parseSync } = yield* Effect.promise(() => import("libpg-query"))
      yield* Effect.promise(() => loadModule())
      const platform = yield* readFolder(PlatformMigrations.postgresFolder)
      const scripts = [
        ...platform.flatMap(({ down, up }) =>
          [up, down].flatMap((step) => (step?._tag === "Script" ? [step.text] : []))
        ),
        ...Object.values(examples).flatMap(({ bad }) => bad),
        ...Object.values(examples).flatMap(({ good }) => good.map(([up]) => up)),
        "select ';'; select 'it''s; so'; select E'a\\';b', 'c\\'; select 1",
        'select ";""; " from "a;b"; select U&\'d;\'; select $$a;b$$; select $f$a;$$;b$f$; select $é1$;$é1$;',
        "select /* a /* ; */ ; */ 1; select 2 -- ' ;\n + 3; /* ; */",
        `create function f() returns void language plpgsql as $$ begin perform 1; perform 2; end $$;
         create function g(n int) returns int language sql begin atomic select 1; select case when n > 0 then 2 end; end;
         create procedure p() begin atomic insert into t values (case when true then 1 else 2 end); select 1; end;
         create rule r as on insert to t do also (delete from a; delete from b); select 1`,
        'create table case_ ("end" int, atomic int); select atomic from case_; begin; select 1; end;',
        "select 1;;;select 2; -- é ; ü\n select 'é;ü'; do $$ begin null; end $$;",
        "prepare q as select $1 + $2; execute q(1, 2); select 1e10, 0x1f, 1_000; copy t from '/x;y';"
      ]
      for (const script of scripts) {
        const found = parse(() => parseSync(script))
        if (found === undefined) continue
        const bytes = Buffer.from(script)
        const theirs = (found.stmts ?? []).map(({ stmt_len, stmt_location = 0 }) =>
          splitScript(
            bytes.subarray(stmt_location, stmt_len === undefined ? undefined : stmt_location + stmt_len).toString()
          ).map(({ text }) => text)
        )
        assert.deepEqual(
          splitScript(script).map(({ text }) => [text]),
          theirs,
          script
        )
      }
    })
  )
})

/** Some of the examples are not SQL. */
const parse = <A>(run: () => A): A | undefined => {
  try {
    return run()
  } catch {
    return undefined
  }
}
