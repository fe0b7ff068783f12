//! Who is to blame for a corrupt piece, and when a source is banned.

use super::{Schedule, SourceId};
use crate::torrent::geometry::PieceIndex;

/// A source is banned after this many corrupt pieces of its own.
pub const STRIKES: u32 = 3;

/// What became of a source after a piece of its own was bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It may go on.
    Warned,
    /// It is not asked again.
    Banned,
}

impl Schedule {
    /// The piece had the wrong SHA-1. Where it came from one source alone, that one is to blame.
    pub fn failed(
        &mut self,
        piece: PieceIndex,
        contributors: &[SourceId],
    ) -> Option<(SourceId, Blame)> {
        self.drop_claims_of(piece);
        // One that it was shared with may hold it still.
        self.duplicates.insert(piece);
        self.give_back(piece..piece + 1);
        let [culprit] = contributors else {
            self.whole.insert(piece);
            return None;
        };
        let source = self.sources.get_mut(*culprit)?;
        source.strikes += 1;
        source.bad.insert(piece);
        Some((*culprit, if source.strikes >= STRIKES { Blame::Banned } else { Blame::Warned }))
    }

    /// What a source sent was right, and meant for another request: that is not held against it.
    pub fn forgive_strikes(&mut self, source: SourceId) {
        if let Some(source) = self.sources.get_mut(source) {
            source.strikes = 0;
            source.bad.clear();
        }
    }

    /// Whether a failed piece is to be fetched whole from one source.
    pub fn is_whole(&self, piece: PieceIndex) -> bool {
        self.whole.contains(&piece)
    }
}
