//! A seeder (BEP 3) that may leech too, with the fast extension (BEP 6), the extension protocol (BEP 10) and `ut_metadata` (BEP 9).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use super::bencode::B;
use super::coverage::Coverage;
use super::dataset::Dataset;
use super::server::Server;
use super::wire::{self, Block, Handshake};

mod exchange;
mod leeching;
mod serving;

/// What a peer does wrong. Several may hold at once; counts are per connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first byte of each block of this piece is wrong.
    CorruptPiece(u32),
    /// The first byte of every block is wrong.
    CorruptAll,
    /// Its handshake names another torrent.
    WrongInfohash,
    /// Its handshake is another protocol's.
    GarbageHandshake,
    /// Nothing comes after the handshake.
    SilentAfterHandshake,
    /// After so many blocks nothing more comes; with 0 the unchoke does.
    StallAfter(usize),
    /// After so many blocks the connection is closed.
    CloseAfter(usize),
    /// After so many blocks the peer's half of the connection is closed.
    HalfCloseAfter(usize),
    /// Interest is not answered.
    NeverUnchoke,
    /// After so many blocks: choke, which drops what was requested, and unchoke 50 ms later.
    ChokeAfter(usize),
    /// A length prefix of `0xFFFFFFF0`, after the bitfield.
    OversizedMessage,
    /// A bitfield one byte too long.
    LongBitfield,
    /// A bitfield whose spare bits are set.
    SpareBits,
    /// `have` for a piece that is not there, after the bitfield.
    HaveOutOfRange,
    /// Before each block another one that nobody asked for: the same bytes, said to be elsewhere.
    Unrequested,
    /// No more bytes a second than so many, on each connection.
    Slow { bytes_per_second: usize },
    /// Of the requests that are there, the last is served first.
    OutOfOrder,
    /// Requests for blocks of this piece are rejected (BEP 6).
    RejectPiece(u32),
    /// It says that it has all, and when it is asked for this piece, that it has it no more (BEP 54).
    LostPiece(u32),
    /// As a leecher: asks for blocks before it is unchoked, and for what the client has not.
    AsksTooEarly,
    /// `ut_metadata` requests are rejected.
    RejectMetadata,
    /// The first byte of each metadata block is wrong.
    CorruptMetadata,
    /// `metadata_size` of 2 GiB.
    HugeMetadata,
    /// `metadata_size` is so many bytes more than there are.
    LongMetadata(i64),
    /// This metadata block is never sent.
    WithholdMetadata(i64),
    /// States 50 MiB of metadata, and sends a block of zeros each 100 ms.
    TrickleMetadata,
    /// Where metadata requests come together, nothing is answered any more, much as rtorrent stalls.
    OneMetadataRequest,
    /// No `ut_metadata` in the extension handshake.
    NoMetadata,
}

pub struct Peer {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    dataset: Dataset,
    state: Mutex<State>,
}

struct State {
    have: Vec<bool>,
    haves: bool,
    reqq: Option<i64>,
    /// Said in its extension handshake, where it is true (BEP 21).
    upload_only: bool,
    /// Takes from its clients what it has not, `info` too.
    leeches: bool,
    /// Peers that it names to each client (BEP 11).
    names: Vec<SocketAddr>,
    /// Offers to be told of peers (BEP 11).
    hears: bool,
    /// Offers the fast extension.
    fast: bool,
    /// Pieces served to who is choked.
    allowed: Vec<u32>,
    faults: Vec<Fault>,
    stats: Stats,
}

/// What a peer has seen and done, on all its connections.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// The blocks sent, as ranges of the torrent's stream.
    pub coverage: Coverage,
    pub blocks_sent: usize,
    /// The most requests that one client had outstanding.
    pub most_outstanding: usize,
    /// Requests for what the peer has not, or what no piece has.
    pub bad_requests: Vec<Block>,
    pub handshakes: Vec<Handshake>,
    /// The clients' BEP 10 handshakes.
    pub extended_handshakes: Vec<B>,
    /// The metadata blocks that were asked for.
    pub metadata_requests: Vec<i64>,
    /// Requests that were rejected (BEP 6).
    pub rejected: Vec<Block>,
    /// What clients served, as ranges of the torrent's stream, and blocks of other bytes than the torrent's.
    pub taken: Coverage,
    pub wrong_blocks: usize,
    /// The parts of `info` that clients served (BEP 9), by their number.
    pub metadata: BTreeMap<i64, Vec<u8>>,
    /// The pieces that clients said they have, in a bitfield or one by one.
    pub announced: BTreeSet<u32>,
    /// What clients told of other peers (BEP 11).
    pub told: Vec<B>,
    /// Messages received, by id ([`wire::CANCEL`], …).
    pub received: BTreeMap<u8, usize>,
}

impl Peer {
    pub fn seeding(dataset: &Dataset) -> Peer {
        let have = vec![true; dataset.piece_count()];
        let (faults, stats) = (Vec::new(), Stats::default());
        let state = State {
            have,
            haves: false,
            reqq: Some(250),
            upload_only: false,
            leeches: false,
            names: Vec::new(),
            hears: false,
            fast: false,
            allowed: Vec::new(),
            faults,
            stats,
        };
        let shared = Arc::new(Shared { dataset: dataset.clone(), state: Mutex::new(state) });
        let server = Server::start({
            let shared = shared.clone();
            // A client that hangs up is no failure of the test.
            move |conn| drop(serving::serve(conn, &shared))
        });
        Peer { server, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Has only these pieces.
    pub fn pieces(self, held: Range<usize>) -> Peer {
        for (piece, have) in self.shared.state.lock().unwrap().have.iter_mut().enumerate() {
            *have = held.contains(&piece);
        }
        self
    }

    /// Says what it has by `have` messages, without a bitfield.
    pub fn haves(self) -> Peer {
        self.shared.state.lock().unwrap().haves = true;
        self
    }

    /// How many requests it says that it takes (BEP 10); 250 unless told, unsaid with `None`.
    pub fn reqq(self, reqq: Option<i64>) -> Peer {
        self.shared.state.lock().unwrap().reqq = reqq;
        self
    }

    /// Says that it wants nothing (BEP 21).
    pub fn upload_only(self) -> Peer {
        self.shared.state.lock().unwrap().upload_only = true;
        self
    }

    /// Takes from its clients what it has not, and their `info`, but does not serve that in turn.
    pub fn leeching(self) -> Peer {
        self.shared.state.lock().unwrap().leeches = true;
        self
    }

    /// Names these to each client (BEP 11), as id 1 where the client did not ask for it.
    pub fn naming(self, peers: &[SocketAddr]) -> Peer {
        self.shared.state.lock().unwrap().names = peers.to_vec();
        self
    }

    /// Takes what clients say of other peers (BEP 11).
    pub fn hearing(self) -> Peer {
        self.shared.state.lock().unwrap().hears = true;
        self
    }

    /// Speaks the fast extension (BEP 6).
    pub fn fast(self) -> Peer {
        self.shared.state.lock().unwrap().fast = true;
        self
    }

    /// Speaks the fast extension, and serves these pieces to who is choked.
    pub fn allowing(self, pieces: &[u32]) -> Peer {
        self.shared.state.lock().unwrap().allowed = pieces.to_vec();
        self.fast()
    }

    pub fn with(self, fault: Fault) -> Peer {
        self.fault(fault);
        self
    }

    pub fn fault(&self, fault: Fault) {
        self.shared.state.lock().unwrap().faults.push(fault);
    }

    /// Ends all faults; what has stalled stays so.
    pub fn mend(&self) {
        self.shared.state.lock().unwrap().faults.clear();
    }

    pub fn stats(&self) -> Stats {
        self.shared.state.lock().unwrap().stats.clone()
    }

    /// Bytes of the torrent's stream sent, each as often as it was.
    pub fn bytes_served(&self) -> u64 {
        self.stats().coverage.bytes()
    }

    /// The connections that were made, and are open.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

impl Stats {
    pub fn cancels(&self) -> usize {
        self.received.get(&wire::CANCEL).copied().unwrap_or(0)
    }
}

impl Shared {
    fn has(&self, fault: Fault) -> bool {
        self.state.lock().unwrap().faults.contains(&fault)
    }

    fn faults(&self) -> Vec<Fault> {
        self.state.lock().unwrap().faults.clone()
    }

    fn stats<T>(&self, update: impl FnOnce(&mut Stats) -> T) -> T {
        update(&mut self.state.lock().unwrap().stats)
    }
}
