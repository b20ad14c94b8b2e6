-- Workflows: what is to be done (definitions and their published versions), when (schedules), and what was (executions, steps).
-- Federation: who calls in (clients), whom the platform calls (providers, their services and the credentials for them), and
-- which service answers what (routing rules).

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

-- ---- Federation

create table ai_core.federation_clients (
  id uuid not null,
  slug text not null,
  name text not null,
  owner_id uuid not null,
  state text not null default 'active',
  scopes text[] not null default '{}',
  rate_tier text not null,
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint federation_clients_pkey primary key (id),
  -- Clients are revoked, never deleted, so that a slug never comes to mean another party.
  constraint federation_clients_slug_key unique (slug),
  -- Somebody answers for whoever calls in: a user who does is not removed before another one has taken over.
  constraint federation_clients_owner_id_fkey foreign key (owner_id) references ai_core.users (id) on delete restrict,
  constraint federation_clients_slug_check check (slug ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint federation_clients_name_check check (char_length(name) between 1 and 200),
  constraint federation_clients_state_check check (state in ('active', 'suspended', 'revoked')),
  constraint federation_clients_scopes_check check (cardinality(scopes) <= 100),
  constraint federation_clients_rate_tier_check check (rate_tier ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint federation_clients_version_check check (version >= 1),
  constraint federation_clients_times_check check (updated_at >= created_at)
);
create index federation_clients_created_at_id_idx on ai_core.federation_clients (created_at, id);
create index federation_clients_owner_id_created_at_id_idx on ai_core.federation_clients (owner_id, created_at, id);
create index federation_clients_state_created_at_id_idx on ai_core.federation_clients (state, created_at, id);

create table ai_core.federation_providers (
  id uuid not null,
  slug text not null,
  name text not null,
  kind text not null,
  base_url text not null,
  state text not null default 'active',
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint federation_providers_pkey primary key (id),
  constraint federation_providers_slug_key unique (slug),
  constraint federation_providers_slug_check check (slug ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint federation_providers_name_check check (char_length(name) between 1 and 200),
  constraint federation_providers_kind_check check (kind ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint federation_providers_base_url_check
    check (base_url ~ '^https?://[^/?#@[:space:]]+(/[^?#[:space:]]*)?$' and char_length(base_url) <= 2010),
  constraint federation_providers_state_check check (state in ('active', 'disabled')),
  constraint federation_providers_version_check check (version >= 1),
  constraint federation_providers_times_check check (updated_at >= created_at)
);
create index federation_providers_created_at_id_idx on ai_core.federation_providers (created_at, id);

create table ai_core.federation_services (
  id uuid not null,
  provider_id uuid not null,
  name text not null,
  release text not null,
  endpoint_url text not null,
  capabilities text[] not null,
  weight integer not null default 100,
  cost_minor bigint,
  currency text,
  health text not null default 'unknown',
  heard_at timestamptz(3) not null default current_timestamp,
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint federation_services_pkey primary key (id),
  constraint federation_services_provider_id_name_release_key unique (provider_id, name, release),
  -- A provider goes when its services have been deregistered, one by one, so that no rule loses a target unnoticed.
  constraint federation_services_provider_id_fkey foreign key (provider_id)
    references ai_core.federation_providers (id) on delete restrict,
  constraint federation_services_name_check check (name ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint federation_services_release_check
    check (release ~ '^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$' and char_length(release) <= 100),
  constraint federation_services_endpoint_url_check
    check (endpoint_url ~ '^https?://[^/?#@[:space:]]+([/?][^#[:space:]]*)?$' and char_length(endpoint_url) <= 2010),
  constraint federation_services_capabilities_check check (cardinality(capabilities) between 1 and 100),
  constraint federation_services_weight_check check (weight between 1 and 1000),
  constraint federation_services_cost_minor_check check (cost_minor between 0 and 9007199254740991),
  constraint federation_services_currency_check check (currency ~ '^[A-Z]{3}$'),
  constraint federation_services_cost_check check ((cost_minor is null) = (currency is null)),
  constraint federation_services_health_check check (health in ('unknown', 'healthy', 'degraded', 'down')),
  constraint federation_services_version_check check (version >= 1),
  constraint federation_services_times_check check (updated_at >= created_at)
);
create index federation_services_created_at_id_idx on ai_core.federation_services (created_at, id);
create index federation_services_health_created_at_id_idx on ai_core.federation_services (health, created_at, id);
create index federation_services_heard_at_id_idx on ai_core.federation_services (heard_at, id);
create index federation_services_capabilities_idx on ai_core.federation_services using gin (capabilities);

create table ai_core.federation_credentials (
  id uuid not null,
  provider_id uuid not null,
  kind text not null,
  secret_ref text not null,
  state text not null default 'standby',
  expires_at timestamptz(3),
  verified_at timestamptz(3),
  activated_at timestamptz(3),
  retired_at timestamptz(3),
  created_at timestamptz(3) not null default current_timestamp,
  constraint federation_credentials_pkey primary key (id),
  -- Credentials say how to call a provider, and go with it.
  constraint federation_credentials_provider_id_fkey foreign key (provider_id)
    references ai_core.federation_providers (id) on delete cascade,
  constraint federation_credentials_kind_check check (kind in ('api-key', 'oauth2', 'mtls', 'basic')),
  -- Whoever writes: no secret ever stands here.
  constraint federation_credentials_secret_ref_check
    check (secret_ref ~ '^(vault|env|file|k8s|aws-sm|gcp-sm|azure-kv|op|x-[a-z0-9-]{1,30}):[!-~]+$'
      and char_length(secret_ref) <= 450),
  constraint federation_credentials_state_check check (state in ('standby', 'active', 'retired')),
  constraint federation_credentials_activated_at_check
    check (case state when 'standby' then activated_at is null when 'active' then activated_at is not null else true end),
  constraint federation_credentials_retired_at_check check ((state = 'retired') = (retired_at is not null))
);
create unique index federation_credentials_active_key
  on ai_core.federation_credentials (provider_id) where state = 'active';
create index federation_credentials_created_at_id_idx on ai_core.federation_credentials (created_at, id);
create index federation_credentials_provider_id_created_at_id_idx
  on ai_core.federation_credentials (provider_id, created_at, id);
create index federation_credentials_expires_at_idx
  on ai_core.federation_credentials (expires_at) where expires_at is not null;

create table ai_core.federation_rules (
  id uuid not null,
  name text not null,
  client_id uuid,
  capability text not null,
  priority integer not null default 0,
  condition jsonb not null default '{}',
  enabled boolean not null default true,
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint federation_rules_pkey primary key (id),
  constraint federation_rules_client_id_fkey foreign key (client_id)
    references ai_core.federation_clients (id) on delete restrict,
  constraint federation_rules_name_check check (char_length(name) between 1 and 200),
  constraint federation_rules_capability_check check (capability ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint federation_rules_condition_check check (jsonb_typeof(condition) = 'object'),
  constraint federation_rules_version_check check (version >= 1),
  constraint federation_rules_times_check check (updated_at >= created_at)
);
create index federation_rules_created_at_id_idx on ai_core.federation_rules (created_at, id);
create index federation_rules_client_id_created_at_id_idx on ai_core.federation_rules (client_id, created_at, id);
create index federation_rules_capability_client_id_idx
  on ai_core.federation_rules (capability, client_id) where enabled;

create table ai_core.federation_rule_targets (
  rule_id uuid not null,
  position integer not null,
  service_id uuid not null,
  weight integer,
  constraint federation_rule_targets_pkey primary key (rule_id, service_id),
  constraint federation_rule_targets_rule_id_position_key unique (rule_id, position),
  -- Targets are part of their rule, and go with it.
  constraint federation_rule_targets_rule_id_fkey foreign key (rule_id)
    references ai_core.federation_rules (id) on delete cascade,
  -- A service that a rule targets, enabled or not, is not deregistered.
  constraint federation_rule_targets_service_id_fkey foreign key (service_id)
    references ai_core.federation_services (id) on delete restrict,
  constraint federation_rule_targets_position_check check (position >= 0),
  constraint federation_rule_targets_weight_check check (weight between 1 and 1000)
);
create index federation_rule_targets_service_id_idx on ai_core.federation_rule_targets (service_id);

comment on table ai_core.federation_clients is 'Outside parties that call in';
comment on column ai_core.federation_clients.owner_id is 'The user who answers for it';
comment on table ai_core.federation_providers is 'Companies and systems whose services the platform calls';
comment on table ai_core.federation_services is 'What providers have registered: one row for each release of a service';
comment on column ai_core.federation_services.cost_minor is 'Cost of a call in the smallest unit of the currency';
comment on column ai_core.federation_services.heard_at is 'Time of the last health report; of its registration before the first one';
comment on column ai_core.federation_services.version is 'Grows by one with every edit; health reports are none';
comment on table ai_core.federation_credentials is 'How the platform authenticates to providers; at most one of a provider is active';
comment on column ai_core.federation_credentials.secret_ref is 'Where the secret is kept, such as vault:kv/data/openai#key; never the secret';
comment on table ai_core.federation_rules is 'Which services answer for a capability; the greatest priority counts first';
comment on column ai_core.federation_rules.client_id is 'The client that it holds for; everybody where null';
comment on column ai_core.federation_rules.condition is 'Attributes of a request, each with the value or values that it must have';
comment on table ai_core.federation_rule_targets is 'The services that a rule chooses, in the order they were given';
comment on column ai_core.federation_rule_targets.weight is 'Share among the targets; that of the service where null';

-- migrate:down

-- ---- Federation
drop table ai_core.federation_rule_targets;
drop table ai_core.federation_rules;
drop table ai_core.federation_credentials;
drop table ai_core.federation_services;
drop table ai_core.federation_providers;
drop table ai_core.federation_clients;

-- ---- Workflows
drop table ai_core.workflow_steps;
drop table ai_core.workflow_executions;
drop table ai_core.workflow_schedules;
drop table ai_core.workflow_versions;
drop function ai_core.refuse_workflow_version_change();
drop table ai_core.workflows;
