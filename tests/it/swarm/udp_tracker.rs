//! A UDP tracker (BEP 15, BEP 41), on IPv4 or IPv6 loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::tracker::{Announce, compact_peer};

/// A UDP tracker's misbehavior.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Never answers.
    Silent,
    /// Loses this number of datagrams at the start.
    Loses(usize),
    /// Loses the datagram with this number, counted from 1.
    LosesOnly(usize),
    /// Asks for an announce interval of this number of seconds.
    Interval(u32),
    /// Answers announces with an error (action 3) with this text.
    Failure(String),
    /// Replies with a wrong transaction ID.
    WrongTransaction,
    /// Cuts three bytes off each reply.
    Truncated,
    /// Answers this number of datagrams and no more.
    SilentAfter(usize),
    /// Replies correctly, but from another port.
    FromElsewhere,
    /// Accepts each connection ID for a single announce.
    ForgetsIds,
    /// Answers scrapes with an error (action 3).
    NoScrape,
}

pub struct UdpTracker {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
    ended: Arc<AtomicBool>,
    answering: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    peers: Vec<SocketAddr>,
    faults: Vec<Fault>,
    announces: Vec<Announce>,
    url_data: Vec<Vec<u8>>,
    datagrams: usize,
    connects: usize,
    ids: Vec<[u8; 8]>,
}

impl UdpTracker {
    /// Starts a tracker that returns these peers for every infohash.
    pub fn start(peers: Vec<SocketAddr>) -> UdpTracker {
        UdpTracker::on(Ipv4Addr::LOCALHOST.into(), peers)
    }

    /// Like [`UdpTracker::start`], on `::1`. Panics without IPv6, because the test would cover
    /// nothing.
    pub fn start_v6(peers: Vec<SocketAddr>) -> UdpTracker {
        UdpTracker::on(Ipv6Addr::LOCALHOST.into(), peers)
    }

    fn on(ip: IpAddr, peers: Vec<SocketAddr>) -> UdpTracker {
        let bind = || {
            UdpSocket::bind((ip, 0)).unwrap_or_else(|why| panic!("this machine has no {ip}: {why}"))
        };
        let (socket, elsewhere) = (bind(), bind());
        let addr = socket.local_addr().unwrap();
        // A reply can only hold peers of the socket's address family.
        let peers = peers.into_iter().filter(|peer| peer.is_ipv6() == ip.is_ipv6()).collect();
        let state = Arc::new(Mutex::new(State { peers, ..State::default() }));
        let ended = Arc::new(AtomicBool::new(false));
        let answering = std::thread::spawn({
            let (state, ended) = (state.clone(), ended.clone());
            move || {
                let mut buffer = [0; 2048];
                loop {
                    let received = socket.recv_from(&mut buffer);
                    if ended.load(Ordering::SeqCst) {
                        return;
                    }
                    // The error belongs to an earlier reply, whose client has closed its socket.
                    let Ok((length, client)) = received else { continue };
                    let mut state = state.lock().unwrap();
                    if let Some(reply) = answer(&mut state, &buffer[..length]) {
                        let from_elsewhere = state.faults.contains(&Fault::FromElsewhere);
                        let socket = if from_elsewhere { &elsewhere } else { &socket };
                        let _ = socket.send_to(&reply, client); // the client may have closed its socket
                    }
                }
            }
        });
        UdpTracker { addr, state, ended, answering: Some(answering) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The announce URL.
    pub fn url(&self) -> String {
        format!("udp://{}/announce", self.addr)
    }

    pub fn with(self, fault: Fault) -> UdpTracker {
        self.state.lock().unwrap().faults.push(fault);
        self
    }

    pub fn announces(&self) -> Vec<Announce> {
        self.state.lock().unwrap().announces.clone()
    }

    /// The path and query of each announce (BEP 41).
    pub fn url_data(&self) -> Vec<Vec<u8>> {
        self.state.lock().unwrap().url_data.clone()
    }

    /// The number of connection IDs issued.
    pub fn connects(&self) -> usize {
        self.state.lock().unwrap().connects
    }

    /// The number of datagrams received, including lost ones.
    pub fn datagrams(&self) -> usize {
        self.state.lock().unwrap().datagrams
    }
}

impl Drop for UdpTracker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let waker = UdpSocket::bind((self.addr.ip(), 0)).unwrap();
        if waker.send_to(b"end", self.addr).is_ok() {
            let _ = self.answering.take().map(JoinHandle::join);
        }
    }
}

fn answer(state: &mut State, datagram: &[u8]) -> Option<Vec<u8>> {
    state.datagrams += 1;
    let faults = state.faults.clone();
    let is_lost = |fault: &Fault| match fault {
        Fault::Silent => true,
        Fault::Loses(first) => state.datagrams <= *first,
        Fault::LosesOnly(number) => state.datagrams == *number,
        Fault::SilentAfter(first) => state.datagrams > *first,
        _ => false,
    };
    if faults.iter().any(is_lost) {
        return None;
    }
    let word = |at: usize| Some(u32::from_be_bytes(datagram.get(at..at + 4)?.try_into().ok()?));
    let action = word(8)?;
    let mut transaction = word(12)?;
    if faults.contains(&Fault::WrongTransaction) {
        transaction = !transaction;
    }
    let head = |action: u32| [action.to_be_bytes(), transaction.to_be_bytes()].concat();
    let failure = faults.iter().find_map(|fault| match fault {
        Fault::Failure(text) => Some(text),
        _ => None,
    });
    let mut reply = match action {
        0 if datagram[..8] == 0x0417_2710_1980_u64.to_be_bytes() => {
            state.connects += 1;
            let id = *format!("id-{:05}", state.connects).as_bytes().first_chunk().unwrap();
            state.ids.push(id);
            [head(0), id.to_vec()].concat()
        }
        1 | 2 if !state.ids.iter().any(|id| datagram[..8] == *id) => {
            [head(3), b"Connection ID missmatch.".to_vec()].concat()
        }
        1 if datagram.len() >= 98 => {
            state.announces.push(read_announce(datagram));
            state.url_data.push(read_url_data(&datagram[98..]));
            if faults.contains(&Fault::ForgetsIds) {
                state.ids.clear();
            }
            let peers: Vec<u8> = state.peers.iter().flat_map(compact_peer).collect();
            let seeders = u32::try_from(state.peers.len()).unwrap();
            let interval = faults.iter().find_map(|fault| match fault {
                Fault::Interval(seconds) => Some(*seconds),
                _ => None,
            });
            let counts = [interval.unwrap_or(1800), 0, seeders].map(u32::to_be_bytes).concat();
            match failure {
                Some(text) => [head(3), text.as_bytes().to_vec()].concat(),
                None => [head(1), counts, peers].concat(),
            }
        }
        2 if datagram.len() == 36 && !faults.contains(&Fault::NoScrape) => {
            let seeders = u32::try_from(state.peers.len()).unwrap();
            [head(2), [seeders, 7, 0].map(u32::to_be_bytes).concat()].concat()
        }
        _ => [head(3), b"not a request of BEP 15".to_vec()].concat(),
    };
    if faults.contains(&Fault::Truncated) {
        reply.truncate(reply.len() - 3);
    }
    Some(reply)
}

fn read_announce(datagram: &[u8]) -> Announce {
    let number = |at: usize, length: usize| {
        let bytes = &datagram[at..at + length];
        Some(bytes.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte)))
    };
    let event = match number(80, 4) {
        Some(1) => Some("completed"),
        Some(2) => Some("started"),
        Some(3) => Some("stopped"),
        _ => None,
    };
    Announce {
        info_hash: datagram[16..36].to_vec(),
        peer_id: datagram[36..56].to_vec(),
        downloaded: number(56, 8),
        left: number(64, 8),
        uploaded: number(72, 8),
        event: event.map(String::from),
        numwant: number(92, 4),
        port: number(96, 2),
        compact: true,
    }
}

/// Joins the path and query of the URL data options (BEP 41) and skips other options.
fn read_url_data(mut options: &[u8]) -> Vec<u8> {
    let mut joined = Vec::new();
    while let [kind, rest @ ..] = options {
        match (kind, rest) {
            (0, _) => break,
            (1, _) => options = rest,
            (kind, [length, rest @ ..]) => {
                let (data, rest) = rest.split_at(usize::from(*length));
                if *kind == 2 {
                    joined.extend(data);
                }
                options = rest;
            }
            _ => panic!("an option without a length"),
        }
    }
    joined
}
