//! A set of pieces, stored as one bit each (like the `bitfield` message of BEP 3). Pure, layer 0.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::torrent::geometry::PieceIndex;

/// A set of pieces with indexes below a fixed count. It allocates nothing until the first piece is
/// added.
#[derive(Clone, Debug)]
pub struct PieceSet {
    /// Empty until the first insertion, then complete.
    words: Vec<u64>,
    count: u32,
    len: u32,
}

impl PieceSet {
    pub fn none(count: u32) -> PieceSet {
        PieceSet { words: Vec::new(), count, len: 0 }
    }

    pub fn all(count: u32) -> PieceSet {
        let mut set = PieceSet::none(count);
        set.insert_range(0..count);
        set
    }

    /// Reads a bitfield as peers send it: the first piece is the highest bit of the first byte.
    /// Spare bits are ignored.
    pub fn from_bitfield(bitfield: &[u8], count: u32) -> PieceSet {
        let mut set = PieceSet { words: vec![0; count.div_ceil(64) as usize], count, len: 0 };
        for ((word, bytes), (_, mask)) in
            set.words.iter_mut().zip(bitfield.chunks(8)).zip(masks(0..count))
        {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_be_bytes(whole).reverse_bits() & mask;
            set.len += word.count_ones();
        }
        set
    }

    /// Returns the bitfield to send to peers: one byte for every eight pieces.
    pub fn to_bitfield(&self) -> Vec<u8> {
        let length = self.count.div_ceil(8) as usize;
        let mut bitfield = Vec::with_capacity(length + 8);
        for word in &self.words {
            bitfield.extend_from_slice(&word.reverse_bits().to_be_bytes());
        }
        bitfield.resize(length, 0);
        bitfield
    }

    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn contains(&self, piece: PieceIndex) -> bool {
        self.words.get(piece as usize / 64).is_some_and(|word| word >> (piece % 64) & 1 == 1)
    }

    /// Adds a piece; false if it was present already or is out of range.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        let new = piece < self.count && !self.contains(piece);
        if new {
            self.allocate();
            self.words[piece as usize / 64] |= 1 << (piece % 64);
            self.len += 1;
        }
        new
    }

    pub fn insert_range(&mut self, pieces: Range<PieceIndex>) {
        self.allocate();
        for (index, mask) in masks(pieces.start..pieces.end.min(self.count)) {
            let word = &mut self.words[index];
            self.len += (mask & !*word).count_ones();
            *word |= mask;
        }
    }

    /// Adds the pieces of another set with the same count.
    pub fn insert_all(&mut self, other: &PieceSet) {
        self.allocate();
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            self.len += (more & !*word).count_ones();
            *word |= more;
        }
    }

    /// Removes a piece; false if it was not present.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        let there = self.contains(piece);
        if there {
            self.words[piece as usize / 64] &= !(1 << (piece % 64));
            self.len -= 1;
        }
        there
    }

    pub fn remove_range(&mut self, pieces: Range<PieceIndex>) {
        for (index, mask) in masks(pieces) {
            let Some(word) = self.words.get_mut(index) else { return };
            self.len -= (mask & *word).count_ones();
            *word &= !mask;
        }
    }

    /// Removes the pieces of another set.
    pub fn remove_all(&mut self, other: &PieceSet) {
        for (word, less) in self.words.iter_mut().zip(&other.words) {
            self.len -= (less & *word).count_ones();
            *word &= !less;
        }
    }

    /// Removes the pieces for which `keep` returns false.
    pub fn retain(&mut self, keep: impl Fn(PieceIndex) -> bool) {
        let mut at = 0;
        while let Some(piece) = self.next_from(at) {
            if !keep(piece) {
                self.remove(piece);
            }
            at = piece + 1;
        }
    }

    /// Returns the first piece of the set at or after this index; empty words are skipped whole.
    pub fn next_from(&self, piece: PieceIndex) -> Option<PieceIndex> {
        let first = piece as usize / 64;
        let within = self.words.get(first)? >> (piece % 64);
        if within != 0 {
            return Some(piece + within.trailing_zeros());
        }
        let (index, word) =
            self.words.iter().enumerate().skip(first + 1).find(|(_, word)| **word != 0)?;
        Some(index as u32 * 64 + word.trailing_zeros())
    }

    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        let (mut index, mut left) = (0, self.words.first().copied().unwrap_or_default());
        std::iter::from_fn(move || {
            while left == 0 {
                index += 1;
                left = *self.words.get(index)?;
            }
            let bit = left.trailing_zeros();
            left &= left - 1;
            Some(index as u32 * 64 + bit)
        })
    }

    /// Returns the first piece of the range that is in both sets.
    pub fn next_common(&self, other: &PieceSet, pieces: Range<PieceIndex>) -> Option<PieceIndex> {
        // Index loops, here and below: at opt-level 0 iterators take five times as long, and a
        // million pieces are 16,000 words.
        let (a, b) = (self.words.as_slice(), other.words.as_slice());
        let end = (pieces.end.div_ceil(64) as usize).min(a.len()).min(b.len());
        let mut index = pieces.start as usize / 64;
        let mut ahead = u64::MAX << (pieces.start % 64);
        while index < end {
            let both = a[index] & b[index] & ahead;
            if both != 0 {
                return Some(index as u32 * 64 + both.trailing_zeros())
                    .filter(|piece| *piece < pieces.end);
            }
            ahead = u64::MAX;
            index += 1;
        }
        None
    }

    /// Returns the last piece before this index that is in both sets.
    pub fn last_common(&self, other: &PieceSet, before: PieceIndex) -> Option<PieceIndex> {
        let (a, b) = (self.words.as_slice(), other.words.as_slice());
        let mut index = (before as usize / 64 + 1).min(a.len()).min(b.len());
        while index > 0 {
            index -= 1;
            let mut both = a[index] & b[index];
            if index == before as usize / 64 {
                both &= (1 << (before % 64)) - 1;
            }
            if both != 0 {
                return Some(index as u32 * 64 + both.ilog2());
            }
        }
        None
    }

    /// Returns the first piece of the range that is not in the set, or the end of the range.
    pub fn next_lacked(&self, pieces: Range<PieceIndex>) -> PieceIndex {
        let words = self.words.as_slice();
        let mut at = pieces.start;
        while at < pieces.end {
            let word = words.get(at as usize / 64).copied().unwrap_or_default();
            let there = (word >> (at % 64)).trailing_ones();
            at += there;
            if there == 0 || at % 64 != 0 {
                break;
            }
        }
        at.min(pieces.end)
    }

    /// Whether each piece of this set is in at least one of the other sets.
    pub fn is_covered_by(&self, sets: &[&PieceSet]) -> bool {
        let mut index = 0;
        while index < self.words.len() {
            let mut left = self.words[index];
            let mut set = 0;
            while left != 0 && set < sets.len() {
                left &= !sets[set].words.get(index).copied().unwrap_or_default();
                set += 1;
            }
            if left != 0 {
                return false;
            }
            index += 1;
        }
        true
    }

    fn allocate(&mut self) {
        if self.words.is_empty() {
            self.words = vec![0; self.count.div_ceil(64) as usize];
        }
    }
}

impl PartialEq for PieceSet {
    fn eq(&self, other: &PieceSet) -> bool {
        // Sets of equal length either both have their words, or are both empty.
        self.count == other.count
            && self.len == other.len
            && self.words.iter().zip(&other.words).all(|(a, b)| a == b)
    }
}

impl Eq for PieceSet {}

impl Extend<PieceIndex> for PieceSet {
    fn extend<I: IntoIterator<Item = PieceIndex>>(&mut self, pieces: I) {
        pieces.into_iter().for_each(|piece| {
            self.insert(piece);
        });
    }
}

/// Returns the words that a range touches, each with a mask of its bits in the range.
fn masks(pieces: Range<PieceIndex>) -> impl Iterator<Item = (usize, u64)> {
    (pieces.start / 64..pieces.end.div_ceil(64)).map(move |word| {
        let first = pieces.start.saturating_sub(word * 64);
        let end = (pieces.end - word * 64).min(64);
        (word as usize, u64::MAX << first & u64::MAX >> (64 - end))
    })
}
