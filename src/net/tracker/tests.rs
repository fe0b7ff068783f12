//! Trackers whose host has addresses of both families, and replies of trackers.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use super::*;
use crate::mutex::Mutex;
use crate::net::name_lookup::BOTH;
use crate::net::name_lookup::tests::has_ipv6;
use crate::settings::Context;
use crate::torrent::infohash::Infohash;

/// The events that the tracker received, by family.
type Told = Arc<Mutex<[Vec<String>; 2]>>;

/// Answers each connection, with any number of announces per connection.
fn answer(listener: TcpListener, told: Told) {
    let family = usize::from(listener.local_addr().unwrap().is_ipv6());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, told) = (stream.unwrap(), Arc::clone(&told));
            std::thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
                    if text.starts_with("CONNECT ") {
                        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                        continue;
                    }
                    let target = text.split(' ').nth(1).unwrap();
                    let event = target.split("&event=").nth(1).unwrap_or_default();
                    told.lock()[family].push(event.to_owned());
                    let body = "d8:intervali900e5:peers0:e";
                    let length = body.len();
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
                        .unwrap();
                }
            });
        }
    });
}

/// Returns listeners of both families on one port, and the port.
fn listeners() -> ([TcpListener; 2], u16) {
    for _ in 0..100 {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = v4.local_addr().unwrap().port();
        match TcpListener::bind((IpAddr::V6(Ipv6Addr::LOCALHOST), port)) {
            Ok(v6) => return ([v4, v6], port),
            Err(why) if why.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(why) => panic!("this machine has no IPv6 on loopback: {why}"),
        }
    }
    panic!("no port is free over both families");
}

fn client(proxy: Option<&str>) -> Client {
    let mut context = Context::default();
    if let Some(proxy) = proxy {
        context.set("CARGO_HTTP_PROXY", proxy);
    }
    Client::new(&context.settings().unwrap()).unwrap()
}

fn a_message() -> Announce {
    Announce {
        infohash: Infohash::from_bytes([7; 20]),
        peer_id: [b'-'; 20],
        port: 6881,
        uploaded_bytes: 0,
        downloaded_bytes: 0,
        left_bytes: 0,
        event: None,
        numwant: 0,
        key: 0,
    }
}

/// Announces with these events. Returns how many replies each announce had.
fn announce(
    tracker: &mut Tracker,
    client: &Client,
    events: &[&str],
) -> Vec<Result<usize, SourceError>> {
    let one = |event: &&str| {
        let event = match *event {
            "started" => Some(AnnounceEvent::Started),
            "stopped" => Some(AnnounceEvent::Stopped),
            _ => None,
        };
        let announce = Announce { event, ..a_message() };
        let mut answers = 0;
        let time = || Some(Duration::ZERO);
        let result = tracker.announce(client, &announce, &time, &mut |_| answers += 1);
        result.map(|()| answers).map_err(|failure| failure.why)
    };
    events.iter().map(one).collect()
}

const EVENTS: [&str; 3] = ["started", "", "stopped"];

#[test]
fn who_listens_over_both_families_is_announced_over_both() {
    if !has_ipv6() {
        return;
    }
    let (listeners, port) = listeners();
    let told = Told::default();
    listeners.into_iter().for_each(|listener| answer(listener, Arc::clone(&told)));
    let check = |host: &str, each_family: bool, expected: [&[&str]; 2]| {
        let client = client(None);
        let url = format!("http://{host}:{port}/announce");
        let mut tracker =
            Tracker::new(&client, NamedBy::User, &url.as_str().into(), each_family).unwrap();
        let answers: usize = expected.iter().map(|events| events.len()).sum();
        let answered = announce(&mut tracker, &client, &EVENTS);
        assert_eq!(answered.into_iter().map(Result::unwrap).sum::<usize>(), answers, "{host}");
        assert_eq!(std::mem::take(&mut *told.lock()), expected, "{host}");
    };
    check(BOTH, true, [&EVENTS, &EVENTS]);
    // A download does not listen, so one announce is enough.
    check(BOTH, false, [&EVENTS, &[]]);
    check("127.0.0.1", true, [&EVENTS, &[]]);
    check("[::1]", true, [&[], &EVENTS]);
}

#[test]
fn a_family_over_which_nobody_answers_is_passed_over_and_not_told_goodbye() {
    if !has_ipv6() {
        return;
    }
    let ([v4, v6], port) = listeners();
    let told = Told::default();
    drop(v4);
    answer(v6, Arc::clone(&told));
    let client = client(None);
    let url = format!("http://{BOTH}:{port}/announce");
    let mut tracker = Tracker::new(&client, NamedBy::User, &url.as_str().into(), true).unwrap();
    assert_eq!(announce(&mut tracker, &client, &EVENTS), [Ok(1), Ok(1), Ok(1)]);
    assert_eq!(*told.lock(), [&[][..], &EVENTS]);
    assert_eq!(tracker.knows_us, [false, true]);

    let ([v4, v6], port) = listeners();
    drop((v4, v6));
    let url = format!("http://{BOTH}:{port}/announce");
    let mut tracker = Tracker::new(&client, NamedBy::User, &url.as_str().into(), true).unwrap();
    let said = "connection refused (over IPv4), connection refused (over IPv6)";
    let answers = announce(&mut tracker, &client, &["started"]);
    assert_eq!(answers[0].as_ref().unwrap_err().to_string(), said);
}

#[test]
fn through_a_proxy_there_is_one_way_to_a_tracker() {
    if !has_ipv6() {
        return;
    }
    let (listeners, port) = listeners();
    let told = Told::default();
    listeners.into_iter().for_each(|listener| answer(listener, Arc::clone(&told)));
    // The proxy is the tracker itself, and answers every request.
    let client = client(Some(&format!("http://127.0.0.1:{port}")));
    let url = format!("http://{BOTH}:1/announce");
    let mut tracker = Tracker::new(&client, NamedBy::User, &url.as_str().into(), true).unwrap();
    assert_eq!(announce(&mut tracker, &client, &["started"]), [Ok(1)]);
    assert_eq!(*told.lock(), [vec!["started".to_owned()], vec![]]);
}

#[test]
fn a_tracker_names_peers_of_its_own_network_alone() {
    let client = client(None);
    let peers = ["10.0.0.1:1", "127.0.0.1:1", "[fd00::1]:1", "169.254.1.1:1", "203.0.113.1:1"];
    let check = |tracker: &str, expected: &[&str]| {
        let mut reply = parse_reply(b"d8:intervali1e5:peers0:e").unwrap();
        reply.peers = peers.iter().map(|it| it.parse().unwrap()).collect();
        client.leave_out(tracker.parse().ok(), &mut reply);
        let kept: Vec<_> = reply.peers.iter().map(ToString::to_string).collect();
        assert_eq!(kept, expected, "{tracker}");
        assert_eq!(reply.left_out, peers.len() - kept.len());
    };
    check("203.0.113.5", &["203.0.113.1:1"]);
    check("behind a proxy", &["203.0.113.1:1"]);
    check("10.0.0.9", &["10.0.0.1:1", "[fd00::1]:1", "203.0.113.1:1"]);
    check("::1", &["10.0.0.1:1", "127.0.0.1:1", "[fd00::1]:1", "203.0.113.1:1"]);
}

/// The peers that a tracker may name depend on its address, and a reused connection's address need
/// not be one that the name has now.
#[test]
fn each_announce_has_a_connection_of_its_own() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    let serve = move || {
        // Answers one request per connection, without announcing that the connection closes.
        let one = |stream: std::io::Result<std::net::TcpStream>| {
            let (mut stream, mut head, mut byte) = (stream.unwrap(), Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nd5:peers0:e").unwrap();
            stream
        };
        listener.incoming().take(EVENTS.len()).map(one).collect::<Vec<_>>()
    };
    let server = std::thread::spawn(serve);
    let mut context = Context::default();
    context.set("ACADEMICTORRENTS_TIMEOUT", "20s");
    let client = Client::new(&context.settings().unwrap()).unwrap();
    let mut tracker = Tracker::new(&client, NamedBy::User, &url.as_str().into(), false).unwrap();
    assert_eq!(announce(&mut tracker, &client, &EVENTS), [Ok(1), Ok(1), Ok(1)]);
    assert_eq!(server.join().unwrap().len(), EVENTS.len());
}

/// A tracker that sends this reply (head and body) to every request.
fn tracker_saying(reply: Vec<u8>) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut head, mut byte) = (stream.unwrap(), Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            stream.write_all(&reply).unwrap();
        }
    });
    url
}

/// Announces once to a tracker that replies with this status and body. Returns the replies, or the
/// error.
fn announced(status: u16, body: &[u8], path: &str) -> Result<Vec<Reply>, String> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let url = tracker_saying([head.as_bytes(), body].concat());
    let client = client(None);
    let url = format!("{url}{path}").as_str().into();
    let mut tracker = Tracker::new(&client, NamedBy::User, &url, false).unwrap();
    let mut replies = Vec::new();
    let message = a_message();
    let result =
        tracker.announce(&client, &message, &|| Some(Duration::ZERO), &mut |it| replies.push(it));
    result.map(|()| replies).map_err(|failure| failure.why.to_string())
}

#[test]
fn the_reason_that_a_tracker_gives_is_told_whatever_the_status_of_its_reply() {
    let check = |status, body: &[u8], expected: &str| {
        let said = announced(status, body, "/announce?passkey=s3cr3t").unwrap_err();
        assert_eq!(said, expected, "{status}");
    };
    let reason = b"d14:failure reason20:unregistered torrente";
    check(200, reason, "the tracker says: unregistered torrent");
    check(400, reason, "HTTP status 400: the tracker says: unregistered torrent");
    check(403, reason, "HTTP status 403 (forbidden): the tracker says: unregistered torrent");
    check(500, reason, "HTTP status 500 (server error): the tracker says: unregistered torrent");
    check(302, reason, "HTTP status 302: the tracker says: unregistered torrent");
    check(404, b"d14:failure reason0:e", "HTTP status 404 (not found)");
    check(404, b"<html><title>404</title></html>", "HTTP status 404 (not found)");
    check(502, b"", "HTTP status 502 (the server is down or overloaded)");
    check(400, b"\x1f\x8b\x08\0", "HTTP status 400");
    let said = "HTTP status 400: not a tracker reply: it is text (`no such torrent`)";
    check(400, b"no such torrent", said);
    let said = "not a tracker reply: it is a web page (`Parked`)";
    check(200, b"<!doctype html><title>Parked</title>", said);
    // Messages repeat no secret.
    check(
        400,
        b"bad key s3cr3t",
        "HTTP status 400: not a tracker reply: it is text (`bad key \u{2026}`)",
    );
    check(200, b"<title>s3cr3t</title>", "not a tracker reply: it is a web page (`\u{2026}`)");
    // Peers are accepted with any status.
    let replies = announced(404, b"d5:peers6:\x7f\0\0\x01\x1a\xe1e", "/announce").unwrap();
    assert_eq!(replies[0].peers, ["127.0.0.1:6881".parse().unwrap()]);
}

#[test]
fn peers_by_host_name_are_looked_up_and_do_not_delay_the_others() {
    let peer = |host: &str| format!("d2:ip{}:{host}4:porti6881ee", host.len());
    let check = |hosts: &[&str], peers: &[&[&str]], unknown: &[&str]| {
        let list: String = hosts.iter().map(|host| peer(host)).collect();
        let replies = announced(200, format!("d8:intervali90e5:peersl{list}ee").as_bytes(), "/");
        let replies = replies.unwrap();
        let expected = |it: &[&str]| it.iter().map(|it| it.parse().unwrap()).collect::<Vec<_>>();
        let has = |reply: &Reply, expected: &[SocketAddr]| {
            expected.iter().all(|it| reply.peers.contains(it))
                && reply.peers.is_empty() == expected.is_empty()
        };
        assert_eq!(replies.len(), peers.len(), "{hosts:?}");
        for (reply, peers) in replies.iter().zip(peers) {
            assert!(has(reply, &expected(peers)), "{hosts:?}: {:?}", reply.peers);
            assert_eq!(reply.interval, Duration::from_secs(90));
        }
        assert_eq!(replies.last().unwrap().names, unknown, "{hosts:?}");
    };
    // `localhost` only counts with loopback addresses, where the tracker is.
    check(&["localhost"], &[&["127.0.0.1:6881"]], &[]);
    check(&["192.0.2.1", "localhost"], &[&["192.0.2.1:6881"], &["127.0.0.1:6881"]], &[]);
    check(&["none.invalid"], &[&[]], &["none.invalid:6881"]);
    check(&["localhost", "none.invalid"], &[&["127.0.0.1:6881"]], &["none.invalid:6881"]);
}

#[test]
fn a_name_that_is_for_the_proxy_is_not_looked_up_here() {
    let mut context = Context::default();
    context.set("ALL_PROXY", "socks5h://127.0.0.1:1");
    let client = Client::new(&context.settings().unwrap()).unwrap();
    let mut reply = parse_reply(b"d5:peers0:e").unwrap();
    client.look_up_peers(vec!["localhost:1".to_owned()], &mut reply, &|| Some(Duration::ZERO));
    assert_eq!((reply.peers.len(), reply.names), (0, vec!["localhost:1".to_owned()]));
}

#[test]
fn a_url_that_leads_to_no_tracker_is_refused_at_once() {
    let client = client(None);
    let check = |url: &str, part: &str| {
        let refused = Tracker::new(&client, NamedBy::Torrent, &url.into(), false).unwrap_err();
        assert!(refused.to_string().contains(part), "{url}: {refused}");
    };
    for url in [
        "udp://tracker.example",
        "udp://tracker.example/announce",
        "udp://[2001:db8::1]/a",
        "UDP://t:/",
    ] {
        check(url, "it has no port");
    }
    check("udp://t:0/announce", "is not a UDP tracker's address");
    check("http://", "web address");
    check("http:///announce", "web address");
    check("http://a b/announce", "web address");
    check("http://t:port/announce", "web address");
    check("wss://t/announce", "only http, https and udp");
    check("nonsense", "only http, https and udp");
    check("", "only http, https and udp");
}

#[test]
fn a_url_with_blanks_is_asked_with_the_blanks_encoded() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let target = std::thread::spawn(move || {
        let (mut stream, mut head, mut byte) = (listener.accept().unwrap().0, Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nde").unwrap();
        String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().to_owned()
    });
    let client = client(None);
    let url = format!(" http://{address}/my tracker/ann\nounce?key=a b\u{e9}\n");
    let mut tracker = Tracker::new(&client, NamedBy::User, &url.as_str().into(), false).unwrap();
    assert_eq!(announce(&mut tracker, &client, &["started"]), [Ok(1)]);
    let target = target.join().unwrap();
    let asked = "/my%20tracker/announce?key=a%20b%C3%A9&info_hash=";
    assert!(target.starts_with(asked), "{target}");
}
