use proptest::prelude::*;

use super::*;
use crate::torrent::infohash::Infohash;

fn announce(event: Option<AnnounceEvent>) -> Announce {
    Announce {
        infohash: Infohash::from_bytes(*b"infohash-infohash-in"),
        peer_id: *b"-AT0100-abcdefghijkl",
        port: 0x1a2b,
        uploaded_bytes: 3,
        downloaded_bytes: 1,
        left_bytes: 2 << 32,
        event,
        numwant: 80,
        key: 0xabcd_ef01,
    }
}

const STARTED: Option<AnnounceEvent> = Some(AnnounceEvent::Started);

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A session that has started an announce, with 15 ms instead of BEP 15's 15 s.
fn begun(ipv6: bool) -> UdpTrackerSession {
    let mut session = UdpTrackerSession::new(ipv6, at(15), 7);
    session.announce(&announce(STARTED), "/announce");
    session
}

#[track_caller]
fn sent(session: &mut UdpTrackerSession, now: Duration) -> Vec<u8> {
    match session.poll(now) {
        TrackerPoll::Send(datagram) => datagram,
        other => panic!("{other:?}"),
    }
}

/// A tracker's answer: this action, the request's transaction ID, and these bytes.
fn answer(request: &[u8], action: u8, rest: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, action][..], &request[12..16], rest].concat()
}

/// The same session once it has a connection ID.
fn connected(ipv6: bool, now: Duration) -> UdpTrackerSession {
    let mut session = begun(ipv6);
    let request = sent(&mut session, now);
    assert_eq!(session.handle(&answer(&request, 0, b"conn-id1"), now), None);
    session
}

const COUNTS: [u8; 12] = [0, 0, 3, 132, 0, 0, 0, 7, 0, 0, 0, 5];

#[test]
fn the_address_has_a_port_and_its_path_and_query_go_along() {
    let check = |url: &str, expected: (&str, &str)| assert_eq!(parts(url), Ok(expected), "{url}");
    check("udp://t.example:80", ("t.example:80", ""));
    check(
        " UDP://t.example:80/announce?key=1&b=%2F#part\n",
        ("t.example:80", "/announce?key=1&b=%2F"),
    );
    check("udp://[2001:db8::1]:6969/", ("[2001:db8::1]:6969", "/"));
    check("udp://t.example:80?key=1", ("t.example:80", "?key=1"));
    let refused = |url: &str, part: &str| {
        let why = parts(url).unwrap_err();
        assert!(why.contains(part), "{url}: {why}");
    };
    for url in [
        "",
        "udp://",
        "udp:",
        "udp://host",
        "udp://:80",
        "udp://host:0",
        "udp://host:65536",
        "udp://host:+1",
        "udp://user@host:80",
        "http://host:80",
        "uäp://host:80",
        "udp://[::1]",
    ] {
        refused(url, "udp://host:port");
    }
    for url in [
        "udp://host",
        "udp://host/announce",
        "udp://host:/announce",
        "udp://[2001:db8::1]/",
        "udp://[::1]",
    ] {
        refused(url, "it has no port");
    }
    refused("udp://a b:80/", "is not a UDP tracker's address");
    refused(&format!("udp://host:80/{}", "x".repeat(1_000)), "too long");
}

#[test]
fn the_first_request_asks_for_a_connection() {
    let request = sent(&mut begun(false), at(0));
    assert_eq!(request.len(), 16);
    assert_eq!(request[..12], [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0]);
}

#[test]
fn an_announce_is_as_bep_15_has_it() {
    let check = |event, number: u8| {
        let mut session = connected(false, at(0));
        session.announce(&announce(event), "");
        let request = sent(&mut session, at(1));
        assert_eq!(request.len(), 98);
        assert_eq!(&request[..12], b"conn-id1\0\0\0\x01");
        assert_eq!(&request[16..56], b"infohash-infohash-in-AT0100-abcdefghijkl");
        assert_eq!(request[56..64], [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(request[64..72], [0, 0, 0, 2, 0, 0, 0, 0]);
        assert_eq!(request[72..80], [0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(request[80..88], [0, 0, 0, number, 0, 0, 0, 0]);
        assert_eq!(request[88..98], [0xab, 0xcd, 0xef, 1, 0, 0, 0, 80, 0x1a, 0x2b]);
    };
    check(None, 0);
    check(Some(AnnounceEvent::Completed), 1);
    check(Some(AnnounceEvent::Started), 2);
    check(Some(AnnounceEvent::Stopped), 3);
}

#[test]
fn path_and_query_follow_in_options_of_at_most_255_bytes() {
    let mut session = connected(false, at(0));
    assert_eq!(sent(&mut session, at(0))[98..], *b"\x02\x09/announce");
    let long = format!("/{}", "x".repeat(299));
    session.announce(&announce(STARTED), &long);
    let request = sent(&mut session, at(1));
    assert_eq!(request.len(), 98 + 2 + 255 + 2 + 45);
    assert_eq!(request[98..101], [2, 255, b'/']);
    assert_eq!(request[98 + 257..][..3], [2, 45, b'x']);
}

#[test]
fn peers_are_six_bytes_or_eighteen_by_the_family_of_the_socket() {
    let check = |ipv6, peers: &[u8], expected: &[&str]| {
        let mut session = connected(ipv6, at(0));
        let request = sent(&mut session, at(1));
        let bytes = [&COUNTS[..], peers].concat();
        let reply = session.handle(&answer(&request, 1, &bytes), at(2)).unwrap().unwrap();
        let peers: Vec<_> = reply.peers.iter().map(ToString::to_string).collect();
        assert_eq!(peers, expected);
        assert_eq!(reply.interval, Duration::from_secs(900));
        assert_eq!((reply.incomplete, reply.complete), (Some(7), Some(5)));
        assert_eq!(session.poll(at(3)), TrackerPoll::Idle);
    };
    check(false, b"", &[]);
    // An invalid interval counts as absent.
    for seconds in [0, u32::MAX, 1 << 31] {
        let mut session = connected(false, at(0));
        let request = sent(&mut session, at(1));
        let bytes = [&seconds.to_be_bytes()[..], &COUNTS[4..]].concat();
        let reply = session.handle(&answer(&request, 1, &bytes), at(2)).unwrap().unwrap();
        assert_eq!(reply.interval, Duration::from_secs(1800), "{seconds}");
    }
    check(false, b"\x01\x02\x03\x04\0\x50\x05\x06\x07\x08\x01\0", &["1.2.3.4:80", "5.6.7.8:256"]);
    // Incomplete, duplicate and invalid addresses.
    check(
        false,
        b"\x01\x02\x03\x04\0\x50\x01\x02\x03\x04\0\x50\0\0\0\0\0\x50\x05\x06\x07",
        &["1.2.3.4:80"],
    );
    check(true, b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50", &["[2001:db8::1]:80"]);
    check(true, b"\x01\x02\x03\x04\0\x50\x05\x06\x07\x08\x01\0", &[]);
}

#[test]
fn no_answer_is_believed_more_than_two_thousand_peers() {
    let mut session = connected(false, at(0));
    let request = sent(&mut session, at(1));
    let peers = (0..5_000_u32).flat_map(|n| [&n.to_be_bytes()[..], &[1, 1]].concat());
    let bytes: Vec<u8> = COUNTS.into_iter().chain(peers).collect();
    let reply = session.handle(&answer(&request, 1, &bytes), at(2)).unwrap().unwrap();
    assert_eq!(reply.peers.len(), 2_000);
}

#[test]
fn a_request_is_sent_again_after_15_30_60_and_so_on_at_most_3840() {
    let mut session = begun(false);
    let first = sent(&mut session, at(0));
    let mut now = 0;
    for n in 0..12 {
        let until = now + 15 * (1 << n.min(8));
        assert_eq!(session.poll(at(until - 1)), TrackerPoll::Wait(at(until)));
        assert_eq!(session.poll(at(until)), TrackerPoll::Silent);
        now = until;
        assert_eq!(sent(&mut session, at(now)), first);
    }
    assert_eq!(session.silence().to_string(), "no answer after 12 tries");
}

#[test]
fn a_sign_of_life_begins_the_waits_anew() {
    let mut session = begun(false);
    sent(&mut session, at(0));
    assert_eq!(session.poll(at(15)), TrackerPoll::Silent);
    assert_eq!(session.silence().to_string(), "no answer after 1 try");
    let request = sent(&mut session, at(15));
    assert_eq!(session.poll(at(16)), TrackerPoll::Wait(at(45)));
    session.handle(&answer(&request, 0, b"conn-id1"), at(20));
    let announced = sent(&mut session, at(20));
    assert_eq!(session.poll(at(21)), TrackerPoll::Wait(at(35)));
    assert_eq!(session.poll(at(35)), TrackerPoll::Silent);
    // The ID was requested for this announce, so the answer must have been lost: the same request
    // again.
    assert_eq!(sent(&mut session, at(36)), announced);
}

#[test]
fn a_late_answer_to_what_is_sent_again_counts() {
    let mut session = begun(false);
    let request = sent(&mut session, at(0));
    assert_eq!(session.poll(at(15)), TrackerPoll::Silent);
    assert_eq!(session.handle(&answer(&request, 0, b"conn-id1"), at(16)), None);
    assert_eq!(&sent(&mut session, at(16))[..8], b"conn-id1");
}

/// A session that received its connection ID at 0 and has completed one announce.
fn announced() -> UdpTrackerSession {
    let mut session = connected(false, at(0));
    let request = sent(&mut session, at(0));
    assert!(session.handle(&answer(&request, 1, &COUNTS), at(0)).is_some());
    session
}

#[test]
fn a_connection_id_is_used_for_a_minute() {
    let next = |now| {
        let mut session = announced();
        session.announce(&announce(Some(AnnounceEvent::Stopped)), "");
        sent(&mut session, now)
    };
    assert_eq!(&next(at(59_999))[..12], b"conn-id1\0\0\0\x01");
    assert_eq!(next(at(60_000))[..8], MAGIC.to_be_bytes());
}

#[test]
fn an_id_that_grows_too_old_between_two_tries_is_asked_for_anew() {
    let mut session = UdpTrackerSession::new(false, Duration::from_secs(50), 7);
    session.announce(&announce(STARTED), "");
    let request = sent(&mut session, at(0));
    session.handle(&answer(&request, 0, b"conn-id1"), at(0));
    assert_eq!(&sent(&mut session, at(11_000))[..8], b"conn-id1");
    assert_eq!(session.poll(at(61_000)), TrackerPoll::Silent);
    assert_eq!(sent(&mut session, at(61_000))[..8], MAGIC.to_be_bytes());
}

#[test]
fn an_old_id_that_is_refused_or_not_answered_is_asked_for_anew_once() {
    let mut session = announced();
    session.announce(&announce(None), "");
    let request = sent(&mut session, at(1));
    assert_eq!(session.handle(&answer(&request, 3, b"Connection ID missmatch."), at(2)), None);
    let request = sent(&mut session, at(2));
    assert_eq!(request[..8], MAGIC.to_be_bytes());
    session.handle(&answer(&request, 0, b"conn-id2"), at(3));
    let request = sent(&mut session, at(3));
    assert_eq!(&request[..12], b"conn-id2\0\0\0\x01");
    // With a fresh ID, the refusal is final.
    let refused = session.handle(&answer(&request, 3, b"go\x1b away"), at(4)).unwrap();
    assert_eq!(refused, Err(TrackerError::Failure("go  away".to_owned())));
    assert_eq!(session.poll(at(5)), TrackerPoll::Idle);

    let mut session = announced();
    session.announce(&announce(None), "");
    sent(&mut session, at(1));
    assert_eq!(session.poll(at(16)), TrackerPoll::Silent);
    assert_eq!(sent(&mut session, at(16))[..8], MAGIC.to_be_bytes());
}

#[test]
fn a_refusal_of_the_connection_ends_the_announce() {
    let mut session = begun(false);
    let request = sent(&mut session, at(0));
    let refused = session.handle(&answer(&request, 3, b""), at(1)).unwrap();
    assert_eq!(refused.unwrap_err().to_string(), "the tracker refused without a reason");
    assert_eq!(session.poll(at(2)), TrackerPoll::Idle);
}

#[test]
fn an_announces_answer_without_a_body_is_opentrackers_refusal() {
    let mut session = connected(false, at(0));
    let request = sent(&mut session, at(1));
    let refused = session.handle(&answer(&request, 1, b""), at(2)).unwrap();
    assert_eq!(refused.unwrap_err().to_string(), "the tracker refused without a reason");
    assert_eq!(session.poll(at(3)), TrackerPoll::Idle);
}

#[test]
fn what_is_no_answer_is_passed_over_and_said_in_the_end() {
    let check = |datagram: &dyn Fn(&[u8]) -> Vec<u8>, said: &str| {
        let mut session = begun(false);
        let request = sent(&mut session, at(0));
        assert_eq!(session.handle(&datagram(&request), at(1)), None);
        assert_eq!(session.poll(at(2)), TrackerPoll::Wait(at(15)));
        assert_eq!(session.poll(at(15)), TrackerPoll::Silent);
        assert!(session.silence().to_string().contains(said), "{}", session.silence());
        // A late answer still counts.
        sent(&mut session, at(15));
        assert_eq!(session.handle(&answer(&request, 0, b"conn-id1"), at(16)), None);
        assert_eq!(&sent(&mut session, at(17))[..8], b"conn-id1");
    };
    check(&|_| Vec::new(), "too short");
    check(&|request| answer(request, 0, b"short"), "too short");
    check(&|request| answer(request, 3, b"")[..7].to_vec(), "too short");
    check(
        &|request| [&[0, 0, 0, 0, !request[12]], &request[13..16], b"conn-id1"].concat(),
        "transaction ID does not match",
    );
    check(&|request| answer(request, 1, &COUNTS), "action does not match the request");
    check(&|request| answer(request, 4, &COUNTS), "action does not match the request");

    let mut session = connected(false, at(0));
    let request = sent(&mut session, at(1));
    assert_eq!(session.handle(&answer(&request, 1, &COUNTS[..11]), at(2)), None);
    assert_eq!(session.handle(&answer(&request, 0, b"conn-id2"), at(2)), None);
    assert!(session.handle(&answer(&request, 1, &COUNTS), at(3)).is_some());
    // An answer counts only once.
    assert_eq!(session.handle(&answer(&request, 1, &COUNTS), at(4)), None);
}

#[test]
fn another_address_knows_nothing_of_the_last_ones_ids() {
    let mut session = announced();
    session.move_on();
    session.announce(&announce(None), "");
    assert_eq!(sent(&mut session, at(1))[..8], MAGIC.to_be_bytes());
}

proptest! {
    #[test]
    fn random_datagrams_never_panic(
        datagrams in proptest::collection::vec(
            (0_u8..5, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..100)), 0..20),
        ipv6: bool,
    ) {
        let mut session = begun(ipv6);
        let mut request = vec![0; 16];
        for (now, (action, fits, bytes)) in datagrams.into_iter().enumerate() {
            if let TrackerPoll::Send(datagram) = session.poll(at(10 * now as u64)) {
                request = datagram;
            }
            let datagram = if fits { answer(&request, action, &bytes) } else { bytes };
            if session.handle(&datagram, at(10 * now as u64)).is_some() {
                session.announce(&announce(None), "");
            }
        }
        let _ = session.silence();
    }

    #[test]
    fn random_urls_never_panic(url in "(udp://)?\\PC{0,30}") {
        let _ = parts(&url);
    }
}

#[cfg(feature = "engine")]
#[test]
fn a_scrape_has_counts_and_makes_nobody_a_peer() {
    let mut session = UdpTrackerSession::new(false, at(15), 7);
    session.scrape(announce(None).infohash);
    let request = sent(&mut session, at(0));
    assert_eq!(session.handle(&answer(&request, 0, b"conn-id1"), at(1)), None);
    let request = sent(&mut session, at(1));
    assert_eq!(request[..12], [&b"conn-id1"[..], &[0, 0, 0, 2]].concat());
    assert_eq!(request[16..], *b"infohash-infohash-in");
    // Seeders, completed, leechers. Neither a truncated answer nor one to an announce counts.
    let counts = [0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0, 7];
    assert_eq!(session.handle(&answer(&request, 2, &counts[..11]), at(2)), None);
    assert_eq!(session.handle(&answer(&request, 1, &counts), at(2)), None);
    let reply = session.handle(&answer(&request, 2, &counts), at(2)).unwrap().unwrap();
    assert_eq!((reply.complete, reply.incomplete, reply.peers.len()), (Some(5), Some(7), 0));
    assert_eq!(session.poll(at(3)), TrackerPoll::Idle);
}
