use proptest::prelude::*;

use super::*;
use crate::torrent::bencode::variants;

fn announce() -> Announce {
    let mut infohash = [0; 20];
    infohash[..5].copy_from_slice(b"aZ9-_");
    infohash[5..9].copy_from_slice(b".~ %");
    infohash[19] = 0xff;
    Announce {
        infohash: Infohash::from_bytes(infohash),
        peer_id: *b"-AT0100-abcdefghijkl",
        port: 6881,
        uploaded_bytes: 0,
        downloaded_bytes: 1,
        left_bytes: 2,
        event: Some(AnnounceEvent::Started),
        numwant: 80,
        key: 0xab,
    }
}

const QUERY: &str = "info_hash=aZ9-_.~%20%25%00%00%00%00%00%00%00%00%00%00%FF\
    &peer_id=-AT0100-abcdefghijkl&port=6881&uploaded=0&downloaded=1&left=2\
    &compact=1&numwant=80&key=000000ab&event=started";

#[test]
fn the_announce_joins_a_query_that_is_there() {
    let check = |base: &str, before: &str| {
        let url = announce_url(&base.into(), &announce());
        assert_eq!(url.exposed(), format!("{before}{QUERY}"));
    };
    check("http://t/announce", "http://t/announce?");
    check("http://t/announce?", "http://t/announce?");
    check("http://t/announce.php?passkey=1", "http://t/announce.php?passkey=1&");
    check("http://t/announce.php?passkey=1&", "http://t/announce.php?passkey=1&");
    check(" http://t/announce#part\n", "http://t/announce?");
}

#[test]
fn an_announce_in_between_names_no_event() {
    let url = announce_url(&"http://t/".into(), &Announce { event: None, ..announce() });
    assert!(!url.exposed().contains("event"), "{url}");
    let url = announce_url(
        &"http://t/".into(),
        &Announce { event: Some(AnnounceEvent::Stopped), ..announce() },
    );
    assert!(url.exposed().ends_with("&event=stopped"), "{url}");
}

fn peers_of(body: &[u8]) -> Vec<String> {
    parse_reply(body).unwrap().peers.iter().map(ToString::to_string).collect()
}

#[test]
fn a_whole_reply_is_read() {
    let body = b"d8:completei5e10:incompletei7e8:intervali900e12:min intervali60e\
                 5:peers6:\x7f\0\0\x01\x1a\xe115:warning message4:hey\ne";
    let reply = parse_reply(body).unwrap();
    let expected = Reply {
        left_out: 0,
        interval: Duration::from_secs(900),
        min_interval: Some(Duration::from_secs(60)),
        peers: vec!["127.0.0.1:6881".parse().unwrap()],
        names: Vec::new(),
        complete: Some(5),
        incomplete: Some(7),
        warning: Some("hey".to_owned()),
    };
    assert_eq!(reply, expected);
}

#[test]
fn peers_come_in_many_forms() {
    let check = |body: &[u8], expected: &[&str]| assert_eq!(peers_of(body), expected);
    check(b"de", &[]);
    check(b"d5:peers0:e", &[]);
    check(
        b"d5:peers12:\x01\x02\x03\x04\0\x50\x05\x06\x07\x08\x01\0e",
        &["1.2.3.4:80", "5.6.7.8:256"],
    );
    check(b"d5:peers8:\x01\x02\x03\x04\0\x50\x05\x06e", &["1.2.3.4:80"]);
    check(b"d6:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50e", &["[2001:db8::1]:80"]);
    check(
        b"d5:peersld2:ip7:1.2.3.44:porti80eed2:ip11:2001:db8::14:porti81eed2:ip4:host4:porti80eeee",
        &["1.2.3.4:80", "[2001:db8::1]:81"],
    );
    // Ports as strings.
    check(
        b"d5:peersld2:ip7:1.2.3.44:port2:80ed2:ip7:1.2.3.54:port5: 81\n ed2:ip7:1.2.3.64:port0:e\
          d2:ip7:1.2.3.74:port5:65536ed2:ip7:1.2.3.84:port2:x1eee",
        &["1.2.3.4:80", "1.2.3.5:81"],
    );
    check(
        b"d5:peers6:\x01\x02\x03\x04\0\x506:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50e",
        &["1.2.3.4:80", "[2001:db8::1]:80"],
    );
    const V6: &[u8] = b"18:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50";
    let list = |key: &[u8], items: &[&[u8]]| [b"d", key, b"l", &items.concat(), b"ee"].concat();
    // Compact strings of either family in a list, alongside dictionaries and invalid values.
    let v4: &[&[u8]] = &[b"6:\x01\x02\x03\x04\0\x50", b"6:\x05\x06\x07\x08\x01\0"];
    let both = [v4, &[V6]].concat();
    check(&list(b"5:peers", v4), &["1.2.3.4:80", "5.6.7.8:256"]);
    check(&list(b"5:peers", &both), &["1.2.3.4:80", "5.6.7.8:256", "[2001:db8::1]:80"]);
    check(&list(b"6:peers6", &[V6, v4[0]]), &["[2001:db8::1]:80", "1.2.3.4:80"]);
    check(&list(b"6:peers6", &[b"d2:ip13:[2001:db8::1]4:porti80ee"]), &["[2001:db8::1]:80"]);
    check(
        &list(b"5:peers", &[b"3:abc", b"i1e", b"d2:ip7:1.2.3.44:porti80ee", b"le"]),
        &["1.2.3.4:80"],
    );
    // Addresses in binary.
    check(
        &list(
            b"5:peers",
            &[
                b"d2:ip4:\x01\x02\x03\x044:porti80ee",
                b"d2:ip16:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x014:porti81ee",
                b"d2:ip16:\0\0\0\0\0\0\0\0\0\0\xff\xff\x05\x06\x07\x084:porti82ee",
                b"d2:ip5:\x01\x02\x03\x04\x054:porti80ee",
            ],
        ),
        &["1.2.3.4:80", "[2001:db8::1]:81", "5.6.7.8:82"],
    );
    // A list as a dictionary.
    check(
        b"d5:peersd1:0d2:ip7:1.2.3.44:porti80ee1:26:\x05\x06\x07\x08\x01\x001:3i7eee",
        &["1.2.3.4:80", "5.6.7.8:256"],
    );
    // An empty reason for a failure that is none.
    for reason in [&b"0:"[..], b"1: ", b"i0e"] {
        check(
            &[b"d14:failure reason", reason, b"5:peers6:\x01\x02\x03\x04\0\x50e"].concat(),
            &["1.2.3.4:80"],
        );
    }
}

#[test]
fn peers_by_the_name_of_their_host_are_few_and_distinct() {
    let names = |list: &str| parse_reply(format!("d5:peersl{list}ee").as_bytes()).unwrap().names;
    let peer = |ip: &str, port: i64| format!("d2:ip{}:{ip}4:porti{port}ee", ip.len());
    let check = |ip: &str, expected: &[&str]| assert_eq!(names(&peer(ip, 6881)), expected, "{ip}");
    check("seed.example.org", &["seed.example.org:6881"]);
    check("localhost", &["localhost:6881"]);
    check(" seed.example.org. ", &["seed.example.org.:6881"]);
    check("münchen.example", &["münchen.example:6881"]);
    for odd in ["", ".", "a b", "a/b", "user@host", "host:1", "[::1", "::g", "\u{1b}[2J"] {
        check(odd, &[]);
    }
    for port in [0, -1, 65_536] {
        assert_eq!(names(&peer("seed.example.org", port)), [""; 0]);
    }
    assert_eq!(names(&[peer("a", 1), peer("a", 1), peer("a", 2)].concat()), ["a:1", "a:2"]);
    let many: String = (0..100).map(|n| peer(&format!("h{n}"), 1)).collect();
    assert_eq!(names(&many).len(), MAX_NAMES);
    // As many as fit into a reply: each is compared with the few that are kept, not with all.
    let many: String = (0..5_900).map(|n| peer(&format!("{n:0>60}.org"), 1)).collect();
    assert!(many.len() < MAX_REPLY_BYTES);
    let first: Vec<_> = (0..MAX_NAMES).map(|n| format!("{n:0>60}.org:1")).collect();
    let addresses: String = (1..=9).map(|n| peer(&format!("1.2.3.{n}"), 1)).collect();
    let list = [&many[..], &addresses].concat();
    let reply = parse_reply(format!("d5:peersl{list}ee").as_bytes()).unwrap();
    assert_eq!((reply.names, reply.peers.len()), (first, 9));
}

#[test]
fn addresses_that_are_nobodys_and_second_ones_are_left_out() {
    let check = |peer: &[u8; 6]| {
        let body = [b"d5:peers6:".as_slice(), peer, b"e"].concat();
        assert_eq!(peers_of(&body), [""; 0]);
    };
    check(b"\x01\x02\x03\x04\0\0");
    check(b"\0\0\0\0\0\x50");
    check(b"\xe0\0\0\x01\0\x50");
    check(b"\xff\xff\xff\xff\0\x50");
    // The same peer, in IPv4 and as an IPv4-mapped IPv6 address.
    let twice = b"d5:peers12:\x01\x02\x03\x04\0\x50\x01\x02\x03\x04\0\x50\
                  6:peers618:\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04\0\x50e";
    assert_eq!(peers_of(twice), ["1.2.3.4:80"]);
    let odd = b"d5:peersli1e3:abcdeleld2:ip1:xeed4:porti1ee\
                d2:ip7:1.2.3.44:porti65536eed2:ip7:1.2.3.44:porti-1eeee";
    assert_eq!(peers_of(odd), [""; 0]);
}

#[test]
fn no_reply_is_believed_more_than_two_thousand_peers() {
    let mut body = b"d5:peers30000:".to_vec();
    (0..5_000_u32).for_each(|n| body.extend([&n.to_be_bytes()[..], &[1, 1]].concat()));
    body.extend(b"e");
    assert_eq!(parse_reply(&body).unwrap().peers.len(), 2_000);
}

#[test]
fn intervals_are_bounded() {
    let check = |interval: &str, seconds: u64| {
        let reply = parse_reply(format!("d{interval}e").as_bytes()).unwrap();
        assert_eq!(reply.interval, Duration::from_secs(seconds));
    };
    check("", 1800);
    check("8:interval3:abc", 1800);
    // Not a valid time: treated as absent.
    check("8:intervali0e", 1800);
    check("8:intervali-7e", 1800);
    check("8:intervali1e", 1);
    check("8:intervali9223372036854775807e", 86_400);
    let least = |interval: &str| {
        parse_reply(format!("d12:min interval{interval}e").as_bytes()).unwrap().min_interval
    };
    assert_eq!([least("i0e"), least("i-1e"), least("1:x")], [None; 3]);
    assert_eq!(least("i90e"), Some(Duration::from_secs(90)));
}

#[test]
fn refusals_and_strangers_are_told_apart() {
    let check = |body: &[u8], part: &str| {
        let error = parse_reply(body).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check(b"d14:failure reason12:unregistered5:peers0:e", "says: unregistered");
    check(b"d14:failure reason0:e", "refused without a reason");
    check(b"d14:failure reason1:x5:peers6:\x01\x02\x03\x04\0\x50e", "says: x");
    check(b"d14:failure reason6:\x1b[31mxe", "says: [31mx");
    check(b"d14:failure reasoni3ee", "refused without a reason");
    check(b"<html>", "not a tracker reply: it is a web page");
    check(
        b" \r\n<!DOCTYPE html><HTML><Title lang=en>\n502 Bad\x1b Gateway </TITLE>",
        "page (`502 Bad  Gateway`)",
    );
    check(b"<html><title>cut", "it is a web page");
    check("\u{feff}<?xml version='1.0'?>".as_bytes(), "it is a web page");
    check(b"", "not a tracker reply: it is empty");
    check(b" \n", "it is empty");
    check(b"Unregistered torrent\n", "it is text (`Unregistered torrent`)");
    check(b"internal error", "it is text (`internal error`)");
    check(b"{\"error\":\"no\"}", "it is text (`{\"error\":\"no\"}`)");
    check("überlastet".as_bytes(), "it is text (`überlastet`)");
    check(&[b'x'; 5000], &"x".repeat(MAX_TEXT_CHARS));
    check(b"d8:interval", "not a tracker reply: ");
    check(b"\x1f\x8b\x08\0", "not a tracker reply: unexpected byte, at byte 0");
    check(b"le", "not a bencoded dictionary");
}

fn tiers(announce: Option<&str>, list: &[&[&str]], seed: u64) -> Tiers {
    let list: Vec<Vec<Url>> =
        list.iter().map(|tier| tier.iter().map(|&url| url.into()).collect()).collect();
    Tiers::new(announce.map(Url::from).as_ref(), &list, seed)
}

#[test]
fn empty_and_repeated_trackers_are_left_out() {
    let check = |announce, list: &[&[&str]], expected: &[&[&str]]| {
        assert_eq!(tiers(announce, list, 1).tiers(), expected);
    };
    check(None, &[], &[]);
    check(Some(""), &[], &[]);
    check(Some("a"), &[], &[&["a"]]);
    check(Some("a"), &[&["", " "], &[]], &[&["a"]]);
    check(Some("a"), &[&["b"], &["c"]], &[&["b"], &["c"]]);
    check(None, &[&["a", "a", ""], &["a"], &["b "]], &[&["a"], &["b"]]);
}

#[test]
fn trackers_of_further_tiers_are_asked_where_those_of_earlier_ones_do_not_answer() {
    let many: Vec<Vec<Url>> = (0..70).map(|n| vec![format!("http://t{n}/").into()]).collect();
    let tiers = Tiers::new(None, &many, 1);
    assert_eq!(tiers.tiers().len(), MAX_TIERS);
    assert_eq!(tiers.tiers()[0], ["http://t0/", "http://t32/", "http://t64/"]);
    assert_eq!(tiers.tiers()[31], ["http://t31/", "http://t63/"]);
    assert_eq!(Tiers::new(None, &many[..32], 1).tiers(), &many[..32]);
}

#[test]
fn a_tier_is_shuffled_by_the_seed_and_tiers_keep_their_order() {
    let list: &[&[&str]] = &[&["a", "b", "c", "d"], &["e"]];
    let orders: HashSet<Vec<Url>> =
        (0..50).map(|seed| tiers(None, list, seed).tiers().concat()).collect();
    assert!(orders.len() > 5);
    assert!(orders.iter().all(|order| order.len() == 5 && order[4] == "e"));
    assert_eq!(tiers(None, list, 7), tiers(None, list, 7));
}

#[test]
fn replies_are_read_as_other_programs_write_them() {
    let reply = b"d8:completei5e8:intervali900e5:peers6:\x01\x02\x03\x04\0\x50e";
    for body in variants::of(reply) {
        let found = parse_reply(&body).map_err(|why| format!("{}: {why}", body.escape_ascii()));
        assert_eq!(found, parse_reply(reply).map_err(|why| why.to_string()));
    }
    for body in variants::of(b"d14:failure reason2:no5:peers0:e") {
        assert_eq!(parse_reply(&body), Err(TrackerError::Failure("no".to_owned())));
    }
    for value in variants::ODD_VALUES {
        let peer = |ip: &str| format!("d2:id{value}2:ip7:{ip}4:porti0080ee");
        let body = format!(
            "d8:complete{value}10:downloaded{value}12:min interval{value}5:peersl{}{value}{}ee",
            peer("1.2.3.4"),
            peer("5.6.7.8"),
        );
        assert_eq!(peers_of(body.as_bytes()), ["1.2.3.4:80", "5.6.7.8:80"], "{body}");
    }
    assert_eq!(parse_reply(b"d8:intervali0900ee").unwrap().interval, Duration::from_secs(900));
    let unsaid = parse_reply(b"d8:intervali99999999999999999999ee").unwrap();
    assert_eq!(unsaid.interval, DEFAULT_INTERVAL);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = parse_reply(&bytes);
        let compact = [b"d5:peers100:".as_slice(), &bytes, b"e"].concat();
        let _ = parse_reply(&compact);
    }

    #[test]
    fn random_replies_never_panic(
        entries in "((8:interval|5:peers|6:peers6)(i-?[1-9][0-9]{0,18}e|3:abc|0:|le|ld2:ip3:::14:porti[1-9]{1,6}eee)){0,3}",
    ) {
        let _ = parse_reply(format!("d{entries}e").as_bytes());
    }
}
