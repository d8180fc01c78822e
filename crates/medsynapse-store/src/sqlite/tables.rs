//! The tables of the database: their columns, and which of them an encrypted one hides.
//!
//! Hidden is whatever says something about a patient, or may quote it. What the broker orders,
//! filters and joins by stays as it is: accession numbers, control ids, AE titles, times, states.

use super::hidden::Keep;
use super::seal::{Sealed, sealed};

pub(super) const MESSAGES: Sealed = sealed(
    "messages",
    0,
    &[
        "id",
        "received_at",
        "transport",
        "peer",
        "sending_application",
        "sending_facility",
        "sent_at",
        "message_code",
        "trigger_event",
        "control_id",
        "accession_number",
        "patient_id",
        "patient_name",
        "ack_code",
        "ack_text",
        "warning_count",
        "retransmissions",
        "size",
        "direction",
        "version",
        "effect",
        "digest",
        "findings",
        "warnings",
        "ack",
    ],
)
.hiding(
    &[0],
    &[
        ("patient_id", Keep::Token),
        ("patient_name", Keep::Null),
        ("ack_text", Keep::Text),
        ("digest", Keep::Digest),
        ("findings", Keep::Null),
        ("warnings", Keep::Null),
        ("ack", Keep::Blob),
    ],
);

pub(super) const COUNTS: Sealed = sealed(
    "message_counts",
    1,
    &["message_code", "messages", "direction"],
);

pub(super) const PATIENTS: Sealed = sealed(
    "patients",
    6,
    &[
        "patient_id",
        "name",
        "sex",
        "birth_date",
        "merged_into",
        "updated_at",
        "updated_by",
    ],
)
.hiding(
    &[0],
    &[
        ("patient_id", Keep::Token),
        ("name", Keep::Null),
        ("sex", Keep::Null),
        ("birth_date", Keep::Null),
        ("merged_into", Keep::Token),
    ],
);

pub(super) const ORDERS: Sealed = sealed(
    "orders",
    36,
    &[
        "accession_number",
        "patient_id",
        "patient_name",
        "patient_sex",
        "modality",
        "scheduled_station_ae_title",
        "scheduled_station_name",
        "scheduled_start",
        "scheduled_procedure_step_id",
        "scheduled_procedure_step_description",
        "requested_procedure_id",
        "requested_procedure_description",
        "admission_id",
        "patient_weight",
        "birth_date",
        "referring_physician",
        "requesting_physician",
        "performing_physician",
        "location",
        "reason",
        "priority",
        "institution_name",
        "study_instance_uid",
        "state",
        "report_status",
        "completion_told",
        "study_seen_at",
        "sending_application",
        "sending_facility",
        "segment_delimiters",
        "segment_charset",
        "segments",
        "created_at",
        "updated_at",
        "created_by",
        "updated_by",
        "id",
    ],
)
.hiding(
    &[36],
    &[
        ("patient_id", Keep::Token),
        ("patient_name", Keep::Null),
        ("patient_sex", Keep::Null),
        ("scheduled_procedure_step_description", Keep::Null),
        ("requested_procedure_description", Keep::Null),
        ("admission_id", Keep::Null),
        ("patient_weight", Keep::Null),
        ("birth_date", Keep::Null),
        ("referring_physician", Keep::Null),
        ("requesting_physician", Keep::Null),
        ("performing_physician", Keep::Null),
        ("location", Keep::Null),
        ("reason", Keep::Null),
        ("segments", Keep::Blob),
    ],
);

pub(super) const CANCELLED: Sealed = sealed(
    "cancelled_orders",
    7,
    &[
        "accession_number",
        "patient_id",
        "study_instance_uid",
        "state",
        "created_at",
        "cancelled_at",
        "created_by",
        "cancelled_by",
    ],
)
.hiding(&[0], &[("patient_id", Keep::Token)]);

pub(super) const REPORTS: Sealed = sealed(
    "reports",
    12,
    &[
        "version",
        "patient_id",
        "format",
        "text",
        "date",
        "status",
        "physician_id",
        "physician_name",
        "segment_delimiters",
        "segment_charset",
        "segments",
        "updated_at",
        "written_by",
        "accession_number",
    ],
)
.hiding(
    &[13, 0],
    &[
        ("patient_id", Keep::Token),
        ("text", Keep::Text),
        ("physician_id", Keep::Null),
        ("physician_name", Keep::Null),
        ("segments", Keep::Blob),
    ],
);

pub(super) const CHANGES: Sealed = sealed(
    "changes",
    0,
    &[
        "entry_id",
        "at",
        "patient_id",
        "accession_number",
        "merged_into",
        "fields",
    ],
)
.hiding(
    &[0, 2, 3, 4],
    &[
        ("patient_id", Keep::Token),
        ("merged_into", Keep::Token),
        ("fields", Keep::Text),
    ],
);

pub(super) const ACTIONS: Sealed = sealed(
    "actions",
    0,
    &[
        "id",
        "at",
        "actor",
        "kind",
        "accession_number",
        "outcome",
        "idempotency_key",
        "detail",
        "body",
        "events",
        "digest",
    ],
)
.hiding(
    &[0],
    &[
        ("detail", Keep::Json),
        ("body", Keep::Null),
        ("digest", Keep::Digest),
    ],
);

pub(super) const OUTBOX: Sealed = sealed(
    "outbox",
    0,
    &[
        "message_id",
        "destination",
        "state",
        "accession_number",
        "study_status",
        "with_text",
        "caused_by",
        "queued_at",
        "settled_at",
        "tries",
        "last_try_at",
        "last_reason",
        "position",
    ],
)
.hiding(&[0], &[("last_reason", Keep::Null)]);

pub(super) const DELIVERIES: Sealed = sealed(
    "deliveries",
    0,
    &[
        "id",
        "message_id",
        "at",
        "took",
        "outcome",
        "reason",
        "answer",
    ],
)
.hiding(&[0], &[("reason", Keep::Text), ("answer", Keep::Null)]);

pub(super) const PROCEDURES: Sealed = sealed(
    "procedure_steps",
    9,
    &[
        "sop_instance_uid",
        "state",
        "station_ae_title",
        "study_instance_uid",
        "accession_numbers",
        "dataset",
        "created_at",
        "updated_at",
        "created_by",
        "updated_by",
    ],
)
.hiding(&[0], &[("dataset", Keep::Blob)]);

/// All of them.
pub(super) const TABLES: [&Sealed; 11] = [
    &MESSAGES,
    &COUNTS,
    &PATIENTS,
    &ORDERS,
    &CANCELLED,
    &REPORTS,
    &CHANGES,
    &ACTIONS,
    &OUTBOX,
    &DELIVERIES,
    &PROCEDURES,
];
