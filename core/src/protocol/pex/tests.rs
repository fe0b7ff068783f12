use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::torrent::bencode::variants;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn message(added: &[u8], added6: &[u8]) -> Vec<u8> {
    let text = |key: &str, value: &[u8]| {
        [format!("{}:{key}{}:", key.len(), value.len()).as_bytes(), value].concat()
    };
    let flags = vec![0; added.len() / 6];
    let parts = [text("added", added), text("added.f", &flags), text("added6", added6)];
    [b"d", &parts.concat()[..], &text("dropped", &[9; 6]), b"e"].concat()
}

/// Addresses `10.<n>.<m>.1:6881`.
fn peers(n: u8, count: usize) -> Vec<u8> {
    (0..count).flat_map(|m| [10, n, m as u8, 1, 0x1a, 0xe1]).collect()
}

fn heard(exchange: &mut PeerExchange, seconds: u64, bytes: &[u8]) -> Vec<String> {
    let is_new = exchange.hear(at(seconds), bytes);
    let new = exchange.take();
    assert_eq!(is_new, !new.is_empty());
    new.iter().map(ToString::to_string).collect()
}

#[test]
fn both_families_are_read_and_each_address_once() {
    let mut exchange = PeerExchange::default();
    let six = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1, 0x1a, 0xe1]].concat();
    // The first address again, as an IPv4-mapped IPv6 address.
    let mapped = [&[0; 10][..], &[0xff, 0xff, 10, 1, 0, 1, 0x1a, 0xe1]].concat();
    let bytes = message(&[peers(1, 2), peers(1, 1)].concat(), &[six, mapped].concat());
    let expected = ["10.1.0.1:6881", "10.1.1.1:6881", "[2001:db8::1]:6881"];
    assert_eq!(heard(&mut exchange, 0, &bytes), expected);
    assert_eq!(heard(&mut exchange, 60, &bytes), [""; 0]);
}

#[test]
fn addresses_where_nobody_can_be_are_left_out() {
    let nobody =
        [[0, 0, 0, 0, 1, 1], [10, 0, 0, 1, 0, 0], [255, 255, 255, 255, 1, 1], [224, 0, 0, 1, 1, 1]];
    assert_eq!(heard(&mut PeerExchange::default(), 0, &message(&nobody.concat(), &[])), [""; 0]);
    // Seven bytes contain one address.
    let ragged = message(&[10, 0, 0, 1, 1, 1, 10], &[1; 17]);
    assert_eq!(heard(&mut PeerExchange::default(), 0, &ragged), ["10.0.0.1:257"]);
}

#[test]
fn a_message_a_minute_is_heard() {
    let mut exchange = PeerExchange::default();
    let mut check = |seconds, n, expected: usize| {
        let new = heard(&mut exchange, seconds, &message(&peers(n, 1), &[]));
        assert_eq!(new.len(), expected, "{seconds} s");
    };
    check(100, 1, 1);
    check(101, 2, 0);
    check(149, 3, 0);
    check(150, 4, 1);
    // An ignored message does not restart the interval.
    check(199, 5, 0);
    check(200, 6, 1);
}

#[test]
fn so_many_are_believed_of_a_message_and_of_a_peer() {
    let mut exchange = PeerExchange::default();
    let mut counts = Vec::new();
    for n in 0..4 {
        counts.push(heard(&mut exchange, u64::from(n) * 60, &message(&peers(n, 200), &[])).len());
    }
    assert_eq!(counts, [100, 100, 50, 0]);
}

#[test]
fn what_is_no_such_message_names_nobody() {
    let mut exchange = PeerExchange::default();
    for bytes in [&b""[..], b"de", b"le", b"hello", b"d5:addedi1ee", b"d5:addedle6:added6dee"] {
        assert_eq!(heard(&mut exchange, 1_000, bytes), [""; 0]);
        exchange = PeerExchange::default();
    }
}

#[test]
fn messages_are_read_as_other_programs_write_them() {
    for bytes in variants::of(&message(&peers(1, 2), &[])) {
        let found = heard(&mut PeerExchange::default(), 0, &bytes);
        assert_eq!(found, ["10.1.0.1:6881", "10.1.1.1:6881"], "{}", bytes.escape_ascii());
    }
}

proptest! {
    #[test]
    fn random_messages_never_panic_and_stay_within_bounds(
        messages in vec((0_u64..200, vec(any::<u8>(), 0..2_000), vec(any::<u8>(), 0..2_000)), 0..8),
        garbage in vec(any::<u8>(), 0..100),
    ) {
        let mut exchange = PeerExchange::default();
        exchange.hear(at(0), &garbage);
        let (mut now, mut all) = (0, HashSet::new());
        for (later, added, added6) in messages {
            now += later;
            exchange.hear(at(now), &message(&added, &added6));
            let new = exchange.take();
            prop_assert!(new.len() <= MAX_IN_A_MESSAGE);
            for address in new {
                prop_assert!(all.insert(address) && address.port() != 0);
            }
        }
        prop_assert!(all.len() <= MAX_OF_A_PEER);
    }
}
