-- A notebook: tables of the application, in a schema of its own.

-- migrate:up
create table notebook.notes (
  id uuid not null,
  title text not null,
  body text not null,
  version integer not null default 1,
  created_at timestamptz(3) not null,
  constraint notes_pkey primary key (id),
  constraint notes_title_key unique (title),
  constraint notes_title_check check (char_length(title) between 1 and 200),
  constraint notes_version_check check (version >= 1)
);

create index notes_created_at_id_idx on notebook.notes (created_at, id);

-- migrate:down
drop table notebook.notes;
