-- The platform keeps its tables in a schema of its own, ai_core, so that they never meet the tables of the application.
-- Only what both PostgreSQL 15 and PGlite have is used: ids (UUIDv7) are made by the client, which also sets the times.

-- migrate:up
create schema if not exists ai_core;

create table ai_core.users (
  id uuid not null,
  email text not null,
  username text not null,
  password_hash text not null,
  email_verified_at timestamptz(3),
  erased_at timestamptz(3),
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint users_pkey primary key (id),
  constraint users_email_check check (char_length(email) between 3 and 254 and email ~ '^[^@\s]+@[^@\s]+$'),
  constraint users_username_check check (char_length(username) between 1 and 100 and btrim(username) = username),
  constraint users_password_hash_check check (char_length(password_hash) between 1 and 255),
  constraint users_erased_at_check check (
    erased_at is null or (email, username, password_hash) = (id || '@erased.invalid', 'erased-' || id, '*')
      and email_verified_at is null
  ),
  constraint users_version_check check (version >= 1),
  constraint users_times_check check (updated_at >= created_at)
);

-- Collation "C" lowers A to Z only, the same on every server and in every locale.
-- What an erased user had is free.
create unique index users_email_key on ai_core.users (lower(email collate "C")) where erased_at is null;
create unique index users_username_key on ai_core.users (lower(username collate "C")) where erased_at is null;
create index users_created_at_id_idx on ai_core.users (created_at, id) where erased_at is null;
create index users_erased_created_at_id_idx on ai_core.users (created_at, id) where erased_at is not null;

comment on table ai_core.users is 'People and programs that may sign in';
comment on column ai_core.users.email is 'As it was given; unique without regard to the case of A to Z';
comment on column ai_core.users.username is 'As it was given; unique without regard to the case of A to Z';
comment on column ai_core.users.password_hash is 'A password hash in PHC format; never a password';
comment on column ai_core.users.version is 'Grows by one with every update; a writer names the version it read';

comment on column ai_core.users.erased_at is 'Since when nothing here says who it was; the row stays for what refers to it';
comment on column ai_core.users.email_verified_at is 'When the user proved to own the e-mail; null again when it changes';

-- Roles and permissions: a user may do what any of its roles permits. Taking away a role, a permission or a user takes the grants
-- with it, and nothing else.
create table ai_core.roles (
  id uuid not null,
  name text collate "C" not null,
  description text not null,
  version integer not null default 1,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  constraint roles_pkey primary key (id),
  constraint roles_name_key unique (name),
  constraint roles_name_check check (name ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint roles_description_check check (char_length(description) <= 1000),
  constraint roles_version_check check (version >= 1)
);

create table ai_core.role_permissions (
  role_id uuid not null,
  permission text collate "C" not null,
  constraint role_permissions_pkey primary key (role_id, permission),
  constraint role_permissions_role_id_fkey foreign key (role_id) references ai_core.roles (id) on delete cascade,
  constraint role_permissions_permission_check check (permission ~ '^[a-z][a-z0-9_.:-]{0,99}$')
);
create index role_permissions_permission_idx on ai_core.role_permissions (permission);

create table ai_core.user_roles (
  user_id uuid not null,
  role_id uuid not null,
  granted_at timestamptz(3) not null,
  constraint user_roles_pkey primary key (user_id, role_id),
  constraint user_roles_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete cascade,
  constraint user_roles_role_id_fkey foreign key (role_id) references ai_core.roles (id) on delete cascade
);
create index user_roles_role_id_idx on ai_core.user_roles (role_id);

-- Secrets are 32 random bytes, of which only the SHA-256 is kept. They go with their user.
create table ai_core.api_keys (
  id uuid not null,
  user_id uuid not null,
  name text not null,
  prefix text not null,
  hash text not null,
  scopes text[] not null,
  created_at timestamptz(3) not null,
  expires_at timestamptz(3),
  last_used_at timestamptz(3),
  revoked_at timestamptz(3),
  constraint api_keys_pkey primary key (id),
  constraint api_keys_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete cascade,
  constraint api_keys_hash_key unique (hash),
  constraint api_keys_name_check check (char_length(name) between 1 and 200),
  constraint api_keys_hash_check check (hash ~ '^[0-9a-f]{64}$'),
  constraint api_keys_expires_at_check check (expires_at > created_at)
);
create index api_keys_user_id_id_idx on ai_core.api_keys (user_id, id);

-- A refresh token is used once and replaced by the next of its family; a used one that comes back ends the family.
create table ai_core.refresh_tokens (
  id uuid not null,
  family_id uuid not null,
  user_id uuid not null,
  hash text not null,
  created_at timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  used_at timestamptz(3),
  revoked_at timestamptz(3),
  constraint refresh_tokens_pkey primary key (id),
  constraint refresh_tokens_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete cascade,
  constraint refresh_tokens_hash_key unique (hash),
  constraint refresh_tokens_hash_check check (hash ~ '^[0-9a-f]{64}$'),
  constraint refresh_tokens_expires_at_check check (expires_at > created_at)
);
create index refresh_tokens_user_id_idx on ai_core.refresh_tokens (user_id);
create index refresh_tokens_family_id_idx on ai_core.refresh_tokens (family_id);
create index refresh_tokens_expires_at_idx on ai_core.refresh_tokens (expires_at);

-- Sent by e-mail, good for one use: to verify the e-mail, or to set a new password. A change of the e-mail ends both, one of the
-- password what would set a new one.
create table ai_core.one_time_tokens (
  id uuid not null,
  user_id uuid not null,
  purpose text not null,
  email text not null,
  hash text not null,
  created_at timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  used_at timestamptz(3),
  revoked_at timestamptz(3),
  constraint one_time_tokens_pkey primary key (id),
  constraint one_time_tokens_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete cascade,
  constraint one_time_tokens_hash_key unique (hash),
  constraint one_time_tokens_purpose_check check (purpose in ('email-verification', 'password-reset')),
  constraint one_time_tokens_hash_check check (hash ~ '^[0-9a-f]{64}$'),
  constraint one_time_tokens_expires_at_check check (expires_at > created_at)
);
create index one_time_tokens_user_id_purpose_idx on ai_core.one_time_tokens (user_id, purpose);
create index one_time_tokens_expires_at_idx on ai_core.one_time_tokens (expires_at);

-- Who did what to what. It refers to nothing, because it outlives what it tells of, and nobody changes it.
create table ai_core.audit_log (
  id uuid not null,
  occurred_at timestamptz(3) not null,
  actor_id uuid,
  action text not null,
  subject_kind text not null,
  subject_id text not null,
  detail jsonb not null,
  constraint audit_log_pkey primary key (id),
  constraint audit_log_action_check check (action ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint audit_log_subject_kind_check check (subject_kind ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint audit_log_subject_id_check check (char_length(subject_id) between 1 and 200),
  constraint audit_log_detail_check check (jsonb_typeof(detail) = 'object')
);
create index audit_log_occurred_at_id_idx on ai_core.audit_log (occurred_at, id);
create index audit_log_actor_id_idx on ai_core.audit_log (actor_id, occurred_at, id);
create index audit_log_action_idx on ai_core.audit_log (action, occurred_at, id);
create index audit_log_subject_idx on ai_core.audit_log (subject_kind, subject_id, occurred_at, id);

create function ai_core.refuse_audit_log_change() returns trigger language plpgsql as $$
begin
  raise exception '%.% is append-only', tg_table_schema, tg_table_name using errcode = 'insufficient_privilege';
end
$$;
create trigger audit_log_append_only before update or delete or truncate on ai_core.audit_log
  for each statement execute function ai_core.refuse_audit_log_change();

-- Does to all rows that refer to a user what removing the user would do to them, and leaves the user, with those rows that would
-- have kept the user from being removed. Tables that come later are in it, too. It is one statement, as a removal is: what tables
-- ask of each other is looked at when all of it is done. No statement changes a row twice, so a table is changed once for all of
-- its references.
create function ai_core.let_go_of_user(gone uuid) returns void language plpgsql as $$
declare
  changes text;
begin
  with refs as (
    select k.conrelid as holder, k.confdeltype = 'c' as follows, format('%I = $1', a.attname) as refers,
      format('%1$I = case when %1$I = $1 then %2$s else %1$I end', a.attname,
        case k.confdeltype when 'd' then coalesce(pg_get_expr(d.adbin, d.adrelid), 'null') else 'null' end) as lets_go
    from pg_constraint as k
    join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where k.contype = 'f' and k.confrelid = 'ai_core.users'::regclass and cardinality(k.conkey) = 1
      and k.conparentid = 0 and k.confdeltype in ('c', 'n', 'd')
  ), tables as (
    select holder, coalesce(string_agg(refers, ' or ') filter (where follows), 'false') as goes,
      string_agg(refers, ' or ') filter (where not follows) as stays,
      string_agg(lets_go, ', ') filter (where not follows) as lets_go
    from refs group by holder
  ), parts as (
    select format('d%s as (delete from %s where %s)', holder::oid, holder::regclass, goes) as part
      from tables where goes <> 'false'
    union all
    select format('u%s as (update %s set %s where (%s) and (%s) is not true)', holder::oid, holder::regclass, lets_go, stays, goes)
      from tables where stays is not null
  )
  select string_agg(part, ', ') into changes from parts;
  execute 'with ' || changes || ' select' using gone;
end
$$;

-- migrate:down
drop function ai_core.let_go_of_user(uuid);
drop table ai_core.audit_log;
drop function ai_core.refuse_audit_log_change();
drop table ai_core.one_time_tokens;
drop table ai_core.refresh_tokens;
drop table ai_core.api_keys;
drop table ai_core.user_roles;
drop table ai_core.role_permissions;
drop table ai_core.roles;
drop table ai_core.users;
