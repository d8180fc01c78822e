//! [`order_json`]: an order that is known, for lists and answers.

use hl7_message::{Message, loc};
use serde_json::{Map, Value};

use super::form::Form;
use super::show::{Options, insert, value_of};
use crate::map::{Attribute, Detail, Member};
use crate::order::Order;

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
