//! [`Leaf`]: one subcomponent, and where it stands.

use super::Place;
use crate::field::Subcomponent;
use crate::location::Location;
use crate::message::Message;
use crate::segment::Segment;

/// One leaf and its place, numbers from 1.
///
/// ```
/// use hl7_message::{Index, Message};
///
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
/// let message = Message::parse(bytes)?;
/// let mut index = Index::new();
/// let leaf = index.of(&message).leaves().find(|leaf| leaf.view.as_bytes() == b"JANE").unwrap();
/// assert_eq!(leaf.view.span().len(), 4);
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'i, 'a> {
    pub(super) message: &'i Message<'a>,
    pub(super) place: Place,
    /// The leaf.
    pub view: Subcomponent<'a>,
}

impl<'a> Leaf<'_, 'a> {
    /// The segment that it stands in.
    ///
    /// ```
    /// use hl7_message::{Index, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let mut index = Index::new();
    /// let leaf = index.of(&message).leaves().find(|leaf| leaf.view.as_bytes() == b"JANE").unwrap();
    /// assert_eq!(leaf.segment().unwrap().name(), b"PID");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn segment(&self) -> Option<Segment<'a>> {
        self.message.segments().nth(self.place.segment as usize - 1)
    }

    /// Which segment of the message that is, from 1.
    ///
    /// ```
    /// use hl7_message::{Index, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let mut index = Index::new();
    /// let leaf = index.of(&message).leaves().find(|leaf| leaf.view.as_bytes() == b"JANE").unwrap();
    /// assert_eq!(leaf.segment_number(), 2);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn segment_number(&self) -> u32 {
        self.place.segment
    }

    /// Field, repetition, component, subcomponent, each from 1.
    ///
    /// ```
    /// use hl7_message::{Index, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let mut index = Index::new();
    /// let leaf = index.of(&message).leaves().find(|leaf| leaf.view.as_bytes() == b"JANE").unwrap();
    /// assert_eq!(leaf.numbers(), [5, 1, 2, 1]);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn numbers(&self) -> [u32; 4] {
        self.place.numbers
    }

    /// Its full location; `None` in a segment whose name is no name, or beyond what a location
    /// can count. Counts the segments of that name: not for a loop over a long message.
    ///
    /// ```
    /// use hl7_message::{Index, Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS\rPID|1||77^^^HIS~88\r";
    /// let message = Message::parse(bytes)?;
    /// let mut index = Index::new();
    /// let last = index.of(&message).leaves().last().unwrap();
    /// assert_eq!(last.location(), Some(loc!("PID-3[2].1.1")));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn location(&self) -> Option<Location> {
        let id = self.segment()?.id()?;
        let before = self.message.segments().take(self.place.segment as usize);
        let occurrence = before.filter(|segment| segment.is(id)).count();
        let number = |n: u32| u16::try_from(n).ok();
        let [field, repetition, component, subcomponent] = self.place.numbers;
        Some(
            Location::of(id)
                .occurrence(u16::try_from(occurrence).ok()?)
                .at_field(number(field)?)
                .repetition(number(repetition)?)
                .component(number(component)?)
                .subcomponent(number(subcomponent)?),
        )
    }
}
