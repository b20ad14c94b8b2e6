-- The platform keeps its tables in a schema of its own, ai_core, so that they never meet the tables of the application.
-- Only what both PostgreSQL 15 and PGlite have is used: ids (UUIDv7) are made by the client, which also sets the times.

-- migrate:up
create schema if not exists ai_core;

create table ai_core.users (
  id uuid not null,
  email text not null,
  username text not null,
  password_hash text not null,
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint users_pkey primary key (id),
  constraint users_email_check check (char_length(email) between 3 and 254 and email ~ '^[^@\s]+@[^@\s]+$'),
  constraint users_username_check check (char_length(username) between 1 and 100 and btrim(username) = username),
  constraint users_password_hash_check check (char_length(password_hash) between 1 and 255),
  constraint users_version_check check (version >= 1),
  constraint users_times_check check (updated_at >= created_at)
);

-- Collation "C" lowers A to Z only, the same on every server and in every locale.
create unique index users_email_key on ai_core.users (lower(email collate "C"));
create unique index users_username_key on ai_core.users (lower(username collate "C"));
create index users_created_at_id_idx on ai_core.users (created_at, id);

comment on table ai_core.users is 'People and programs that may sign in';
comment on column ai_core.users.email is 'As it was given; unique without regard to the case of A to Z';
comment on column ai_core.users.username is 'As it was given; unique without regard to the case of A to Z';
comment on column ai_core.users.password_hash is 'A password hash in PHC format; never a password';
comment on column ai_core.users.version is 'Grows by one with every update; a writer names the version it read';

-- migrate:down
drop table ai_core.users;
