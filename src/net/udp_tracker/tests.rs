use std::net::IpAddr;
use std::thread::JoinHandle;
use std::time::Instant;

use super::*;
use crate::net::name_lookup::tests::has_ipv6;
use crate::torrent::infohash::Infohash;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// The wait for a try that must time out, and for one that must not.
const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(600);

fn socket(ip: IpAddr) -> UdpSocket {
    let socket =
        UdpSocket::bind((ip, 0)).unwrap_or_else(|why| panic!("this machine has no {ip}: {why}"));
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// Answers this many datagrams with itself as the only peer. Returns the events of the announces.
fn tracker(ip: IpAddr, datagrams: usize) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let socket = socket(ip);
    let address = socket.local_addr().unwrap();
    let serve = move || {
        let mut events = Vec::new();
        let mut buffer = [0; 2048];
        for _ in 0..datagrams {
            let (_, client) = socket.recv_from(&mut buffer).unwrap();
            let mut reply = buffer[8..16].to_vec();
            if reply[3] == 0 {
                reply.extend(b"conn-id1");
            } else {
                events.push(buffer[83]);
                reply.extend([0, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
                match address.ip() {
                    IpAddr::V4(ip) => reply.extend(ip.octets()),
                    IpAddr::V6(ip) => reply.extend(ip.octets()),
                }
                reply.extend(address.port().to_be_bytes());
            }
            socket.send_to(&reply, client).unwrap();
        }
        events
    };
    (address, std::thread::spawn(serve))
}

fn closed(ip: IpAddr) -> SocketAddr {
    socket(ip).local_addr().unwrap()
}

fn client() -> Client {
    Client::new(&crate::settings::Context::default().settings().unwrap()).unwrap()
}

fn at(addresses: &[SocketAddr], first_wait: Duration) -> UdpTracker {
    UdpTracker { endpoints: endpoints(addresses, first_wait) }
}

/// Announces once, until there are `enough` peers. Returns the peers in order of arrival.
fn announce(
    tracker: &mut UdpTracker,
    event: AnnounceEvent,
    enough: usize,
) -> Result<Vec<SocketAddr>, SourceError> {
    let message = Announce {
        infohash: Infohash::from_bytes([7; 20]),
        peer_id: [8; 20],
        port: 1,
        uploaded_bytes: 0,
        downloaded_bytes: 0,
        left_bytes: 0,
        event: Some(event),
        numwant: 1,
        key: 1,
    };
    let begun = Instant::now();
    let peers = std::cell::RefCell::new(Vec::new());
    let time = || (peers.borrow().len() < enough).then(|| begun.elapsed());
    let mut answered = |reply: Reply| peers.borrow_mut().extend(reply.peers);
    let url = Url::from("udp://127.0.0.1:1");
    let named = (NamedBy::User, &url);
    let result = tracker.announce(&client(), named, &message, &time, &mut answered);
    assert!(tracker.endpoints.iter().all(|endpoint| endpoint.socket.is_none()));
    result?;
    assert!(begun.elapsed() < LONG / 10);
    Ok(peers.into_inner())
}

use AnnounceEvent::{Completed, Started, Stopped};

#[test]
fn both_families_are_asked_side_by_side_and_each_names_its_peers() {
    if !has_ipv6() {
        return;
    }
    let ((v4, first), (v6, second)) = (tracker(V4, 3), tracker(V6, 3));
    let mut tracker = at(&[v4, v6], LONG);
    let mut peers = announce(&mut tracker, Started, 9).unwrap();
    peers.sort_unstable();
    assert_eq!(peers, [v4, v6]);
    assert_eq!(announce(&mut tracker, Stopped, 9).unwrap().len(), 2);
    assert_eq!((first.join().unwrap(), second.join().unwrap()), (vec![2, 3], vec![2, 3]));
}

#[test]
fn the_answer_of_one_family_is_there_while_the_other_is_silent() {
    if !has_ipv6() {
        return;
    }
    let (v4, answering) = tracker(V4, 4);
    let silent = socket(V6);
    let mut tracker = at(&[silent.local_addr().unwrap(), v4], LONG);
    assert_eq!(announce(&mut tracker, Started, 1).unwrap(), [v4]);
    // A family that never answered gets no goodbye, and is not waited for.
    assert_eq!(announce(&mut tracker, Completed, 9).unwrap(), [v4]);
    assert_eq!(announce(&mut tracker, Stopped, 9).unwrap(), [v4]);
    assert_eq!(answering.join().unwrap(), [2, 1, 3]);
    let mut buffer = [0; 100];
    assert_eq!(silent.recv(&mut buffer).unwrap(), 16);
    silent.set_nonblocking(true).unwrap();
    assert_eq!(silent.recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn an_address_where_nobody_listens_gives_way_to_the_next_at_once() {
    let (good, answering) = tracker(V4, 2);
    let mut tracker = at(&[closed(V4), closed(V4), good], LONG);
    assert_eq!(announce(&mut tracker, Started, 9).unwrap(), [good]);
    assert_eq!(answering.join().unwrap(), [2]);
}

#[test]
fn a_silent_address_gives_way_to_the_next_with_the_next_try() {
    let (good, answering) = tracker(V4, 2);
    let silent = socket(V4);
    let mut tracker = at(&[silent.local_addr().unwrap(), good], SHORT);
    let why = announce(&mut tracker, Started, 9).unwrap_err();
    assert_eq!(why.to_string(), "no answer after 1 try");
    assert_eq!(announce(&mut tracker, Started, 9).unwrap(), [good]);
    assert_eq!(answering.join().unwrap(), [2]);
}

#[test]
fn where_nobody_listens_at_all_both_families_say_so_and_the_host_is_looked_up_again() {
    if !has_ipv6() {
        return;
    }
    let mut tracker = at(&[closed(V4), closed(V4), closed(V6)], LONG);
    let why = announce(&mut tracker, Started, 9).unwrap_err().to_string();
    assert!(why.contains("connection refused (over IPv4)"), "{why}");
    assert!(why.contains("connection refused (over IPv6)"), "{why}");
    assert!(tracker.endpoints.is_empty());
}

#[test]
fn a_host_is_looked_up_within_its_time() {
    let look_up_at = |place: &str, now: Option<Duration>| {
        look_up_all(&[place.to_owned()], LONG, &|| now).remove(0)
    };
    let look_up = |place: &str| look_up_at(place, Some(Duration::ZERO));
    assert_eq!(look_up("127.0.0.1:5").unwrap(), ["127.0.0.1:5".parse().unwrap()]);
    assert_eq!(look_up("[::ffff:127.0.0.1]:5").unwrap(), ["127.0.0.1:5".parse().unwrap()]);
    assert!(look_up("localhost:5").unwrap().contains(&"127.0.0.1:5".parse().unwrap()));
    // The resolver rejects this name without sending a query.
    assert!(look_up(&format!("{}:5", "x".repeat(300))).is_err());
    // No longer needed before the look-up begins.
    assert!(look_up_at("localhost:5", None).is_err());
}
