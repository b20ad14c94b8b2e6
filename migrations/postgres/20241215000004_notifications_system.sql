-- Notifications: texts by channel and language (templates), who wants what, where and when (categories, preferences, settings,
-- addresses), what each user was told (notifications), and the messages that are sent outside (deliveries).

-- migrate:up

create table ai_core.notification_templates (
  id uuid not null,
  key text collate "C" not null,
  channel text not null,
  locale text collate "C" not null,
  subject text not null,
  body text not null,
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint notification_templates_pkey primary key (id),
  constraint notification_templates_key_channel_locale_key unique (key, channel, locale),
  constraint notification_templates_key_check check (key ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint notification_templates_channel_check check (channel in ('in-app', 'email', 'sms', 'push', 'webhook')),
  constraint notification_templates_locale_check check (locale ~ '^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$'),
  constraint notification_templates_subject_check check (char_length(subject) <= 500),
  constraint notification_templates_body_check check (char_length(body) between 1 and 100000),
  constraint notification_templates_version_check check (version >= 1),
  constraint notification_templates_times_check check (updated_at >= created_at)
);
create index notification_templates_created_at_id_idx on ai_core.notification_templates (created_at, id);

create table ai_core.notification_categories (
  slug text collate "C" not null,
  description text not null,
  channels text[] not null,
  mandatory text[] not null,
  constraint notification_categories_pkey primary key (slug),
  constraint notification_categories_slug_check check (slug ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint notification_categories_description_check check (char_length(description) <= 1000),
  constraint notification_categories_channels_check
    check (channels <@ array['in-app', 'email', 'sms', 'push', 'webhook']),
  constraint notification_categories_mandatory_check
    check (mandatory <@ array['in-app', 'email', 'sms', 'push', 'webhook'])
);

-- All that is kept of a user here is personal and goes with the user.
create table ai_core.notification_preferences (
  user_id uuid not null,
  category text collate "C" not null,
  channels text[] not null,
  constraint notification_preferences_pkey primary key (user_id, category),
  constraint notification_preferences_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete cascade,
  constraint notification_preferences_category_fkey foreign key (category)
    references ai_core.notification_categories (slug) on delete cascade,
  constraint notification_preferences_channels_check
    check (channels <@ array['in-app', 'email', 'sms', 'push', 'webhook'])
);
create index notification_preferences_category_idx on ai_core.notification_preferences (category);

create table ai_core.notification_settings (
  user_id uuid not null,
  locale text collate "C",
  quiet_start text,
  quiet_end text,
  time_zone text,
  quiet_channels text[],
  constraint notification_settings_pkey primary key (user_id),
  constraint notification_settings_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete cascade,
  constraint notification_settings_locale_check check (locale ~ '^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$'),
  constraint notification_settings_quiet_start_check check (quiet_start ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
  constraint notification_settings_quiet_end_check check (quiet_end ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
  constraint notification_settings_time_zone_check check (char_length(time_zone) between 1 and 64),
  constraint notification_settings_quiet_channels_check
    check (quiet_channels <@ array['email', 'sms', 'push', 'webhook'] and quiet_channels <> '{}'),
  constraint notification_settings_quiet_check check (
    num_nonnulls(quiet_start, quiet_end, time_zone, quiet_channels) in (0, 4) and (quiet_start = quiet_end) is not true)
);

create table ai_core.notification_addresses (
  user_id uuid not null,
  channel text not null,
  address text not null,
  verified_at timestamptz(3),
  constraint notification_addresses_pkey primary key (user_id, channel),
  constraint notification_addresses_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete cascade,
  constraint notification_addresses_channel_check check (channel in ('email', 'sms', 'push', 'webhook')),
  constraint notification_addresses_address_check check (char_length(address) between 1 and 4096)
);

create table ai_core.notifications (
  id uuid not null,
  user_id uuid not null,
  category text collate "C" not null,
  template text collate "C" not null,
  priority text not null,
  in_app boolean not null,
  subject text,
  body text,
  data jsonb not null default '{}',
  skipped jsonb not null default '{}',
  idempotency_key text,
  request_hash text,
  created_at timestamptz(3) not null default current_timestamp,
  scheduled_for timestamptz(3),
  visible_at timestamptz(3) not null default current_timestamp,
  expires_at timestamptz(3),
  read_at timestamptz(3),
  archived_at timestamptz(3),
  deleted_at timestamptz(3),
  constraint notifications_pkey primary key (id),
  constraint notifications_user_id_idempotency_key_key unique (user_id, idempotency_key),
  constraint notifications_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete cascade,
  -- What was sent must stay explainable by its category.
  constraint notifications_category_fkey foreign key (category)
    references ai_core.notification_categories (slug) on delete restrict,
  constraint notifications_template_check check (template ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint notifications_priority_check check (priority in ('low', 'normal', 'urgent')),
  constraint notifications_body_check check ((body is not null) = (in_app and deleted_at is null)),
  constraint notifications_data_check check (jsonb_typeof(data) = 'object'),
  constraint notifications_skipped_check check (jsonb_typeof(skipped) = 'object'),
  constraint notifications_idempotency_key_check check (char_length(idempotency_key) between 1 and 200),
  constraint notifications_request_hash_check check ((request_hash is null) = (idempotency_key is null)),
  constraint notifications_visible_at_check check (visible_at >= created_at)
);
create index notifications_inbox_idx on ai_core.notifications (user_id, visible_at, id)
  where in_app and deleted_at is null;
-- Reading and counting what is unread looks at no row that is read: no counter has to be kept, and no two writers meet at one.
create index notifications_unread_idx on ai_core.notifications (user_id, visible_at, id)
  include (scheduled_for, expires_at)
  where in_app and read_at is null and archived_at is null and deleted_at is null;
create index notifications_category_idx on ai_core.notifications (category);
create index notifications_created_at_id_idx on ai_core.notifications (created_at, id);

create table ai_core.notification_deliveries (
  id uuid not null,
  notification_id uuid not null,
  user_id uuid not null,
  channel text not null,
  priority text not null,
  address text not null,
  subject text not null,
  body text not null,
  state text not null default 'queued',
  attempts integer not null default 0,
  max_attempts integer not null,
  available_at timestamptz(3) not null default current_timestamp,
  expires_at timestamptz(3),
  lease_token uuid,
  lease_until timestamptz(3),
  worker text,
  last_error text,
  provider_reference text,
  created_at timestamptz(3) not null default current_timestamp,
  finished_at timestamptz(3),
  finished_by uuid,
  withdrawn_at timestamptz(3),
  constraint notification_deliveries_pkey primary key (id),
  constraint notification_deliveries_notification_id_channel_key unique (notification_id, channel),
  -- Deliveries are part of their notification, and go with it; so they go with the user too.
  constraint notification_deliveries_notification_id_fkey foreign key (notification_id)
    references ai_core.notifications (id) on delete cascade,
  constraint notification_deliveries_channel_check check (channel in ('email', 'sms', 'push', 'webhook')),
  constraint notification_deliveries_priority_check check (priority in ('low', 'normal', 'urgent')),
  constraint notification_deliveries_state_check
    check (state in ('queued', 'sending', 'delivered', 'dead', 'canceled', 'expired')),
  constraint notification_deliveries_attempts_check check (attempts between 0 and max_attempts),
  constraint notification_deliveries_lease_check
    check ((state = 'sending') = (lease_token is not null) and (lease_token is null) = (lease_until is null)),
  constraint notification_deliveries_finished_at_check
    check ((state in ('delivered', 'dead', 'canceled', 'expired')) = (finished_at is not null)),
  -- Whoever writes: what was withdrawn is not taken again.
  constraint notification_deliveries_withdrawn_at_check check (withdrawn_at is null or state <> 'queued')
);
create index notification_deliveries_created_at_id_idx on ai_core.notification_deliveries (created_at, id);
create index notification_deliveries_state_created_at_id_idx
  on ai_core.notification_deliveries (state, created_at, id);
create index notification_deliveries_channel_created_at_id_idx
  on ai_core.notification_deliveries (channel, created_at, id);
create index notification_deliveries_user_id_created_at_id_idx
  on ai_core.notification_deliveries (user_id, created_at, id);
create index notification_deliveries_queue_idx
  on ai_core.notification_deliveries (available_at, id) where state in ('queued', 'sending');
-- A worker for one channel, or for what is urgent, does not read past the backlog of the others.
create index notification_deliveries_channel_queue_idx
  on ai_core.notification_deliveries (channel, available_at, id) where state in ('queued', 'sending');
create index notification_deliveries_priority_queue_idx
  on ai_core.notification_deliveries (priority, available_at, id) where state in ('queued', 'sending');
create index notification_deliveries_lease_until_idx
  on ai_core.notification_deliveries (lease_until) where state = 'sending';
create index notification_deliveries_expires_at_idx
  on ai_core.notification_deliveries (expires_at) where state in ('queued', 'sending') and expires_at is not null;

comment on table ai_core.notification_templates is 'Texts with {{placeholders}}, by key, channel and language';
comment on column ai_core.notification_templates.version is 'Grows by one with every edit; a writer names the version it read';
comment on table ai_core.notification_categories is 'Kinds of notifications that users choose channels for';
comment on column ai_core.notification_categories.channels is 'On for users who have not chosen';
comment on column ai_core.notification_categories.mandatory is 'On whatever a user chooses';
comment on table ai_core.notification_preferences is 'The channels that a user chose for a category, in place of its own';
comment on table ai_core.notification_settings is 'A user''s language, and the local time in which channels keep quiet';
comment on table ai_core.notification_addresses is 'Where a user is reached, beside the account''s e-mail; one per channel';
comment on column ai_core.notification_addresses.verified_at is 'When the user proved to own it; nothing is sent to it before';
comment on table ai_core.notifications is 'What users were told: the inbox, and the parent of what is sent outside';
comment on column ai_core.notifications.in_app is 'Shown in the inbox';
comment on column ai_core.notifications.skipped is 'Channels that were left out, and why';
comment on column ai_core.notifications.visible_at is 'Its place in the inbox: when it was made, or is due';
comment on column ai_core.notifications.deleted_at is 'Its text is gone; the row keeps its idempotency key';
comment on table ai_core.notification_deliveries is 'Messages to outside channels, and the queue that senders take them from';
comment on column ai_core.notification_deliveries.withdrawn_at is 'When its notification was taken back: it is not tried again';
comment on column ai_core.notification_deliveries.finished_by is 'Lease token that delivered it, so that telling twice is harmless';

-- migrate:down

drop table ai_core.notification_deliveries;
drop table ai_core.notifications;
drop table ai_core.notification_addresses;
drop table ai_core.notification_settings;
drop table ai_core.notification_preferences;
drop table ai_core.notification_categories;
drop table ai_core.notification_templates;
