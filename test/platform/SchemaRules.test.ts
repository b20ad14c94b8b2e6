import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import { ownTables } from "../../src/postgres/migrations/History.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { describeLive } from "../servers/index.ts"

interface Rule {
  /** Finds the `name` of all that breaks it; `columns` are those of the platform's tables. */
  readonly broken: string
  /** What breaks it and may, with the reason. */
  readonly exceptions: Readonly<Record<string, string>>
  /** A table that breaks it, and the names that are found then. */
  readonly planted: readonly [table: string, names: ReadonlyArray<string>]
}

const columns = `with tables as (
  select c.oid, c.relname from pg_class as c
  where c.relnamespace = 'ai_core'::regnamespace and c.relkind in ('r', 'p') and c.relname <> all ($1::text[])
), columns as (
  select t.oid as table_oid, t.relname || '.' || a.attname as name, t.relname, a.attname,
    format_type(a.atttypid, a.atttypmod) as type, y.typcategory,
    array(select k.conname from pg_constraint as k
      where k.conrelid = t.oid and k.contype = 'f' and a.attnum = any(k.conkey))::text[] as foreign_keys,
    exists (select from pg_index as i where i.indrelid = t.oid and i.indisprimary and a.attnum = any(i.indkey)) as is_key,
    array(select pg_get_constraintdef(k.oid) from pg_constraint as k
      where k.conrelid = t.oid and k.contype = 'c' and a.attnum = any(k.conkey)) as checks
  from tables as t join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    join pg_type as y on y.oid = a.atttypid
)`

const money = "^(amount|.*_amount|amount_.*|.*_minor|subtotal|discount|tax|total|balance|balance_.*|credit_applied)$"

const rules: Readonly<Record<string, Rule>> = {
  "what tells a time is a timestamptz to the millisecond, as the Clock's are": {
    broken: `select name from columns where type <> 'timestamp(3) with time zone'
      and (typcategory = 'D' or attname ~ '_(at|until|for|anchor|start|end)$')`,
    exceptions: {
      "notification_settings.quiet_start": "a time of day by the user's clock, as text: 22:00",
      "notification_settings.quiet_end": "a time of day by the user's clock, as text: 07:00",
      "subscriptions.cancel_at_period_end": "whether, and not when"
    },
    planted: [
      "id uuid primary key, made timestamp, day date, started_at text, ended_at timestamptz, good_at timestamptz(3)",
      ["day", "ended_at", "made", "started_at"]
    ]
  },
  "what is one of a few names has a check that lists them, or is an enum": {
    broken: `select name from columns where type = 'text'
      and attname ~ '^(state|status|health|kind|purpose|trigger|channel|priority|missed_runs|.*_(state|status|kind|interval))$'
      and not exists (select from unnest(checks) as definition
        where definition ~ ('^CHECK \\(\\(' || attname || ' = ANY \\(ARRAY\\[[^]]*\\]\\)\\)\\)$'))`,
    exceptions: {
      "audit_log.subject_kind": "open: programs name what they write of; a check says how it is written",
      "federation_providers.kind": "open: programs name how they call a provider; a check says how it is written",
      "workflow_steps.kind": "open: programs name what their workers do"
    },
    planted: [
      `id uuid primary key, state text check (state <> ''), status text check (status in ('a', 'b') or id is null),
        kind text, health text check (health in ('up', 'down'))`,
      ["kind", "state", "status"]
    ]
  },
  // The currency is checked, or is that of what the row refers to.
  "money is whole minor units beside their currency": {
    broken: `select c.name from columns as c where c.attname ~ '${money}' and (c.type <> 'bigint' or not exists (
      select from columns as o where o.table_oid = c.table_oid and o.attname = 'currency' and o.type = 'text'
        and (o.foreign_keys <> '{}' or exists (select from unnest(o.checks) as definition where definition ~ 'currency ~'))))`,
    exceptions: {
      "invoice_lines.amount": "in the currency of its invoice",
      "invoice_lines.unit_amount": "in the currency of its invoice",
      "workflow_steps.cost_minor": "in the currency of its execution"
    },
    planted: [`id uuid primary key, amount integer, paid_amount bigint, currency text`, ["amount", "paid_amount"]]
  },
  "a bigint that is not money is a count, and nothing is a fraction": {
    broken: `select name from columns
      where type ~ '^(numeric|real|double|money)' or (type = 'bigint' and attname !~ '${money}')`,
    exceptions: {
      "credit_balances.movements": "a count",
      "credit_movements.sequence": "a count",
      "invoice_lines.quantity": "a count",
      "invoice_series.last_number": "a count",
      "prices.included_quantity": "a count",
      "prices.unit_size": "a count",
      "subscription_terms.position": "a count",
      "subscription_terms.quantity": "a count",
      "subscriptions.next_quantity": "a count",
      "subscriptions.quantity": "a count",
      "usage_records.quantity": "a count"
    },
    planted: [
      "id uuid primary key, price bigint, share numeric, rate double precision, much money",
      ["much", "price", "rate", "share"]
    ]
  },
  "every id is a uuid, and so is every primary key": {
    broken: `select name from columns where type <> 'uuid' and (is_key or attname ~ '(^|_)id$')
      union all select relname || ' has no primary key' from tables
        where not exists (select from columns where table_oid = tables.oid and is_key)`,
    exceptions: {
      "audit_log.subject_id": "the id of anything, of whatever form",
      "credit_balances.currency": "one balance of each currency of a user",
      "invoice_lines.position": "a line is told by its place in its invoice",
      "invoice_series.series": "named by people: INV",
      "notification_addresses.channel": "one address of each channel of a user",
      "notification_categories.slug": "named by people",
      "notification_preferences.category": "one choice of a user for each category",
      "subscription_terms.position": "place in the terms of its subscription",
      "role_permissions.permission": "named by people",
      "workflow_versions.number": "a version is told by its number in its workflow"
    },
    planted: ["id bigint, owner_id text, unique (id)", [" has no primary key", "id", "owner_id"]]
  },
  "every foreign key says what a deletion does": {
    broken: `select t.relname || '.' || k.conname as name from pg_constraint as k join tables as t on t.oid = k.conrelid
      where k.contype = 'f' and k.confdeltype = 'a'`,
    exceptions: {},
    planted: [
      "id uuid primary key, owner_id uuid constraint owner references ai_core.users, " +
        "role_id uuid references ai_core.roles on delete restrict",
      ["owner"]
    ]
  }
}

const brokenBy = ({ broken }: Rule) =>
  Effect.flatMap(PostgresClient, ({ sql }) =>
    Effect.map(sql.unsafe<{ readonly name: string }>(`${columns} ${broken}`, [ownTables]), (rows) =>
      rows.map(({ name }) => name).sort()
    )
  )

const layer = PlatformMigrations.layerPostgres.pipe(Layer.provideMerge(freshClient(4)))

describeLive("postgresql", "Every table of the platform", () => {
  it.layer(layer, { timeout: "1 minute" })((it) => {
    for (const [name, rule] of Object.entries(rules)) {
      it.effect(name, () =>
        Effect.map(brokenBy(rule), (names) => assert.deepEqual(names, Object.keys(rule.exceptions).sort()))
      )

      it.effect(`${name}: a table that breaks it is found`, () =>
        Effect.gen(function* () {
          const { sql } = yield* PostgresClient
          const [table, expected] = rule.planted
          const found = sql.withTransaction(
            Effect.gen(function* () {
              yield* sql.unsafe(`create table ai_core.planted (${table})`)
              return yield* brokenBy(rule)
            })
          )
          const names = yield* Effect.ensuring(found, Effect.orDie(sql`drop table ai_core.planted`))
          assert.deepEqual(
            names.filter((name) => name.startsWith("planted")).map((name) => name.replace(/^planted\.?/, "")),
            expected
          )
        })
      )
    }
  })
})
