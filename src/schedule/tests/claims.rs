//! Claims that come to an end, that a peer refuses to serve, or that it serves while it chokes.

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
    assert_eq!(schedule.next_of(a, &[]), Next::Wait);
    assert_eq!(schedule.next_of(a, &[2, 1]), Next::Fetch(2..3));
    assert_eq!(schedule.next_of(b, &[2, 1]), Next::Fetch(1..2));
    assert_eq!(schedule.next_of(b, &[2, 1]), Next::Wait);
    schedule.verified(3);
    assert_eq!(schedule.next_of(b, &[3, 4]), Next::Wait);
}

#[test]
fn a_claim_that_ends_is_told_to_who_held_it_whoever_ended_it() {
    let mut schedule = schedule(1, 0, 2);
    (0..2).for_each(|id| schedule.peer_has(SourceId(id), has([0], 1)));
    let [a, b] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    assert_eq!(fetch(schedule.next_piece(b, ZERO)), 0..1);
    assert_eq!(fetch(schedule.next_piece(a, ZERO)), 0..1);
    // It was choked, and what it had brought before is found wrong only now.
    schedule.release(a);
    schedule.failed(0, &[SourceId(0), SourceId(1)]);
    assert_eq!((schedule.take_ended_claims(a), schedule.take_ended_claims(b)), (vec![], vec![0]));
    assert_eq!(fetch(schedule.next_piece(b, ZERO)), 0..1);
    schedule.verified(0);
    assert_eq!((schedule.take_ended_claims(b), schedule.take_ended_claims(b)), (vec![0], vec![]));
}

/// A web seed has a run of four pieces, and a peer what it asks for.
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
    // Nothing but the piece that is on its way: it is shared.
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
    assert_eq!((mine, schedule.next_of(a, &[2, 3])), ([0, 1].into(), Next::Wait));
    assert_eq!(schedule.next_of(b, &[2]), Next::Fetch(2..3));
    schedule.peer_has_piece(SourceId(0), 3);
    assert_eq!(schedule.next_of(a, &[3]), Next::Fetch(3..4));
    schedule.forget_peer(SourceId(0));
    assert_eq!(schedule.availability, [0; 4]);
}

/// Behind what the peer brought of it, the server can go on.
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
