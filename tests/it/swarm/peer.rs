//! A seeder (BEP 3) that may also leech, with the fast extension (BEP 6), the extension protocol
//! (BEP 10) and `ut_metadata` (BEP 9).

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

/// A peer's misbehavior. Several faults may be active at once; counts are per connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Corrupts the first byte of each block of this piece.
    CorruptPiece(u32),
    /// Corrupts the first byte of every block.
    CorruptAll,
    /// Sends another infohash in the handshake.
    WrongInfohash,
    /// Sends another protocol's handshake.
    GarbageHandshake,
    /// Sends nothing after the handshake.
    SilentAfterHandshake,
    /// Sends nothing after this number of blocks; 0 still unchokes.
    StallAfter(usize),
    /// Closes the connection after this number of blocks.
    CloseAfter(usize),
    /// Closes the sending half of the connection after this number of blocks.
    HalfCloseAfter(usize),
    /// Ignores `interested`.
    NeverUnchoke,
    /// Chokes after this number of blocks, drops pending requests, and unchokes 50 ms later.
    ChokeAfter(usize),
    /// Sends a length prefix of `0xFFFFFFF0` after the bitfield.
    OversizedMessage,
    /// Sends a bitfield that is one byte too long.
    LongBitfield,
    /// Sets the spare bits of the bitfield.
    SpareBits,
    /// Sends `have` for a nonexistent piece after the bitfield.
    HaveOutOfRange,
    /// Precedes each block with an unrequested one: the same bytes, labeled as the next piece.
    Unrequested,
    /// Limits each connection to this rate.
    Slow { bytes_per_second: usize },
    /// Serves the most recent pending request first.
    OutOfOrder,
    /// Rejects requests for blocks of this piece (BEP 6).
    RejectPiece(u32),
    /// Announces all pieces, and answers a request for this piece with `lt_donthave` (BEP 54).
    LostPiece(u32),
    /// As a leecher, requests blocks before it is unchoked, including pieces that the client lacks.
    AsksTooEarly,
    /// Rejects `ut_metadata` requests.
    RejectMetadata,
    /// Corrupts the first byte of each metadata block.
    CorruptMetadata,
    /// Announces a `metadata_size` of 2 GiB.
    HugeMetadata,
    /// Announces a `metadata_size` that is too large by this number of bytes.
    LongMetadata(i64),
    /// Never sends this metadata block.
    WithholdMetadata(i64),
    /// Announces 50 MiB of metadata and sends a block of zeros every 100 ms.
    TrickleMetadata,
    /// Stops answering when metadata requests arrive together, much like rtorrent.
    OneMetadataRequest,
    /// Omits `ut_metadata` from the extension handshake.
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
    /// Sets `upload_only` in the extension handshake (BEP 21).
    upload_only: bool,
    /// Downloads missing pieces, and `info`, from its clients.
    leeches: bool,
    /// Peers that it sends to each client by PEX (BEP 11).
    names: Vec<SocketAddr>,
    /// Offers `ut_pex` (BEP 11).
    hears: bool,
    /// Offers the fast extension (BEP 6).
    fast: bool,
    /// Pieces served even to choked clients (allowed fast, BEP 6).
    allowed: Vec<u32>,
    faults: Vec<Fault>,
    stats: Stats,
}

/// What a peer received and sent, over all of its connections.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Blocks sent, as ranges of the torrent's stream.
    pub coverage: Coverage,
    pub blocks_sent: usize,
    /// The largest number of outstanding requests of a client.
    pub most_outstanding: usize,
    /// Requests for pieces that the peer lacks, or that are out of range.
    pub bad_requests: Vec<Block>,
    pub handshakes: Vec<Handshake>,
    /// The clients' extension handshakes (BEP 10).
    pub extended_handshakes: Vec<B>,
    /// The requested metadata blocks.
    pub metadata_requests: Vec<i64>,
    /// Rejected requests (BEP 6).
    pub rejected: Vec<Block>,
    /// Blocks received from clients, as ranges of the torrent's stream, and the number of corrupt
    /// ones.
    pub taken: Coverage,
    pub wrong_blocks: usize,
    /// Metadata blocks received from clients (BEP 9), by index.
    pub metadata: BTreeMap<i64, Vec<u8>>,
    /// The pieces that clients announced, by bitfield or `have`.
    pub announced: BTreeSet<u32>,
    /// PEX messages received from clients (BEP 11).
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
            // A client that hangs up does not fail the test.
            move |conn| drop(serving::serve(conn, &shared))
        });
        Peer { server, shared }
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// Restricts the peer to these pieces.
    pub fn pieces(self, held: Range<usize>) -> Peer {
        for (piece, have) in self.shared.state.lock().unwrap().have.iter_mut().enumerate() {
            *have = held.contains(&piece);
        }
        self
    }

    /// Announces pieces by `have` messages instead of a bitfield.
    pub fn haves(self) -> Peer {
        self.shared.state.lock().unwrap().haves = true;
        self
    }

    /// Sets `reqq` of the extension handshake (BEP 10), 250 by default; `None` omits it.
    pub fn reqq(self, reqq: Option<i64>) -> Peer {
        self.shared.state.lock().unwrap().reqq = reqq;
        self
    }

    /// Announces `upload_only` (BEP 21).
    pub fn upload_only(self) -> Peer {
        self.shared.state.lock().unwrap().upload_only = true;
        self
    }

    /// Downloads missing pieces, and `info`, from its clients, but does not serve them in turn.
    pub fn leeching(self) -> Peer {
        self.shared.state.lock().unwrap().leeches = true;
        self
    }

    /// Sends these peers to each client by PEX (BEP 11), under id 1 if the client does not offer
    /// `ut_pex`.
    pub fn naming(self, peers: &[SocketAddr]) -> Peer {
        self.shared.state.lock().unwrap().names = peers.to_vec();
        self
    }

    /// Accepts PEX messages (BEP 11).
    pub fn hearing(self) -> Peer {
        self.shared.state.lock().unwrap().hears = true;
        self
    }

    /// Enables the fast extension (BEP 6).
    pub fn fast(self) -> Peer {
        self.shared.state.lock().unwrap().fast = true;
        self
    }

    /// Enables the fast extension and serves these pieces to choked clients.
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

    /// Ends all faults; a connection that has stalled stays stalled.
    pub fn mend(&self) {
        self.shared.state.lock().unwrap().faults.clear();
    }

    pub fn stats(&self) -> Stats {
        self.shared.state.lock().unwrap().stats.clone()
    }

    /// Bytes sent, including repeated ones.
    pub fn bytes_served(&self) -> u64 {
        self.stats().coverage.bytes()
    }

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
