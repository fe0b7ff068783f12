//! A DHT node (BEP 5) that simulates the whole network: it gives prepared answers and records the
//! queries.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::bencode::B;

/// The infohash and port of an announce.
pub type Announced = ([u8; 20], i64);

pub struct DhtNode {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<[u8; 20]>>>,
    announced: Arc<Mutex<Vec<Announced>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DhtNode {
    /// Answers the first query with the first list of peers, the second with the second, and so on;
    /// the last list is repeated. Without any list, the node is silent.
    pub fn start(answers: Vec<Vec<SocketAddr>>) -> DhtNode {
        DhtNode::in_network(answers, Vec::new(), Duration::ZERO)
    }

    /// Like [`DhtNode::start`], but also returns these nodes, and delays each answer.
    pub fn in_network(
        answers: Vec<Vec<SocketAddr>>,
        nodes: Vec<SocketAddr>,
        delay: Duration,
    ) -> DhtNode {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let (asked, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let announced = Arc::new(Mutex::new(Vec::new()));
        let (of_thread, is_over) = (Arc::clone(&asked), Arc::clone(&over));
        let announces = Arc::clone(&announced);
        let serve = move || {
            let mut buffer = [0; 2048];
            while !is_over.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let (question, rest) = B::read(&buffer[..length]).expect("a question is bencode");
                assert!(rest.is_empty());
                if question.bytes_at("q") == Some(b"announce_peer") {
                    announces.lock().unwrap().push(announce(&question));
                    continue;
                }
                let count = {
                    let mut asked: std::sync::MutexGuard<'_, Vec<_>> = of_thread.lock().unwrap();
                    asked.push(infohash(&question));
                    asked.len()
                };
                if let Some(peers) = answers.get(count - 1).or(answers.last()) {
                    std::thread::sleep(delay);
                    socket.send_to(&answer(&question, peers, &nodes), from).unwrap();
                }
            }
        };
        DhtNode { address, asked, announced, over, thread: Some(std::thread::spawn(serve)) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The received announces.
    pub fn announced(&self) -> Vec<Announced> {
        self.announced.lock().unwrap().clone()
    }

    /// The infohashes of the received `get_peers` queries.
    pub fn asked(&self) -> Vec<[u8; 20]> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for DhtNode {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(ended.is_none_or(|ended| ended.is_ok()), "a question was none of BEP 5");
        }
    }
}

/// Reads an `announce_peer` query, which must carry the node's token.
fn announce(question: &B) -> Announced {
    let arguments = question.at("a").unwrap();
    assert_eq!(arguments.bytes_at("token"), Some(&b"t"[..]));
    let infohash = arguments.bytes_at("info_hash").unwrap().try_into().unwrap();
    (infohash, arguments.int_at("port").unwrap())
}

/// Reads the infohash of a `get_peers` query.
fn infohash(question: &B) -> [u8; 20] {
    assert_eq!(question.bytes_at("y"), Some(&b"q"[..]));
    assert_eq!(question.bytes_at("q"), Some(&b"get_peers"[..]));
    assert_eq!(
        question.int_at("ro"),
        Some(1),
        "the client does not answer queries, and declares itself read-only"
    );
    let arguments = question.at("a").unwrap();
    assert_eq!(arguments.bytes_at("id").map(<[u8]>::len), Some(20));
    arguments.bytes_at("info_hash").unwrap().try_into().unwrap()
}

fn answer(question: &B, peers: &[SocketAddr], nodes: &[SocketAddr]) -> Vec<u8> {
    let nodes: Vec<_> =
        nodes.iter().flat_map(|node| [vec![9; 20], compact(node)].concat()).collect();
    let mut answer =
        B::dict([("id", B::bytes([7; 20])), ("nodes", B::bytes(nodes)), ("token", B::bytes("t"))]);
    if !peers.is_empty() {
        let peers = peers.iter().map(|peer| B::bytes(compact(peer)));
        answer = answer.with("values", B::list(peers));
    }
    let transaction = question.at("t").unwrap().clone();
    B::dict([("r", answer), ("t", transaction), ("y", B::bytes("r"))]).write()
}

fn compact(address: &SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(address) = address else { panic!("{address}") };
    [&address.ip().octets()[..], &address.port().to_be_bytes()].concat()
}
