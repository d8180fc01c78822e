-- Messages in and out, actions and deliveries are numbered by one counter: together they are
-- the log, and everything else can be made from it again.

-- What became of a message: the name of its effect; empty for a refused one, NULL for messages
-- from before this column.
ALTER TABLE messages ADD COLUMN effect TEXT;

CREATE INDEX messages_out ON messages (control_id) WHERE direction = 'out';
CREATE INDEX messages_not_accepted ON messages (ack_code) WHERE ack_code <> 'AA';
CREATE INDEX messages_with_warnings ON messages (id) WHERE warning_count > 0;

CREATE TABLE message_counts_2 (
    direction    TEXT    NOT NULL,
    message_code TEXT    NOT NULL,
    messages     INTEGER NOT NULL,
    PRIMARY KEY (direction, message_code)
) STRICT, WITHOUT ROWID;
INSERT INTO message_counts_2 SELECT 'in', message_code, messages FROM message_counts;
DROP TABLE message_counts;
ALTER TABLE message_counts_2 RENAME TO message_counts;

-- What a person or a modality did.
CREATE TABLE actions (
    id               INTEGER PRIMARY KEY,
    at               INTEGER NOT NULL,
    actor            TEXT    NOT NULL,
    idempotency_key  TEXT,
    kind             TEXT    NOT NULL,
    accession_number TEXT,
    -- JSON of what the kind needs beside the accession number
    detail           TEXT    NOT NULL,
    -- the data set of a procedure step
    body             BLOB,
    outcome          TEXT    NOT NULL,
    -- JSON of [name, accession number] each
    events           TEXT    NOT NULL,
    digest           BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX actions_by_key ON actions (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX actions_by_accession ON actions (accession_number) WHERE accession_number IS NOT NULL;

CREATE TABLE orders_2 (
    id                                  INTEGER PRIMARY KEY,
    accession_number                    TEXT    NOT NULL UNIQUE,
    state                               TEXT    NOT NULL CHECK (state IN ('SCHEDULED', 'ARRIVED', 'READY', 'STARTED', 'COMPLETED', 'DISCONTINUED')),
    report_status                       TEXT    CHECK (report_status IN ('READ', 'FINAL', 'PRINTED')),
    -- whether the RIS was told that the study is completed
    completion_told                     INTEGER NOT NULL DEFAULT 0,
    study_seen_at                       INTEGER,
    patient_id                          TEXT    NOT NULL,
    patient_name                        TEXT,
    patient_sex                         TEXT,
    modality                            TEXT,
    scheduled_station_ae_title          TEXT,
    scheduled_station_name              TEXT,
    scheduled_start                     TEXT,
    scheduled_procedure_step_id         TEXT,
    scheduled_procedure_step_description TEXT,
    requested_procedure_id              TEXT,
    requested_procedure_description     TEXT,
    admission_id                        TEXT,
    patient_weight                      TEXT,
    birth_date                          TEXT,
    referring_physician                 TEXT,
    requesting_physician                TEXT,
    performing_physician                TEXT,
    location                            TEXT,
    reason                              TEXT,
    priority                            TEXT,
    institution_name                    TEXT,
    study_instance_uid                  TEXT    NOT NULL,
    -- MSH-3 and MSH-4 of the message that brought the segments
    sending_application                 TEXT    NOT NULL,
    sending_facility                    TEXT    NOT NULL,
    -- PID, PV1, ORC, OBR and ZDS as they came, with what they are written in
    segment_delimiters                  BLOB    NOT NULL,
    segment_charset                     BLOB    NOT NULL,
    segments                            BLOB    NOT NULL,
    created_at                          INTEGER NOT NULL,
    updated_at                          INTEGER NOT NULL,
    created_by                          INTEGER NOT NULL REFERENCES messages (id),
    -- a message or an action
    updated_by                          INTEGER NOT NULL
) STRICT;
INSERT INTO orders_2 (id, accession_number, state, patient_id, patient_name, patient_sex, modality,
    scheduled_station_ae_title, scheduled_station_name, scheduled_start,
    scheduled_procedure_step_id, scheduled_procedure_step_description, requested_procedure_id,
    requested_procedure_description, admission_id, patient_weight, birth_date,
    referring_physician, requesting_physician, performing_physician, location, reason, priority,
    institution_name, study_instance_uid, sending_application, sending_facility,
    segment_delimiters, segment_charset, segments, created_at, updated_at, created_by, updated_by)
SELECT o.rowid, o.accession_number, o.state, o.patient_id, o.patient_name, o.patient_sex,
    o.modality, o.scheduled_station_ae_title, o.scheduled_station_name, o.scheduled_start,
    o.scheduled_procedure_step_id, o.scheduled_procedure_step_description,
    o.requested_procedure_id, o.requested_procedure_description, o.admission_id,
    o.patient_weight, o.birth_date, o.referring_physician, o.requesting_physician,
    o.performing_physician, o.location, o.reason, o.priority, o.institution_name,
    o.study_instance_uid, m.sending_application, m.sending_facility, o.segment_delimiters,
    o.segment_charset, o.segments, o.created_at, o.updated_at, o.created_by, o.updated_by
FROM orders o JOIN messages m ON m.id = o.created_by
ORDER BY o.created_by, o.accession_number;
DROP TABLE orders;
ALTER TABLE orders_2 RENAME TO orders;
CREATE INDEX orders_by_patient ON orders (patient_id);
CREATE INDEX orders_by_station ON orders (scheduled_station_ae_title, scheduled_start)
    WHERE state NOT IN ('COMPLETED', 'DISCONTINUED');
CREATE INDEX orders_by_start ON orders (scheduled_start)
    WHERE state NOT IN ('COMPLETED', 'DISCONTINUED');

-- What stays of an order that was cancelled. The message log keeps its messages.
CREATE TABLE cancelled_orders (
    accession_number   TEXT    PRIMARY KEY,
    patient_id         TEXT    NOT NULL,
    study_instance_uid TEXT    NOT NULL,
    state              TEXT    NOT NULL,
    created_at         INTEGER NOT NULL,
    cancelled_at       INTEGER NOT NULL,
    created_by         INTEGER NOT NULL,
    cancelled_by       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE reports_2 (
    accession_number   TEXT    NOT NULL,
    version            INTEGER NOT NULL,
    patient_id         TEXT    NOT NULL,
    format             TEXT    NOT NULL,
    text               TEXT    NOT NULL,
    date               TEXT    NOT NULL,
    status             TEXT,
    physician_id       TEXT,
    physician_name     TEXT,
    segment_delimiters BLOB    NOT NULL,
    segment_charset    BLOB    NOT NULL,
    segments           BLOB    NOT NULL,
    updated_at         INTEGER NOT NULL,
    -- a message or an action
    written_by         INTEGER NOT NULL,
    PRIMARY KEY (accession_number, version)
) STRICT;
INSERT INTO reports_2 SELECT * FROM reports;
DROP TABLE reports;
ALTER TABLE reports_2 RENAME TO reports;
CREATE INDEX reports_by_patient ON reports (patient_id);

CREATE TABLE patients_2 (
    patient_id  TEXT    PRIMARY KEY,
    name        TEXT,
    sex         TEXT,
    birth_date  TEXT,
    merged_into TEXT,
    updated_at  INTEGER NOT NULL,
    -- a message or an action
    updated_by  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO patients_2 SELECT * FROM patients;
DROP TABLE patients;
ALTER TABLE patients_2 RENAME TO patients;

-- Which entry of the log changed what of a patient or an order; fields is JSON of
-- [name, before, after] each.
CREATE TABLE changes (
    id               INTEGER PRIMARY KEY,
    entry_id         INTEGER NOT NULL,
    at               INTEGER NOT NULL,
    patient_id       TEXT    NOT NULL,
    -- NULL: what is known of the patient
    accession_number TEXT,
    merged_into      TEXT,
    fields           TEXT    NOT NULL
) STRICT;
CREATE INDEX changes_by_patient ON changes (patient_id) WHERE accession_number IS NULL;
CREATE INDEX changes_by_merge ON changes (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX changes_by_accession ON changes (accession_number) WHERE accession_number IS NOT NULL;

-- One row a message that goes to a destination.
CREATE TABLE outbox (
    message_id       INTEGER PRIMARY KEY REFERENCES messages (id),
    destination      TEXT    NOT NULL,
    -- the entry of the log at whose place it waits: its own, or that of the last retry
    position         INTEGER NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('queued', 'held', 'sent', 'refused', 'cancelled')),
    accession_number TEXT    NOT NULL,
    -- OBX-11, and whether OBX-5 is there
    study_status     TEXT    NOT NULL,
    with_text        INTEGER NOT NULL,
    caused_by        INTEGER NOT NULL REFERENCES actions (id),
    queued_at        INTEGER NOT NULL,
    settled_at       INTEGER,
    tries            INTEGER NOT NULL DEFAULT 0,
    last_try_at      INTEGER,
    last_reason      TEXT
) STRICT;
-- The cursor of a destination: its first entry is what is sent next.
CREATE INDEX outbox_waiting ON outbox (destination, position) WHERE state = 'queued';
CREATE INDEX outbox_odd ON outbox (state) WHERE state IN ('held', 'refused');
CREATE INDEX outbox_by_accession ON outbox (accession_number);
CREATE INDEX outbox_by_cause ON outbox (caused_by);

-- Every try.
CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY,
    message_id  INTEGER NOT NULL REFERENCES outbox (message_id),
    at          INTEGER NOT NULL,
    took        INTEGER NOT NULL,
    outcome     TEXT    NOT NULL CHECK (outcome IN ('accepted', 'refused', 'failed')),
    reason      TEXT    NOT NULL,
    answer      BLOB
) STRICT;
CREATE INDEX deliveries_by_message ON deliveries (message_id);

-- What modalities say they do (DICOM MPPS).
CREATE TABLE procedure_steps (
    sop_instance_uid   TEXT    PRIMARY KEY,
    state              TEXT    NOT NULL CHECK (state IN ('IN PROGRESS', 'COMPLETED', 'DISCONTINUED')),
    station_ae_title   TEXT    NOT NULL,
    study_instance_uid TEXT,
    -- JSON array
    accession_numbers  TEXT    NOT NULL,
    dataset            BLOB    NOT NULL,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    created_by         INTEGER NOT NULL REFERENCES actions (id),
    updated_by         INTEGER NOT NULL REFERENCES actions (id)
) STRICT, WITHOUT ROWID;
