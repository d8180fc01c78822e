//! [`Query`]: the identifier of a C-FIND, checked.

use core::fmt;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::header::Header as _;
use dicom_core::value::{DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use crate::item::Item;
use crate::moment::{DateRange, Period, TimeRange};
use crate::table::{Element, Level, Matching, ROWS, Row};
use crate::test::{Test, trim};

/// Why an identifier cannot be answered: status A900.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", keyword(*tag))]
pub struct InvalidIdentifier {
    /// The attribute that is wrong: Offending Element.
    pub tag: Tag,
    /// What is wrong with it, without its value: Error Comment.
    pub what: &'static str,
}

/// How a query is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueryOptions {
    /// Names match without accents.
    pub fuzzy_names: bool,
    /// Keys of the procedure step that stand beside the sequence count as in it; else they are
    /// ignored.
    pub step_keys_at_root: bool,
}

/// One key that restricts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) row: &'static Row,
    pub(crate) test: Test,
    /// As it was asked, for explanations.
    pub(crate) text: String,
}

/// What is to be returned, in the order of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Return {
    /// An attribute that is known.
    Row(&'static Row),
    /// One that is not: empty.
    Empty(Tag, VR),
    /// The item of the Scheduled Procedure Step Sequence.
    Step(Vec<Return>),
    /// The item of the Scheduled Protocol Code Sequence.
    Protocol(Vec<Return>),
}

/// A worklist query: what restricts, and what is to be returned.
///
/// ```
/// use dicom_core::{DataElement, VR};
/// use dicom_dictionary_std::tags;
/// use dicom_object::InMemDicomObject;
/// use medsynapse_worklist::{Element, Item, Query, QueryOptions};
///
/// let identifier = InMemDicomObject::from_element_iter([
///     DataElement::new(tags::PATIENT_NAME, VR::PN, "smith*"),
/// ]);
/// let query = Query::read(&identifier, QueryOptions::default())?;
/// let mut item = Item::default();
/// item.set(Element::PatientName, "SMITH^JOHN");
/// assert!(query.matches(&item));
/// # Ok::<(), medsynapse_worklist::InvalidIdentifier>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    pub(crate) keys: Vec<Key>,
    pub(crate) returns: Vec<Return>,
    /// A key with a value that is not matched: FF01.
    pub(crate) unsupported: bool,
    period: Option<Period>,
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("keys", &self.keywords())
            .field("unsupported", &self.unsupported)
            .finish_non_exhaustive()
    }
}

impl Query {
    /// Reads an identifier.
    ///
    /// # Errors
    ///
    /// A key that is not of its form, or more than one item in a sequence.
    pub fn read(
        identifier: &InMemDicomObject,
        options: QueryOptions,
    ) -> Result<Self, InvalidIdentifier> {
        let mut reader = Reader {
            options,
            keys: Vec::new(),
            unsupported: false,
        };
        let returns = reader.level(identifier, Level::Root)?;
        let period = reader.period();
        Ok(Self {
            keys: reader.keys,
            returns,
            unsupported: reader.unsupported,
            period,
        })
    }

    /// The query that asks for these attributes and restricts by nothing else; an empty value
    /// restricts by nothing.
    ///
    /// ```
    /// use medsynapse_worklist::{Element, Query, QueryOptions};
    ///
    /// let keys = [(Element::ScheduledStationAETitle, "CT1"), (Element::Modality, "")];
    /// let query = Query::of(&keys, QueryOptions::default())?;
    /// assert_eq!(query.keywords(), ["ScheduledStationAETitle"]);
    /// # Ok::<(), medsynapse_worklist::InvalidIdentifier>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A value that is not of its form.
    pub fn of(keys: &[(Element, &str)], options: QueryOptions) -> Result<Self, InvalidIdentifier> {
        let at = |level: Level| {
            let keys = keys
                .iter()
                .filter(move |(element, _)| element.row().level == level);
            InMemDicomObject::from_element_iter(keys.map(|(element, value)| {
                let row = element.row();
                DataElement::new(row.tag, row.vr, PrimitiveValue::from(*value))
            }))
        };
        let mut step = at(Level::Step);
        let protocol = at(Level::Protocol);
        let nested = |tag, item| {
            DataElement::new(
                tag,
                VR::SQ,
                Value::Sequence(DataSetSequence::from(vec![item])),
            )
        };
        if protocol.iter().next().is_some() {
            step.put(nested(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, protocol));
        }
        let mut identifier = at(Level::Root);
        if step.iter().next().is_some() {
            identifier.put(nested(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, step));
        }
        Self::read(&identifier, options)
    }

    /// Whether an item is what is looked for. Steps that are completed or given up never are,
    /// unless the key of the status names that.
    pub fn matches(&self, item: &Item) -> bool {
        self.keys.iter().all(|key| self.fits(key, item)) && self.shows(item)
    }

    /// Whether one key fits.
    pub(crate) fn fits(&self, key: &Key, item: &Item) -> bool {
        let start = matches!(
            key.row.element,
            Element::ScheduledProcedureStepStartDate | Element::ScheduledProcedureStepStartTime
        );
        match self.period {
            Some(period) if start => period.contains(
                item.get(Element::ScheduledProcedureStepStartDate),
                item.get(Element::ScheduledProcedureStepStartTime),
            ),
            _ => key.test.matches(item.get(key.row.element)),
        }
    }

    /// Whether the state of an item is one that is shown.
    pub(crate) fn shows(&self, item: &Item) -> bool {
        let state = item.get(Element::ScheduledProcedureStepStatus);
        !matches!(state, "COMPLETED" | "DISCONTINUED")
            || self
                .key(Element::ScheduledProcedureStepStatus)
                .is_some_and(|key| key.test.matches(state))
    }

    /// Whether date and time are matched as one period.
    pub(crate) const fn is_period(&self) -> bool {
        self.period.is_some()
    }

    pub(crate) fn key(&self, element: Element) -> Option<&Key> {
        self.keys.iter().find(|key| key.row.element == element)
    }

    /// The keywords of the keys that restrict; they name no patient.
    pub fn keywords(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.row.keyword).collect()
    }

    /// Whether a key with a value is not matched: pending is FF01 then.
    pub const fn has_unsupported_keys(&self) -> bool {
        self.unsupported
    }

    /// The plain values that a key asks for, without wildcards.
    pub fn exact(&self, element: Element) -> Option<Vec<&str>> {
        self.key(element)?.test.exact()
    }

    /// The first and the last day asked for, `YYYYMMDD` as numbers.
    pub fn days(&self) -> (Option<u32>, Option<u32>) {
        match self.key(Element::ScheduledProcedureStepStartDate) {
            Some(Key {
                test: Test::Date(range),
                ..
            }) => (range.from, range.to),
            _ => (None, None),
        }
    }

    /// Makes every attribute of the mapping be returned.
    #[must_use]
    pub fn returning_everything(mut self) -> Self {
        self.returns = ROWS
            .iter()
            .filter(|row| row.level == Level::Root)
            .map(Return::Row)
            .chain([Return::Step(full_step())])
            .collect();
        self.returns.sort_by_key(Return::tag);
        self
    }
}

impl Return {
    pub(crate) const fn tag(&self) -> Tag {
        match self {
            Self::Row(row) => row.tag,
            Self::Empty(tag, _) => *tag,
            Self::Step(_) => tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE,
            Self::Protocol(_) => tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE,
        }
    }
}

/// Everything of a procedure step.
pub(crate) fn full_step() -> Vec<Return> {
    let mut returns: Vec<Return> = rows_of(Level::Step).collect();
    returns.push(Return::Protocol(full_protocol()));
    returns.sort_by_key(Return::tag);
    returns
}

fn full_protocol() -> Vec<Return> {
    rows_of(Level::Protocol).collect()
}

fn rows_of(level: Level) -> impl Iterator<Item = Return> {
    ROWS.iter()
        .filter(move |row| row.level == level)
        .map(Return::Row)
}

struct Reader {
    options: QueryOptions,
    keys: Vec<Key>,
    unsupported: bool,
}

impl Reader {
    fn level(
        &mut self,
        object: &InMemDicomObject,
        level: Level,
    ) -> Result<Vec<Return>, InvalidIdentifier> {
        let mut returns = Vec::new();
        for element in object {
            let tag = element.tag();
            let ignored = tag.group() % 2 == 1
                || tag.group() == 0
                || tag.element() == 0
                || matches!(
                    tag,
                    tags::SPECIFIC_CHARACTER_SET | tags::QUERY_RETRIEVE_LEVEL
                );
            if ignored {
                continue;
            }
            match (level, tag) {
                (Level::Root, tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE) => {
                    let inner = self.sequence(element, Level::Step)?;
                    returns.push(Return::Step(inner.unwrap_or_else(full_step)));
                }
                (Level::Step, tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE) => {
                    let inner = self.sequence(element, Level::Protocol)?;
                    returns.push(Return::Protocol(inner.unwrap_or_else(full_protocol)));
                }
                _ => returns.push(self.element(element, level)?),
            }
        }
        Ok(returns)
    }

    /// The keys in the item of a sequence; `None` where it has no item, or an empty one.
    fn sequence(
        &mut self,
        element: &InMemElement,
        level: Level,
    ) -> Result<Option<Vec<Return>>, InvalidIdentifier> {
        let tag = element.tag();
        let Some(items) = element.items() else {
            if text_of(element).is_empty() {
                return Ok(None);
            }
            return Err(InvalidIdentifier {
                tag,
                what: "is a sequence",
            });
        };
        match items {
            [] => Ok(None),
            [item] => {
                let returns = self.level(item, level)?;
                Ok((!returns.is_empty()).then_some(returns))
            }
            _ => Err(InvalidIdentifier {
                tag,
                what: "one item is allowed, not several",
            }),
        }
    }

    fn element(
        &mut self,
        element: &InMemElement,
        level: Level,
    ) -> Result<Return, InvalidIdentifier> {
        let tag = element.tag();
        let Some(row) = Element::of(tag, level) else {
            let step = (level == Level::Root && self.options.step_keys_at_root)
                .then(|| Element::of(tag, Level::Step))
                .flatten();
            match step {
                Some(row) => self.key(row, element)?,
                None => self.unsupported |= has_value(element),
            }
            return Ok(Return::Empty(tag, vr_of(element)));
        };
        self.key(row, element)?;
        Ok(Return::Row(row))
    }

    fn key(&mut self, row: &'static Row, element: &InMemElement) -> Result<(), InvalidIdentifier> {
        if row.matching == Matching::Never {
            self.unsupported |= has_value(element);
            return Ok(());
        }
        let tag = row.tag;
        if element.items().is_some() {
            return Err(InvalidIdentifier {
                tag,
                what: "is not a sequence",
            });
        }
        let asked = text_of(element);
        if asked.chars().any(char::is_control) {
            return Err(InvalidIdentifier {
                tag,
                what: "holds a control character",
            });
        }
        let test =
            Test::read(row.matching, &asked, self.options.fuzzy_names).map_err(|invalid| {
                InvalidIdentifier {
                    tag,
                    what: invalid.0,
                }
            })?;
        if let Some(test) = test {
            self.keys.push(Key {
                row,
                test,
                text: asked,
            });
        }
        Ok(())
    }

    /// A date range and a time range make one period.
    fn period(&self) -> Option<Period> {
        let mut dates: Option<DateRange> = None;
        let mut times: Option<TimeRange> = None;
        for key in &self.keys {
            match (key.row.element, &key.test) {
                (Element::ScheduledProcedureStepStartDate, Test::Date(range)) => {
                    dates = Some(*range);
                }
                (Element::ScheduledProcedureStepStartTime, Test::Time(range)) => {
                    times = Some(*range);
                }
                _ => {}
            }
        }
        match (dates, times) {
            (Some(dates), Some(times)) if dates.range && times.range => {
                Some(Period::new(dates, times))
            }
            _ => None,
        }
    }
}

/// The text of an element, several values joined by a backslash, without padding.
fn text_of(element: &InMemElement) -> String {
    let text = element
        .value()
        .primitive()
        .map(|value| value.to_raw_str().into_owned())
        .unwrap_or_default();
    trim(&text).to_owned()
}

/// Whether an element says anything, itself or in its items.
fn has_value(element: &InMemElement) -> bool {
    if let Some(items) = element.items() {
        return items.iter().flat_map(InMemDicomObject::iter).any(has_value);
    }
    let text = text_of(element);
    !text.is_empty() && text != "*"
}

/// The VR that an element came with, or that the dictionary has.
fn vr_of(element: &InMemElement) -> VR {
    if element.vr() != VR::UN {
        return element.vr();
    }
    StandardDataDictionary
        .by_tag(element.tag())
        .map_or(VR::UN, |entry| entry.vr().relaxed())
}

/// What people call an attribute.
pub(crate) fn keyword(tag: Tag) -> String {
    StandardDataDictionary
        .by_tag(tag)
        .map_or_else(|| tag.to_string(), |entry| entry.alias().to_owned())
}
