-- ClickHouse by itself: its Kafka engine, one materialized view into raw telemetry, one into the mart. {…} is filled in by kafka_engine.py.
CREATE TABLE {db}.owners (prosthesis_id UInt64, user_id String, offset_s Int32) ENGINE = Join(ANY, LEFT, prosthesis_id);

CREATE TABLE {db}.log
(
    op Nullable(String),
    after Tuple(event_id UInt64, prosthesis_id UInt64, recorded_at DateTime64(6, 'UTC'), kind String, amplitude_uv Nullable(UInt32),
                movement_recognised Nullable(Bool), active_ms Nullable(UInt32), battery_percent Nullable(UInt16), error_code Nullable(String),
                error_severity Nullable(String), latitude Nullable(Float64), longitude Nullable(Float64)),
    source Tuple(lsn UInt64)
)
ENGINE = Kafka
SETTINGS kafka_broker_list = '{bootstrap.servers}', kafka_security_protocol = '{security.protocol}', kafka_sasl_mechanism = '{sasl.mechanisms}',
         kafka_sasl_username = '{sasl.username}', kafka_sasl_password = '{sasl.password}', kafka_topic_list = '{topic}', kafka_group_name = '{group}', kafka_format = 'JSONEachRow',
         kafka_num_consumers = 2, kafka_thread_per_consumer = 1, kafka_max_block_size = 65536, kafka_flush_interval_ms = 1000,
         date_time_input_format = 'best_effort';

-- The same columns, order and engine as the project's.
CREATE TABLE {db}.raw AS {generation}.telemetry_events;

CREATE MATERIALIZED VIEW {db}.to_raw TO {db}.raw AS
SELECT toString(after.prosthesis_id) AS prosthesis_id, 0 AS event_id_hi, after.event_id AS event_id_lo, after.recorded_at AS recorded_at,
       transform(after.kind, ['signal', 'battery', 'error', 'location'], [1, 2, 4, 8], 0) AS facets,
       ifNull(after.amplitude_uv, 0) AS amplitude_uv, ifNull(after.movement_recognised, false) AS recognised,
       ifNull(after.active_ms, 0) AS active_ms, ifNull(after.battery_percent, 0) * 100 AS battery_bp, ifNull(after.error_code, '') AS error_code,
       transform(ifNull(after.error_severity, ''), ['info', 'warning', 'critical'], [1, 2, 3], 0) AS error_severity,
       floor(ifNull(after.latitude, 0) * 10) AS lat_cell, floor(ifNull(after.longitude, 0) * 10) AS lon_cell,
       op = 'd' AS deleted, source.lsn AS lsn, _partition AS log_partition, _offset AS log_offset
FROM {db}.log WHERE op IS NOT NULL;

CREATE TABLE {db}.mart
(
    user_id             String,
    report_date         Date32,
    prosthesis_id       String,
    event_count         SimpleAggregateFunction(sum, UInt64),
    first_event_at      SimpleAggregateFunction(min, DateTime64(6, 'UTC')),
    last_event_at       SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    usage_ms            SimpleAggregateFunction(sum, UInt64),
    usage_ms_by_hour    SimpleAggregateFunction(sumMap, Map(UInt8, UInt64)),
    signal_count        SimpleAggregateFunction(sum, UInt64),
    recognised_count    SimpleAggregateFunction(sum, UInt64),
    amplitude_uv_sum    SimpleAggregateFunction(sum, UInt64),
    amplitude_uv_min    SimpleAggregateFunction(min, UInt32),
    amplitude_uv_max    SimpleAggregateFunction(max, UInt32),
    amplitude_histogram SimpleAggregateFunction(sumMap, Map(UInt8, UInt64)),
    battery_min_bp      SimpleAggregateFunction(min, UInt32),
    battery_max_bp      SimpleAggregateFunction(max, UInt32),
    error_count         SimpleAggregateFunction(sum, UInt64),
    errors_by_code      SimpleAggregateFunction(sumMap, Map(String, UInt64))
)
ENGINE = AggregatingMergeTree ORDER BY (user_id, report_date, prosthesis_id) SETTINGS index_granularity = 256;

CREATE MATERIALIZED VIEW {db}.to_mart TO {db}.mart AS
WITH joinGet('{db}.owners', 'user_id', after.prosthesis_id) AS owner,
     after.recorded_at + toIntervalSecond(joinGet('{db}.owners', 'offset_s', after.prosthesis_id)) AS local,
     after.kind = 'signal' AS is_signal, after.kind = 'battery' AS is_battery, after.kind = 'error' AS is_error,
     ifNull(after.amplitude_uv, 0) AS amplitude, ifNull(after.active_ms, 0) AS active, ifNull(after.battery_percent, 0) * 100 AS battery
SELECT owner AS user_id, toDate32(local) AS report_date, toString(after.prosthesis_id) AS prosthesis_id,
       count() AS event_count, min(after.recorded_at) AS first_event_at, max(after.recorded_at) AS last_event_at,
       sum(active) AS usage_ms,
       sumMapIf(map(toHour(local), toUInt64(active)), is_signal) AS usage_ms_by_hour,
       countIf(is_signal) AS signal_count, countIf(ifNull(after.movement_recognised, false)) AS recognised_count,
       sumIf(amplitude, is_signal) AS amplitude_uv_sum,
       if(signal_count = 0, 4294967295, minIf(amplitude, is_signal)) AS amplitude_uv_min, maxIf(amplitude, is_signal) AS amplitude_uv_max,
       sumMapIf(map(toUInt8(least(15, if(amplitude = 0, 0, toUInt8(log2(amplitude)) + 1))), toUInt64(1)), is_signal) AS amplitude_histogram,
       if(countIf(is_battery) = 0, 4294967295, minIf(battery, is_battery)) AS battery_min_bp, maxIf(battery, is_battery) AS battery_max_bp,
       countIf(is_error) AS error_count, sumMapIf(map(ifNull(after.error_code, ''), toUInt64(1)), is_error) AS errors_by_code
FROM {db}.log WHERE op IS NOT NULL
GROUP BY user_id, report_date, prosthesis_id;
