//! [`order_json`] and [`report_json`]: what is known, for lists and answers.

use hl7_message::{Message, loc};
use serde_json::{Map, Value};

use super::form::Form;
use super::show::{Options, from_message, insert, value_of};
use super::status;
use crate::map::{Attribute, Detail, Kind, Member};
use crate::order::Order;
use crate::report::{Report, ReportFormat};

/// An order that is known, as the members of the domain form's `order` with `status`,
/// `createdAt` and `updatedAt`, which are written as they are given.
///
/// ```
/// use medsynapse::domain::{Options, order_json};
/// use medsynapse::{AccessionNumber, Attribute, Attributes, Order, OrderState, Segments};
///
/// let mut attributes = Attributes::default();
/// attributes.set(Attribute::AccessionNumber, "ACC1");
/// attributes.set(Attribute::PatientName, "SMITH^JOHN");
/// let order = Order {
///     accession_number: AccessionNumber::try_from("ACC1")?,
///     state: OrderState::Scheduled,
///     attributes,
///     segments: Segments::default(),
/// };
/// let json = order_json(&order, "2023-06-14T13:14:15Z", "2023-06-14T13:14:15Z", &Options::default());
/// assert_eq!(json["accessionNumber"], "ACC1");
/// assert_eq!(json["patient"]["name"]["family"], "SMITH");
/// assert_eq!(json["status"], "SCHEDULED");
/// # Ok::<(), medsynapse::InvalidId>(())
/// ```
pub fn order_json(order: &Order, created_at: &str, updated_at: &str, options: &Options) -> Value {
    let mut map = Map::new();
    for &member in Form::Order.members() {
        let value = match member {
            Member::Attribute(attribute) => {
                let text = order.attributes.get(attribute);
                text.map(|text| value_of(attribute.row().kind, text, options).0)
            }
            Member::Detail(Detail::PatientClass) => patient_class(order).map(Value::from),
            Member::Detail(_) => None,
        };
        let accession_number = member == Attribute::AccessionNumber.into();
        let value = value
            .or_else(|| accession_number.then(|| Value::from(order.accession_number.as_str())));
        if let Some(value) = value {
            insert(&mut map, Form::Order.name_of(member), value);
        }
    }
    map.insert("status".into(), order.state.as_str().into());
    map.insert("createdAt".into(), created_at.into());
    map.insert("updatedAt".into(), updated_at.into());
    Value::Object(map)
}

/// PV1-2 of the segments that an order came with.
pub(super) fn patient_class(order: &Order) -> Option<String> {
    let segments = &order.segments;
    let bytes = [b"MSH", &*segments.delimiters, b"\r", &segments.bytes].concat();
    let message = Message::parse(&bytes).ok()?;
    let text = message.value(loc!("PV1-2")).unescape()?;
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// A report that is known, as the members of the domain form's `report`: what its segments say of
/// the order and the patient, and the result.
///
/// ```
/// use hl7_message::Message;
/// use medsynapse::domain::{Options, report_json};
/// use medsynapse::{Change, Profile, interpret};
/// use serde_json::json;
///
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORU^R01|M1|P|2.3\r\
///               PID|1||PAT789||SMITH^JOHN\rOBR|1|ACC1||CT123^CT CHEST\r\
///               OBX|1|TX|CT123||Lungs are clear.||||||F|||20230614120000\r";
/// let message = Message::parse(bytes)?;
/// let Ok(Change::StoreReport(report)) = interpret(&message, &Profile::default()).outcome else {
///     panic!("refused")
/// };
/// assert_eq!(
///     report_json(&report, &Options::default()),
///     json!({
///         "accessionNumber": "ACC1",
///         "patient": { "id": "PAT789", "name": { "family": "SMITH", "given": "JOHN" } },
///         "study": { "id": "CT123", "description": "CT CHEST" },
///         "result": { "status": "FINAL", "content": "Lungs are clear.", "date": "20230614120000" },
///     })
/// );
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
pub fn report_json(report: &Report, options: &Options) -> Value {
    let mut map = of_segments(report, options).unwrap_or_default();
    let mut put = |member: Member, value: Value| {
        insert(&mut map, Form::Report.name_of(member), value);
    };
    put(
        Attribute::AccessionNumber.into(),
        report.accession_number.as_str().into(),
    );
    put(
        Attribute::PatientId.into(),
        report.patient_id.as_str().into(),
    );
    let status = report.status.as_deref().and_then(status::word);
    let date = value_of(Kind::DateTime, &report.date, options).0;
    let rich = report.format == ReportFormat::RichText;
    let result = [
        (
            Detail::ResultStatus,
            status.map(|(word, _)| Value::from(word)),
        ),
        (Detail::ResultContent, Some(report.text.as_str().into())),
        (
            Detail::ResultFormat,
            rich.then(|| report.format.as_str().into()),
        ),
        (Detail::ResultDate, Some(date)),
        (
            Detail::RadiologistId,
            report.physician_id.as_deref().map(Value::from),
        ),
        (
            Detail::RadiologistName,
            report.physician_name.as_deref().map(Value::from),
        ),
    ];
    for (detail, value) in result {
        if let Some(value) = value {
            put(detail.into(), value);
        }
    }
    Value::Object(map)
}

/// What the segments that came with a report say, read as the report that they were part of.
fn of_segments(report: &Report, options: &Options) -> Option<Map<String, Value>> {
    let segments = &report.segments;
    let (&field, &component) = (segments.delimiters.first()?, segments.delimiters.get(1)?);
    let separators = |count: usize| vec![field; count];
    let bytes = [
        b"MSH",
        &*segments.delimiters,
        &separators(7),
        b"ORU",
        &[component],
        b"R01",
        &separators(9),
        &segments.charset,
        b"\r",
        &segments.bytes,
    ]
    .concat();
    let message = Message::parse(&bytes).ok()?;
    let options = Options {
        explain: false,
        ..*options
    };
    let mut json = from_message(&message, &options).ok()?;
    match json.get_mut(Form::Report.name()).map(Value::take) {
        Some(Value::Object(map)) => Some(map),
        _ => None,
    }
}
