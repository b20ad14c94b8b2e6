-- Reminders of notes: each is work, which workers take and send.

-- migrate:up
create table notebook.reminders (
  id uuid not null,
  note_id uuid not null,
  created_at timestamptz(3) not null,
  -- What makeClaims works with.
  state text not null default 'waiting',
  attempts integer not null default 0,
  max_attempts integer not null default 3,
  available_at timestamptz(3) not null,
  lease_token uuid,
  lease_until timestamptz(3),
  last_error text,
  constraint reminders_pkey primary key (id),
  constraint reminders_note_fkey foreign key (note_id) references notebook.notes (id) on delete cascade,
  constraint reminders_state_check check (state in ('waiting', 'sending', 'sent', 'dead', 'canceled'))
);

-- A note has one reminder under way; a unique index with a condition is known by its name, as a constraint is.
create unique index reminders_open_note_key on notebook.reminders (note_id) where state in ('waiting', 'sending');
create index reminders_note_id_created_at_id_idx on notebook.reminders (note_id, created_at, id);
-- Rows are taken by the first, and the leases that have ended are found by the second.
create index reminders_available_at_id_idx on notebook.reminders (available_at, id) where state in ('waiting', 'sending');
create index reminders_lease_until_idx on notebook.reminders (lease_until) where state = 'sending';

-- migrate:down
drop table notebook.reminders;
