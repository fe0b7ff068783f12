//! Decides which source is to blame for a corrupt piece, and when a source is banned.

use std::ops::Range;

use super::{Schedule, SourceId};
use crate::torrent::geometry::PieceIndex;

/// How many corrupt pieces a source may provide alone before it is banned.
pub const STRIKES: u32 = 3;

/// The consequence for a source that alone provided a corrupt piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It may continue.
    Warned,
    /// It may continue, but has another version of this file.
    OtherVersion(u32),
    /// It is not asked again.
    Banned,
}

impl Schedule {
    /// Handles a piece with the wrong SHA-1. If a single source contributed, it is to blame.
    /// `files` are those in the piece, if the torrent has several: a server or directory may have
    /// another version of a file, and all pieces that one file explains count once.
    pub fn failed(
        &mut self,
        piece: PieceIndex,
        contributors: &[SourceId],
        files: Option<Range<u32>>,
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
        let is_new = source.bad.insert(piece);
        let files = files.filter(|_| is_new && !source.peer);
        let explained = files_to_blame(&mut source.corrupt);
        source.corrupt.extend(files.clone());
        source.strikes += match files {
            Some(_) => files_to_blame(&mut source.corrupt) - explained,
            None => 1,
        };
        if source.strikes >= STRIKES {
            return Some((*culprit, Blame::Banned));
        }
        let mut files = files.into_iter().flatten();
        let is_other_version = |file: &u32| {
            let pieces = source.corrupt.iter().filter(|files| files.contains(file)).count();
            pieces == STRIKES as usize
        };
        let other = files.find(is_other_version);
        Some((*culprit, other.map_or(Blame::Warned, Blame::OtherVersion)))
    }

    /// Begins anew with a piece of which the source can provide only a part: it no longer provides
    /// the file that is to blame.
    pub fn pardon(&mut self, source: SourceId, piece: PieceIndex) {
        if let Some(source) = self.sources.get_mut(source) {
            source.bad.remove(&piece);
        }
        self.whole.remove(&piece);
        self.cursors.remove(&piece);
        for source in self.sources.iter_mut() {
            source.waits_for.remove(&piece);
        }
    }

    /// Clears a source's strikes: its bytes were correct, but meant for another request.
    pub fn forgive_strikes(&mut self, source: SourceId) {
        if let Some(source) = self.sources.get_mut(source) {
            source.strikes = 0;
            source.bad.clear();
            source.corrupt.clear();
        }
    }

    /// Whether a failed piece must be fetched whole from one source.
    pub fn is_whole(&self, piece: PieceIndex) -> bool {
        self.whole.contains(&piece)
    }
}

/// Returns the smallest number of files that explains all corrupt pieces. Sorts the pieces, given by
/// their files.
fn files_to_blame(pieces: &mut [Range<u32>]) -> u32 {
    pieces.sort_unstable_by_key(|files| files.end);
    let (mut count, mut last) = (0, None);
    for files in pieces {
        if last.is_none_or(|last| !files.contains(&last)) {
            count += 1;
            last = files.end.checked_sub(1);
        }
    }
    count
}
