//! Claims that end, that a peer refuses to serve, or that it serves while it chokes us.

use super::*;

/// Two peers that have all of four pieces.
fn two_peers() -> (Schedule, [WorkerId; 2]) {
    let mut schedule = schedule(4, 0, 2);
    let workers = [0, 1].map(|peer| {
        schedule.peer_has(SourceId(peer), has(0..4, 4));
        schedule.begin(SourceId(peer), ZERO)
    });
    (schedule, workers)
}

#[test]
fn a_refused_piece_is_asked_of_others_until_the_peer_is_forgiven() {
    let (mut schedule, [a, b]) = two_peers();
    let piece = fetch(schedule.next_piece(a, ZERO)).start;
    schedule.give_up(a, piece, true);
    let others: BTreeSet<_> = (0..3).map(|_| fetch(schedule.next_piece(a, ZERO)).start).collect();
    assert!(!others.contains(&piece) && others.len() == 3);
    assert_eq!(schedule.next_piece(a, ZERO), Next::Wait);
    assert_eq!(fetch(schedule.next_piece(b, ZERO)).start, piece);
    schedule.give_up(b, piece, true);
    schedule.forgive(SourceId(0));
    assert_eq!(fetch(schedule.next_piece(a, ZERO)).start, piece);
}

#[test]
fn a_piece_that_was_given_up_and_not_refused_is_anyones() {
    let (mut schedule, [a, _]) = two_peers();
    let piece = fetch(schedule.next_piece(a, ZERO)).start;
    schedule.give_up(a, piece, false);
    schedule.give_up(a, piece, false);
    let mine: BTreeSet<_> = (0..4).map(|_| fetch(schedule.next_piece(a, ZERO)).start).collect();
    assert_eq!(mine, (0..4).collect());
}

#[test]
fn a_peer_that_chokes_is_given_allowed_pieces_alone() {
    let (mut schedule, [a, b]) = two_peers();
    assert_eq!(schedule.next_of(a, &[], ZERO), Next::Wait);
    assert_eq!(schedule.next_of(a, &[2, 1], ZERO), Next::Fetch(2..3));
    assert_eq!(schedule.next_of(b, &[2, 1], ZERO), Next::Fetch(1..2));
    assert_eq!(schedule.next_of(b, &[2, 1], ZERO), Next::Wait);
    schedule.verified(3);
    assert_eq!(schedule.next_of(b, &[3, 4], ZERO), Next::Wait);
}

#[test]
fn a_claim_that_ends_is_told_to_who_held_it_whoever_ended_it() {
    let mut schedule = schedule(1, 0, 2);
    (0..2).for_each(|id| schedule.peer_has(SourceId(id), has([0], 1)));
    let [a, b] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    assert_eq!(fetch(schedule.next_piece(b, ZERO)), 0..1);
    assert_eq!(fetch(schedule.next_piece(a, ZERO)), 0..1);
    // The peer choked us, and what it had sent before is found corrupt only now.
    schedule.release(a);
    schedule.failed(0, &[SourceId(0), SourceId(1)], None);
    assert_eq!((schedule.take_ended_claims(a), schedule.take_ended_claims(b)), (vec![], vec![0]));
    assert_eq!(fetch(schedule.next_piece(b, ZERO)), 0..1);
    schedule.verified(0);
    assert_eq!((schedule.take_ended_claims(b), schedule.take_ended_claims(b)), (vec![0], vec![]));
}

/// A web seed with a run of four pieces, and a peer that takes what it asks for.
fn run_and_peer() -> (Schedule, WorkerId, WorkerId) {
    let geometry = Geometry::new(1 << 20, 256 << 10).unwrap();
    let mut schedule = Schedule::new(geometry, has([0, 1, 2, 3], 4), 7);
    schedule.add_streaming(SourceId(0));
    schedule.add_peer(SourceId(1));
    schedule.peer_has(SourceId(1), has([0, 1, 2, 3], 4));
    let web = schedule.begin(SourceId(0), ZERO);
    assert_eq!(fetch(schedule.next_run(web, ZERO)), 0..4);
    let peer = schedule.begin(SourceId(1), ZERO);
    (schedule, web, peer)
}

#[test]
fn a_peer_is_not_given_a_piece_twice() {
    let (mut schedule, _, peer) = run_and_peer();
    let mut given = Vec::new();
    for second in [0, 0, 0, 0, 3, 3, 3, 4, 4] {
        if let Next::Fetch(piece) = schedule.next_piece(peer, seconds(second)) {
            given.push(piece.start);
        }
    }
    given.sort_unstable();
    assert_eq!(given, [0, 1, 2, 3]);
}

#[test]
fn nobody_is_sent_for_what_is_verified() {
    let check = |verified: &[PieceIndex], expected: Next| {
        let (mut schedule, web, peer) = run_and_peer();
        (0..4).for_each(|_| assert_ne!(schedule.next_piece(peer, ZERO), Next::Wait));
        verified.iter().for_each(|piece| schedule.verified(*piece));
        schedule.release(peer);
        schedule.add_streaming(SourceId(2));
        let other = schedule.begin(SourceId(2), seconds(3));
        assert_eq!(schedule.next_run(other, seconds(3)), expected, "{verified:?}");
        assert!(schedule.run(web).all(|piece| schedule.is_wanted(piece)));
    };
    // Only the piece that is being received is left: it is shared.
    check(&[1, 2, 3], Next::Fetch(0..1));
    check(&[3], Next::Fetch(2..3));
    check(&[2, 3], Next::Fetch(1..2));
    check(&[1], Next::Fetch(2..4));
}

#[test]
fn a_piece_that_a_peer_has_no_more_is_not_asked_of_it_and_becomes_rarer() {
    let (mut schedule, [a, b]) = two_peers();
    schedule.peer_lacks(SourceId(0), 2);
    schedule.peer_lacks(SourceId(0), 2);
    assert_eq!(schedule.availability, [1, 1, 0, 1]);
    schedule.peer_lacks(SourceId(0), 3);
    assert_eq!(schedule.availability, [1, 1, 0, 0]);
    let mine: BTreeSet<_> = (0..2).map(|_| fetch(schedule.next_piece(a, ZERO)).start).collect();
    assert_eq!((mine, schedule.next_of(a, &[2, 3], ZERO)), ([0, 1].into(), Next::Wait));
    assert_eq!(schedule.next_of(b, &[2], ZERO), Next::Fetch(2..3));
    schedule.peer_has_piece(SourceId(0), 3);
    assert_eq!(schedule.next_of(a, &[3], ZERO), Next::Fetch(3..4));
    schedule.forget_peer(SourceId(0));
    assert_eq!(schedule.availability, [0; 4]);
}

/// After the part that the peer provided, the server can continue.
#[test]
fn a_piece_that_a_peer_gives_up_is_tried_again_by_who_brought_its_part() {
    let mut schedule = schedule(1, 1, 1);
    schedule.peer_has(SourceId(1), has(0..1, 1));
    let (web, peer) = (schedule.begin(SourceId(0), ZERO), schedule.begin(SourceId(1), ZERO));
    assert_eq!(schedule.next_run(web, ZERO), Next::Fetch(0..1));
    schedule.brought_its_part(SourceId(0), 0, 100, false);
    schedule.release(web);
    assert_eq!(schedule.next_run(web, ZERO), Next::Wait);
    assert_eq!(schedule.next_piece(peer, ZERO), Next::Fetch(0..1));
    schedule.give_up(peer, 0, true);
    assert_eq!(schedule.next_run(web, ZERO), Next::Fetch(0..1));
}

/// Pieces so large that the endgame may share none of them.
fn large(sources: u32, pieces: u32) -> Schedule {
    let geometry = Geometry::new(u64::from(pieces) << 24, 16 << 20).unwrap();
    let mut schedule = Schedule::new(geometry, PieceSet::all(pieces), 7);
    (0..sources).for_each(|id| schedule.add_streaming(SourceId(id)));
    schedule
}

/// Returns the seconds after which an idle peer is given the piece of a source that sends this many
/// bytes per second.
fn taken_over_at(bytes_per_second: u64) -> Option<u64> {
    let mut schedule = large(1, 1);
    let slow = schedule.begin(SourceId(0), ZERO);
    assert_eq!(fetch(schedule.next_run(slow, ZERO)), 0..1);
    schedule.add_peer(SourceId(1));
    schedule.peer_has(SourceId(1), has([0], 1));
    let peer = schedule.begin(SourceId(1), ZERO);
    (0..90).find(|second| {
        schedule.received(slow, bytes_per_second, seconds(*second));
        let next = schedule.next_piece(peer, seconds(*second));
        if next != Next::Wait {
            assert!(schedule.run(slow).is_empty() && schedule.holds(peer, 0));
        }
        next != Next::Wait
    })
}

#[test]
fn what_a_source_that_trickles_has_claimed_is_given_to_others_after_half_a_minute() {
    assert_eq!(taken_over_at(1), Some(30));
    assert_eq!(taken_over_at(900), Some(30));
    assert_eq!(taken_over_at(1_100), None);
}

#[test]
fn two_that_trickle_and_share_a_piece_do_not_keep_a_third_from_it() {
    let mut schedule = schedule(1, 3, 0);
    let workers = [0, 1, 2].map(|id| schedule.begin(SourceId(id), ZERO));
    assert_eq!(fetch(schedule.next_run(workers[0], ZERO)), 0..1);
    assert_eq!(fetch(schedule.next_run(workers[1], seconds(3))), 0..1);
    for second in 4..34 {
        workers[..2].iter().for_each(|worker| schedule.received(*worker, 100, seconds(second)));
        let next = schedule.next_run(workers[2], seconds(second));
        assert!(next == Next::Wait || second >= 30, "{second}");
    }
    let holders: Vec<_> = workers.iter().filter(|worker| schedule.holds(**worker, 0)).collect();
    assert_eq!(holders, [&workers[1], &workers[2]]);
}

#[test]
fn the_time_in_which_a_source_had_nothing_to_do_does_not_count() {
    let mut schedule = large(2, 1);
    let [a, b] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    assert_eq!(fetch(schedule.next_run(a, ZERO)), 0..1);
    assert_eq!(schedule.next_run(b, ZERO), Next::Wait);
    // The first worker disconnects after a minute.
    schedule.end(a);
    assert_eq!(fetch(schedule.next_run(b, seconds(60))), 0..1);
    schedule.add_streaming(SourceId(2));
    let c = schedule.begin(SourceId(2), seconds(60));
    let mut given = (60..120).filter(|second| {
        schedule.received(b, 1, seconds(*second));
        schedule.next_run(c, seconds(*second)) != Next::Wait
    });
    assert_eq!(given.next(), Some(90));
}

/// Peers that accept requests and send nothing; two of them hold each piece.
#[test]
fn what_only_silent_peers_hold_goes_to_an_idle_one_a_piece_at_a_time() {
    let mut schedule = schedule(3, 0, 4);
    (0..4).for_each(|id| schedule.peer_has(SourceId(id), PieceSet::all(3)));
    let [first, second, third] = [0, 1, 2].map(|id| schedule.begin(SourceId(id), ZERO));
    for _ in 0..3 {
        fetch(schedule.next_piece(first, ZERO));
    }
    for _ in 0..3 {
        fetch(schedule.next_piece(second, ZERO));
    }
    // They have only just started.
    assert_eq!(schedule.next_piece(third, ZERO), Next::Wait);
    let honest = schedule.begin(SourceId(3), seconds(3));
    let piece = fetch(schedule.next_piece(honest, seconds(3))).start;
    assert_eq!(schedule.next_piece(honest, seconds(3)), Next::Wait);
    schedule.received(honest, PIECE, seconds(4));
    schedule.verified(piece);
    assert_ne!(fetch(schedule.next_piece(honest, seconds(4))).start, piece);
    schedule.received(honest, 1, seconds(4));
    // The piece that the honest peer has begun is not given to a peer that reconnects in vain.
    schedule.end(first);
    let first = schedule.begin(SourceId(0), seconds(4));
    let of_first = fetch(schedule.next_piece(first, seconds(4))).start;
    assert!(!schedule.holds(honest, of_first));
}
