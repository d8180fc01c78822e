//! An [`Item`] as a data set: what was asked for and nothing else, built for each response.

use dicom_core::value::{DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use crate::charset::ResponseCharset;
use crate::item::Item;
use crate::query::{Query, Return};
use crate::table::{Element, KeyType, Level, Row};

/// The response to a query for one item.
///
/// Specific Character Set is there where text needs it.
pub fn dataset(item: &Item, query: &Query, charset: ResponseCharset) -> InMemDicomObject {
    let mut builder = Builder {
        item,
        charset,
        ascii: true,
    };
    let mut elements = builder.elements(&query.returns, false);
    if let (false, Some(code)) = (builder.ascii, charset.code()) {
        elements.insert(
            0,
            DataElement::new(
                tags::SPECIFIC_CHARACTER_SET,
                VR::CS,
                PrimitiveValue::from(code),
            ),
        );
    }
    InMemDicomObject::from_element_iter(elements)
}

struct Builder<'i> {
    item: &'i Item,
    charset: ResponseCharset,
    ascii: bool,
}

impl Builder<'_> {
    fn elements(&mut self, returns: &[Return], full: bool) -> Vec<InMemElement> {
        returns
            .iter()
            .filter_map(|one| match one {
                Return::Row(row) => self.row(row, full),
                Return::Empty(tag, VR::SQ) => Some(sequence(*tag, None)),
                Return::Empty(tag, vr) => Some(DataElement::empty(*tag, *vr)),
                Return::Step(inner) => {
                    let elements = self.elements(inner, true);
                    Some(sequence(one.tag(), Some(elements)))
                }
                Return::Protocol(inner) => {
                    let coded = !self.item.get(Element::CodeValue).is_empty();
                    let elements = coded.then(|| self.elements(inner, false));
                    (coded || !full).then(|| sequence(one.tag(), elements))
                }
            })
            .collect()
    }

    /// One attribute; `lazy` leaves out what may be missing and is empty.
    fn row(&mut self, row: &Row, lazy: bool) -> Option<InMemElement> {
        let value = self.item.get(row.element);
        if value.is_empty() {
            let may_miss = matches!(row.key_type, KeyType::OneC | KeyType::Three);
            if lazy && may_miss && row.level == Level::Step {
                return None;
            }
            return Some(if row.vr == VR::SQ {
                sequence(row.tag, None)
            } else {
                DataElement::empty(row.tag, row.vr)
            });
        }
        let value = self.charset.fit(value);
        self.ascii &= value.is_ascii();
        let value = if value.contains('\\') {
            PrimitiveValue::Strs(value.split('\\').map(str::to_owned).collect())
        } else {
            PrimitiveValue::Str(value.into_owned())
        };
        Some(DataElement::new(row.tag, row.vr, value))
    }
}

fn sequence(tag: Tag, elements: Option<Vec<InMemElement>>) -> InMemElement {
    let items: Vec<InMemDicomObject> = elements
        .into_iter()
        .map(InMemDicomObject::from_element_iter)
        .collect();
    DataElement::new(tag, VR::SQ, Value::Sequence(DataSetSequence::from(items)))
}
