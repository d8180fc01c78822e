-- Times are microseconds since 1970-01-01T00:00:00Z. Text is compared by its bytes (COLLATE "C"),
-- as the embedded store does it. Rows refer to each other by number without foreign keys: what
-- is written together is decided together, under locks of all its keys, and a look-up for each
-- reference would cost a third of the speed.

-- Numbers of the log. They are given out in the order in which what has them becomes visible (see
-- log_turn), without gaps but for what was rolled back or lost with a crash.
CREATE SEQUENCE log_entries;
-- Each transaction that writes has a turn.
CREATE SEQUENCE log_turns;
CREATE SEQUENCE orders_ids;
CREATE SEQUENCE changes_ids;

-- What a turn is locked by.
CREATE FUNCTION log_turn_key(turn BIGINT) RETURNS BIGINT LANGUAGE sql STABLE AS $$
    SELECT hashtextextended('turn ' || turn, current_schema()::regnamespace::oid::bigint)
$$;

-- Gives a transaction its turn and that many numbers of the log, those behind last_entry. Both are
-- given out together, under a lock that is held no longer than that, so that who has the later turn
-- has the larger numbers. The turn is over with the transaction.
CREATE FUNCTION log_turn(entries BIGINT, OUT turn BIGINT, OUT last_entry BIGINT)
LANGUAGE plpgsql AS $$
DECLARE
    here CONSTANT INTEGER := current_schema()::regnamespace::oid::int;
BEGIN
    PERFORM pg_advisory_lock(1212953401, here);
    turn := nextval('log_turns');
    PERFORM pg_advisory_xact_lock(log_turn_key(turn));
    IF entries > 0 THEN
        last_entry := nextval('log_entries') - 1;
        PERFORM setval('log_entries', last_entry + entries);
    END IF;
    PERFORM pg_advisory_unlock(1212953401, here);
END $$;

-- The last thing that a transaction does before it commits: it waits until the turn before its own is
-- over, counts its messages, and tells those who listen. So numbers become visible in their order,
-- and the rows that everybody writes are not locked while anybody waits.
CREATE FUNCTION log_close(turn BIGINT, told TEXT, directions TEXT[], codes TEXT[], counts BIGINT[])
RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(log_turn_key(turn - 1));
    INSERT INTO message_counts (direction, message_code, messages)
        SELECT * FROM unnest(directions, codes, counts)
        ON CONFLICT (direction, message_code)
        DO UPDATE SET messages = message_counts.messages + excluded.messages;
    PERFORM pg_notify('medsynapse_' || current_schema()::regnamespace::oid, told);
END $$;

-- When a server last looked whether it can write.
CREATE TABLE servers (
    node    TEXT COLLATE "C" PRIMARY KEY,
    seen_at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE messages (
    id                  BIGINT  PRIMARY KEY,
    direction           TEXT COLLATE "C" NOT NULL CHECK (direction IN ('in', 'out')),
    received_at         BIGINT  NOT NULL,
    transport           TEXT COLLATE "C" NOT NULL,
    peer                TEXT COLLATE "C" NOT NULL,
    sending_application TEXT COLLATE "C" NOT NULL,
    sending_facility    TEXT COLLATE "C" NOT NULL,
    sent_at             TEXT COLLATE "C" NOT NULL,
    message_code        TEXT COLLATE "C" NOT NULL,
    trigger_event       TEXT COLLATE "C" NOT NULL,
    control_id          TEXT COLLATE "C" NOT NULL,
    version             TEXT COLLATE "C" NOT NULL,
    accession_number    TEXT COLLATE "C",
    patient_id          TEXT COLLATE "C",
    patient_name        TEXT COLLATE "C",
    ack_code            TEXT COLLATE "C" NOT NULL,
    ack_text            TEXT COLLATE "C" NOT NULL,
    -- what became of it: the name of its effect; empty for a refused one
    effect              TEXT COLLATE "C" NOT NULL,
    warning_count       INTEGER NOT NULL,
    retransmissions     INTEGER NOT NULL,
    size                BIGINT  NOT NULL,
    -- SHA-256 of the bytes
    digest              BYTEA   NOT NULL,
    -- JSON arrays of {code, path, offset, message}
    findings            TEXT COLLATE "C",
    warnings            TEXT COLLATE "C",
    ack                 BYTEA   NOT NULL,
    raw                 BYTEA   NOT NULL
);
-- A resent message is found by its sender, its control id and its content.
CREATE UNIQUE INDEX messages_identity
    ON messages (control_id, sending_application, sending_facility, digest)
    WHERE control_id <> '' AND direction = 'in';
CREATE INDEX messages_by_code ON messages (message_code, id);
CREATE INDEX messages_by_accession ON messages (accession_number, id)
    WHERE accession_number IS NOT NULL;
CREATE INDEX messages_by_patient ON messages (patient_id, id) WHERE patient_id IS NOT NULL;
CREATE INDEX messages_out ON messages (control_id) WHERE direction = 'out';
CREATE INDEX messages_not_accepted ON messages (id) WHERE ack_code <> 'AA';
CREATE INDEX messages_with_warnings ON messages (id) WHERE warning_count > 0;

-- Kept up to date with every message, so that nobody counts rows.
CREATE TABLE message_counts (
    direction    TEXT COLLATE "C" NOT NULL,
    message_code TEXT COLLATE "C" NOT NULL,
    messages     BIGINT NOT NULL,
    PRIMARY KEY (direction, message_code)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- What a person or a modality did.
CREATE TABLE actions (
    id               BIGINT PRIMARY KEY,
    at               BIGINT NOT NULL,
    actor            TEXT COLLATE "C" NOT NULL,
    idempotency_key  TEXT COLLATE "C",
    kind             TEXT COLLATE "C" NOT NULL,
    accession_number TEXT COLLATE "C",
    -- JSON of what the kind needs beside the accession number
    detail           TEXT COLLATE "C" NOT NULL,
    -- the data set of a procedure step
    body             BYTEA,
    outcome          TEXT COLLATE "C" NOT NULL,
    -- JSON of [name, accession number] each
    events           TEXT COLLATE "C" NOT NULL,
    digest           BYTEA  NOT NULL
);
CREATE UNIQUE INDEX actions_by_key ON actions (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX actions_by_accession ON actions (accession_number) WHERE accession_number IS NOT NULL;

CREATE TABLE orders (
    id                                   BIGINT  NOT NULL UNIQUE,
    accession_number                     TEXT COLLATE "C" PRIMARY KEY,
    state                                TEXT COLLATE "C" NOT NULL CHECK (state IN ('SCHEDULED', 'ARRIVED', 'READY', 'STARTED', 'COMPLETED', 'DISCONTINUED')),
    report_status                        TEXT COLLATE "C" CHECK (report_status IN ('READ', 'FINAL', 'PRINTED')),
    -- whether the RIS was told that the study is completed
    completion_told                      BOOLEAN NOT NULL,
    study_seen_at                        BIGINT,
    patient_id                           TEXT COLLATE "C" NOT NULL,
    patient_name                         TEXT COLLATE "C",
    patient_sex                          TEXT COLLATE "C",
    modality                             TEXT COLLATE "C",
    scheduled_station_ae_title           TEXT COLLATE "C",
    scheduled_station_name               TEXT COLLATE "C",
    scheduled_start                      TEXT COLLATE "C",
    scheduled_procedure_step_id          TEXT COLLATE "C",
    scheduled_procedure_step_description TEXT COLLATE "C",
    requested_procedure_id               TEXT COLLATE "C",
    requested_procedure_description      TEXT COLLATE "C",
    admission_id                         TEXT COLLATE "C",
    patient_weight                       TEXT COLLATE "C",
    birth_date                           TEXT COLLATE "C",
    referring_physician                  TEXT COLLATE "C",
    requesting_physician                 TEXT COLLATE "C",
    performing_physician                 TEXT COLLATE "C",
    location                             TEXT COLLATE "C",
    reason                               TEXT COLLATE "C",
    priority                             TEXT COLLATE "C",
    institution_name                     TEXT COLLATE "C",
    study_instance_uid                   TEXT COLLATE "C" NOT NULL,
    -- MSH-3 and MSH-4 of the message that brought the segments
    sending_application                  TEXT COLLATE "C" NOT NULL,
    sending_facility                     TEXT COLLATE "C" NOT NULL,
    -- PID, PV1, ORC, OBR and ZDS as they came, with what they are written in
    segment_delimiters                   BYTEA   NOT NULL,
    segment_charset                      BYTEA   NOT NULL,
    segments                             BYTEA   NOT NULL,
    created_at                           BIGINT  NOT NULL,
    updated_at                           BIGINT  NOT NULL,
    created_by                           BIGINT  NOT NULL,
    -- a message or an action
    updated_by                           BIGINT  NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX orders_by_patient ON orders (patient_id);
CREATE INDEX orders_by_start ON orders (scheduled_start, accession_number)
    WHERE state NOT IN ('COMPLETED', 'DISCONTINUED');

-- What stays of an order that was cancelled. The message log keeps its messages.
CREATE TABLE cancelled_orders (
    accession_number   TEXT COLLATE "C" PRIMARY KEY,
    patient_id         TEXT COLLATE "C" NOT NULL,
    study_instance_uid TEXT COLLATE "C" NOT NULL,
    state              TEXT COLLATE "C" NOT NULL,
    created_at         BIGINT NOT NULL,
    cancelled_at       BIGINT NOT NULL,
    created_by         BIGINT NOT NULL,
    cancelled_by       BIGINT NOT NULL
);

-- Every version of a report; the highest one counts.
CREATE TABLE reports (
    accession_number   TEXT COLLATE "C" NOT NULL,
    version            INTEGER NOT NULL,
    patient_id         TEXT COLLATE "C" NOT NULL,
    format             TEXT COLLATE "C" NOT NULL,
    text               TEXT COLLATE "C" NOT NULL,
    date               TEXT COLLATE "C" NOT NULL,
    status             TEXT COLLATE "C",
    physician_id       TEXT COLLATE "C",
    physician_name     TEXT COLLATE "C",
    segment_delimiters BYTEA   NOT NULL,
    segment_charset    BYTEA   NOT NULL,
    segments           BYTEA   NOT NULL,
    updated_at         BIGINT  NOT NULL,
    -- a message or an action
    written_by         BIGINT  NOT NULL,
    PRIMARY KEY (accession_number, version)
);
CREATE INDEX reports_by_patient ON reports (patient_id);

CREATE TABLE patients (
    patient_id  TEXT COLLATE "C" PRIMARY KEY,
    name        TEXT COLLATE "C",
    sex         TEXT COLLATE "C",
    birth_date  TEXT COLLATE "C",
    merged_into TEXT COLLATE "C",
    updated_at  BIGINT NOT NULL,
    -- a message or an action
    updated_by  BIGINT NOT NULL
) WITH (fillfactor = 80);

-- Which entry of the log changed what of a patient or an order; fields is JSON of
-- [name, before, after] each.
CREATE TABLE changes (
    id               BIGINT PRIMARY KEY DEFAULT nextval('changes_ids'),
    entry_id         BIGINT NOT NULL,
    at               BIGINT NOT NULL,
    patient_id       TEXT COLLATE "C" NOT NULL,
    -- NULL: what is known of the patient
    accession_number TEXT COLLATE "C",
    merged_into      TEXT COLLATE "C",
    fields           TEXT COLLATE "C" NOT NULL
);
CREATE INDEX changes_by_patient ON changes (patient_id) WHERE accession_number IS NULL;
CREATE INDEX changes_by_merge ON changes (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX changes_by_accession ON changes (accession_number) WHERE accession_number IS NOT NULL;

-- One row a message that goes to a destination.
CREATE TABLE outbox (
    message_id       BIGINT  PRIMARY KEY,
    destination      TEXT COLLATE "C" NOT NULL,
    -- the entry of the log at whose place it waits: its own, or that of the last retry
    position         BIGINT  NOT NULL,
    state            TEXT COLLATE "C" NOT NULL CHECK (state IN ('queued', 'held', 'sent', 'refused', 'cancelled')),
    accession_number TEXT COLLATE "C" NOT NULL,
    -- OBX-11, and whether OBX-5 is there
    study_status     TEXT COLLATE "C" NOT NULL,
    with_text        BOOLEAN NOT NULL,
    caused_by        BIGINT  NOT NULL,
    queued_at        BIGINT  NOT NULL,
    settled_at       BIGINT,
    tries            INTEGER NOT NULL,
    last_try_at      BIGINT,
    last_reason      TEXT COLLATE "C"
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
-- The cursor of a destination: its first entry is what is sent next.
CREATE INDEX outbox_waiting ON outbox (destination, position) WHERE state = 'queued';
CREATE INDEX outbox_odd ON outbox (state) WHERE state IN ('held', 'refused');
CREATE INDEX outbox_by_accession ON outbox (accession_number);
CREATE INDEX outbox_by_cause ON outbox (caused_by);

-- Every try.
CREATE TABLE deliveries (
    id         BIGINT PRIMARY KEY,
    message_id BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    took       BIGINT NOT NULL,
    outcome    TEXT COLLATE "C" NOT NULL CHECK (outcome IN ('accepted', 'refused', 'failed')),
    reason     TEXT COLLATE "C" NOT NULL,
    answer     BYTEA
);
CREATE INDEX deliveries_by_message ON deliveries (message_id);

-- What modalities say they do (DICOM MPPS).
CREATE TABLE procedure_steps (
    sop_instance_uid   TEXT COLLATE "C" PRIMARY KEY,
    state              TEXT COLLATE "C" NOT NULL CHECK (state IN ('IN PROGRESS', 'COMPLETED', 'DISCONTINUED')),
    station_ae_title   TEXT COLLATE "C" NOT NULL,
    study_instance_uid TEXT COLLATE "C",
    -- JSON array
    accession_numbers  TEXT COLLATE "C" NOT NULL,
    dataset            BYTEA  NOT NULL,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    created_by         BIGINT NOT NULL,
    updated_by         BIGINT NOT NULL
);

-- Which server sends to a destination, and until when; a larger fence is a later owner. Moments
-- are those of the database's clock.
CREATE TABLE lanes (
    destination TEXT COLLATE "C" PRIMARY KEY,
    owner       TEXT COLLATE "C" NOT NULL,
    fence       BIGINT      NOT NULL,
    expires_at  TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
