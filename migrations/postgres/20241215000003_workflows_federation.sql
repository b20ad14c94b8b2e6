-- Workflows: what is to be done (definitions and their published versions), when (schedules), and what was (executions, steps).
-- Federation follows in a section of its own.

-- migrate:up

-- ---- Workflows

create table ai_core.workflows (
  id uuid not null,
  slug text not null,
  name text not null,
  description text not null default '',
  owner_id uuid,
  state text not null default 'active',
  steps jsonb not null default '[]',
  latest_version integer not null default 0,
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint workflows_pkey primary key (id),
  constraint workflows_slug_key unique (slug),
  -- A workflow outlives the user who made it: removing a user is never refused, and stops no automation.
  constraint workflows_owner_id_fkey foreign key (owner_id) references ai_core.users (id) on delete set null,
  constraint workflows_slug_check check (slug ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint workflows_name_check check (char_length(name) between 1 and 200),
  constraint workflows_description_check check (char_length(description) <= 5000),
  constraint workflows_state_check check (state in ('active', 'archived')),
  constraint workflows_steps_check check (jsonb_typeof(steps) = 'array'),
  constraint workflows_latest_version_check check (latest_version >= 0),
  constraint workflows_version_check check (version >= 1),
  constraint workflows_times_check check (updated_at >= created_at)
);
create index workflows_created_at_id_idx on ai_core.workflows (created_at, id);
create index workflows_owner_id_created_at_id_idx on ai_core.workflows (owner_id, created_at, id);

-- lint-ignore prefer-bigint-over-int: counts the versions of one workflow
create table ai_core.workflow_versions (
  workflow_id uuid not null,
  number integer not null,
  steps jsonb not null,
  draft_version integer not null,
  created_at timestamptz(3) not null default current_timestamp,
  constraint workflow_versions_pkey primary key (workflow_id, number),
  -- What has run must stay explainable: neither a published version nor its workflow is ever removed.
  constraint workflow_versions_workflow_id_fkey foreign key (workflow_id)
    references ai_core.workflows (id) on delete restrict,
  constraint workflow_versions_number_check check (number >= 1),
  constraint workflow_versions_steps_check check (jsonb_typeof(steps) = 'array' and steps <> '[]')
);

create function ai_core.refuse_workflow_version_change() returns trigger language plpgsql as $$
begin
  raise exception 'a published version of a workflow is never changed or removed'
    using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name,
      constraint = 'workflow_versions_immutable_check';
end
$$;
create trigger workflow_versions_immutable before update or delete on ai_core.workflow_versions
  for each row execute function ai_core.refuse_workflow_version_change();

create table ai_core.workflow_schedules (
  id uuid not null,
  workflow_id uuid not null,
  version_number integer,
  name text not null,
  cron text not null,
  time_zone text not null,
  input jsonb not null,
  missed_runs text not null,
  enabled boolean not null,
  next_run_at timestamptz(3),
  last_run_at timestamptz(3),
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint workflow_schedules_pkey primary key (id),
  constraint workflow_schedules_workflow_id_fkey foreign key (workflow_id)
    references ai_core.workflows (id) on delete restrict,
  constraint workflow_schedules_workflow_id_version_number_fkey foreign key (workflow_id, version_number)
    references ai_core.workflow_versions (workflow_id, number) on delete restrict,
  constraint workflow_schedules_name_check check (char_length(name) between 1 and 200),
  constraint workflow_schedules_cron_check check (char_length(cron) between 1 and 200),
  constraint workflow_schedules_time_zone_check check (char_length(time_zone) between 1 and 64),
  constraint workflow_schedules_missed_runs_check check (missed_runs in ('skip', 'catch-up')),
  constraint workflow_schedules_next_run_at_check check (enabled = (next_run_at is not null)),
  constraint workflow_schedules_version_check check (version >= 1),
  constraint workflow_schedules_times_check check (updated_at >= created_at)
);
create index workflow_schedules_created_at_id_idx on ai_core.workflow_schedules (created_at, id);
create index workflow_schedules_workflow_id_version_number_idx
  on ai_core.workflow_schedules (workflow_id, version_number);
create index workflow_schedules_due_idx on ai_core.workflow_schedules (next_run_at, id) where enabled;

create table ai_core.workflow_executions (
  id uuid not null,
  workflow_id uuid not null,
  version_number integer not null,
  state text not null default 'pending',
  trigger text not null,
  schedule_id uuid,
  scheduled_for timestamptz(3),
  idempotency_key text,
  input jsonb not null,
  result jsonb,
  error text,
  failed_step text,
  cost_minor bigint not null default 0,
  currency text not null,
  created_at timestamptz(3) not null default current_timestamp,
  started_at timestamptz(3),
  finished_at timestamptz(3),
  constraint workflow_executions_pkey primary key (id),
  constraint workflow_executions_idempotency_key unique (workflow_id, idempotency_key),
  constraint workflow_executions_scheduled_key unique (schedule_id, scheduled_for),
  constraint workflow_executions_workflow_id_version_number_fkey foreign key (workflow_id, version_number)
    references ai_core.workflow_versions (workflow_id, number) on delete restrict,
  -- What a schedule has started stays when the schedule goes.
  constraint workflow_executions_schedule_id_fkey foreign key (schedule_id)
    references ai_core.workflow_schedules (id) on delete set null,
  constraint workflow_executions_state_check
    check (state in ('pending', 'running', 'paused', 'succeeded', 'failed', 'canceled')),
  constraint workflow_executions_trigger_check check (trigger in ('manual', 'api', 'schedule')),
  constraint workflow_executions_idempotency_key_check check (char_length(idempotency_key) between 1 and 200),
  constraint workflow_executions_cost_minor_check check (cost_minor between 0 and 9007199254740991),
  constraint workflow_executions_currency_check check (currency ~ '^[A-Z]{3}$'),
  constraint workflow_executions_error_check check ((state = 'failed') = (error is not null)),
  constraint workflow_executions_finished_at_check
    check ((state in ('succeeded', 'failed', 'canceled')) = (finished_at is not null))
);
create index workflow_executions_created_at_id_idx on ai_core.workflow_executions (created_at, id);
create index workflow_executions_workflow_id_created_at_id_idx
  on ai_core.workflow_executions (workflow_id, created_at, id);
create index workflow_executions_state_created_at_id_idx on ai_core.workflow_executions (state, created_at, id);
create index workflow_executions_workflow_id_version_number_idx
  on ai_core.workflow_executions (workflow_id, version_number);
create index workflow_executions_finished_at_idx
  on ai_core.workflow_executions (finished_at) where finished_at is not null;

create table ai_core.workflow_steps (
  id uuid not null,
  execution_id uuid not null,
  position integer not null,
  key text not null,
  kind text not null,
  depends_on text[] not null,
  timeout_millis integer not null,
  backoff_millis integer not null,
  state text not null,
  attempts integer not null default 0,
  max_attempts integer not null,
  available_at timestamptz(3) not null default current_timestamp,
  lease_token uuid,
  lease_until timestamptz(3),
  taken_at timestamptz(3),
  worker text,
  last_error text,
  output jsonb,
  cost_minor bigint not null default 0,
  started_at timestamptz(3),
  finished_at timestamptz(3),
  finished_by uuid,
  constraint workflow_steps_pkey primary key (id),
  constraint workflow_steps_execution_id_key unique (execution_id, key),
  -- Steps are part of their execution, and go with it.
  constraint workflow_steps_execution_id_fkey foreign key (execution_id)
    references ai_core.workflow_executions (id) on delete cascade,
  constraint workflow_steps_state_check
    check (state in ('blocked', 'ready', 'running', 'succeeded', 'dead', 'skipped', 'canceled')),
  constraint workflow_steps_attempts_check check (attempts between 0 and max_attempts),
  constraint workflow_steps_lease_check
    check ((state = 'running') = (lease_token is not null) and (lease_token is null) = (lease_until is null)),
  constraint workflow_steps_cost_minor_check check (cost_minor between 0 and 9007199254740991)
-- A queue changes fast: figures of its size that are old make the server read all of it, to take a few.
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create index workflow_steps_queue_idx
  on ai_core.workflow_steps (available_at, id) where state in ('ready', 'running');
-- A worker for few kinds does not read past the backlog of the others.
create index workflow_steps_kind_queue_idx
  on ai_core.workflow_steps (kind, available_at, id) where state in ('ready', 'running');
create index workflow_steps_lease_until_idx on ai_core.workflow_steps (lease_until) where state = 'running';

comment on table ai_core.workflows is 'What is to be done: the draft that people edit, and what they may find it by';
comment on column ai_core.workflows.latest_version is 'Number of the newest published version; 0 where there is none';
comment on column ai_core.workflows.version is 'Grows by one with every edit; a writer names the version it read';
comment on table ai_core.workflow_versions is 'Published workflows, numbered 1, 2, 3 … without a gap; never changed';
comment on column ai_core.workflow_versions.draft_version is 'Version of the draft that was published';
comment on table ai_core.workflow_schedules is 'When a workflow is started by itself';
comment on column ai_core.workflow_schedules.version_number is 'Version that is started; the latest one where null';
comment on table ai_core.workflow_executions is 'Runs of a published workflow';
comment on column ai_core.workflow_executions.cost_minor is 'What its steps have cost so far, in the smallest unit of the currency';
comment on table ai_core.workflow_steps is 'The steps of executions, and the queue that workers take them from';
comment on column ai_core.workflow_steps.depends_on is 'Keys of the steps that must have succeeded before';
comment on column ai_core.workflow_steps.finished_by is 'Lease token that completed it, so that completing twice is harmless';

-- migrate:down

-- ---- Workflows
drop table ai_core.workflow_steps;
drop table ai_core.workflow_executions;
drop table ai_core.workflow_schedules;
drop table ai_core.workflow_versions;
drop function ai_core.refuse_workflow_version_change();
drop table ai_core.workflows;
