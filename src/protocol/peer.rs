//! One connection to a peer, both ways: the state machine without the socket. Who is connected to reads the other's
//! handshake first, to know which torrent it is about, and begins a session then: that hears the handshake again.
//!
//! ```text
//! new ── our handshake out ──▶ waiting
//! waiting ── theirs: same infohash, not ourselves ──▶ choked   (what we have and can do out)
//! choked ◀── choke (requests dropped) ── unchoke ──▶ unchoked  (requests out, blocks in)
//! ```
//!
//! A session may begin before `info` is known: `early` keeps what the peer says of its pieces until then.
//!
//! With the fast extension (BEP 6) a choke drops nothing: each request is served or rejected. And some
//! pieces may be asked for while choked.
//!
//! The caller reads into a buffer of its own and calls [`PeerSession::next`] until it has no more
//! events, each time with what is left in the buffer; writes what [`PeerSession::output`] gives; and
//! calls [`PeerSession::poll`] now and then. Times are since any moment of the caller's.
//!
//! Invariants: a block is reported only where it was asked for, to the byte; a bitfield has the
//! torrent's length and no spare bits; a piece index is in range. Every error is the peer's fault and
//! ends the session. Who waits how long is the caller's to say: see `silent_for` and
//! [`PeerSession::oldest_request_age`].

use std::time::Duration;

use crate::torrent::geometry::PieceIndex;
use crate::torrent::infohash::Infohash;

use super::extension::{ExtendedHandshake, Offer};
use super::pex::{PeerExchange, PexSender};
use super::requests::Requests;
use super::upload::RequestQueue;
use super::wire::{self, BlockRequest, Handshake, Message};

mod early;
mod event;
mod extended;
mod fast;
mod limit;
mod serving;

use early::EarlyPieces;
use limit::MessageLimit;

pub use event::{PeerError, PeerEvent};

#[cfg(test)]
mod tests;

/// The longest block that may be asked for: many peers refuse more.
pub const MAX_BLOCK_BYTES: u32 = 128 << 10;

/// Peers close connections that are silent for two minutes (BEP 3).
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// More than a client sends that has a bitfield wherever that is shorter than the `have`s in its place: each may
/// be long, and is work for us.
const MAX_BITFIELDS: u32 = 100;
/// How many blocks nobody asked for are forgiven.
const MAX_UNCALLED_FOR: u64 = 64;

/// One connection, from our handshake on.
#[derive(Debug)]
pub struct PeerSession {
    ours: Handshake,
    offer: Offer,
    piece_count: u32,
    /// While `info` is not known.
    early: Option<EarlyPieces>,
    out: Vec<u8>,
    open: bool,
    extensions: bool,
    /// Both speak BEP 6.
    fast: bool,
    /// May be asked for while choked.
    allowed: Vec<PieceIndex>,
    choked: bool,
    interested: bool,
    /// How often it said all that it has at once.
    bitfields: u32,
    theirs: ExtendedHandshake,
    named: PeerExchange,
    sender: PexSender,
    waiting: RequestQueue,
    requests: Requests,
    limit: MessageLimit,
    /// When it last asked for something that we may serve.
    asked_at: Option<Duration>,
    last_sent: Duration,
    last_heard: Duration,
    /// Bytes of the caller's buffer that we saw and could not use yet.
    unread: usize,
}

impl PeerSession {
    /// A connection that stands since `now`; our handshake waits to be sent.
    pub fn new(
        now: Duration,
        infohash: Infohash,
        peer_id: [u8; 20],
        piece_count: u32,
        offer: Offer,
    ) -> PeerSession {
        let ours = Handshake::ours(infohash, peer_id);
        let mut out = Vec::with_capacity(Handshake::BYTES);
        ours.encode(&mut out);
        PeerSession {
            ours,
            offer,
            piece_count,
            early: None,
            out,
            open: false,
            extensions: false,
            fast: false,
            allowed: Vec::new(),
            choked: true,
            interested: false,
            bitfields: 0,
            theirs: ExtendedHandshake::default(),
            named: PeerExchange::default(),
            sender: PexSender::default(),
            waiting: RequestQueue::new(),
            requests: Requests::default(),
            limit: MessageLimit::new(now, piece_count),
            asked_at: None,
            last_sent: now,
            last_heard: now,
            unread: 0,
        }
    }

    /// Takes the bytes to be sent; the caller sends them all, in order.
    pub fn output(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.out.is_empty() {
            return None;
        }
        self.last_sent = now;
        Some(std::mem::take(&mut self.out))
    }

    /// The first event in the bytes, and how many of them it took; `None` until more have come.
    ///
    /// [`PeerSession::max_message_bytes`] says how many the buffer must have room for.
    ///
    /// # Errors
    /// What the peer did wrong: the session is over.
    pub fn next<'b>(
        &mut self,
        now: Duration,
        bytes: &'b [u8],
    ) -> Result<Option<(PeerEvent<'b>, usize)>, PeerError> {
        if bytes.len() > self.unread {
            self.last_heard = now;
        }
        let found = if self.open { self.message(now, bytes)? } else { self.handshake(bytes)? };
        self.unread = bytes.len() - found.map_or(0, |(_, used)| used);
        Ok(found)
    }

    /// The longest message that is accepted, length prefix included: a buffer of this size is
    /// always enough.
    pub fn max_message_bytes(&self) -> usize {
        let bitfield = 1 + bitfield_bytes(self.piece_count);
        let block = 9 + MAX_BLOCK_BYTES as usize;
        4 + bitfield.max(block)
    }

    /// Whether the peer was told that we want what it has.
    pub fn is_interested(&self) -> bool {
        self.interested
    }

    /// Tells the peer whether we want what it has. Said once; again only when it changes.
    pub fn interested(&mut self, interested: bool) {
        if self.interested != interested {
            self.interested = interested;
            let message = if interested { Message::Interested } else { Message::NotInterested };
            message.encode(&mut self.out);
        }
    }

    /// Asks for a block; the caller knows which are asked for already. False, and nothing is sent, where the peer
    /// chokes us and has not allowed the piece, or the block's length is 0 or over [`MAX_BLOCK_BYTES`].
    pub fn request(&mut self, now: Duration, request: BlockRequest) -> bool {
        let fits = (1..=MAX_BLOCK_BYTES).contains(&request.length);
        if !self.may_ask(request.piece) || !fits {
            return false;
        }
        self.requests.add(now, request);
        Message::Request(request).encode(&mut self.out);
        true
    }

    /// Takes a request back. False, and nothing is sent, where it is not outstanding. Its block may
    /// still come, and is then ignored.
    pub fn cancel(&mut self, request: BlockRequest) -> bool {
        let was_there = self.requests.cancel(request);
        if was_there {
            Message::Cancel(request).encode(&mut self.out);
        }
        was_there
    }

    /// Queues a keep-alive where one is due. To be called at [`PeerSession::keep_alive_at`] or later.
    pub fn poll(&mut self, now: Duration) {
        if self.open && self.out.is_empty() && now >= self.keep_alive_at() {
            Message::KeepAlive.encode(&mut self.out);
        }
    }

    /// When a keep-alive is due, if nothing is sent before.
    pub fn keep_alive_at(&self) -> Duration {
        self.last_sent + KEEP_ALIVE
    }

    /// How many blocks are asked for and not here.
    pub fn outstanding(&self) -> usize {
        self.requests.len()
    }

    /// The blocks that are asked for and not here, the oldest request first.
    pub fn outstanding_requests(&self) -> impl Iterator<Item = BlockRequest> {
        self.requests.outstanding()
    }

    /// Takes the requests that a choke threw away.
    pub fn take_dropped(&mut self) -> Vec<BlockRequest> {
        self.requests.take_dropped()
    }

    /// How many requests should be outstanding: three seconds' worth at the rate seen, at least 64,
    /// at most 500 and what the peer keeps (250 if it does not say). Until a rate was seen, 64 and as many as came.
    pub fn queue_depth(&self) -> usize {
        self.requests.depth(self.theirs.reqq)
    }

    /// The rate at which blocks come, over the last second or so in which they came.
    #[cfg(test)]
    fn bytes_per_second(&self) -> u64 {
        self.requests.bytes_per_second()
    }

    /// For how long nothing came.
    #[cfg(any(feature = "seed", test))]
    pub fn silent_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last_heard)
    }

    /// For how long the oldest outstanding request waits.
    pub fn oldest_request_age(&self, now: Duration) -> Option<Duration> {
        self.requests.oldest().map(|asked| now.saturating_sub(asked))
    }

    /// Whether the handshake is done.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether the peer refuses to serve us; so it begins.
    pub fn is_choked(&self) -> bool {
        self.choked
    }

    /// Blocks that came without being asked for, or after a cancel or choke had crossed them.
    #[cfg(test)]
    fn ignored_blocks(&self) -> u64 {
        self.requests.unasked()
    }

    fn handshake<'b>(&mut self, bytes: &[u8]) -> Result<Option<(PeerEvent<'b>, usize)>, PeerError> {
        let Some(theirs) = Handshake::decode(bytes)? else {
            return Ok(None);
        };
        if theirs.infohash != self.ours.infohash {
            return Err(PeerError::OtherTorrent(theirs.infohash));
        }
        if theirs.peer_id == self.ours.peer_id {
            return Err(PeerError::Ourselves);
        }
        self.open = true;
        self.extensions = theirs.extension_bit() && self.ours.extension_bit();
        self.fast = theirs.fast_bit() && self.ours.fast_bit();
        let done =
            PeerEvent::HandshakeDone { peer_id: theirs.peer_id, extensions: self.extensions };
        Ok(Some((done, Handshake::BYTES)))
    }

    fn message<'b>(
        &mut self,
        now: Duration,
        bytes: &'b [u8],
    ) -> Result<Option<(PeerEvent<'b>, usize)>, PeerError> {
        let Some((message, used)) = wire::decode(bytes, self.max_message_bytes() - 4)? else {
            return Ok(None);
        };
        let event = match message {
            Message::Choke => {
                self.choked = true;
                if !self.fast {
                    self.requests.drop_all();
                }
                PeerEvent::Choked
            }
            Message::Unchoke => {
                self.choked = false;
                self.requests.restart_rate();
                PeerEvent::Unchoked
            }
            Message::Have(piece) if piece >= self.piece_count => {
                return Err(PeerError::NoSuchPiece(piece));
            }
            Message::Have(piece) => PeerEvent::Have(piece),
            Message::Bitfield(bits) => self.bitfield(bits)?,
            Message::Piece { piece, begin, block } => self.block(now, piece, begin, block)?,
            Message::HaveAll | Message::HaveNone | Message::Reject(_) | Message::AllowedFast(_)
                if self.fast =>
            {
                self.fast_message(message)?
            }
            Message::Extended { id, payload } if self.extensions => {
                self.extended(now, id, payload)?
            }
            Message::Interested
            | Message::NotInterested
            | Message::Request(_)
            | Message::Cancel(_) => {
                if self.leecher_message(message) {
                    self.asked_at = Some(now);
                    return Ok(Some((PeerEvent::Ignored, used)));
                }
                PeerEvent::Ignored
            }
            _ => PeerEvent::Ignored,
        };
        if !matches!(event, PeerEvent::Block { .. }) && !self.limit.take(now) {
            return Err(PeerError::TooManyMessages);
        }
        let event = match &mut self.early {
            Some(early) => early.keep(event),
            None => event,
        };
        Ok(Some((event, used)))
    }

    /// BEP 3 has the bitfield first, and once. Some clients send their extension handshake, port or choke state before
    /// it, and aria2 sends one in place of many `have`: that does no harm, and the last one holds.
    fn bitfield<'b>(&mut self, bits: &'b [u8]) -> Result<PeerEvent<'b>, PeerError> {
        self.pieces_told_at_once()?;
        if self.early.is_none() {
            check_bitfield(bits, self.piece_count)?;
        }
        Ok(PeerEvent::Bitfield(bits))
    }

    fn pieces_told_at_once(&mut self) -> Result<(), PeerError> {
        self.bitfields += 1;
        if self.bitfields > MAX_BITFIELDS { Err(PeerError::TooManyBitfields) } else { Ok(()) }
    }

    fn block<'b>(
        &mut self,
        now: Duration,
        piece: PieceIndex,
        begin: u32,
        data: &'b [u8],
    ) -> Result<PeerEvent<'b>, PeerError> {
        let length = data.len() as u32; // bounded by the longest message
        if self.requests.arrived(now, BlockRequest { piece, begin, length }) {
            return Ok(PeerEvent::Block { piece, begin, data });
        }
        if self.requests.uncalled_for() > MAX_UNCALLED_FOR {
            return Err(PeerError::Flood);
        }
        Ok(PeerEvent::Ignored)
    }
}

fn check_bitfield(bits: &[u8], piece_count: u32) -> Result<(), PeerError> {
    let expected_bytes = bitfield_bytes(piece_count);
    if bits.len() != expected_bytes {
        return Err(PeerError::BitfieldLength { bytes: bits.len(), expected_bytes });
    }
    let used_bits = piece_count % 8;
    let spare = if used_bits == 0 { 0 } else { 0xff_u8 >> used_bits };
    match bits.last() {
        Some(last) if last & spare != 0 => Err(PeerError::SpareBits),
        _ => Ok(()),
    }
}

fn bitfield_bytes(piece_count: u32) -> usize {
    piece_count.div_ceil(8) as usize
}
