//! Decides which source is to blame for a corrupt piece, and when a source is banned.

use super::{Schedule, SourceId};
use crate::torrent::geometry::PieceIndex;

/// How many corrupt pieces a source may provide alone before it is banned.
pub const STRIKES: u32 = 3;

/// The consequence for a source that alone provided a corrupt piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It may continue.
    Warned,
    /// It is not asked again.
    Banned,
}

impl Schedule {
    /// Handles a piece with the wrong SHA-1. If a single source contributed, it is to blame.
    pub fn failed(
        &mut self,
        piece: PieceIndex,
        contributors: &[SourceId],
    ) -> Option<(SourceId, Blame)> {
        self.drop_claims_of(piece);
        // A worker that shared the piece may still hold it; `give_back` then checks all workers.
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

    /// Clears a source's strikes: its bytes were correct, but meant for another request.
    pub fn forgive_strikes(&mut self, source: SourceId) {
        if let Some(source) = self.sources.get_mut(source) {
            source.strikes = 0;
            source.bad.clear();
        }
    }

    /// Whether a failed piece must be fetched whole from one source.
    pub fn is_whole(&self, piece: PieceIndex) -> bool {
        self.whole.contains(&piece)
    }
}
