//! The pieces that an earlier process left, until they are hashed.

use super::{PieceSet, Schedule, bytes_of};
use crate::torrent::geometry::PieceIndex;

impl Schedule {
    /// Adds needed pieces that an earlier process left; none of them may be wanted.
    pub fn with_unchecked(mut self, pieces: PieceSet) -> Schedule {
        self.unchecked_bytes = bytes_of(self.geometry, &pieces);
        self.unchecked = pieces;
        self
    }

    /// Returns the total size of the pieces that must be hashed.
    pub fn unchecked_bytes(&self) -> u64 {
        self.unchecked_bytes
    }

    /// Marks an unchecked piece as correct.
    pub fn checked(&mut self, piece: PieceIndex) {
        if self.unchecked.remove(piece) {
            self.unchecked_bytes -= u64::from(self.geometry.len(piece));
        }
    }

    /// Marks an unchecked piece as wrong, so that it is fetched.
    pub fn damaged(&mut self, piece: PieceIndex) {
        if !self.unchecked.contains(piece) {
            return;
        }
        self.checked(piece);
        let bytes = u64::from(self.geometry.len(piece));
        self.wanted.insert(piece);
        self.unclaimed.insert(piece);
        self.wanted_bytes += bytes;
        self.total_bytes += bytes;
        for source in self.sources.iter_mut() {
            source.useful_from = source.useful_from.min(piece);
            source.unclaimed_before = source.unclaimed_before.max(piece + 1);
        }
    }
}
