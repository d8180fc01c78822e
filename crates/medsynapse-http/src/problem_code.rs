//! [`ProblemCode`]: every error that the API names, with its status and what to do about it.

use axum::http::StatusCode;

/// One row a code: the variant, its status, its name for programs, and for people what it means and
/// what to do. The page `docs/reference/errors.md` is made of them.
macro_rules! codes {
    ($($variant:ident $status:ident $name:literal $about:literal)+) => {
        /// What an error is, for programs: `code` of a [`Problem`](crate::Problem).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ProblemCode {
            $(#[doc = $about] $variant,)+
        }

        impl ProblemCode {
            /// All of them, by status.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The status of an answer with it.
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)+
                }
            }

            /// The name in the answer.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it means and what to do, in words.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$variant => $about,)+
                }
            }
        }
    };
}

codes! {
    IncompleteBody BAD_REQUEST "incomplete_body"
        "The connection broke in the middle of the body. Send the request again."
    InvalidCommand BAD_REQUEST "invalid_command"
        "A command over the WebSocket cannot be read. Send `{\"id\", \"command\", …}`."
    InvalidEncoding BAD_REQUEST "invalid_encoding"
        "`message` is not Base64. Encode the bytes of the message, or send them as \
         `application/hl7-v2`."
    InvalidIdempotencyKey BAD_REQUEST "invalid_idempotency_key"
        "`Idempotency-Key` is given twice, empty, too long or not printable."
    InvalidMessageId BAD_REQUEST "invalid_message_id"
        "The id of a message is a whole number from 1 on."
    InvalidParameter BAD_REQUEST "invalid_parameter"
        "A parameter cannot be read; the text names it and what it may be."
    MalformedJson BAD_REQUEST "malformed_json"
        "The body is not JSON, or not an object; the text has line and column."
    NoAccessionNumber BAD_REQUEST "no_accession_number"
        "The query is about an order and names none. Give `accessionNumber`."
    NoHost BAD_REQUEST "no_host"
        "The request has no `Host`. HTTP/1.1 asks for one."
    NoMessage BAD_REQUEST "no_message"
        "The body has no message. Give `message`, or the message itself."
    NoPatientId BAD_REQUEST "no_patient_id"
        "The query is about a patient and names none. Give `patientId`."
    NotHl7 BAD_REQUEST "not_hl7"
        "The bytes are no HL7 message. `hl7` has the place where reading ended, and \
         `acknowledgment` the AR."
    TwoHosts BAD_REQUEST "two_hosts"
        "The request has `Host` more than once."
    UnclearWish BAD_REQUEST "unclear_wish"
        "What to generate is not clear; the text says which member is wrong."
    UnsupportedQueryType BAD_REQUEST "unsupported_query_type"
        "`queryType` is `patient_studies`, `order`, `worklist` or `report`."
    InvalidApiKey UNAUTHORIZED "invalid_api_key"
        "No key, a wrong or expired one, or a token that is not good. Give `x-api-key` or a bearer \
         token."
    InsufficientScope FORBIDDEN "insufficient_scope"
        "The key is good and may not do this; the text names the scope that is missing."
    OriginNotAllowed FORBIDDEN "origin_not_allowed"
        "The request comes from a page of another site. Name the site in `rest.origins`."
    Undecided FORBIDDEN "undecided"
        "No scope is set for this route. This is a fault of the broker."
    MessageNotFound NOT_FOUND "message_not_found"
        "No message has this id."
    NoAcknowledgement NOT_FOUND "no_acknowledgement"
        "The message has no acknowledgement: it was not answered, or not yet."
    NoAuditTrail NOT_FOUND "no_audit_trail"
        "This gateway keeps no audit trail."
    NoFaults NOT_FOUND "no_faults"
        "This gateway has no switch for faults."
    NoMetrics NOT_FOUND "no_metrics"
        "This gateway counts nothing."
    NoSuchCommand NOT_FOUND "no_such_command"
        "The outbox knows `retry`, `hold` and `cancel`."
    NoSuchOrder NOT_FOUND "no_such_order"
        "No order has the accession number that the worklist is asked about."
    NoSuchProcedureStep NOT_FOUND "no_such_procedure_step"
        "No performed procedure step has this instance UID."
    NoSuchRoute NOT_FOUND "no_such_route"
        "The path is none of this API. `GET /` lists the paths."
    NoWorklist NOT_FOUND "no_worklist"
        "This gateway serves no worklist."
    NotInTheDictionary NOT_FOUND "not_in_the_dictionary"
        "HL7 2.3 has no such segment or field."
    OrderNotFound NOT_FOUND "order_not_found"
        "No order has this accession number; a cancelled one is gone."
    PatientNotFound NOT_FOUND "patient_not_found"
        "No patient has this id; one that was merged has the other id."
    ReportNotFound NOT_FOUND "report_not_found"
        "The order has no report yet."
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed"
        "The path is there and takes other methods; `Allow` has them."
    NoSuchForm NOT_ACCEPTABLE "no_such_form"
        "The message cannot be shown in the form that was asked for; the text says why."
    NotAcceptable NOT_ACCEPTABLE "not_acceptable"
        "`Accept` names no form of a message that there is."
    BodyTimeout REQUEST_TIMEOUT "body_timeout"
        "The body did not arrive in time. Send the request again."
    IdempotencyUnsettled CONFLICT "idempotency_unsettled"
        "The first request with this key is not answered yet, or the broker went down over it. Look \
         whether it had its effect."
    NotDone CONFLICT "not_done"
        "The action was not carried out; the text says why."
    NotPossible CONFLICT "not_possible"
        "The order or message is in a state that does not allow this; the text names it."
    WentOut CONFLICT "went_out"
        "The message was sent by the broker. Use `retry` of the outbox."
    TooLong PAYLOAD_TOO_LARGE "too_long"
        "The body is longer than the limit, which the text names."
    Compressed UNSUPPORTED_MEDIA_TYPE "compressed"
        "Bodies are taken as they are. Leave `Content-Encoding` out."
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported_media_type"
        "`Content-Type` is none that this route takes; the text names them."
    HostNotAllowed MISDIRECTED_REQUEST "host_not_allowed"
        "The broker is called by a name that it does not know. Add it to `rest.allowed_hosts`."
    Acknowledgement UNPROCESSABLE_ENTITY "acknowledgement"
        "The message is itself an acknowledgement. These are not answered."
    IdempotencyKeyReused UNPROCESSABLE_ENTITY "idempotency_key_reused"
        "This key came with another request before. Make a new one for each request."
    InvalidPlan UNPROCESSABLE_ENTITY "invalid_plan"
        "The shares of the faults are not numbers from 0 to 1, or together more than 1."
    InvalidStatus UNPROCESSABLE_ENTITY "invalid_status"
        "`status` is `completed`, `read`, `final` or `printed`; a report belongs to `final`."
    MessageRejected UNPROCESSABLE_ENTITY "message_rejected"
        "AR: the message was read and refused. `hl7` has every place that is wrong. Correct it and \
         send it under a new control id."
    NoReportText UNPROCESSABLE_ENTITY "no_report_text"
        "`final` needs a report, and neither the request nor the store has one."
    NotAnOrder UNPROCESSABLE_ENTITY "not_an_order"
        "The body is no order. Give `{\"order\": {…}}`, or `patientId` and `study`."
    NotSendable UNPROCESSABLE_ENTITY "not_sendable"
        "The message cannot travel over MLLP: it has no MSH-10, or it has framing characters inside."
    OtherAccessionNumber UNPROCESSABLE_ENTITY "other_accession_number"
        "The accession number in the body is not the one in the path."
    Unprocessable UNPROCESSABLE_ENTITY "unprocessable"
        "The JSON is well formed and says something that cannot be. `hl7` has every place, each with \
         its `jsonPointer`."
    UpgradeRequired UPGRADE_REQUIRED "upgrade_required"
        "This path speaks WebSocket alone."
    TooManyCommands TOO_MANY_REQUESTS "too_many_commands"
        "Too many commands wait for their replies. Wait for those."
    TooManyRequests TOO_MANY_REQUESTS "too_many_requests"
        "Too many requests, or failed keys, from this address. `Retry-After` has the seconds."
    InternalError INTERNAL_SERVER_ERROR "internal_error"
        "The broker failed over this request. This is a fault of the broker; its log has the place."
    BrokerUnreachable BAD_GATEWAY "broker_unreachable"
        "The broker that the gateway sends to (`gateway.broker`) cannot be reached."
    NotProcessedThere BAD_GATEWAY "not_processed"
        "AE from the broker that the gateway sends to. Send the same again later."
    NotProcessed SERVICE_UNAVAILABLE "not_processed"
        "AE: the broker could not store the message. Send the same again later."
    NotReady SERVICE_UNAVAILABLE "not_ready"
        "The broker takes no messages now; the text says why."
    StoreUnavailable SERVICE_UNAVAILABLE "store_unavailable"
        "The store does not answer. Try again later."
    TooManyListeners SERVICE_UNAVAILABLE "too_many_listeners"
        "As many clients listen to events as may. Try again later."
    BrokerTimeout GATEWAY_TIMEOUT "broker_timeout"
        "No acknowledgement in time. Whether the message was taken is not known: look, or send the \
         same again."
}

impl ProblemCode {
    /// The rows as a table of Markdown.
    pub fn table() -> String {
        use std::fmt::Write as _;

        let mut table =
            String::from("| status | `code` | what it means, what to do |\n|---|---|---|\n");
        for code in Self::ALL {
            let (status, name, about) = (code.status().as_u16(), code.as_str(), code.about());
            let _ = writeln!(table, "| {status} | `{name}` | {about} |");
        }
        table
    }
}
