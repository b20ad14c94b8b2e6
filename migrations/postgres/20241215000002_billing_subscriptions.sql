-- Plans and prices, subscriptions, usage, invoices, payments, refunds and credit.
-- Money is a bigint of minor units (cents) beside a currency of ISO 4217. What was billed is never deleted: plans and prices
-- are archived, invoices voided, and every foreign key restricts, so that a user with subscriptions, invoices or credit
-- cannot be removed. Sums are checked when a transaction commits; each such rule fails as a check, under its own name.

-- migrate:up
create table ai_core.plans (
  id uuid not null,
  slug text not null,
  name text not null,
  version integer not null default 1,
  archived_at timestamptz(3),
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint plans_pkey primary key (id),
  constraint plans_slug_key unique (slug),
  constraint plans_slug_check check (slug ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint plans_name_check check (char_length(name) between 1 and 200),
  constraint plans_version_check check (version >= 1),
  constraint plans_times_check check (updated_at >= created_at)
);
create index plans_created_at_id_idx on ai_core.plans (created_at, id);

create table ai_core.prices (
  id uuid not null,
  plan_id uuid not null,
  currency text not null,
  amount bigint not null,
  billing_interval text not null,
  metric text,
  unit_amount bigint,
  unit_size bigint,
  included_quantity bigint,
  archived_at timestamptz(3),
  created_at timestamptz(3) not null default current_timestamp,
  constraint prices_pkey primary key (id),
  constraint prices_id_plan_id_key unique (id, plan_id),
  constraint prices_plan_id_fkey foreign key (plan_id) references ai_core.plans (id) on delete restrict,
  constraint prices_currency_check check (currency ~ '^[A-Z]{3}$'),
  constraint prices_amount_check check (amount >= 0),
  constraint prices_billing_interval_check check (billing_interval in ('month', 'year', 'one-off')),
  constraint prices_metric_check check (
    num_nonnulls(metric, unit_amount, unit_size, included_quantity) in (0, 4)
    and unit_amount >= 0 and unit_size >= 1 and included_quantity >= 0
    and (metric is null or billing_interval <> 'one-off' and metric ~ '^[a-z][a-z0-9_.:-]{0,99}$')
  )
);
create index prices_plan_id_created_at_id_idx on ai_core.prices (plan_id, created_at, id);

create table ai_core.subscriptions (
  id uuid not null,
  user_id uuid not null,
  plan_id uuid not null,
  price_id uuid not null,
  quantity bigint not null,
  next_plan_id uuid,
  next_price_id uuid,
  next_quantity bigint,
  state text not null,
  started_at timestamptz(3) not null,
  trial_end timestamptz(3),
  billing_anchor timestamptz(3) not null,
  current_period_start timestamptz(3) not null,
  current_period_end timestamptz(3) not null,
  cancel_at_period_end boolean not null default false,
  paused_at timestamptz(3),
  canceled_at timestamptz(3),
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint subscriptions_pkey primary key (id),
  constraint subscriptions_id_user_id_key unique (id, user_id),
  constraint subscriptions_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete restrict,
  constraint subscriptions_price_id_plan_id_fkey foreign key (price_id, plan_id)
    references ai_core.prices (id, plan_id) on delete restrict,
  constraint subscriptions_next_price_id_next_plan_id_fkey foreign key (next_price_id, next_plan_id)
    references ai_core.prices (id, plan_id) on delete restrict,
  constraint subscriptions_next_check check (
    num_nulls(next_plan_id, next_price_id, next_quantity) in (0, 3) and next_quantity >= 1
    and (state <> 'canceled' or next_plan_id is null)
  ),
  constraint subscriptions_state_check check (state in ('trialing', 'active', 'past_due', 'paused', 'canceled')),
  constraint subscriptions_quantity_check check (quantity >= 1),
  constraint subscriptions_period_check check (current_period_end > current_period_start),
  constraint subscriptions_paused_at_check check (
    case state when 'paused' then paused_at is not null when 'canceled' then true else paused_at is null end
  ),
  constraint subscriptions_canceled_at_check check ((state = 'canceled') = (canceled_at is not null)),
  constraint subscriptions_version_check check (version >= 1),
  constraint subscriptions_times_check check (updated_at >= created_at)
);
-- One live subscription of a user to a plan; a canceled one makes room for the next.
create unique index subscriptions_user_id_plan_id_key on ai_core.subscriptions (user_id, plan_id)
  where state <> 'canceled';
create index subscriptions_user_id_created_at_id_idx on ai_core.subscriptions (user_id, created_at, id);
create index subscriptions_price_id_plan_id_idx on ai_core.subscriptions (price_id, plan_id);
create index subscriptions_next_price_id_next_plan_id_idx on ai_core.subscriptions (next_price_id, next_plan_id)
  where next_price_id is not null;
create index subscriptions_plan_id_created_at_id_idx on ai_core.subscriptions (plan_id, created_at, id);
create index subscriptions_state_created_at_id_idx on ai_core.subscriptions (state, created_at, id);
create index subscriptions_created_at_id_idx on ai_core.subscriptions (created_at, id);
create index subscriptions_current_period_end_id_idx on ai_core.subscriptions (current_period_end, id)
  where state in ('trialing', 'active', 'past_due') or state = 'paused' and cancel_at_period_end;

-- Which plans a user has or is to have, each of one subscription: a change of plan takes the new one when it is made, and lets
-- go of the old one when it holds.
create table ai_core.subscription_plans (
  user_id uuid not null,
  plan_id uuid not null,
  subscription_id uuid not null,
  constraint subscription_plans_pkey primary key (user_id, plan_id),
  constraint subscription_plans_plan_id_fkey foreign key (plan_id) references ai_core.plans (id) on delete restrict,
  constraint subscription_plans_subscription_id_user_id_fkey foreign key (subscription_id, user_id)
    references ai_core.subscriptions (id, user_id) on delete restrict
);
create index subscription_plans_plan_id_idx on ai_core.subscription_plans (plan_id);
create index subscription_plans_subscription_id_user_id_idx on ai_core.subscription_plans (subscription_id, user_id);

-- Which price and quantity a subscription has had since when: a period costs what held when it began. Terms begin and end with
-- periods, and follow each other, with a gap where the subscription was paused.
create table ai_core.subscription_terms (
  subscription_id uuid not null,
  position bigint not null,
  price_id uuid not null,
  quantity bigint not null,
  billing_anchor timestamptz(3) not null,
  since timestamptz(3) not null,
  until timestamptz(3),
  constraint subscription_terms_pkey primary key (subscription_id, position),
  constraint subscription_terms_subscription_id_fkey foreign key (subscription_id)
    references ai_core.subscriptions (id) on delete restrict,
  constraint subscription_terms_price_id_fkey foreign key (price_id) references ai_core.prices (id) on delete restrict,
  constraint subscription_terms_position_check check (position >= 1),
  constraint subscription_terms_quantity_check check (quantity >= 1),
  constraint subscription_terms_until_check check (until > since)
);
create unique index subscription_terms_subscription_id_key on ai_core.subscription_terms (subscription_id)
  where until is null;
create index subscription_terms_price_id_idx on ai_core.subscription_terms (price_id);

create table ai_core.usage_records (
  id uuid not null,
  subscription_id uuid not null,
  metric text not null,
  quantity bigint not null,
  used_at timestamptz(3) not null,
  idempotency_key text not null,
  created_at timestamptz(3) not null default current_timestamp,
  constraint usage_records_pkey primary key (id),
  constraint usage_records_subscription_id_fkey foreign key (subscription_id)
    references ai_core.subscriptions (id) on delete restrict,
  constraint usage_records_subscription_id_idempotency_key_key unique (subscription_id, idempotency_key),
  constraint usage_records_metric_check check (metric ~ '^[a-z][a-z0-9_.:-]{0,99}$'),
  constraint usage_records_quantity_check check (quantity >= 1)
);
create index usage_records_subscription_id_metric_used_at_idx
  on ai_core.usage_records (subscription_id, metric, used_at) include (quantity);
create index usage_records_subscription_id_used_at_id_idx on ai_core.usage_records (subscription_id, used_at, id);

-- The last number that a series of invoices has given. Finalising an invoice holds the row until its transaction ends, so
-- that numbers have no gaps.
create table ai_core.invoice_series (
  series text not null,
  last_number bigint not null default 0,
  constraint invoice_series_pkey primary key (series),
  constraint invoice_series_series_check check (series ~ '^[A-Z0-9][A-Z0-9-]{0,19}$'),
  constraint invoice_series_last_number_check check (last_number >= 0)
);

create table ai_core.invoices (
  id uuid not null,
  user_id uuid not null,
  subscription_id uuid,
  period_start timestamptz(3),
  period_end timestamptz(3),
  currency text not null,
  state text not null,
  number text,
  subtotal bigint not null,
  discount bigint not null,
  tax bigint not null,
  total bigint not null,
  amount_pending bigint not null default 0,
  amount_paid bigint not null default 0,
  credit_applied bigint not null default 0,
  due_at timestamptz(3),
  finalized_at timestamptz(3),
  paid_at timestamptz(3),
  voided_at timestamptz(3),
  version integer not null default 1,
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint invoices_pkey primary key (id),
  constraint invoices_number_key unique (number),
  constraint invoices_id_currency_key unique (id, currency),
  constraint invoices_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete restrict,
  constraint invoices_subscription_id_user_id_fkey foreign key (subscription_id, user_id)
    references ai_core.subscriptions (id, user_id) on delete restrict,
  constraint invoices_state_check check (state in ('draft', 'open', 'paid', 'void', 'uncollectible')),
  constraint invoices_currency_check check (currency ~ '^[A-Z]{3}$'),
  constraint invoices_period_check check (
    num_nonnulls(subscription_id, period_start, period_end) in (0, 3) and period_end > period_start
  ),
  constraint invoices_total_check check (
    total = subtotal - discount + tax and subtotal >= 0 and discount between 0 and subtotal and tax >= 0
  ),
  constraint invoices_paid_check check (
    amount_pending >= 0 and amount_paid >= 0 and credit_applied >= 0
    and amount_pending + amount_paid + credit_applied <= total
    and (state <> 'paid' or amount_paid + credit_applied = total)
    and (state <> 'open' or amount_paid + credit_applied < total)
    and (state not in ('draft', 'void') or amount_pending + amount_paid + credit_applied = 0)
  ),
  constraint invoices_finalized_check check (
    (number is null) = (finalized_at is null)
    and (state <> 'draft' or number is null)
    and (state not in ('open', 'paid', 'uncollectible') or number is not null)
    and (state = 'paid') = (paid_at is not null)
    and (state = 'void') = (voided_at is not null)
  ),
  constraint invoices_version_check check (version >= 1),
  constraint invoices_times_check check (updated_at >= created_at)
);
-- A period of a subscription is invoiced once; a void invoice makes room for a right one.
create unique index invoices_subscription_id_period_start_key on ai_core.invoices (subscription_id, period_start)
  where state <> 'void';
create index invoices_subscription_id_user_id_idx on ai_core.invoices (subscription_id, user_id);
create index invoices_user_id_created_at_id_idx on ai_core.invoices (user_id, created_at, id);
create index invoices_state_created_at_id_idx on ai_core.invoices (state, created_at, id);
create index invoices_created_at_id_idx on ai_core.invoices (created_at, id);
create index invoices_due_at_id_idx on ai_core.invoices (due_at, id) where state = 'open';

-- lint-ignore prefer-bigint-over-int: counts the lines of one invoice
create table ai_core.invoice_lines (
  invoice_id uuid not null,
  position integer not null,
  price_id uuid,
  description text not null,
  quantity bigint not null,
  unit_amount bigint not null,
  amount bigint not null,
  constraint invoice_lines_pkey primary key (invoice_id, position),
  constraint invoice_lines_invoice_id_fkey foreign key (invoice_id) references ai_core.invoices (id) on delete restrict,
  constraint invoice_lines_price_id_fkey foreign key (price_id) references ai_core.prices (id) on delete restrict,
  constraint invoice_lines_position_check check (position >= 1),
  constraint invoice_lines_description_check check (char_length(description) between 1 and 500),
  constraint invoice_lines_amount_check check (quantity >= 1 and amount = quantity * unit_amount)
);
create index invoice_lines_price_id_idx on ai_core.invoice_lines (price_id) where price_id is not null;

create table ai_core.payments (
  id uuid not null,
  invoice_id uuid not null,
  currency text not null,
  amount bigint not null,
  amount_refunded bigint not null default 0,
  state text not null,
  provider text not null,
  provider_reference text,
  failure text,
  idempotency_key text not null,
  request_hash text not null,
  settled_at timestamptz(3),
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint payments_pkey primary key (id),
  constraint payments_idempotency_key_key unique (idempotency_key),
  constraint payments_id_currency_key unique (id, currency),
  -- The key holds the currency too, so that a payment is in its invoice's.
  constraint payments_invoice_id_currency_fkey foreign key (invoice_id, currency)
    references ai_core.invoices (id, currency) on delete restrict,
  constraint payments_state_check check (state in ('pending', 'succeeded', 'failed')),
  constraint payments_amount_check check (amount >= 1),
  constraint payments_amount_refunded_check check (
    amount_refunded between 0 and amount and (state = 'succeeded' or amount_refunded = 0)
  ),
  constraint payments_settled_at_check check ((state = 'pending') = (settled_at is null)),
  constraint payments_failure_check check ((state = 'failed') = (failure is not null)),
  constraint payments_times_check check (updated_at >= created_at)
);
create unique index payments_provider_provider_reference_key on ai_core.payments (provider, provider_reference)
  where provider_reference is not null;
create index payments_invoice_id_currency_idx on ai_core.payments (invoice_id, currency);
create index payments_created_at_id_idx on ai_core.payments (created_at, id);
create index payments_state_created_at_id_idx on ai_core.payments (state, created_at, id);

create table ai_core.refunds (
  id uuid not null,
  payment_id uuid not null,
  currency text not null,
  amount bigint not null,
  state text not null,
  reason text not null,
  provider_reference text,
  failure text,
  idempotency_key text not null,
  request_hash text not null,
  settled_at timestamptz(3),
  created_at timestamptz(3) not null default current_timestamp,
  updated_at timestamptz(3) not null default current_timestamp,
  constraint refunds_pkey primary key (id),
  constraint refunds_idempotency_key_key unique (idempotency_key),
  constraint refunds_payment_id_currency_fkey foreign key (payment_id, currency)
    references ai_core.payments (id, currency) on delete restrict,
  constraint refunds_state_check check (state in ('pending', 'succeeded', 'failed')),
  constraint refunds_amount_check check (amount >= 1),
  constraint refunds_settled_at_check check ((state = 'pending') = (settled_at is null)),
  constraint refunds_failure_check check ((state = 'failed') = (failure is not null)),
  constraint refunds_times_check check (updated_at >= created_at)
);
create index refunds_payment_id_currency_idx on ai_core.refunds (payment_id, currency);
create index refunds_state_created_at_id_idx on ai_core.refunds (state, created_at, id);
create index refunds_created_at_id_idx on ai_core.refunds (created_at, id);

create table ai_core.credit_balances (
  user_id uuid not null,
  currency text not null,
  balance bigint not null default 0,
  movements bigint not null default 0,
  constraint credit_balances_pkey primary key (user_id, currency),
  constraint credit_balances_user_id_fkey foreign key (user_id) references ai_core.users (id) on delete restrict,
  constraint credit_balances_currency_check check (currency ~ '^[A-Z]{3}$'),
  constraint credit_balances_balance_check check (balance >= 0)
);

create table ai_core.credit_movements (
  id uuid not null,
  user_id uuid not null,
  currency text not null,
  sequence bigint not null,
  amount bigint not null,
  balance_after bigint not null,
  invoice_id uuid,
  description text not null,
  idempotency_key text not null,
  request_hash text not null,
  created_at timestamptz(3) not null default current_timestamp,
  constraint credit_movements_pkey primary key (id),
  constraint credit_movements_user_id_currency_sequence_key unique (user_id, currency, sequence),
  constraint credit_movements_idempotency_key_key unique (idempotency_key),
  constraint credit_movements_user_id_currency_fkey foreign key (user_id, currency)
    references ai_core.credit_balances (user_id, currency) on delete restrict,
  constraint credit_movements_invoice_id_currency_fkey foreign key (invoice_id, currency)
    references ai_core.invoices (id, currency) on delete restrict,
  constraint credit_movements_amount_check check (amount <> 0),
  constraint credit_movements_description_check check (char_length(description) between 1 and 500)
);
create index credit_movements_invoice_id_currency_idx on ai_core.credit_movements (invoice_id, currency);

-- Refuses what it is set to watch, as the check that its argument names.
create function ai_core.refuse_billing_change() returns trigger language plpgsql as $$
begin
  raise exception '% of % is refused', lower(tg_op), tg_table_name
    using errcode = 'check_violation', constraint = tg_argv[0], table = tg_table_name, schema = tg_table_schema;
end
$$;

create trigger prices_immutable before update on ai_core.prices for each row
  when (
    (old.id, old.plan_id, old.currency, old.amount, old.billing_interval, old.metric, old.unit_amount, old.unit_size,
      old.included_quantity, old.created_at)
    is distinct from
    (new.id, new.plan_id, new.currency, new.amount, new.billing_interval, new.metric, new.unit_amount, new.unit_size,
      new.included_quantity, new.created_at)
  )
  execute function ai_core.refuse_billing_change('prices_immutable_check');

create trigger invoices_frozen before update on ai_core.invoices for each row
  when (
    old.state <> 'draft' and (
      (old.id, old.user_id, old.subscription_id, old.period_start, old.period_end, old.currency, old.number, old.subtotal,
        old.discount, old.tax, old.total, old.finalized_at)
      is distinct from
      (new.id, new.user_id, new.subscription_id, new.period_start, new.period_end, new.currency, new.number, new.subtotal,
        new.discount, new.tax, new.total, new.finalized_at)
      or old.state in ('paid', 'void') and new.state <> old.state
    )
  )
  execute function ai_core.refuse_billing_change('invoices_frozen_check');
create trigger invoices_kept before delete on ai_core.invoices for each row
  execute function ai_core.refuse_billing_change('invoices_kept_check');
create trigger payments_kept before delete on ai_core.payments for each row
  execute function ai_core.refuse_billing_change('payments_kept_check');
create trigger refunds_kept before delete on ai_core.refunds for each row
  execute function ai_core.refuse_billing_change('refunds_kept_check');
create trigger credit_balances_kept before delete on ai_core.credit_balances for each row
  execute function ai_core.refuse_billing_change('credit_balances_kept_check');
create trigger credit_movements_kept before update or delete on ai_core.credit_movements for each row
  execute function ai_core.refuse_billing_change('credit_movements_kept_check');

-- What the sums are of stays where it was counted, and what it was.
create trigger invoice_lines_moved before update on ai_core.invoice_lines for each row
  when (old.invoice_id <> new.invoice_id)
  execute function ai_core.refuse_billing_change('invoice_lines_moved_check');
create trigger payments_immutable before update on ai_core.payments for each row
  when ((old.id, old.invoice_id, old.currency, old.amount) <> (new.id, new.invoice_id, new.currency, new.amount))
  execute function ai_core.refuse_billing_change('payments_immutable_check');
create trigger refunds_immutable before update on ai_core.refunds for each row
  when ((old.id, old.payment_id, old.currency, old.amount) <> (new.id, new.payment_id, new.currency, new.amount))
  execute function ai_core.refuse_billing_change('refunds_immutable_check');

-- Lines change with their invoice's row locked, so that it cannot be finalised meanwhile.
create function ai_core.lines_of_draft() returns trigger language plpgsql as $$
begin
  perform from ai_core.invoices where id = coalesce(new.invoice_id, old.invoice_id) and state = 'draft' for no key update;
  if not found then
    raise exception 'the lines of an invoice that is no draft are frozen'
      using errcode = 'check_violation', constraint = 'invoice_lines_frozen_check', table = tg_table_name,
        schema = tg_table_schema;
  end if;
  return coalesce(new, old);
end
$$;
create trigger invoice_lines_frozen before insert or update or delete on ai_core.invoice_lines for each row
  execute function ai_core.lines_of_draft();

-- What an invoice says of its lines, payments and credit is what they come to.
create function ai_core.invoice_sums_hold() returns trigger language plpgsql as $$
declare
  target uuid;
  invoice ai_core.invoices;
  wrong text;
begin
  if tg_table_name = 'invoices' then
    target := new.id;
  else
    target := coalesce(new.invoice_id, old.invoice_id);
    if tg_table_name = 'invoice_lines' and tg_op = 'INSERT' then
      -- Of several lines the last one speaks for all.
      if exists (select from ai_core.invoice_lines as l where l.invoice_id = target and l.position > new.position) then
        return null;
      end if;
    end if;
  end if;
  select * into invoice from ai_core.invoices as i where i.id = target for no key update;
  if not found then
    return null;
  end if;
  if invoice.subtotal <> (
    select coalesce(sum(l.amount), 0) from ai_core.invoice_lines as l where l.invoice_id = target
  ) then
    wrong := 'invoices_subtotal_sum_check';
  elsif (invoice.amount_pending, invoice.amount_paid) <> (
    select coalesce(sum(p.amount) filter (where p.state = 'pending'), 0),
      coalesce(sum(p.amount) filter (where p.state = 'succeeded'), 0)
    from ai_core.payments as p where p.invoice_id = target
  ) then
    wrong := 'invoices_amount_paid_sum_check';
  elsif invoice.credit_applied <> (
    select coalesce(-sum(m.amount), 0) from ai_core.credit_movements as m where m.invoice_id = target
  ) then
    wrong := 'invoices_credit_applied_sum_check';
  else
    return null;
  end if;
  raise exception 'invoice % does not add up', target
    using errcode = 'check_violation', constraint = wrong, table = 'invoices', schema = tg_table_schema;
end
$$;
create constraint trigger invoices_sums after insert or update on ai_core.invoices
  deferrable initially deferred for each row execute function ai_core.invoice_sums_hold();
create constraint trigger invoice_lines_sums after insert or update or delete on ai_core.invoice_lines
  deferrable initially deferred for each row execute function ai_core.invoice_sums_hold();
create constraint trigger payments_invoice_sums after insert or update on ai_core.payments
  deferrable initially deferred for each row execute function ai_core.invoice_sums_hold();
create constraint trigger credit_movements_invoice_sums after insert on ai_core.credit_movements
  deferrable initially deferred for each row when (new.invoice_id is not null)
  execute function ai_core.invoice_sums_hold();

-- What a payment says of its refunds is what they come to; those that are pending count.
create function ai_core.payment_sums_hold() returns trigger language plpgsql as $$
declare
  target uuid;
  refunded bigint;
begin
  if tg_table_name = 'payments' then
    target := new.id;
  else
    target := new.payment_id;
  end if;
  select p.amount_refunded into refunded from ai_core.payments as p where p.id = target for no key update;
  if refunded <> (
    select coalesce(sum(r.amount), 0) from ai_core.refunds as r where r.payment_id = target and r.state <> 'failed'
  ) then
    raise exception 'the refunds of payment % do not add up', target
      using errcode = 'check_violation', constraint = 'payments_amount_refunded_sum_check', table = 'payments',
        schema = tg_table_schema;
  end if;
  return null;
end
$$;
create constraint trigger payments_sums after insert or update on ai_core.payments
  deferrable initially deferred for each row execute function ai_core.payment_sums_hold();
create constraint trigger refunds_payment_sums after insert or update on ai_core.refunds
  deferrable initially deferred for each row execute function ai_core.payment_sums_hold();

-- A balance is what the last movement left, and every movement begins where the one before ended.
create function ai_core.credit_sums_hold() returns trigger language plpgsql as $$
declare
  account ai_core.credit_balances;
  last ai_core.credit_movements;
  before ai_core.credit_movements;
begin
  select * into account from ai_core.credit_balances as b
    where b.user_id = new.user_id and b.currency = new.currency for no key update;
  select * into last from ai_core.credit_movements as m
    where m.user_id = new.user_id and m.currency = new.currency order by m.sequence desc limit 1;
  if (account.balance, account.movements) <> (coalesce(last.balance_after, 0), coalesce(last.sequence, 0)) then
    raise exception 'the credit of user % is not what its movements leave', new.user_id
      using errcode = 'check_violation', constraint = 'credit_balances_balance_sum_check', table = 'credit_balances',
        schema = tg_table_schema;
  end if;
  if tg_table_name = 'credit_movements' then
    select * into before from ai_core.credit_movements as m
      where m.user_id = new.user_id and m.currency = new.currency and m.sequence = new.sequence - 1;
    if new.balance_after <> coalesce(before.balance_after, 0) + new.amount
      or coalesce(before.sequence, 0) <> new.sequence - 1 then
      raise exception 'movement % of credit does not begin where the one before ended', new.id
        using errcode = 'check_violation', constraint = 'credit_movements_balance_after_sum_check',
          table = 'credit_movements', schema = tg_table_schema;
    end if;
  end if;
  return null;
end
$$;
create constraint trigger credit_balances_sums after insert or update on ai_core.credit_balances
  deferrable initially deferred for each row execute function ai_core.credit_sums_hold();
create constraint trigger credit_movements_sums after insert on ai_core.credit_movements
  deferrable initially deferred for each row execute function ai_core.credit_sums_hold();

comment on table ai_core.plans is 'What is sold; archived, never deleted, once it has prices';
comment on table ai_core.prices is 'What a plan costs: a flat amount, usage of a metric, or both; never changed once made';
comment on column ai_core.prices.unit_amount is 'Minor units for each unit_size of the metric, begun ones counted whole, beyond what is included';
comment on column ai_core.prices.included_quantity is 'Usage that costs nothing, in each period, for each one of the subscription''s quantity';
comment on table ai_core.subscriptions is 'Who has which price since when, and the period that runs';
comment on column ai_core.subscriptions.next_price_id is 'What the subscription was changed to, where that does not hold yet';
comment on table ai_core.subscription_plans is 'Which plans a user has or is to have, each of one subscription that is not canceled';
comment on column ai_core.subscriptions.billing_anchor is 'Periods end whole months after this time, at the last day of shorter months';
comment on table ai_core.subscription_terms is 'Which price and quantity a subscription has had since when; changed from the end of a period on';
comment on column ai_core.subscription_terms.until is 'The first moment that is no longer in it; null in the last one';
comment on table ai_core.usage_records is 'What was used, told once per key';
comment on table ai_core.invoices is 'What is owed; frozen once it has a number, never deleted';
comment on column ai_core.invoices.amount_pending is 'Payments under way, which keep others from paying the same amount';
comment on table ai_core.payments is 'Money that comes, or failed to come, for an invoice';
comment on column ai_core.payments.request_hash is 'SHA-256 of the request that made it; the same key with another request is refused';
comment on column ai_core.payments.amount_refunded is 'Refunds that succeeded or are pending';
comment on table ai_core.credit_balances is 'Credit of a user in a currency: what the last of credit_movements left';
comment on table ai_core.credit_movements is 'Ledger of credit: only ever added to';

-- migrate:down
drop table ai_core.credit_movements, ai_core.credit_balances, ai_core.refunds, ai_core.payments, ai_core.invoice_lines,
  ai_core.invoices, ai_core.invoice_series, ai_core.usage_records, ai_core.subscription_terms,
  ai_core.subscription_plans, ai_core.subscriptions, ai_core.prices, ai_core.plans;
drop function ai_core.credit_sums_hold(), ai_core.payment_sums_hold(), ai_core.invoice_sums_hold(), ai_core.lines_of_draft(),
  ai_core.refuse_billing_change();
