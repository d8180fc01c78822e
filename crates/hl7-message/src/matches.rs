//! Every place of a message that a location can mean.

use crate::field::Subcomponent;
use crate::location::Location;
use crate::message::Message;

impl<'a> Message<'a> {
    /// The leaves at a place in every segment of the name and every repetition of the field, each
    /// with its own location, in order. Occurrence and repetition of `location` say nothing here.
    ///
    /// Segments and repetitions that do not reach as far are passed over; an empty leaf is given.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77^^^HIS~88^^^RIS\rNTE|1\rNTE|2||x\r")?;
    /// let found: Vec<_> = message
    ///     .matches(loc!("PID-3.4"))
    ///     .map(|(location, leaf)| (location.to_string(), leaf.as_bytes()))
    ///     .collect();
    /// assert_eq!(found, [("PID-3.4".into(), &b"HIS"[..]), ("PID-3[2].4".into(), b"RIS")]);
    ///
    /// let (location, _) = message.matches(loc!("NTE-3")).next().unwrap();
    /// assert_eq!(location, loc!("NTE[2]-3"));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn matches(
        &self,
        location: Location,
    ) -> impl Iterator<Item = (Location, Subcomponent<'a>)> + '_ {
        let number = location.field_number().unwrap_or_default();
        let component = location.component_number().unwrap_or(1);
        let subcomponent = location.subcomponent_number().unwrap_or(1);
        // A location counts as far as 65,535.
        let segments = (1..=u16::MAX).zip(self.segments_of(location.segment_id()));
        segments.flat_map(move |(occurrence, segment)| {
            let repetitions = segment.field(number).into_iter();
            (1..=u16::MAX)
                .zip(repetitions.flat_map(|field| field.repetitions()))
                .filter_map(move |(repetition, part)| {
                    let leaf = part.component(component)?.subcomponent(subcomponent)?;
                    Some((location.occurrence(occurrence).repetition(repetition), leaf))
                })
        })
    }

    /// The continuation pointer of the message that this one continues: MSH-14.
    ///
    /// Source: HL7 2.3 chapter 2, section 2.14.3. A message that is too long for one part ends in
    /// DSC; the next part names the same pointer in MSH-14, and the last one has no DSC. Each part
    /// has a control id of its own, and others may come between. A segment that is cut inside goes
    /// on in an ADD segment of the next part.
    ///
    /// ```
    /// use hl7_message::{Message, SegmentId};
    ///
    /// let first = Message::parse(b"MSH|^~\\&|RIS\rOBX|1\rDSC|77\r")?;
    /// let second = Message::parse(b"MSH|^~\\&|RIS|||||||||||77\rADD|the rest\r")?;
    /// assert!(first.continues().is_none());
    /// let pointer = first.continued_by().unwrap();
    /// assert_eq!(pointer.as_bytes(), second.continues().unwrap().as_bytes());
    /// assert!(second.continued_by().is_none());
    /// assert_eq!(second.segment(SegmentId::ADD).unwrap().field(1).unwrap().as_bytes(), b"the rest");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn continues(&self) -> Option<Subcomponent<'a>> {
        said(self.header().continuation_pointer().first())
    }

    /// The continuation pointer of the part that is still to come: DSC-1. A message with one is
    /// not finished.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let part = Message::parse(b"MSH|^~\\&|RIS\rOBX|1\rDSC|77\r")?;
    /// assert_eq!(part.continued_by().unwrap().as_bytes(), b"77");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn continued_by(&self) -> Option<Subcomponent<'a>> {
        let dsc = self.segments_of(crate::SegmentId::DSC).last()?;
        said(dsc.field(1)?.first())
    }
}

fn said(leaf: Subcomponent<'_>) -> Option<Subcomponent<'_>> {
    Some(leaf).filter(|leaf| !leaf.is_empty() && !leaf.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_match_is_what_its_location_gives(
            body in "(PID|OBX|[A-B|^~&]|\r){0,60}", field in 0..4_u16, component in 0..3_u16,
        ) {
            let bytes = format!("MSH|^~\\&|A~B^C\r{body}");
            let message = Message::parse(bytes.as_bytes()).unwrap();
            for id in [*b"PID", *b"OBX", *b"MSH"] {
                let at = Location::segment(id).at_field(field).component(component);
                let found: Vec<_> = message.matches(at).collect();
                for (location, leaf) in &found {
                    let same = message.leaf(*location).unwrap();
                    prop_assert_eq!(same.span(), leaf.span(), "{}", location);
                }
                // As many as there are places of this shape.
                let mut count = 0;
                for n in 1..=20 {
                    for r in 1..=20 {
                        count += usize::from(
                            message.leaf(at.occurrence(n).repetition(r)).is_some());
                    }
                }
                prop_assert!(found.len() >= count);
                prop_assert!(found.len() == count || found.len() > 20);
            }
        }
    }
}
