use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The bytes sent in this many seconds by a sender that tries every 10 ms, in blocks of this size.
fn sent(rate: u64, block: u64, seconds: u64) -> u64 {
    let mut bucket = Bucket::new(rate);
    let tries = (0..seconds * 100).map(|tick| at(60_000 + tick * 10));
    let taken: u64 = tries
        .map(|now| std::iter::from_fn(|| bucket.take(now, block).then_some(block)).sum::<u64>())
        .sum();
    taken
}

#[test]
fn the_rate_is_held_whatever_the_blocks_are() {
    let check = |rate: u64, block: u64, seconds: u64| {
        let sent = sent(rate, block, seconds);
        let most = rate * seconds + rate / 4 + block;
        let least = rate * seconds - rate / 50;
        assert!((least..=most).contains(&sent), "{rate} B/s, {block}: {sent} in {seconds} s");
    };
    check(1 << 20, 16 << 10, 60);
    check(1 << 20, 128 << 10, 60);
    check(100 << 20, 16 << 10, 5);
    check(1_000, 16 << 10, 600);
    assert_eq!(sent(0, 1, 60), 0);
}

#[test]
fn time_without_requests_is_not_saved_up() {
    let mut bucket = Bucket::new(1 << 20);
    let burst =
        |bucket: &mut Bucket, now| (0..10_000).filter(|_| bucket.take(now, 1 << 10)).count();
    assert_eq!(burst(&mut bucket, at(3_600_000)), 257);
    assert_eq!(burst(&mut bucket, at(7_200_000)), 257);
    assert_eq!(burst(&mut bucket, at(7_200_100)), 102);
}

/// One peer is served every millisecond and one every 100 ms: with a bucket for each, both get
/// half.
#[test]
fn who_is_looked_at_more_often_has_no_more_than_its_share() {
    let mut all = Bucket::new(1 << 20);
    let mut shares = [Bucket::new(1 << 20), Bucket::new(1 << 20)];
    let mut sent = [0_u64; 2];
    for now in 1_000..21_000 {
        for (peer, share) in shares.iter_mut().enumerate() {
            while (peer == 0 || now % 100 == 0) && share.is_free(at(now)) {
                if !all.take(at(now), 16 << 10) {
                    break;
                }
                share.charge(at(now), 2 * (16 << 10));
                sent[peer] += 16 << 10;
            }
        }
    }
    let half = 10 << 20;
    assert!(sent.iter().all(|sent| sent.abs_diff(half) < 1 << 20), "{sent:?}");
}

/// Returns which of these peers are unchoked after each of them asked.
fn unchoked(choker: &mut Choker, ids: &[u32], now: u64) -> Vec<u32> {
    for id in ids {
        choker.is_unchoked(*id, None, at(now));
    }
    ids.iter().copied().filter(|id| choker.is_unchoked(*id, None, at(now))).collect()
}

#[test]
fn four_are_unchoked_and_who_waits_is_next() {
    let mut choker = Choker::default();
    assert_eq!(unchoked(&mut choker, &[1, 2], 0), [1, 2]);
    assert_eq!(unchoked(&mut choker, &[1, 2, 3, 4, 5, 6], 1_000), [1, 2, 3, 4]);
    choker.leave(3);
    assert_eq!(unchoked(&mut choker, &[1, 2, 4, 5, 6], 2_000), [1, 2, 4, 5]);
    // Two have had their turn, but only one peer waits.
    assert_eq!(unchoked(&mut choker, &[1, 2, 4, 5, 6], 10_000), [2, 4, 5, 6]);
    choker.leave(2);
    choker.leave(2);
    assert_eq!(unchoked(&mut choker, &[1, 4, 5, 6], 10_000), [1, 4, 5, 6]);
}

#[test]
fn who_never_asks_again_does_not_keep_its_slot() {
    let mut choker = Choker::default();
    unchoked(&mut choker, &[1, 2, 3, 4], 0);
    assert_eq!(unchoked(&mut choker, &[5], 7_500), [0_u32; 0]);
    assert_eq!(unchoked(&mut choker, &[5], 9_999), [0_u32; 0]);
    assert_eq!(unchoked(&mut choker, &[5], 10_000), [5]);
}

#[test]
fn one_too_many_is_a_change_of_one_slot_at_a_time() {
    let mut choker = Choker::default();
    let ids = [1, 2, 3, 4, 5];
    assert_eq!(unchoked(&mut choker, &ids, 0), [1, 2, 3, 4]);
    let mut choked = Vec::new();
    for second in 0..22 {
        let now = unchoked(&mut choker, &ids, second * 1_000);
        let out = ids.into_iter().find(|id| !now.contains(id)).unwrap();
        if choked.last() != Some(&out) {
            choked.push(out);
        }
    }
    assert_eq!(choked, [5, 1, 2, 3, 4]);
}

#[test]
fn who_wants_nothing_for_a_while_gains_nothing_by_it() {
    let mut choker = Choker::default();
    assert_eq!(unchoked(&mut choker, &[1, 2, 3, 4, 5], 0), [1, 2, 3, 4]);
    choker.rest(1);
    assert_eq!(unchoked(&mut choker, &[2, 3, 4, 5], 0), [2, 3, 4, 5]);
    // Peer 1 had a turn, peer 6 had none.
    assert_eq!(unchoked(&mut choker, &[1, 6], 0), [0_u32; 0]);
    choker.rest(2);
    assert_eq!(unchoked(&mut choker, &[1, 6], 0), [6]);
    choker.rest(9);
}

#[test]
fn all_have_their_turn() {
    let mut choker = Choker::default();
    let ids: Vec<u32> = (0..10).collect();
    let mut turns = [0; 10];
    for second in 0..300 {
        for id in unchoked(&mut choker, &ids, second * 1_000) {
            turns[id as usize] += 1;
        }
    }
    assert!(turns.iter().all(|turns| (110..=130).contains(turns)), "{turns:?}");
}

/// A host's address.
fn host(number: u8) -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, number]))
}

/// Four unchoked peers, each with its own host; the first one has been unchoked longest.
fn four_hosts() -> Choker {
    let mut choker = Choker::default();
    assert!((1..=4).all(|id| choker.is_unchoked(id.into(), host(id), at(0))));
    choker
}

#[test]
fn who_leaves_after_its_turn_and_comes_under_another_id_waits_behind_who_had_none() {
    let mut choker = four_hosts();
    choker.leave(1);
    assert!(choker.is_unchoked(5, host(5), at(1_000)));
    assert!(!choker.is_unchoked(11, host(1), at(1_000)));
    assert!(!choker.is_unchoked(6, host(6), at(2_000)));
    // Reconnecting repeatedly changes nothing.
    choker.leave(11);
    assert!(!choker.is_unchoked(12, host(1), at(2_500)));
    choker.leave(2);
    assert!(!choker.is_unchoked(12, host(1), at(3_000)));
    assert!(choker.is_unchoked(6, host(6), at(3_000)));
    // A new peer without a turn is also served before it.
    assert!(!choker.is_unchoked(7, host(7), at(4_000)));
    choker.leave(3);
    assert!(!choker.is_unchoked(12, host(1), at(5_000)));
    assert!(choker.is_unchoked(7, host(7), at(5_000)));
    // It gets the next slot once no waiting peer is without a turn.
    choker.leave(4);
    assert!(choker.is_unchoked(12, host(1), at(6_000)));
}

/// Ten peers request as much as they can, and nine of them never disconnect.
#[test]
fn who_reconnects_at_each_chance_has_no_more_than_who_stays() {
    let check = |slots: usize, reconnects: fn(bool, u64) -> bool| {
        let mut choker = Choker::new(slots);
        let (mut turns, mut id) = ([0_u32; 10], 100);
        for second in 0..1_000 {
            for peer in 1..10_u8 {
                let unchoked = choker.is_unchoked(peer.into(), host(peer), at(second * 1_000));
                turns[usize::from(peer)] += u32::from(unchoked);
            }
            let unchoked = choker.is_unchoked(id, host(0), at(second * 1_000));
            turns[0] += u32::from(unchoked);
            if reconnects(unchoked, second) {
                choker.leave(id);
                id += 1;
            }
        }
        let most = turns[1..].iter().max();
        assert!(Some(&turns[0]) <= most, "{turns:?}");
        // The others get their turns regardless.
        assert!(turns[1..].iter().all(|it| *it as usize >= slots * 80), "{turns:?}");
        assert!(choker.seats.len() <= 10 && choker.gone.len() <= 1);
    };
    for slots in [1, 4, 9] {
        check(slots, |unchoked, _| !unchoked);
        check(slots, |unchoked, _| unchoked);
        check(slots, |_, second| second % 11 == 0);
        check(slots, |_, _| true);
    }
}

#[test]
fn of_several_behind_one_address_each_has_its_turn() {
    let mut choker = four_hosts();
    // The fifth peer shares the address of the first, which stays connected.
    assert!(!choker.is_unchoked(5, host(1), at(1_000)));
    assert!(!choker.is_unchoked(6, host(6), at(2_000)));
    choker.leave(4);
    assert!(!choker.is_unchoked(6, host(6), at(3_000)));
    assert!(choker.is_unchoked(5, host(1), at(3_000)));
    // One of them disconnects and another connects; they cannot be told apart.
    choker.leave(1);
    assert!(choker.is_unchoked(6, host(6), at(4_000)));
    assert!(!choker.is_unchoked(7, host(1), at(4_000)));
    assert!(!choker.is_unchoked(8, host(8), at(5_000)));
    choker.leave(2);
    assert!(
        !choker.is_unchoked(7, host(1), at(6_000)) && choker.is_unchoked(8, host(8), at(6_000))
    );
}

#[test]
fn so_many_are_remembered_and_no_more() {
    let mut choker = Choker::default();
    for id in 0..5_000_u32 {
        let host = Some(IpAddr::from(id.to_be_bytes()));
        assert!(choker.is_unchoked(id, host, at(0)));
        choker.leave(id);
        choker.leave(id);
    }
    assert_eq!((choker.gone.len(), choker.seats.len()), (MOST_REMEMBERED, 0));
}

proptest! {
    #[test]
    fn never_more_than_four_and_never_a_free_slot_beside_one_who_waits(
        steps in vec((0_u32..9, 0_u8..4, 0_u64..4_000), 0..200),
    ) {
        let mut choker = Choker::default();
        let mut now = 0;
        for (id, what, later) in steps {
            now += later;
            match what {
                0 => choker.leave(id),
                1 => choker.rest(id),
                _ => {
                    choker.is_unchoked(id, None, at(now));
                }
            }
            let count = |which: fn(&&Seat) -> bool| choker.seats.iter().filter(which).count();
            let (unchoked, want) = (count(|seat| seat.unchoked), count(|seat| seat.wants));
            prop_assert!(unchoked <= SLOTS && count(|seat| seat.unchoked && !seat.wants) == 0);
            prop_assert!(what < 2 || unchoked == SLOTS.min(want));
        }
    }
}
