-- Every row ends in a checksum of the name of its table and of its columns, in the order that is
-- said here. `row_checksum` is a function of the program: a database that is brought along gets
-- its checksums from what its rows say now.

ALTER TABLE messages ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE messages SET checksum = row_checksum('messages', id, received_at, transport, peer,
    sending_application, sending_facility, sent_at, message_code, trigger_event, control_id,
    accession_number, patient_id, patient_name, ack_code, ack_text, warning_count,
    retransmissions, size, direction, version, effect, digest, findings, warnings, ack);

ALTER TABLE message_counts ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE message_counts SET checksum = row_checksum('message_counts', message_code, messages,
    direction);

ALTER TABLE patients ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE patients SET checksum = row_checksum('patients', patient_id, name, sex, birth_date,
    merged_into, updated_at, updated_by);

ALTER TABLE orders ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE orders SET checksum = row_checksum('orders', accession_number, patient_id, patient_name,
    patient_sex, modality, scheduled_station_ae_title, scheduled_station_name, scheduled_start,
    scheduled_procedure_step_id, scheduled_procedure_step_description, requested_procedure_id,
    requested_procedure_description, admission_id, patient_weight, birth_date,
    referring_physician, requesting_physician, performing_physician, location, reason, priority,
    institution_name, study_instance_uid, state, report_status, completion_told, study_seen_at,
    sending_application, sending_facility, segment_delimiters, segment_charset, segments,
    created_at, updated_at, created_by, updated_by, id);

ALTER TABLE cancelled_orders ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE cancelled_orders SET checksum = row_checksum('cancelled_orders', accession_number,
    patient_id, study_instance_uid, state, created_at, cancelled_at, created_by, cancelled_by);

ALTER TABLE reports ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE reports SET checksum = row_checksum('reports', version, patient_id, format, text, date,
    status, physician_id, physician_name, segment_delimiters, segment_charset, segments,
    updated_at, written_by, accession_number);

ALTER TABLE changes ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE changes SET checksum = row_checksum('changes', entry_id, at, patient_id, accession_number,
    merged_into, fields);

ALTER TABLE actions ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE actions SET checksum = row_checksum('actions', id, at, actor, kind, accession_number,
    outcome, idempotency_key, detail, body, events, digest);

ALTER TABLE outbox ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE outbox SET checksum = row_checksum('outbox', message_id, destination, state,
    accession_number, study_status, with_text, caused_by, queued_at, settled_at, tries,
    last_try_at, last_reason, position);

ALTER TABLE deliveries ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE deliveries SET checksum = row_checksum('deliveries', id, message_id, at, took, outcome,
    reason, answer);

ALTER TABLE procedure_steps ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
UPDATE procedure_steps SET checksum = row_checksum('procedure_steps', sop_instance_uid, state,
    station_ae_title, study_instance_uid, accession_numbers, dataset, created_at, updated_at,
    created_by, updated_by);
