//! A set of pieces as ranges: small while whole stretches are alike.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::geometry::PieceIndex;

/// Ranges that neither overlap nor touch, by their start.
#[derive(Clone, Debug, Default)]
pub struct Intervals {
    ranges: BTreeMap<PieceIndex, PieceIndex>,
}

impl Intervals {
    pub fn insert(&mut self, range: Range<PieceIndex>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        while let Some((&s, &e)) =
            self.ranges.range(..=end).next_back().filter(|(_, e)| **e >= start)
        {
            self.ranges.remove(&s);
            (start, end) = (start.min(s), end.max(e));
        }
        self.ranges.insert(start, end);
    }

    pub fn remove(&mut self, range: Range<PieceIndex>) {
        while let Some((&s, &e)) =
            self.ranges.range(..range.end).next_back().filter(|(_, e)| **e > range.start)
        {
            self.ranges.remove(&s);
            if s < range.start {
                self.ranges.insert(s, range.start);
            }
            if e > range.end {
                self.ranges.insert(range.end, e);
            }
        }
    }

    pub fn contains(&self, piece: PieceIndex) -> bool {
        self.ranges.range(..=piece).next_back().is_some_and(|(_, end)| *end > piece)
    }

    /// All ranges, from the front or (reversed) from the back.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<PieceIndex>> + '_ {
        self.ranges.iter().map(|(start, end)| *start..*end)
    }

    /// The parts of ranges at or behind a piece.
    pub fn from(&self, piece: PieceIndex) -> impl Iterator<Item = Range<PieceIndex>> + '_ {
        let within = self.ranges.range(..piece).next_back().filter(|(_, end)| **end > piece);
        within
            .map(|(_, end)| piece..*end)
            .into_iter()
            .chain(self.ranges.range(piece..).map(|(s, e)| *s..*e))
    }
}
