//! Segments against the structure of their message.

use std::collections::HashMap;
use std::ops::Range;

use super::super::structures::{Element, ElementKind, Structure};
use super::{DiagnosticKind, Findings};
use crate::{Location, SegmentId};

/// A place for a segment in a structure.
struct Leaf {
    ids: &'static [SegmentId],
    /// The innermost group that holds it.
    group: usize,
    optional: bool,
    repeats: bool,
    /// Where its absence was reported.
    missed: Option<usize>,
}

/// A group, or the whole structure, as the leaves that it holds.
struct Group {
    parent: Option<usize>,
    leaves: Range<usize>,
    optional: bool,
    repeats: bool,
}

/// Walks along a structure, segment by segment.
///
/// Each segment goes to the nearest place behind the one before it where it may stand: the same
/// place again, further on in the same group, in the group's next repetition, then the same in the
/// groups around it. A place that is reached without stepping over a required segment is
/// preferred. A structure has some 30 places, so a step takes constant time.
pub(super) struct Order {
    leaves: Vec<Leaf>,
    groups: Vec<Group>,
    current: Option<usize>,
}

impl Order {
    pub(super) fn new(structure: &'static Structure) -> Self {
        let mut order = Self {
            leaves: Vec::new(),
            groups: Vec::new(),
            current: None,
        };
        order.flatten(structure.elements(), None, false, false);
        order
    }

    fn flatten(
        &mut self,
        elements: &'static [Element],
        parent: Option<usize>,
        optional: bool,
        repeats: bool,
    ) {
        let group = self.groups.len();
        let start = self.leaves.len();
        self.groups.push(Group {
            parent,
            leaves: start..start,
            optional,
            repeats,
        });
        for element in elements {
            let ids = match &element.kind {
                ElementKind::Segment(id) => core::slice::from_ref(id),
                ElementKind::Choice(ids) => ids,
                ElementKind::Group(inner) => {
                    self.flatten(inner, Some(group), element.optional, element.repeats);
                    continue;
                }
            };
            self.leaves.push(Leaf {
                ids,
                group,
                optional: element.optional,
                repeats: element.repeats,
                missed: None,
            });
        }
        let end = self.leaves.len();
        if let Some(group) = self.groups.get_mut(group) {
            group.leaves.end = end;
        }
    }

    /// Takes the next segment of the message.
    pub(super) fn step(
        &mut self,
        id: SegmentId,
        location: Location,
        offset: usize,
        seen: &HashMap<SegmentId, u16>,
        findings: &mut Findings,
    ) {
        // ADD and DSC carry on segments and messages of any structure.
        let carries_on = matches!(id.as_bytes(), b"ADD" | b"DSC");
        if !self.leaves.iter().any(|leaf| leaf.ids.contains(&id)) {
            if !carries_on {
                findings.add(DiagnosticKind::UnexpectedSegment, location, offset);
            }
            return;
        }
        let Some(target) = self.find(id, true).or_else(|| self.find(id, false)) else {
            self.withdraw(id, findings);
            findings.add(DiagnosticKind::MisplacedSegment, location, offset);
            return;
        };
        let missed: Vec<_> = self.stepped_over(target).collect();
        for leaf in missed {
            let place = findings.found.len();
            self.report(leaf, offset, seen, findings);
            if let Some(leaf) = self.leaves.get_mut(leaf)
                && findings.found.len() > place
            {
                leaf.missed = Some(place);
            }
        }
        self.current = Some(target);
    }

    /// Reports what is still required when the message has ended.
    pub(super) fn end(
        &self,
        offset: usize,
        seen: &HashMap<SegmentId, u16>,
        findings: &mut Findings,
    ) {
        // Every structure begins with MSH, and every message has one.
        let current = self.current.unwrap_or_default();
        for leaf in current + 1..self.leaves.len() {
            if self.is_missing(leaf, [current, current]) {
                self.report(leaf, offset, seen, findings);
            }
        }
    }

    fn report(
        &self,
        leaf: usize,
        offset: usize,
        seen: &HashMap<SegmentId, u16>,
        findings: &mut Findings,
    ) {
        let Some(&id) = self.leaves.get(leaf).and_then(|leaf| leaf.ids.first()) else {
            return;
        };
        let before = seen.get(&id).copied().unwrap_or_default();
        let location = Location::of(id).occurrence(before.saturating_add(1));
        findings.add(DiagnosticKind::MissingSegment, location, offset);
    }

    /// A segment that was missed stands elsewhere: it is misplaced, not missing.
    fn withdraw(&mut self, id: SegmentId, findings: &mut Findings) {
        for leaf in &mut self.leaves {
            if leaf.ids.contains(&id)
                && let Some(place) = leaf.missed.take()
                && let Some(finding) = findings.found.get_mut(place)
            {
                *finding = None;
            }
        }
    }

    /// The nearest place for a segment; with `clean`, one that no required segment stands before.
    fn find(&self, id: SegmentId, clean: bool) -> Option<usize> {
        let fits = |at: &usize| {
            let leaf = self.leaves.get(*at);
            leaf.is_some_and(|leaf| leaf.ids.contains(&id))
                && (!clean || self.stepped_over(*at).next().is_none())
        };
        let Some(current) = self.current else {
            return (0..self.leaves.len()).find(fits);
        };
        let leaf = self.leaves.get(current)?;
        if leaf.repeats && leaf.ids.contains(&id) {
            return Some(current);
        }
        let mut from = current + 1;
        let mut group = self.groups.get(leaf.group);
        while let Some(inside) = group {
            if let Some(found) = (from..inside.leaves.end).find(fits) {
                return Some(found);
            }
            // Only a segment that can begin a group begins its next repetition.
            let start = inside.leaves.start;
            let begins = |&at: &usize| !(start..at).any(|leaf| self.is_missing(leaf, [at, at]));
            if inside.repeats
                && let Some(found) = (start..=current).filter(begins).find(fits)
            {
                return Some(found);
            }
            from = inside.leaves.end;
            group = inside.parent.and_then(|parent| self.groups.get(parent));
        }
        None
    }

    /// The required places between the current one and `target`.
    fn stepped_over(&self, target: usize) -> impl Iterator<Item = usize> {
        // What is left of the repetition that ends, and what precedes the target in the next one.
        let (rest, current, start) = match self.current {
            None => (0..0, target, 0..target),
            Some(current) if target > current => (current + 1..target, current, 0..0),
            Some(current) if target == current && self.repeats(current) => (0..0, current, 0..0),
            Some(current) => match self.repeated(current, target) {
                Some(group) => (current + 1..group.end, current, group.start..target),
                None => (0..0, current, 0..0),
            },
        };
        let ahead = if target > current { target } else { current };
        rest.filter(move |&leaf| self.is_missing(leaf, [current, ahead]))
            .chain(start.filter(move |&leaf| self.is_missing(leaf, [target, target])))
    }

    /// Whether a place that has no segment should have one, when these places have theirs: it is
    /// required, and so is each group around it that none of them has entered.
    fn is_missing(&self, leaf: usize, entered: [usize; 2]) -> bool {
        let Some(leaf) = self.leaves.get(leaf) else {
            return false;
        };
        let mut group = self.groups.get(leaf.group);
        while let Some(around) = group {
            if entered.iter().any(|place| around.leaves.contains(place)) {
                break;
            }
            if around.optional {
                return false;
            }
            group = around.parent.and_then(|parent| self.groups.get(parent));
        }
        !leaf.optional
    }

    fn repeats(&self, leaf: usize) -> bool {
        self.leaves.get(leaf).is_some_and(|leaf| leaf.repeats)
    }

    fn repeated(&self, current: usize, target: usize) -> Option<Range<usize>> {
        let mut group = self.groups.get(self.leaves.get(current)?.group);
        while let Some(inside) = group {
            if inside.repeats && inside.leaves.contains(&target) {
                return Some(inside.leaves.clone());
            }
            group = inside.parent.and_then(|parent| self.groups.get(parent));
        }
        None
    }
}
