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
    /// It may continue, but has another version of this file. Returned for each such piece.
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
        let corrupt_in = |file: &u32| source.corrupt.iter().filter(|it| it.contains(file)).count();
        let other = files.into_iter().flatten().max_by_key(corrupt_in);
        let other = other.filter(|file| corrupt_in(file) >= STRIKES as usize);
        Some((*culprit, other.map_or(Blame::Warned, Blame::OtherVersion)))
    }

    /// Begins anew with a piece of which the source can provide only a part: it no longer provides
    /// the file that is to blame.
    pub fn begin_anew(&mut self, source: SourceId, piece: PieceIndex) {
        self.begun_anew.push((source, piece));
        if let Some(source) = self.sources.get_mut(source) {
            source.bad.remove(&piece);
        }
        self.whole.remove(&piece);
        self.cursors.remove(&piece);
        for source in self.sources.iter_mut() {
            source.waits_for.remove(&piece);
        }
    }

    /// How often any piece was begun anew.
    pub fn times_begun_anew(&self) -> usize {
        self.begun_anew.len()
    }

    /// The sources because of which the piece was begun anew, after the first `times`.
    pub fn begun_anew(&self, piece: PieceIndex, times: usize) -> impl Iterator<Item = SourceId> {
        let later = self.begun_anew.iter().skip(times);
        later.filter(move |(_, other)| *other == piece).map(|(source, _)| *source)
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
