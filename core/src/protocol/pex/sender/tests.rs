use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::protocol::pex::PeerExchange;
use crate::torrent::bencode::{self, Limits};

const STRANGER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)));

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Peers with these numbers, at public addresses.
fn peers(numbers: std::ops::Range<u16>) -> Vec<Neighbour> {
    numbers.map(|n| neighbour(&format!("198.51.{}.{}:6881", n / 250, n % 250 + 1), 0)).collect()
}

fn neighbour(address: &str, flags: u8) -> Neighbour {
    Neighbour { address: address.parse().unwrap(), flags }
}

fn counts(message: Option<Vec<u8>>) -> (usize, usize) {
    let Some(message) = message else { return (0, 0) };
    let limits = Limits { max_bytes: 64 << 10, max_values: 100 };
    let message = bencode::decode(&message, &limits).unwrap();
    let bytes = |key: &[u8]| bencode::bytes(&message, key).unwrap().len();
    let count = |v4: &[u8], v6: &[u8]| bytes(v4) / 6 + bytes(v6) / 18;
    let added = count(b"added", b"added6");
    assert_eq!(added, bytes(b"added.f") + bytes(b"added6.f"));
    (added, count(b"dropped", b"dropped6"))
}

#[test]
fn a_message_is_as_bep_11_has_it() {
    let mut sender = PexSender::default();
    let connected =
        [neighbour("198.51.100.7:6881", REACHABLE | SEED), neighbour("[2001:db8::7]:258", 0)];
    let message = sender.message(at(1), STRANGER, &connected).unwrap();
    let expected = [
        b"d5:added6:\xc6\x33\x64\x07\x1a\xe17:added.f1:\x12".as_slice(),
        b"6:added618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x01\x02",
        b"8:added6.f1:\x007:dropped0:8:dropped60:e",
    ];
    assert_eq!(message, expected.concat());
    let message = sender.message(at(61), STRANGER, &[]).unwrap();
    let expected = [
        b"d5:added0:7:added.f0:6:added60:8:added6.f0:7:dropped6:\xc6\x33\x64\x07\x1a\xe1"
            .as_slice(),
        b"8:dropped618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x01\x02e",
    ];
    assert_eq!(message, expected.concat());
}

#[test]
fn the_first_comes_a_second_after_the_handshake_and_then_one_a_minute() {
    let mut sender = PexSender::default();
    assert!(!sender.is_due(at(100)) && sender.is_due(at(101)));
    // If there is nothing to send, the next check is soon, and the minute does not start.
    assert_eq!(sender.message(at(101), STRANGER, &[]), None);
    assert!(!sender.is_due(at(101)) && sender.is_due(at(102)));
    assert_eq!(counts(sender.message(at(102), STRANGER, &peers(0..2))), (2, 0));
    assert!(!sender.is_due(at(161)) && sender.is_due(at(162)));
    // Nothing is sent twice.
    assert_eq!(sender.message(at(162), STRANGER, &peers(0..2)), None);
    assert!(sender.is_due(at(163)));
    assert_eq!(counts(sender.message(at(163), STRANGER, &peers(1..3))), (1, 1));
    // A peer that returns is named again.
    assert_eq!(counts(sender.message(at(223), STRANGER, &peers(0..3))), (1, 0));
}

#[test]
fn fifty_are_named_in_a_message_and_so_many_remembered() {
    let mut sender = PexSender::default();
    let mut minute = 0;
    let mut tell = |connected: &[Neighbour]| {
        minute += 1;
        counts(sender.message(at(60 * minute), STRANGER, connected))
    };
    let all = peers(0..1_000);
    for _ in 0..5 {
        assert_eq!(tell(&all), (50, 0));
    }
    assert_eq!(tell(&all), (0, 0));
    // Each peer that leaves makes room for another; a peer that was never named is not reported as
    // gone.
    assert_eq!(tell(&all[30..900]), (30, 30));
    assert_eq!(tell(&[]), (0, 50));
    assert_eq!(tell(&[]), (0, 50));
}

#[test]
fn who_is_connected_twice_is_told_of_once() {
    let twice = [peers(0..1), peers(0..1)].concat();
    let mut sender = PexSender::default();
    assert_eq!(counts(sender.message(at(1), STRANGER, &twice)), (1, 0));
    assert_eq!(sender.message(at(61), STRANGER, &twice[1..]), None);
}

#[test]
fn an_address_is_told_to_those_for_whom_it_leads_to_the_same_peer() {
    let machine = ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"];
    let site = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"];
    let world = ["198.51.100.1", "100.128.0.1", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"];
    let ips = |them: &[&str]| them.iter().map(|it| it.parse().unwrap()).collect::<Vec<IpAddr>>();
    let nearer = [ips(&world), ips(&site), ips(&machine)];
    for (to_reach, to) in nearer.iter().enumerate() {
        for (of_reach, of) in nearer.iter().enumerate() {
            for (to, of) in to.iter().flat_map(|to| of.iter().map(move |of| (*to, *of))) {
                assert_eq!(may_tell(Some(to), of), of_reach <= to_reach, "{of} to {to}");
                assert_eq!(may_tell(None, of), of_reach == 0, "{of}");
            }
        }
    }
    let local = [neighbour("192.168.1.1:6881", 0), neighbour("127.0.0.1:6881", 0)];
    let mut sender = PexSender::default();
    assert_eq!(sender.message(at(1), STRANGER, &local), None);
    // A link-local address is useless without its interface.
    let link = [neighbour("[fe80::1]:6881", 0)];
    assert_eq!(sender.message(at(1), Some(Ipv6Addr::LOCALHOST.into()), &link), None);
}

proptest! {
    #[test]
    fn what_is_told_is_heard_and_memory_is_bounded(
        steps in vec((1_u64..100, 0_u16..400, 0_u16..400), 1..12),
    ) {
        let (mut sender, mut heard) = (PexSender::default(), PeerExchange::default());
        let (mut now, mut last) = (at(0), None);
        for (later, from, count) in steps {
            now += at(later);
            if !sender.is_due(now) {
                continue;
            }
            let Some(message) = sender.message(now, STRANGER, &peers(from..from + count)) else {
                continue;
            };
            prop_assert!(last.is_none_or(|last| now >= last + INTERVAL));
            last = Some(now);
            prop_assert!(sender.told.len() <= MAX_TOLD);
            let (added, dropped) = counts(Some(message.clone()));
            prop_assert!(added <= MAX_IN_A_MESSAGE && dropped <= MAX_IN_A_MESSAGE);
            heard.hear(now, &message);
            prop_assert!(heard.take().len() <= added);
        }
    }
}
