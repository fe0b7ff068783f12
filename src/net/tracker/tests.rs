//! A tracker whose host has addresses of both families.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::{Arc, Mutex};

use super::*;
use crate::context::Context;
use crate::infohash::Infohash;
use crate::net::lent::BOTH;

/// The events that it was told, by family.
type Told = Arc<Mutex<[Vec<String>; 2]>>;

/// Answers whoever connects, one announce after the other. A connection is kept.
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
                    told.lock().unwrap()[family].push(event.to_owned());
                    let body = "d8:intervali900e5:peers0:e";
                    let length = body.len();
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
                        .unwrap();
                }
            });
        }
    });
}

/// One port of both families, and its number.
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

/// Announces with these events, and gives how many answers came to each.
fn announce(tracker: &mut Tracker, client: &Client, events: &[&str]) -> Vec<Result<usize, String>> {
    let one = |event: &&str| {
        let announce = Announce {
            infohash: Infohash::from_bytes([7; 20]),
            peer_id: [b'-'; 20],
            port: 6881,
            uploaded_bytes: 0,
            downloaded_bytes: 0,
            left_bytes: 0,
            event: match *event {
                "started" => Some(AnnounceEvent::Started),
                "stopped" => Some(AnnounceEvent::Stopped),
                _ => None,
            },
            numwant: 0,
            key: 0,
        };
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
    let (listeners, port) = listeners();
    let told = Told::default();
    listeners.into_iter().for_each(|listener| answer(listener, Arc::clone(&told)));
    let check = |host: &str, each_family: bool, expected: [&[&str]; 2]| {
        let client = client(None);
        let url = format!("http://{host}:{port}/announce");
        let mut tracker = Tracker::new(&client, &url, each_family).unwrap();
        let answers: usize = expected.iter().map(|events| events.len()).sum();
        let answered = announce(&mut tracker, &client, &EVENTS);
        assert_eq!(answered.into_iter().map(Result::unwrap).sum::<usize>(), answers, "{host}");
        assert_eq!(std::mem::take(&mut *told.lock().unwrap()), expected, "{host}");
    };
    check(BOTH, true, [&EVENTS, &EVENTS]);
    // A download listens nowhere: once is enough.
    check(BOTH, false, [&EVENTS, &[]]);
    check("127.0.0.1", true, [&EVENTS, &[]]);
    check("[::1]", true, [&[], &EVENTS]);
}

#[test]
fn a_family_over_which_nobody_answers_is_passed_over_and_not_told_goodbye() {
    let ([v4, v6], port) = listeners();
    let told = Told::default();
    drop(v4);
    answer(v6, Arc::clone(&told));
    let client = client(None);
    let url = format!("http://{BOTH}:{port}/announce");
    let mut tracker = Tracker::new(&client, &url, true).unwrap();
    assert_eq!(announce(&mut tracker, &client, &EVENTS), [Ok(1), Ok(1), Ok(1)]);
    assert_eq!(*told.lock().unwrap(), [&[][..], &EVENTS]);
    assert_eq!(tracker.knows_us, [false, true]);

    let ([v4, v6], port) = listeners();
    drop((v4, v6));
    let url = format!("http://{BOTH}:{port}/announce");
    let mut tracker = Tracker::new(&client, &url, true).unwrap();
    let said = "connection refused (over IPv4), connection refused (over IPv6)";
    assert_eq!(announce(&mut tracker, &client, &["started"]), [Err(said.to_owned())]);
}

#[test]
fn through_a_proxy_there_is_one_way_to_a_tracker() {
    let (listeners, port) = listeners();
    let told = Told::default();
    listeners.into_iter().for_each(|listener| answer(listener, Arc::clone(&told)));
    // The proxy is the tracker itself: whatever is wanted of it, it is at the other end.
    let client = client(Some(&format!("http://127.0.0.1:{port}")));
    let url = format!("http://{BOTH}:1/announce");
    let mut tracker = Tracker::new(&client, &url, true).unwrap();
    assert_eq!(announce(&mut tracker, &client, &["started"]), [Ok(1)]);
    assert_eq!(*told.lock().unwrap(), [vec!["started".to_owned()], vec![]]);
}
