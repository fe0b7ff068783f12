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
fn bitfields_are_written_as_they_are_read() {
    assert_eq!(set(&[0, 2, 8, 9], 10).to_bitfield(), [0b1010_0000, 0b1100_0000]);
    assert_eq!(PieceSet::all(65).to_bitfield(), [[0xff; 8].as_slice(), &[0x80]].concat());
    assert_eq!(PieceSet::none(17).to_bitfield(), [0; 3]);
    assert_eq!(PieceSet::none(0).to_bitfield(), [0; 0]);
}

#[test]
fn the_next_piece_of_a_set_is_found_across_words() {
    let pieces = set(&[3, 64, 300], 400);
    let found: Vec<_> =
        [0, 3, 4, 64, 65, 300, 301, 400, 1_000].map(|at| pieces.next_from(at)).into();
    let expected = [Some(3), Some(3), Some(64), Some(64), Some(300), Some(300), None, None, None];
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
                    let both: Vec<_> = range.clone().filter(|p| set.contains(*p)).collect();
                    prop_assert_eq!(set.next_common(&more, 0..COUNT), both.first().copied());
                    let part = b / 3..b;
                    prop_assert_eq!(set.next_common(&more, part.clone()), both.iter().copied().find(|p| part.contains(p)));
                    prop_assert_eq!(set.last_common(&more, 300), both.last().copied());
                    prop_assert_eq!(set.last_common(&more, b / 2), both.iter().copied().rfind(|p| *p < b / 2));
                    prop_assert_eq!(set.next_lacked(range.clone()), range.clone().find(|p| !set.contains(*p)).unwrap_or(b));
                    prop_assert_eq!(set.is_covered_by(&[&more]), both.len() as u32 == set.len());
                    prop_assert!(set.is_covered_by(&[&more, &set]));
                    if b % 2 == 0 {
                        set.insert_all(&more);
                        tree.extend(range.filter(|piece| *piece < COUNT));
                    } else {
                        set.remove_all(&more);
                        tree.retain(|piece| !range.contains(piece));
                    }
                }
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), tree.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len() as usize, tree.len());
            prop_assert_eq!(&PieceSet::from_bitfield(&set.to_bitfield(), COUNT), &set);
            prop_assert_eq!(set.next_from(b), tree.range(b..).next().copied());
        }
    }
}
