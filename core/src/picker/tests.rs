use super::*;

mod claims;
mod unchecked;

impl Schedule {
    /// Returns the rest of a streaming worker's run, which is shorter if a part was stolen.
    fn run(&self, worker: WorkerId) -> Range<PieceIndex> {
        self.worker(worker).map_or(0..0, |worker| worker.run.clone())
    }

    fn holds(&self, worker: WorkerId, piece: PieceIndex) -> bool {
        self.worker(worker).is_some_and(|worker| worker.holds(piece))
    }
}

const PIECE: u64 = 1 << 20;
const ZERO: Duration = Duration::ZERO;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A schedule of 1 MiB pieces, with streaming sources (IDs from 0) followed by peers.
fn schedule(pieces: u32, streaming: u32, peers: u32) -> Schedule {
    let geometry = Geometry::new(u64::from(pieces) * PIECE, PIECE as u32).unwrap();
    let mut schedule = Schedule::new(geometry, PieceSet::all(pieces), 7);
    (0..streaming).for_each(|id| schedule.add_streaming(SourceId(id)));
    (streaming..streaming + peers).for_each(|id| schedule.add_peer(SourceId(id)));
    schedule
}

fn has(pieces: impl IntoIterator<Item = u32>, count: u32) -> PieceSet {
    let mut set = PieceSet::none(count);
    set.extend(pieces);
    set
}

fn fetch(next: Next) -> Range<PieceIndex> {
    match next {
        Next::Fetch(pieces) => pieces,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_another_connection_to_the_source_fetches_is_known() {
    let mut schedule = schedule(100, 2, 0);
    let [front, behind] = [0; 2].map(|_| schedule.begin(SourceId(0), ZERO));
    let elsewhere = schedule.begin(SourceId(1), ZERO);
    let run = fetch(schedule.next_run(front, ZERO));
    let next = fetch(schedule.next_run(behind, ZERO));
    fetch(schedule.next_run(elsewhere, ZERO));
    assert!(schedule.is_fetched_beside(behind, 0..next.start));
    assert!(!schedule.is_fetched_beside(front, 0..run.end));
    // The run belongs to another source.
    assert!(!schedule.is_fetched_beside(elsewhere, 0..next.start));
    assert!(!schedule.is_fetched_beside(behind, next.end..100));
    assert!(!schedule.is_fetched_beside(behind, 0..0));
    for piece in run {
        schedule.verified(piece);
        schedule.passed(front, piece);
    }
    assert!(!schedule.is_fetched_beside(behind, 0..next.start));
}

#[test]
fn a_streaming_source_takes_runs_from_the_front() {
    let mut schedule = schedule(100, 1, 0);
    let worker = schedule.begin(SourceId(0), ZERO);
    let run = fetch(schedule.next_run(worker, ZERO));
    // Half of the remaining bytes for the only connection.
    assert_eq!(run, 0..50);
    for piece in run {
        schedule.verified(piece);
        assert_eq!(schedule.passed(worker, piece), piece + 1..50);
    }
    assert_eq!(fetch(schedule.next_run(worker, ZERO)), 50..75);
}

#[test]
fn every_piece_is_fetched_once_by_however_many() {
    let mut schedule = schedule(333, 3, 0);
    let workers: Vec<_> = (0..6).map(|index| schedule.begin(SourceId(index % 3), ZERO)).collect();
    let mut fetched = vec![0; 333];
    let mut now = ZERO;
    let mut runs = vec![0..0; 6];
    while !schedule.is_done() {
        now += Duration::from_millis(10);
        for (index, worker) in workers.iter().enumerate() {
            // The first worker is slow.
            if index == 0 && now.as_millis() % 50 != 0 {
                continue;
            }
            if schedule.run(*worker).is_empty() {
                match schedule.next_run(*worker, now) {
                    Next::Fetch(run) => runs[index] = run,
                    _ => continue,
                }
            }
            let piece = schedule.run(*worker).start;
            fetched[piece as usize] += 1;
            schedule.received(*worker, PIECE, now);
            schedule.verified(piece);
            schedule.passed(*worker, piece);
        }
    }
    assert_eq!(fetched, vec![1; 333]);
    // In the endgame a few pieces had a second worker, but it was never the faster one.
    assert!(schedule.duplicated_bytes <= 4 << 20);
}

#[test]
fn an_idle_worker_steals_the_far_half_of_the_slowest_run() {
    let mut schedule = schedule(9, 2, 0);
    let [slow, fast] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    let first = fetch(schedule.next_run(slow, ZERO));
    assert_eq!(first, 0..2);
    let mut runs = Vec::new();
    while let Next::Fetch(run) = schedule.next_run(fast, ZERO) {
        runs.push(run.clone());
        if run.start == 1 {
            break;
        }
        run.for_each(|piece| schedule.verified(piece));
    }
    assert_eq!(runs.last(), Some(&(1..2)), "{runs:?}");
    assert_eq!(schedule.run(slow), 0..1);
}

#[test]
fn the_endgame_has_two_workers_a_piece_and_a_third_once_both_are_silent() {
    let mut schedule = schedule(1, 3, 0);
    let [a, b, c] = [0, 1, 2].map(|id| schedule.begin(SourceId(id), ZERO));
    assert_eq!(fetch(schedule.next_run(a, ZERO)), 0..1);
    assert_eq!(fetch(schedule.next_run(b, seconds(1))), 0..1);
    assert!(schedule.is_shared(0));
    assert_eq!(schedule.next_run(c, seconds(1)), Next::Wait);
    schedule.received(b, 1, seconds(8));
    assert_eq!(schedule.next_run(c, seconds(9)), Next::Wait);
    assert_eq!(fetch(schedule.next_run(c, seconds(11))), 0..1);
    // A source does not get a second connection for the piece either.
    let other = schedule.begin(SourceId(2), seconds(11));
    assert_eq!(schedule.next_run(other, seconds(30)), Next::Wait);
    schedule.verified(0);
    assert_eq!(schedule.next_run(c, seconds(9)), Next::Done);
}

#[test]
fn the_endgame_is_bounded_unless_the_first_worker_is_silent() {
    let geometry = Geometry::new(10 << 30, 64 << 20).unwrap();
    let mut schedule = Schedule::new(geometry, PieceSet::all(160), 7);
    (0..2).for_each(|id| schedule.add_streaming(SourceId(id)));
    let [a, b] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    (0..158).for_each(|piece| schedule.verified(piece));
    schedule.duplicated_bytes = 10 << 30;
    fetch(schedule.next_run(a, ZERO));
    fetch(schedule.next_run(b, ZERO));
    schedule.verified(159);
    assert_eq!(schedule.next_run(b, seconds(1)), Next::Wait);
    assert_eq!(fetch(schedule.next_run(b, seconds(5))), 158..159);
}

#[test]
fn peers_take_the_rarest_piece_that_they_have() {
    let mut schedule = schedule(8, 0, 3);
    schedule.peer_has(SourceId(0), has(0..8, 8));
    schedule.peer_has(SourceId(1), has([0, 1, 2, 4, 5, 6, 7], 8));
    schedule.peer_has(SourceId(2), has([0, 1], 8));
    let worker = schedule.begin(SourceId(0), ZERO);
    assert_eq!(fetch(schedule.next_piece(worker, ZERO)), 3..4);
    let worker = schedule.begin(SourceId(2), ZERO);
    assert!(fetch(schedule.next_piece(worker, ZERO)).start < 2);
    schedule.forget_peer(SourceId(1));
    assert_eq!(schedule.availability, [1, 1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_peer_that_found_nothing_finds_what_comes_up_later() {
    for streaming in 0..2 {
        let mut schedule = schedule(300, streaming, 2);
        let [one, other] = [SourceId(streaming), SourceId(streaming + 1)];
        (0..streaming).for_each(|id| {
            schedule.begin(SourceId(id), ZERO);
        });
        let [first, second] = [one, other].map(|source| schedule.begin(source, ZERO));
        schedule.peer_has(one, has([7, 250], 300));
        schedule.peer_has(other, has([250], 300));
        let mut taken =
            [fetch(schedule.next_piece(first, ZERO)), fetch(schedule.next_piece(first, ZERO))];
        taken.sort_by_key(|pieces| pieces.start);
        assert_eq!(taken, [7..8, 250..251]);
        // The second peer has nothing unclaimed until the piece is released, or until it gets
        // another.
        assert_eq!(schedule.rarest(second), None);
        schedule.release(first);
        assert_eq!(schedule.rarest(second), Some(250));
        schedule.verified(250);
        assert_eq!((schedule.rarest(second), schedule.is_useful(other)), (None, false));
        assert!(schedule.peer_has_piece(other, 8) && schedule.is_useful(other));
        assert_eq!(schedule.rarest(second), Some(8));
        schedule.verified(8);
        assert!(!schedule.is_useful(other) && !schedule.peer_has_piece(other, 8));
        assert_eq!((schedule.rarest(second), schedule.is_useful(other)), (None, false));
    }
}

#[test]
fn a_failed_piece_that_someone_still_holds_is_not_anyones() {
    let mut schedule = schedule(4, 1, 1);
    let (web, peer) = (schedule.begin(SourceId(0), ZERO), schedule.begin(SourceId(1), ZERO));
    schedule.next_run(web, ZERO);
    assert_eq!(schedule.run(web), 0..2);
    schedule.peer_has(SourceId(1), has([1], 4));
    let late = seconds(5);
    assert_eq!(fetch(schedule.next_piece(peer, late)), 1..2);
    schedule.failed(1, &[SourceId(1)], None);
    assert!(!schedule.holds(peer, 1));
    assert_eq!(schedule.unclaimed.contains(1), !schedule.holds(web, 1));
}

#[test]
fn sources_cover_what_is_wanted_together() {
    let mut schedule = schedule(200, 0, 2);
    let [a, b] = [SourceId(0), SourceId(1)];
    schedule.peer_has(a, has(0..100, 200));
    schedule.peer_has(b, has(100..199, 200));
    assert!(!schedule.is_covered_by(&[a, b]));
    schedule.peer_has_piece(b, 199);
    assert!(schedule.is_covered_by(&[a, b]) && !schedule.is_covered_by(&[a]));
    (100..200).for_each(|piece| schedule.verified(piece));
    assert!(schedule.is_covered_by(&[a]) && !schedule.is_covered_by(&[b]));
}

#[test]
fn peers_work_from_the_back_while_someone_streams() {
    let mut schedule = schedule(100, 1, 1);
    let web = schedule.begin(SourceId(0), ZERO);
    let peer = schedule.begin(SourceId(1), ZERO);
    schedule.peer_has(SourceId(1), PieceSet::all(100));
    assert_eq!(fetch(schedule.next_run(web, ZERO)).start, 0);
    assert_eq!(fetch(schedule.next_piece(peer, ZERO)), 99..100);
}

#[test]
fn a_peer_with_few_pieces_finds_them_among_many() {
    let geometry = Geometry::new(100_000 * PIECE, PIECE as u32).unwrap();
    let mut schedule = Schedule::new(geometry, PieceSet::all(100_000), 7);
    schedule.add_peer(SourceId(0));
    schedule.peer_has_piece(SourceId(0), 77_777);
    let worker = schedule.begin(SourceId(0), ZERO);
    assert_eq!(fetch(schedule.next_piece(worker, ZERO)), 77_777..77_778);
    assert_eq!(schedule.next_piece(worker, ZERO), Next::Wait);
}

#[test]
fn what_a_worker_leaves_is_anyones_again() {
    let mut schedule = schedule(4, 1, 1);
    let web = schedule.begin(SourceId(0), ZERO);
    assert_eq!(fetch(schedule.next_run(web, ZERO)), 0..2);
    schedule.verified(0);
    schedule.end(web);
    let again = schedule.begin(SourceId(0), ZERO);
    assert_eq!(fetch(schedule.next_run(again, ZERO)).start, 1);
}

#[test]
fn blame_falls_on_the_only_contributor_and_the_third_time_bans() {
    let mut schedule = schedule(8, 2, 0);
    let [a, b] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    fetch(schedule.next_run(a, ZERO));
    assert_eq!(schedule.failed(0, &[SourceId(0)], None), Some((SourceId(0), Blame::Warned)));
    // Other sources are asked for the piece that it sent corrupt.
    assert_eq!(fetch(schedule.next_run(a, ZERO)).start, 1);
    assert_eq!(fetch(schedule.next_run(b, ZERO)).start, 0);
    assert_eq!(schedule.failed(1, &[SourceId(0)], None), Some((SourceId(0), Blame::Warned)));
    assert!(schedule.is_useful(SourceId(0)));
    assert_eq!(schedule.failed(2, &[SourceId(0)], None), Some((SourceId(0), Blame::Banned)));
    assert!(!schedule.is_useful(SourceId(0)));
    assert_eq!(schedule.next_run(a, ZERO), Next::Wait);
}

#[test]
fn corrupt_pieces_that_one_file_explains_cost_a_server_only_that_file() {
    let web = SourceId(0);
    let failed = |schedule: &mut Schedule, piece, files: Range<u32>| {
        schedule.failed(piece, &[web], Some(files)).unwrap().1
    };
    // Pieces 2 to 4 have file 7 in common.
    let mut one = schedule(9, 1, 0);
    assert_eq!(failed(&mut one, 2, 5..8), Blame::Warned);
    assert_eq!(failed(&mut one, 3, 7..8), Blame::Warned);
    one.add_streaming(web); // changes nothing
    assert_eq!(failed(&mut one, 4, 7..9), Blame::OtherVersion(7));
    // Its other pieces that are on their way say the same.
    assert_eq!(failed(&mut one, 5, 7..8), Blame::OtherVersion(7));
    assert!(one.is_useful(web));
    // Two more files are too many.
    assert_eq!(failed(&mut one, 7, 10..11), Blame::Warned);
    assert_eq!(failed(&mut one, 8, 12..13), Blame::Banned);
    // The same piece three times.
    let mut again = schedule(9, 1, 0);
    assert_eq!(failed(&mut again, 2, 5..8), Blame::Warned);
    assert_eq!(failed(&mut again, 2, 5..8), Blame::Warned);
    assert_eq!(failed(&mut again, 2, 5..8), Blame::Banned);
    // A peer with another version has another torrent.
    let mut peer = schedule(9, 0, 1);
    assert_eq!(failed(&mut peer, 2, 7..8), Blame::Warned);
    assert_eq!(failed(&mut peer, 3, 7..8), Blame::Warned);
    assert_eq!(failed(&mut peer, 4, 7..8), Blame::Banned);
}

#[test]
fn a_source_that_is_alone_gets_a_second_chance() {
    let mut schedule = schedule(1, 1, 0);
    let worker = schedule.begin(SourceId(0), ZERO);
    for expected in [Blame::Warned, Blame::Warned, Blame::Banned] {
        assert_eq!(fetch(schedule.next_run(worker, ZERO)), 0..1);
        assert_eq!(schedule.failed(0, &[SourceId(0)], None), Some((SourceId(0), expected)));
    }
    assert_eq!(schedule.next_run(worker, ZERO), Next::Wait);
}

#[test]
fn a_piece_of_several_that_fails_is_fetched_whole_from_one() {
    let mut schedule = schedule(4, 2, 0);
    let [a, b] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    assert_eq!(schedule.failed(0, &[SourceId(0), SourceId(1)], None), None);
    assert!(schedule.is_whole(0));
    assert_eq!(fetch(schedule.next_run(a, ZERO)), 0..1);
    fetch(schedule.next_run(b, ZERO)).for_each(|piece| schedule.verified(piece));
    while let Next::Fetch(run) = schedule.next_run(b, ZERO) {
        assert_ne!(run.start, 0, "shared with a second source");
        run.for_each(|piece| schedule.verified(piece));
    }
}

#[test]
fn what_others_brought_of_a_run_is_not_stolen_from_it() {
    // A peer steals every piece except the first, which is being received, and the one that another
    // source provided.
    let mut schedule = schedule(5, 1, 1);
    let [seed, peer] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    schedule.peer_has(SourceId(1), PieceSet::all(5));
    schedule.note_claim(seed, ZERO);
    schedule.worker_mut(seed).unwrap().run = 0..5;
    schedule.unclaimed.remove_range(0..5);
    schedule.verified(3);
    let stolen = std::iter::from_fn(|| schedule.steal_one(peer, seconds(60)));
    assert_eq!(stolen.collect::<Vec<_>>(), [4, 2, 1]);
}

#[test]
fn a_source_that_lacks_pieces_is_not_asked_for_them() {
    let mut schedule = schedule(8, 2, 0);
    let [a, b] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    (0..4).for_each(|piece| schedule.lacks(SourceId(0), piece));
    assert_eq!(fetch(schedule.next_run(a, ZERO)).start, 4);
    assert_eq!(fetch(schedule.next_run(b, ZERO)).start, 0);
    assert!(
        schedule.is_covered_by(&[SourceId(0), SourceId(1)])
            && !schedule.is_covered_by(&[SourceId(0)])
    );
    (4..8).for_each(|piece| schedule.lacks(SourceId(0), piece));
    assert!(!schedule.is_useful(SourceId(0)));
}

#[test]
fn a_peer_that_comes_back_in_vain_is_not_counted_on_until_it_brings_something() {
    let mut schedule = schedule(10, 1, 1);
    let peer = SourceId(1);
    let begin = |schedule: &mut Schedule, at| {
        schedule.add_peer(peer);
        schedule.peer_has(peer, PieceSet::all(10));
        schedule.begin(peer, seconds(at))
    };
    let others_have = |schedule: &Schedule, at| schedule.others_have(SourceId(0), 5, seconds(at));
    let first = begin(&mut schedule, 0);
    assert!(others_have(&schedule, 1) && !others_have(&schedule, 3));
    schedule.end(first);
    let second = begin(&mut schedule, 4);
    assert!(!others_have(&schedule, 4));
    schedule.received(second, 1, seconds(5));
    assert!(others_have(&schedule, 5));
    schedule.end(second);
    begin(&mut schedule, 6);
    assert!(others_have(&schedule, 6));
}

#[test]
fn a_stream_without_ranges_goes_on_behind_what_others_have() {
    let mut schedule = schedule(10, 1, 0);
    let worker = schedule.begin(SourceId(0), ZERO);
    (0..6).for_each(|piece| schedule.verified(piece));
    assert_eq!(fetch(schedule.next_run_within(worker, 2..9, ZERO)).start, 6);
    assert_eq!(schedule.next_run_within(worker, 2..6, ZERO), Next::Wait);
}

#[test]
fn a_piece_that_is_shared_or_was_sent_corrupt_is_not_found_again_once_released() {
    let mut schedule = schedule(2, 2, 0);
    let [silent, worker] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    assert_eq!(fetch(schedule.next_run_within(silent, 0..1, ZERO)), 0..1);
    assert_eq!(fetch(schedule.next_run(worker, ZERO)), 1..2);
    assert!(schedule.is_found_again(SourceId(1), 1));
    schedule.failed(1, &[SourceId(1)], None);
    assert!(!schedule.is_found_again(SourceId(1), 1));
    assert_eq!(fetch(schedule.next_run(worker, seconds(3))), 0..1);
    assert!(!schedule.is_found_again(SourceId(1), 0));
}

#[test]
fn a_shared_piece_whose_first_worker_left_can_be_shared_again() {
    let mut schedule = schedule(1, 3, 0);
    let [stalled, slow, fast] = [0, 1, 2].map(|id| schedule.begin(SourceId(id), ZERO));
    assert_eq!(fetch(schedule.next_run(stalled, ZERO)), 0..1);
    assert_eq!(fetch(schedule.next_run(slow, seconds(3))), 0..1);
    schedule.end(stalled);
    assert_eq!(fetch(schedule.next_run(fast, seconds(30))), 0..1);
}

#[test]
fn two_sources_that_each_have_a_part_of_a_piece_take_turns() {
    let mut schedule = schedule(1, 2, 0);
    let [a, b] = [0, 1].map(|id| schedule.begin(SourceId(id), ZERO));
    // The source with the second part is first, and cannot advance the piece.
    assert_eq!(fetch(schedule.next_run(b, ZERO)), 0..1);
    schedule.brought_its_part(SourceId(1), 0, 0, false);
    assert_eq!(schedule.next_run(b, ZERO), Next::Wait);
    assert_eq!(fetch(schedule.next_run(a, ZERO)), 0..1);
    schedule.brought_its_part(SourceId(0), 0, 500, true);
    assert_eq!(fetch(schedule.next_run(a, ZERO)), 0..1);
    schedule.brought_its_part(SourceId(0), 0, 500, false);
    assert_eq!(schedule.next_run(a, ZERO), Next::Wait);
    assert_eq!(fetch(schedule.next_run(b, ZERO)), 0..1);
}

#[test]
fn a_turn_that_was_over_before_another_source_moved_the_piece_does_not_count() {
    let mut schedule = schedule(1, 2, 0);
    let b = schedule.begin(SourceId(1), ZERO);
    // The second source read the cursor; then the first one advanced the piece and reported it; now
    // the second one reports.
    schedule.brought_its_part(SourceId(0), 0, 500, true);
    schedule.brought_its_part(SourceId(1), 0, 0, false);
    assert_eq!(fetch(schedule.next_run(b, ZERO)), 0..1);
    // The limit on turns ends any endless loop.
    (0..100).for_each(|_| schedule.brought_its_part(SourceId(1), 0, 0, false));
    assert_eq!(schedule.next_run(b, ZERO), Next::Wait);
}
