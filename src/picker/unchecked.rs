//! The pieces that an earlier process left, until they are hashed.

use super::{PieceSet, Schedule, bytes_of};
use crate::torrent::geometry::PieceIndex;

impl Schedule {
    /// With these needed pieces, none of them wanted, that an earlier process left.
    pub fn with_unchecked(mut self, pieces: PieceSet) -> Schedule {
        self.unchecked_bytes = bytes_of(self.geometry, &pieces);
        self.unchecked = pieces;
        self
    }

    /// Bytes of pieces that are to be hashed.
    pub fn unchecked_bytes(&self) -> u64 {
        self.unchecked_bytes
    }

    /// An unchecked piece is right.
    pub fn checked(&mut self, piece: PieceIndex) {
        if self.unchecked.remove(piece) {
            self.unchecked_bytes -= u64::from(self.geometry.len(piece));
        }
    }

    /// An unchecked piece is wrong, and is to be fetched.
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
