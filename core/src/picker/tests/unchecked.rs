//! Pieces that an earlier process left.

use super::*;

/// Pieces of 1 MiB, the first ones left by an earlier process; a streaming source, and a peer with
/// all pieces.
fn left(pieces: u32, left: u32) -> Schedule {
    let geometry = Geometry::new(u64::from(pieces) * PIECE - 1, PIECE as u32).unwrap();
    let mut schedule =
        Schedule::new(geometry, has(left..pieces, pieces), 7).with_unchecked(has(0..left, pieces));
    schedule.add_streaming(SourceId(0));
    schedule.add_peer(SourceId(1));
    schedule.peer_has(SourceId(1), PieceSet::all(pieces));
    schedule
}

#[test]
fn an_unchecked_piece_is_asked_of_nobody() {
    let mut schedule = left(10, 6);
    assert_eq!(schedule.wanted_bytes(), 4 * PIECE - 1);
    assert_eq!(schedule.unchecked_bytes(), 6 * PIECE);
    let [web, peer] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    let mut asked = Vec::new();
    while let Next::Fetch(run) = schedule.next_run(web, ZERO) {
        asked.extend(run.clone());
        run.for_each(|piece| schedule.verified(piece));
    }
    assert_eq!(asked, [6, 7, 8, 9]);
    assert_eq!(schedule.next_piece(peer, ZERO), Next::Wait);
    // Unchecked pieces may be damaged, so the schedule is not done, and the sources are still
    // useful.
    assert_eq!(schedule.wanted_bytes(), 0);
    assert!(!schedule.is_done());
    assert!([0, 1].iter().all(|id| schedule.is_useful(SourceId(*id))));
    (0..6).for_each(|piece| schedule.checked(piece));
    assert!(schedule.is_done());
    assert!([0, 1].iter().all(|id| !schedule.is_useful(SourceId(*id))));
    assert_eq!(schedule.next_run(web, ZERO), Next::Done);
}

#[test]
fn a_damaged_piece_is_fetched_like_any_other() {
    for by_peer in [false, true] {
        let mut schedule = left(10, 10);
        let worker = schedule.begin(SourceId(u32::from(by_peer)), ZERO);
        let next = |schedule: &mut Schedule| match by_peer {
            true => schedule.next_piece(worker, ZERO),
            false => schedule.next_run(worker, ZERO),
        };
        assert_eq!(next(&mut schedule), Next::Wait);
        // The last piece is one byte shorter.
        for (piece, bytes) in [(9, PIECE - 1), (2, PIECE)] {
            schedule.damaged(piece);
            schedule.damaged(piece);
            assert_eq!(schedule.wanted_bytes(), bytes);
            assert!(schedule.is_wanted(piece));
            assert_eq!(fetch(next(&mut schedule)), piece..piece + 1);
            assert_eq!(schedule.unclaimed.len(), 0);
            schedule.verified(piece);
        }
        [0, 1, 3, 4, 5, 6, 7, 8].iter().for_each(|piece| schedule.checked(*piece));
        assert!(schedule.is_done());
        assert_eq!((schedule.wanted_bytes(), schedule.unchecked_bytes()), (0, 0));
        // A checked piece cannot become damaged later.
        schedule.damaged(0);
        assert!(schedule.is_done());
    }
}

#[test]
fn a_peer_that_has_only_unchecked_pieces_is_of_use() {
    let mut schedule = left(4, 2);
    schedule.add_peer(SourceId(2));
    assert!(!schedule.is_useful(SourceId(2)));
    assert!(schedule.peer_has_piece(SourceId(2), 1) && schedule.is_useful(SourceId(2)));
    let worker = schedule.begin(SourceId(2), ZERO);
    assert_eq!(schedule.next_piece(worker, ZERO), Next::Wait);
    schedule.damaged(1);
    assert_eq!(fetch(schedule.next_piece(worker, ZERO)), 1..2);
}
