-- What happened in workflows, one row per event. Runs in the database of the connection.
-- Every statement must be harmless when it runs twice: ClickHouse has no transaction around them.

-- migrate:up
CREATE TABLE IF NOT EXISTS workflow_events
(
    event_id UUID,
    workflow_id String,
    user_id String,
    service LowCardinality(String),
    event_type LowCardinality(String),
    -- NULL where the event carries none: it then counts in no mean, quantile or rate.
    duration_ms Nullable(UInt64) CODEC(T64, ZSTD(1)),
    success Nullable(Bool),
    -- Dollars, exact to a micro-dollar.
    cost_usd Decimal(18, 6) CODEC(ZSTD(1)),
    -- A JSON object.
    metadata String CODEC(ZSTD(1)),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
-- Collapses, in time, an event that was stored twice; readers collapse by event_id themselves and need not wait for it.
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (service, event_type, occurred_at, event_id)
-- Kept for ever: how long is for whoever runs it to say, by ALTER TABLE ... MODIFY TTL or by dropping partitions.
SETTINGS
    -- A batch sent again under its token is stored once, if fewer than this many blocks came between.
    non_replicated_deduplication_window = 1000;

-- migrate:down
DROP TABLE IF EXISTS workflow_events;
