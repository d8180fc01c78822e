-- Times are microseconds since 1970-01-01T00:00:00Z.

CREATE TABLE messages (
    id                  INTEGER PRIMARY KEY,
    direction           TEXT    NOT NULL CHECK (direction IN ('in', 'out')),
    received_at         INTEGER NOT NULL,
    transport           TEXT    NOT NULL,
    peer                TEXT    NOT NULL,
    sending_application TEXT    NOT NULL,
    sending_facility    TEXT    NOT NULL,
    sent_at             TEXT    NOT NULL,
    message_code        TEXT    NOT NULL,
    trigger_event       TEXT    NOT NULL,
    control_id          TEXT    NOT NULL,
    version             TEXT    NOT NULL,
    accession_number    TEXT,
    patient_id          TEXT,
    patient_name        TEXT,
    ack_code            TEXT    NOT NULL,
    ack_text            TEXT    NOT NULL,
    warning_count       INTEGER NOT NULL DEFAULT 0,
    retransmissions     INTEGER NOT NULL DEFAULT 0,
    size                INTEGER NOT NULL,
    digest              BLOB    NOT NULL,
    -- JSON arrays of {code, path, offset, message}
    findings            TEXT,
    warnings            TEXT,
    ack                 BLOB    NOT NULL,
    raw                 BLOB    NOT NULL
) STRICT;

-- A resent message is found by its sender, its control id and its content.
CREATE UNIQUE INDEX messages_identity
    ON messages (control_id, sending_application, sending_facility, digest)
    WHERE control_id <> '' AND direction = 'in';
CREATE INDEX messages_by_code ON messages (message_code);
CREATE INDEX messages_by_accession ON messages (accession_number) WHERE accession_number IS NOT NULL;
CREATE INDEX messages_by_patient ON messages (patient_id) WHERE patient_id IS NOT NULL;

-- Kept up to date with every message, so that nobody counts rows.
CREATE TABLE message_counts (
    message_code TEXT    PRIMARY KEY,
    messages     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE patients (
    patient_id  TEXT    PRIMARY KEY,
    name        TEXT,
    sex         TEXT,
    birth_date  TEXT,
    merged_into TEXT,
    updated_at  INTEGER NOT NULL,
    updated_by  INTEGER NOT NULL REFERENCES messages (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    accession_number                    TEXT    PRIMARY KEY,
    state                               TEXT    NOT NULL CHECK (state IN ('SCHEDULED', 'COMPLETED')),
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
    -- PID, PV1, ORC, OBR and ZDS as they came, with what they are written in
    segment_delimiters                  BLOB    NOT NULL,
    segment_charset                     BLOB    NOT NULL,
    segments                            BLOB    NOT NULL,
    created_at                          INTEGER NOT NULL,
    updated_at                          INTEGER NOT NULL,
    created_by                          INTEGER NOT NULL REFERENCES messages (id),
    updated_by                          INTEGER NOT NULL REFERENCES messages (id)
) STRICT;

CREATE INDEX orders_by_patient ON orders (patient_id);
CREATE INDEX orders_by_station ON orders (scheduled_station_ae_title, scheduled_start)
    WHERE state = 'SCHEDULED';

-- Every version of a report; the highest one counts.
CREATE TABLE reports (
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
    message_id         INTEGER NOT NULL REFERENCES messages (id),
    PRIMARY KEY (accession_number, version)
) STRICT;

CREATE INDEX reports_by_patient ON reports (patient_id);
