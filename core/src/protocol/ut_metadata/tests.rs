use proptest::prelude::*;

use super::blocks::{Blocks, Brought};
use super::*;
use crate::hash::Sha1;
use crate::torrent::bencode::variants;
use crate::torrent::infohash::Infohash;

const MAX: usize = 1 << 20;

#[test]
fn messages_are_written_as_bep_9_has_them_and_read_again() {
    let check = |message: MetadataMessage<'_>, bytes: &[u8]| {
        assert_eq!(message.encode(), bytes);
        assert_eq!(MetadataMessage::decode(bytes), Some(message));
    };
    check(MetadataMessage::Request(2), b"d8:msg_typei0e5:piecei2ee");
    check(MetadataMessage::Reject(0), b"d8:msg_typei2e5:piecei0ee");
    let data = |total_bytes| MetadataMessage::Data { piece: 2, total_bytes, data: b"abc" };
    check(data(Some(40_000)), b"d8:msg_typei1e5:piecei2e10:total_sizei40000eeabc");
    check(data(None), b"d8:msg_typei1e5:piecei2eeabc");
}

#[test]
fn what_makes_no_sense_is_passed_over() {
    for odd in [
        &b""[..],
        b"x",
        b"le",
        b"d8:msg_typei1ee",
        b"d5:piecei0ee",
        b"d8:msg_typei1e5:piecei-1ee",
        b"d8:msg_typei1e5:piecei4294967296ee",
        b"d8:msg_typei9e5:piecei0ee",
        &b"l".repeat(2_000),
    ] {
        assert_eq!(MetadataMessage::decode(odd), None, "{odd:?}");
    }
}

#[test]
fn each_piece_of_info_is_16_kib_but_the_last() {
    let info = vec![b'x'; 2 * METADATA_PIECE_BYTES + 5];
    let lengths = (0..4).map(|piece| match MetadataMessage::data_of(&info, piece) {
        Some(MetadataMessage::Data { data, .. }) => data.len(),
        _ => 0,
    });
    assert_eq!(lengths.collect::<Vec<_>>(), [16_384, 16_384, 5, 0]);
}

/// A dictionary of this length, and a fetch of it.
fn info(bytes: usize) -> (Vec<u8>, Blocks) {
    let info: Vec<u8> = (0..bytes).map(|index| (index / 7) as u8).collect();
    let blocks = Blocks::new(Infohash::from_bytes(Sha1::digest(&info)), MAX);
    (info, blocks)
}

fn block_of(info: &[u8], number: u32) -> Vec<u8> {
    info.chunks(METADATA_PIECE_BYTES).nth(number as usize).unwrap_or_default().to_vec()
}

/// Makes a peer send these blocks, with correct or wrong bytes.
fn bring(blocks: &mut Blocks, id: u32, info: &[u8], numbers: &[u32], right: bool) -> Brought {
    let mut last = Brought::Nothing;
    for number in numbers {
        let mut data = block_of(info, *number);
        data[0] ^= u8::from(!right);
        last = blocks.brought(id, *number, Some(info.len() as u64), &data).unwrap();
    }
    last
}

/// The same, checking that the peer is asked for exactly these blocks in this order.
fn fetch(blocks: &mut Blocks, id: u32, info: &[u8], numbers: &[u32], right: bool) -> Brought {
    let mut last = Brought::Nothing;
    for number in numbers {
        assert_eq!(blocks.ask(id), Some(*number));
        last = bring(blocks, id, info, &[*number], right);
    }
    last
}

#[test]
fn one_peer_brings_all_one_after_the_other() {
    let (info, mut blocks) = info(2 * METADATA_PIECE_BYTES + 5);
    blocks.join(1, info.len());
    assert_eq!((blocks.ask(1), blocks.ask(1), blocks.awaits(1)), (Some(0), None, true));
    assert_eq!(bring(&mut blocks, 1, &info, &[0], true), Brought::Block);
    assert!(!blocks.awaits(1));
    assert_eq!(fetch(&mut blocks, 1, &info, &[1, 2], true), Brought::Whole(info));
    assert_eq!(blocks.ask(1), None);
}

#[test]
fn several_share_the_work_and_the_slow_one_is_not_waited_for() {
    let (info, mut blocks) = info(10 * METADATA_PIECE_BYTES);
    (1..=3).for_each(|id| blocks.join(id, info.len()));
    assert_eq!(blocks.ask(1), Some(0));
    assert_eq!(fetch(&mut blocks, 2, &info, &[1, 2, 3, 4, 5, 6, 7, 8], true), Brought::Block);
    assert_eq!(blocks.ask(3), Some(9));
    assert_eq!(fetch(&mut blocks, 2, &info, &[0], true), Brought::Block);
    // Late and useless, but nothing else is requested from this peer until it arrives.
    assert_eq!(blocks.ask(1), None);
    assert_eq!(bring(&mut blocks, 1, &info, &[0], true), Brought::Nothing);
    assert_eq!(blocks.ask(1), Some(9));
    assert_eq!(bring(&mut blocks, 3, &info, &[9], true), Brought::Whole(info));
}

#[test]
fn what_a_peer_that_leaves_was_asked_for_is_asked_of_others() {
    let (info, mut blocks) = info(METADATA_PIECE_BYTES);
    (1..=4).for_each(|id| blocks.join(id, info.len()));
    (1..=3).for_each(|id| assert_eq!(blocks.ask(id), Some(0)));
    assert_eq!(blocks.ask(4), None);
    blocks.leave(1);
    assert_eq!(blocks.ask(4), Some(0));
    assert!(blocks.rejected(4, 0) && !blocks.rejected(4, 0));
    assert_eq!(bring(&mut blocks, 2, &info, &[0], true), Brought::Whole(info));
}

#[test]
fn what_was_not_asked_for_is_not_taken() {
    let (info, mut blocks) = info(2 * METADATA_PIECE_BYTES);
    assert_eq!(bring(&mut blocks, 1, &info, &[0], true), Brought::Nothing);
    blocks.join(1, info.len());
    assert_eq!(bring(&mut blocks, 1, &info, &[0], true), Brought::Nothing);
    blocks.ask(1);
    assert_eq!(blocks.brought(1, 99, None, b"x"), Ok(Brought::Nothing));
    assert_eq!(bring(&mut blocks, 1, &info, &[0, 0], true), Brought::Nothing);
}

#[test]
fn a_block_that_contradicts_the_stated_length_is_an_error() {
    for (total, length) in
        [(None, 100), (Some(1), METADATA_PIECE_BYTES), (Some(1 << 40), METADATA_PIECE_BYTES)]
    {
        let (info, mut blocks) = info(2 * METADATA_PIECE_BYTES);
        blocks.join(1, info.len());
        blocks.ask(1);
        let odd = MetadataError::OddBlock { block: 0, bytes: length };
        assert_eq!(blocks.brought(1, 0, total, &vec![0; length]), Err(odd));
    }
}

#[test]
fn who_brings_all_and_wrong_is_to_blame() {
    let (info, mut blocks) = info(2 * METADATA_PIECE_BYTES);
    (1..=2).for_each(|id| blocks.join(id, info.len()));
    assert_eq!(fetch(&mut blocks, 1, &info, &[0, 1], false), Brought::Wrong(vec![1]));
    assert!(!blocks.has(1) && blocks.ask(1).is_none());
    assert_eq!(fetch(&mut blocks, 2, &info, &[0, 1], true), Brought::Whole(info));
}

#[test]
fn of_several_the_liar_is_found_by_asking_each_for_the_whole() {
    let (info, mut blocks) = info(2 * METADATA_PIECE_BYTES);
    (1..=3).for_each(|id| blocks.join(id, info.len()));
    assert_eq!([1, 2, 3].map(|id| blocks.ask(id)), [Some(0), Some(1), Some(0)]);
    bring(&mut blocks, 1, &info, &[0], false);
    assert_eq!(bring(&mut blocks, 2, &info, &[1], true), Brought::Wrong(Vec::new()));
    // Each peer starts over, and blocks are not shared. A late answer to an earlier request is
    // ignored.
    assert_eq!([1, 2, 3].map(|id| blocks.ask(id)), [Some(0), Some(0), None]);
    assert_eq!(bring(&mut blocks, 3, &info, &[0], true), Brought::Nothing);
    assert_eq!(fetch(&mut blocks, 3, &info, &[0], true), Brought::Block);
    bring(&mut blocks, 1, &info, &[0], false);
    assert_eq!(fetch(&mut blocks, 1, &info, &[1], false), Brought::Wrong(vec![1]));
    // The same applies to a peer that joins later.
    blocks.join(4, info.len());
    assert_eq!(fetch(&mut blocks, 4, &info, &[0], true), Brought::Block);
    assert_eq!(bring(&mut blocks, 2, &info, &[0], true), Brought::Block);
    assert_eq!(fetch(&mut blocks, 2, &info, &[1], true), Brought::Whole(info));
}

#[test]
fn peers_that_state_different_lengths_do_not_hinder_one_another() {
    let (info, mut blocks) = info(2 * METADATA_PIECE_BYTES);
    blocks.join(1, MAX);
    blocks.join(2, info.len());
    blocks.join(3, 10);
    assert_eq!([1, 3].map(|id| blocks.ask(id)), [Some(0), Some(0)]);
    assert_eq!(blocks.brought(3, 0, None, &[0; 10]), Ok(Brought::Wrong(vec![3])));
    assert_eq!(fetch(&mut blocks, 2, &info, &[0, 1], true), Brought::Whole(info));
}

#[test]
fn long_ones_give_way_to_short_ones_and_wait_for_room() {
    let (info, mut blocks) = info(2 * METADATA_PIECE_BYTES);
    (1..=3).for_each(|id| blocks.join(id, MAX - id as usize));
    assert_eq!([1, 2].map(|id| blocks.ask(id)), [Some(0), Some(0)]);
    // Shorter than the first, which is discarded to make room: blocks for it are useless.
    assert_eq!(blocks.ask(3), Some(0));
    assert_eq!(blocks.brought(1, 0, None, &[0; METADATA_PIECE_BYTES]), Ok(Brought::Nothing));
    assert_eq!((blocks.awaits(1), blocks.ask(1)), (false, None));
    blocks.join(4, info.len());
    assert_eq!(blocks.ask(4), Some(0));
    blocks.leave(2);
    blocks.leave(3);
    assert_eq!(blocks.ask(1), Some(0));
    assert_eq!(bring(&mut blocks, 4, &info, &[0], true), Brought::Block);
    assert_eq!(fetch(&mut blocks, 4, &info, &[1], true), Brought::Whole(info));
}

#[test]
fn nobody_joins_with_a_length_out_of_bounds() {
    let (_, mut blocks) = info(1);
    for bytes in [0, MAX + 1, usize::MAX] {
        blocks.join(1, bytes);
        assert!(!blocks.has(1) && blocks.ask(1).is_none());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Join(u32, usize),
    Leave(u32),
    Ask(u32),
    Bring(u32, u32, bool),
    Reject(u32, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let (id, number) = (0_u32..4, 0_u32..5);
    let lengths =
        prop_oneof![Just(2 * METADATA_PIECE_BYTES + 1), Just(MAX), Just(MAX - 1), 0..2 * MAX];
    prop_oneof![
        (id.clone(), lengths).prop_map(|(id, bytes)| Step::Join(id, bytes)),
        id.clone().prop_map(Step::Leave),
        id.clone().prop_map(Step::Ask),
        (id.clone(), number.clone(), any::<bool>())
            .prop_map(|(id, n, right)| Step::Bring(id, n, right)),
        (id, number).prop_map(|(id, number)| Step::Reject(id, number)),
    ]
}

#[test]
fn messages_are_read_as_other_programs_write_them() {
    let data = MetadataMessage::Data { piece: 2, total_bytes: Some(40_000), data: b"i1e\n" };
    for value in variants::ODD_VALUES {
        let head = format!(
            "d8:msg_typei01e6:~extra{value}5:piecei02e5:piece{value}10:total_sizei040000ee"
        );
        let message = [head.as_bytes(), b"i1e\n"].concat();
        assert_eq!(MetadataMessage::decode(&message), Some(data), "{head}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = MetadataMessage::decode(&bytes);
    }

    /// Whatever dishonest peers do, the result is the correct dictionary, and the memory limit
    /// holds.
    #[test]
    fn whatever_happens_only_the_right_dictionary_is_given(steps in proptest::collection::vec(step(), 0..200)) {
        let (info, mut blocks) = info(2 * METADATA_PIECE_BYTES + 1);
        for step in steps {
            match step {
                Step::Join(id, bytes) => blocks.join(id, bytes),
                Step::Leave(id) => blocks.leave(id),
                Step::Ask(id) => {
                    let awaited = blocks.awaits(id);
                    let asked = blocks.ask(id);
                    prop_assert!(!(awaited && asked.is_some()));
                }
                Step::Reject(id, number) => drop(blocks.rejected(id, number)),
                Step::Bring(id, number, right) => {
                    let mut data = block_of(&info, number);
                    if let (Some(first), false) = (data.first_mut(), right) {
                        *first ^= 1;
                    }
                    match blocks.brought(id, number, None, &data) {
                        Ok(Brought::Whole(whole)) => {
                            prop_assert_eq!(&whole, &info);
                            prop_assert!((0..4).all(|id| blocks.ask(id).is_none()));
                            return Ok(());
                        }
                        Ok(Brought::Wrong(liars)) => prop_assert!(liars.iter().all(|id| !blocks.has(*id))),
                        Ok(Brought::Nothing | Brought::Block) => {}
                        Err(_) => blocks.leave(id),
                    }
                }
            }
            prop_assert!(blocks.held_bytes() <= 2 * MAX);
        }
        // A single honest peer completes the dictionary.
        (0..4).for_each(|id| blocks.leave(id));
        blocks.join(9, info.len());
        while let Some(number) = blocks.ask(9) {
            match bring(&mut blocks, 9, &info, &[number], true) {
                Brought::Whole(whole) => { prop_assert_eq!(whole, info); return Ok(()); }
                Brought::Block => {}
                other => prop_assert_eq!(other, Brought::Wrong(Vec::new())),
            }
        }
        prop_assert!(false, "it was not brought");
    }
}
