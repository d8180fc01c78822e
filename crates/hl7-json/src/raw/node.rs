//! [`Node`]: a leaf or a list, as it is read from JSON.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::error::RawError;

/// A leaf, or a list of what the next level has.
pub(super) enum Node<'a> {
    Text(Cow<'a, str>),
    Bytes(Vec<u8>),
    List(Vec<Self>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Document<'a> {
    #[serde(borrow)]
    pub(super) format: Cow<'a, str>,
    pub(super) delimiters: String,
    pub(super) charset: String,
    pub(super) terminator: String,
    pub(super) final_terminator: bool,
    #[serde(default)]
    pub(super) prefix: String,
    #[serde(borrow)]
    pub(super) segments: Vec<SegmentNode<'a>>,
    #[serde(default)]
    pub(super) suffix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SegmentNode<'a> {
    #[serde(borrow)]
    pub(super) id: Node<'a>,
    #[serde(borrow)]
    pub(super) fields: Vec<Node<'a>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) end: Option<String>,
}

/// A member that is there says something: `null` is refused.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list, or {\"b64\": text}")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        const MEMBERS: &[&str] = &["b64"];
        let mut bytes = None;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name != "b64" {
                return Err(Error::unknown_field("", MEMBERS));
            }
            if bytes.is_some() {
                return Err(Error::duplicate_field("b64"));
            }
            let text: Cow<'de, str> = map.next_value()?;
            let decoded = STANDARD.decode(text.as_bytes());
            bytes = Some(decoded.map_err(|_| Error::custom(RawError::NOT_BASE64))?);
        }
        bytes
            .map(Node::Bytes)
            .ok_or_else(|| Error::missing_field("b64"))
    }
}
