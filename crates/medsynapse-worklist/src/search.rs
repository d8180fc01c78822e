//! [`Search`]: the worklist by HTTP, PS3.18 chapter 14, as the identifier that it stands for.

use std::collections::BTreeMap;

use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;

use crate::charset::ResponseCharset;
use crate::dataset::dataset;
use crate::item::Item;
use crate::query::{InvalidIdentifier, Query, QueryOptions};
use crate::scu::sequence;
use crate::table::{Element, Level};

/// Most items on a page.
const LIMIT_MAX: usize = 1_000;

/// A parameter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {what}")]
pub struct InvalidSearch {
    /// Which parameter.
    pub name: String,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Parameters of a search.
///
/// A key is an attribute by keyword or tag, with dots into sequences
/// (`ScheduledProcedureStepSequence.Modality=CT`); an attribute that only a procedure step has may
/// stand alone (`Modality=CT`). Several keys of one name, or values apart by commas in a list of
/// UIDs, are any of them. `includefield` names what is returned, everything without it.
///
/// ```
/// use medsynapse_worklist::Search;
///
/// let search = Search::read([("Modality", "CT"), ("limit", "10")])?;
/// assert_eq!(search.query()?.keywords(), ["Modality"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// By path of tags.
    keys: BTreeMap<Vec<Tag>, String>,
    fields: Vec<Vec<Tag>>,
    everything: bool,
    fuzzy: bool,
    /// How many to pass over.
    pub offset: usize,
    /// How many to give.
    pub limit: usize,
}

impl Search {
    /// Reads parameters.
    ///
    /// # Errors
    ///
    /// A name that DICOM does not have, or a number that is none.
    pub fn read<'p>(
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Result<Self, InvalidSearch> {
        let mut search = Self {
            limit: LIMIT_MAX,
            ..Self::default()
        };
        for (name, value) in parameters {
            let wrong = |what| InvalidSearch {
                name: name.to_owned(),
                what,
            };
            let number = || value.parse::<usize>().map_err(|_| wrong("not a number"));
            match name {
                "offset" => search.offset = number()?,
                "limit" => search.limit = number()?.min(LIMIT_MAX),
                "fuzzymatching" => search.fuzzy = value.eq_ignore_ascii_case("true"),
                "includefield" => {
                    for field in value.split(',').filter(|field| !field.is_empty()) {
                        if field == "all" {
                            search.everything = true;
                        } else {
                            search
                                .fields
                                .push(path(field).ok_or_else(|| unknown(field))?);
                        }
                    }
                }
                "match" => {
                    let (name, value) = value
                        .split_once('=')
                        .ok_or_else(|| wrong("write match=ATTRIBUTE=VALUE"))?;
                    search.key(name, value)?;
                }
                name => search.key(name, value)?,
            }
        }
        search.everything |= search.fields.is_empty();
        Ok(search)
    }

    fn key(&mut self, name: &str, value: &str) -> Result<(), InvalidSearch> {
        let path = path(name).ok_or_else(|| unknown(name))?;
        let uid = path.last().is_some_and(|tag| vr(*tag) == VR::UI);
        let value = if uid {
            value.replace(',', "\\")
        } else {
            value.to_owned()
        };
        self.keys
            .entry(path)
            .and_modify(|before| {
                before.push('\\');
                before.push_str(&value);
            })
            .or_insert(value);
        Ok(())
    }

    /// The identifier of the C-FIND that asks the same.
    pub fn identifier(&self) -> InMemDicomObject {
        let mut keys = self.keys.clone();
        for field in &self.fields {
            keys.entry(field.clone()).or_default();
        }
        let keys: Vec<(&[Tag], &str)> = keys
            .iter()
            .map(|(path, value)| (path.as_slice(), value.as_str()))
            .collect();
        let mut object = object(&keys);
        if self.keys.values().any(|value| !value.is_ascii()) {
            object.put(DataElement::new(
                tags::SPECIFIC_CHARACTER_SET,
                VR::CS,
                PrimitiveValue::from("ISO_IR 192"),
            ));
        }
        object
    }

    /// The query.
    ///
    /// # Errors
    ///
    /// A key that is not of its form, as in a C-FIND.
    pub fn query(&self) -> Result<Query, InvalidIdentifier> {
        let options = QueryOptions {
            fuzzy_names: self.fuzzy,
            ..QueryOptions::default()
        };
        let query = Query::read(&self.identifier(), options)?;
        Ok(if self.everything {
            query.returning_everything()
        } else {
            query
        })
    }
}

fn unknown(name: &str) -> InvalidSearch {
    InvalidSearch {
        name: name.chars().take(64).collect(),
        what: "DICOM has no such attribute",
    }
}

fn vr(tag: Tag) -> VR {
    let entry = StandardDataDictionary.by_tag(tag);
    entry.map_or(VR::UN, |entry| entry.vr().relaxed())
}

/// The tags on the way to an attribute.
fn path(name: &str) -> Option<Vec<Tag>> {
    let mut path: Vec<Tag> = name.split('.').map(tag).collect::<Option<_>>()?;
    let [alone] = path.as_slice() else {
        let (last, outer) = path.split_last()?;
        let nested = outer.iter().all(|tag| vr(*tag) == VR::SQ) && vr(*last) != VR::UN;
        return (nested && path.len() <= 3).then_some(path);
    };
    let alone = *alone;
    if Element::of(alone, Level::Root).is_none() && Element::of(alone, Level::Step).is_some() {
        path.insert(0, tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE);
    }
    Some(path)
}

/// A tag by its keyword, or as eight digits.
fn tag(name: &str) -> Option<Tag> {
    if name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        let number = u32::from_str_radix(name, 16).ok()?;
        let tag = Tag::from((
            u16::try_from(number >> 16).ok()?,
            u16::try_from(number & 0xFFFF).ok()?,
        ));
        return StandardDataDictionary.by_tag(tag).map(|_| tag);
    }
    StandardDataDictionary
        .by_name(name)
        .map(dicom_core::dictionary::DataDictionaryEntry::tag)
}

/// An object of keys; those that go on are in sequences.
fn object(keys: &[(&[Tag], &str)]) -> InMemDicomObject {
    let mut inner: BTreeMap<Tag, Vec<(&[Tag], &str)>> = BTreeMap::new();
    let mut elements = Vec::new();
    for (path, value) in keys {
        match path {
            [] => {}
            [tag] if vr(*tag) == VR::SQ => drop(inner.entry(*tag).or_default()),
            [tag] if value.is_empty() => elements.push(DataElement::empty(*tag, vr(*tag))),
            [tag] => {
                let values = value.split('\\').map(str::to_owned).collect();
                elements.push(DataElement::new(
                    *tag,
                    vr(*tag),
                    PrimitiveValue::Strs(values),
                ));
            }
            [tag, rest @ ..] => inner.entry(*tag).or_default().push((rest, value)),
        }
    }
    for (tag, keys) in inner {
        let items = if keys.is_empty() {
            Vec::new()
        } else {
            vec![object(&keys).into_iter().collect()]
        };
        elements.push(sequence(tag, items));
    }
    InMemDicomObject::from_element_iter(elements)
}

/// An item as DICOM JSON, PS3.18 annex F: what the query asks for.
pub fn dicom_json(item: &Item, query: &Query) -> serde_json::Value {
    let object = dataset(item, query, ResponseCharset::Auto);
    dicom_json::to_value(object).unwrap_or_default()
}

/// An item for programs that do not speak DICOM: its attributes by keyword, in camel case, those
/// that say something.
pub fn plain_json(item: &Item) -> serde_json::Value {
    let members = item.rows().filter(|(_, value)| !value.is_empty());
    let members = members.map(|(row, value)| (camel(row.keyword), value.into()));
    serde_json::Value::Object(members.collect())
}

/// A keyword as JSON names are written here: `AccessionNumber` becomes `accessionNumber`.
pub fn camel(keyword: &str) -> String {
    let mut characters = keyword.chars();
    let first = characters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}
