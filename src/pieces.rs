//! A set of pieces, a bit each (a `bitfield` of BEP 3). Pure, floor 0.

use std::ops::Range;

use crate::geometry::PieceIndex;

/// A set of pieces below a fixed count. While it never had a piece it takes no memory.
#[derive(Clone, Debug)]
pub struct PieceSet {
    /// None, or all.
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

    /// From a bitfield as peers send it: the first piece is the high bit of the first byte.
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

    pub fn len(&self) -> u32 {
        self.len
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn contains(&self, piece: PieceIndex) -> bool {
        self.words.get(piece as usize / 64).is_some_and(|word| word >> (piece % 64) & 1 == 1)
    }

    /// Adds a piece; false if it was there, or is none.
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

    /// Adds the pieces of another set of the same count.
    pub fn insert_all(&mut self, other: &PieceSet) {
        self.allocate();
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            self.len += (more & !*word).count_ones();
            *word |= more;
        }
    }

    /// Removes a piece; false if it was not there.
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

    /// Removes the pieces of which this is false.
    pub fn retain(&mut self, keep: impl Fn(PieceIndex) -> bool) {
        let mut at = 0;
        while let Some(piece) = self.next_from(at) {
            if !keep(piece) {
                self.remove(piece);
            }
            at = piece + 1;
        }
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

    /// Whether the sets have a piece in common.
    pub fn intersects(&self, other: &PieceSet) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    fn allocate(&mut self) {
        if self.words.is_empty() {
            self.words = vec![0; self.count.div_ceil(64) as usize];
        }
    }
}

impl PartialEq for PieceSet {
    fn eq(&self, other: &PieceSet) -> bool {
        // Of two sets of one length either both have their words, or both are empty.
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

/// The words in which a range lies, and which bits of each.
fn masks(pieces: Range<PieceIndex>) -> impl Iterator<Item = (usize, u64)> {
    (pieces.start / 64..pieces.end.div_ceil(64)).map(move |word| {
        let first = pieces.start.saturating_sub(word * 64);
        let end = (pieces.end - word * 64).min(64);
        (word as usize, u64::MAX << first & u64::MAX >> (64 - end))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(pieces: &[u32], count: u32) -> PieceSet {
        let mut set = PieceSet::none(count);
        set.extend(pieces.iter().copied());
        set
    }

    #[test]
    fn bitfields_are_read_high_bit_first() {
        let set = PieceSet::from_bitfield(&[0b1010_0000, 0b1100_0000], 10);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 2, 8, 9]);
        assert_eq!(PieceSet::from_bitfield(&[0xff; 9], 65), PieceSet::all(65));
        assert_eq!(
            (PieceSet::all(70).len(), PieceSet::all(64).len(), PieceSet::none(0).len()),
            (70, 64, 0)
        );
    }

    #[test]
    fn the_next_piece_of_a_set_is_found_across_words() {
        let pieces = set(&[3, 64, 300], 400);
        let found: Vec<_> =
            [0, 3, 4, 64, 65, 300, 301, 400, 1_000].map(|at| pieces.next_from(at)).into();
        let expected =
            [Some(3), Some(3), Some(64), Some(64), Some(300), Some(300), None, None, None];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_set_that_was_emptied_is_one_that_never_had_a_piece() {
        let mut emptied = set(&[7], 100);
        assert!(emptied.remove(7) && !emptied.remove(7) && emptied.is_empty());
        assert_eq!(emptied, PieceSet::none(100));
        assert_ne!(emptied, PieceSet::none(101));
    }

    proptest! {
        #[test]
        fn a_set_has_what_a_tree_has(
            steps in proptest::collection::vec((0_u8..6, 0_u32..210, 0_u32..210), 0..30),
        ) {
            const COUNT: u32 = 200;
            let (mut set, mut tree) = (PieceSet::none(COUNT), BTreeSet::new());
            for (step, a, b) in steps {
                let range = a..b;
                match step {
                    0 => prop_assert_eq!(set.insert(a), a < COUNT && tree.insert(a)),
                    1 => prop_assert_eq!(set.remove(a), tree.remove(&a)),
                    2 => {
                        set.insert_range(range.clone());
                        tree.extend(range.filter(|piece| *piece < COUNT));
                    }
                    3 => {
                        set.remove_range(range.clone());
                        tree.retain(|piece| !range.contains(piece));
                    }
                    4 => {
                        set.retain(|piece| piece % 3 != a % 3);
                        tree.retain(|piece| piece % 3 != a % 3);
                    }
                    _ => {
                        let mut more = PieceSet::none(COUNT);
                        more.insert_range(range.clone());
                        prop_assert_eq!(set.intersects(&more), range.clone().any(|p| set.contains(p)));
                        set.insert_all(&more);
                        tree.extend(range.filter(|piece| *piece < COUNT));
                    }
                }
                prop_assert_eq!(set.iter().collect::<Vec<_>>(), tree.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(set.len() as usize, tree.len());
                prop_assert_eq!(set.next_from(b), tree.range(b..).next().copied());
            }
        }
    }
}
