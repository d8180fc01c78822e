//! [`Writer`]: the segments of a raw form as bytes.

use std::borrow::Cow;

use hl7_message::{Charset, Separators};

use super::node::{Node, SegmentNode};
use crate::error::InLeaf;

/// Writes segments, and refuses what would be read otherwise.
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    pub(super) charset: Charset,
    pub(super) separators: Separators,
    /// Whether LF ends segments.
    pub(super) newline_cuts: bool,
}

/// Why a segment is refused.
#[derive(Clone, Copy)]
pub(super) enum Refusal {
    Name,
    Leaf(Place, InLeaf),
}

/// Where in a segment: the field, and repetition, component and subcomponent, from 1; 0 is not
/// so deep.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) field: usize,
    pub(super) parts: [usize; 3],
}

impl Writer {
    pub(super) fn segment(&mut self, segment: &SegmentNode<'_>) -> Result<(), Refusal> {
        let id = self.bytes(&segment.id).map_err(|_| Refusal::Name)?;
        // `|1` is a segment without a name: odd, but it is read.
        if (id.is_empty() && segment.fields.is_empty())
            || id.iter().any(|byte| self.ends_field(*byte))
        {
            return Err(Refusal::Name);
        }
        self.out.extend_from_slice(&id);
        let mut fields = segment.fields.as_slice();
        let mut number = 1;
        if let (b"MSH" | b"FHS" | b"BHS", [own, rest @ ..]) = (id.as_ref(), fields) {
            self.delimiters(own, rest.first())?;
            fields = rest.get(1..).unwrap_or_default();
            number = 3;
        }
        for field in fields {
            self.out.push(self.separators.field());
            self.part(
                field,
                0,
                Place {
                    field: number,
                    parts: [0; 3],
                },
            )?;
            number += 1;
        }
        Ok(())
    }

    /// The first two fields of a header: the field separator, and a text that it alone cuts.
    fn delimiters(&mut self, first: &Node<'_>, second: Option<&Node<'_>>) -> Result<(), Refusal> {
        let refuse = |field, problem| {
            Refusal::Leaf(
                Place {
                    field,
                    parts: [0; 3],
                },
                problem,
            )
        };
        let own = [self.separators.field()];
        match first {
            Node::Text(text) if text.as_bytes() == own => self.out.extend_from_slice(&own),
            _ => return Err(refuse(1, InLeaf::Delimiters)),
        }
        match second {
            None | Some(Node::List(_)) => Err(refuse(2, InLeaf::Delimiters)),
            Some(leaf) => self
                .leaf(leaf, Self::ends_field)
                .map_err(|problem| refuse(2, problem)),
        }
    }

    /// Writes a field (`depth` 0), repetition, component or subcomponent (`depth` 3).
    fn part(&mut self, node: &Node<'_>, depth: usize, place: Place) -> Result<(), Refusal> {
        let refuse = |problem| Refusal::Leaf(place, problem);
        let Node::List(parts) = node else {
            return self.leaf(node, Self::ends_leaf).map_err(refuse);
        };
        let separator = match depth {
            0 => Some(self.separators.repetition()),
            1 => Some(self.separators.component()),
            2 => self.separators.subcomponent(),
            _ => return Err(refuse(InLeaf::Depth)),
        };
        if parts.is_empty() {
            return Err(refuse(InLeaf::EmptyList));
        }
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                self.out
                    .push(separator.ok_or_else(|| refuse(InLeaf::Depth))?);
            }
            let mut inside = place;
            if let Some(number) = inside.parts.get_mut(depth) {
                *number = n + 1;
            }
            self.part(part, depth + 1, inside)?;
        }
        Ok(())
    }

    fn leaf(&mut self, node: &Node<'_>, ends: fn(&Self, u8) -> bool) -> Result<(), InLeaf> {
        let bytes = self.bytes(node)?;
        if bytes.iter().any(|byte| ends(self, *byte)) {
            return Err(InLeaf::Delimiter);
        }
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    fn bytes<'n>(&self, node: &'n Node<'_>) -> Result<Cow<'n, [u8]>, InLeaf> {
        match node {
            Node::Text(text) => self.charset.encode(text).map_err(|_| InLeaf::Character),
            Node::Bytes(bytes) => Ok(Cow::Borrowed(bytes.as_slice())),
            Node::List(_) => Err(InLeaf::Depth),
        }
    }

    /// Whether `byte` ends a leaf.
    fn ends_leaf(&self, byte: u8) -> bool {
        self.ends_field(byte)
            || byte == self.separators.repetition()
            || byte == self.separators.component()
            || Some(byte) == self.separators.subcomponent()
    }

    /// Whether `byte` ends a field.
    fn ends_field(&self, byte: u8) -> bool {
        byte == self.separators.field() || byte == b'\r' || (byte == b'\n' && self.newline_cuts)
    }
}
