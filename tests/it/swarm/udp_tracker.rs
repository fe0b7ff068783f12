//! A UDP tracker (BEP 15), for IPv4.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::tracker::{Announce, compact_peer};

/// What a UDP tracker does wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Never answers.
    Silent,
    /// The first so many datagrams are lost.
    Loses(usize),
    /// Action 3, with this text, for an announce.
    Failure(String),
    /// Replies carry another transaction's id.
    WrongTransaction,
    /// Replies lack their last bytes.
    Truncated,
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
    datagrams: usize,
}

const CONNECTION_ID: [u8; 8] = *b"swarm-id";

impl UdpTracker {
    /// A tracker that knows these peers, for each infohash.
    pub fn start(peers: Vec<SocketAddr>) -> UdpTracker {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = socket.local_addr().unwrap();
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
                    // An error is an earlier reply's, to a client that has gone.
                    let Ok((length, client)) = received else { continue };
                    if let Some(reply) = answer(&mut state.lock().unwrap(), &buffer[..length]) {
                        let _ = socket.send_to(&reply, client); // it may have gone
                    }
                }
            }
        });
        UdpTracker { addr, state, ended, answering: Some(answering) }
    }

    /// What goes into `announce`.
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

    /// Datagrams received, the lost ones too.
    pub fn datagrams(&self) -> usize {
        self.state.lock().unwrap().datagrams
    }
}

impl Drop for UdpTracker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let waker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if waker.send_to(b"end", self.addr).is_ok() {
            let _ = self.answering.take().map(JoinHandle::join);
        }
    }
}

fn answer(state: &mut State, datagram: &[u8]) -> Option<Vec<u8>> {
    state.datagrams += 1;
    let faults = state.faults.clone();
    let loses = |fault: &Fault| matches!(fault, Fault::Loses(first) if state.datagrams <= *first);
    if faults.contains(&Fault::Silent) || faults.iter().any(loses) {
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
            [head(0), CONNECTION_ID.to_vec()].concat()
        }
        1 if datagram[..8] == CONNECTION_ID && datagram.len() >= 98 => {
            state.announces.push(read_announce(datagram));
            let peers: Vec<u8> = state.peers.iter().flat_map(compact_peer).collect();
            let seeders = u32::try_from(state.peers.len()).unwrap();
            let counts = [1800, 0, seeders].map(u32::to_be_bytes).concat();
            match failure {
                Some(text) => [head(3), text.as_bytes().to_vec()].concat(),
                None => [head(1), counts, peers].concat(),
            }
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
