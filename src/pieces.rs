//! A set of pieces, a bit each (a `bitfield` of BEP 3). Pure, floor 0.

use crate::geometry::PieceIndex;

/// A set of pieces below a fixed count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceSet {
    words: Vec<u64>,
    count: u32,
}

impl PieceSet {
    pub fn none(count: u32) -> PieceSet {
        PieceSet { words: vec![0; count.div_ceil(64) as usize], count }
    }

    pub fn all(count: u32) -> PieceSet {
        let mut set = PieceSet { words: vec![u64::MAX; count.div_ceil(64) as usize], count };
        if let Some(last) = set.words.last_mut().filter(|_| !count.is_multiple_of(64)) {
            *last = (1 << (count % 64)) - 1;
        }
        set
    }

    /// From a bitfield as peers send it (BEP 3): the first piece is the high bit of the first byte.
    pub fn from_bitfield(bitfield: &[u8], count: u32) -> PieceSet {
        let mut set = PieceSet::none(count);
        for (word, bytes) in set.words.iter_mut().zip(bitfield.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_be_bytes(whole).reverse_bits();
        }
        if let Some(last) = set.words.last_mut().filter(|_| !count.is_multiple_of(64)) {
            *last &= (1 << (count % 64)) - 1;
        }
        set
    }

    pub fn contains(&self, piece: PieceIndex) -> bool {
        self.words.get(piece as usize / 64).is_some_and(|word| word >> (piece % 64) & 1 == 1)
    }

    /// Adds a piece; false if it was there, or is none.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        let new = piece < self.count && !self.contains(piece);
        if new {
            self.words[piece as usize / 64] |= 1 << (piece % 64);
        }
        new
    }

    /// Removes a piece; false if it was not there.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        let there = self.contains(piece);
        if there {
            self.words[piece as usize / 64] &= !(1 << (piece % 64));
        }
        there
    }

    pub fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// The first piece of the set at or behind this one; whole words without any are passed over.
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
        self.words.iter().enumerate().filter(|(_, word)| **word != 0).flat_map(|(index, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index as u32 * 64 + bit)
        })
    }

    /// Whether the sets have a piece in common.
    pub fn intersects(&self, other: &PieceSet) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }
}
