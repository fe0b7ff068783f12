//! A connection to a peer, in both directions: the state machine without the socket. The accepting
//! side reads the other's handshake first, to learn which torrent it is for, and then starts a
//! session, which processes the same handshake again.
//!
//! ```text
//! new ── our handshake out ──▶ waiting
//! waiting ── theirs: same infohash, not ourselves ──▶ choked   (our pieces and extensions out)
//! choked ◀── choke (requests dropped) ── unchoke ──▶ unchoked  (requests out, blocks in)
//! ```
//!
//! A session may start before `info` is known: until then, `early` records what the peer announces
//! about its pieces.
//!
//! With the fast extension (BEP 6), a choke drops no requests: each is served or rejected. Some
//! pieces may also be requested while choked.
//!
//! The caller reads into its own buffer and calls [`PeerSession::next`], each time with the
//! unconsumed part of the buffer, until there are no more events. It sends what
//! [`PeerSession::output`] returns, and calls [`PeerSession::poll`] from time to time. Times are
//! relative to any fixed moment that the caller chooses.
//!
//! Invariants: a block is reported only if exactly that range was requested; a bitfield covers all
//! pieces, and what follows the last piece in it means nothing; piece indexes are in range. Every
//! error is the peer's fault and ends the session. Timeouts are the caller's responsibility: see
//! `silent_for` and [`PeerSession::oldest_request_age`].

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

/// The longest block that may be requested: many peers reject longer ones.
pub const MAX_BLOCK_BYTES: u32 = 128 << 10;

/// Peers close connections that are silent for two minutes (BEP 3).
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// More than a client sends that replaces `have` messages by a bitfield whenever that is shorter.
/// Bitfields can be long and cost us processing time.
const MAX_BITFIELDS: u32 = 100;
/// How many unrequested blocks are tolerated.
const MAX_UNCALLED_FOR: u64 = 64;

/// A connection, from our handshake on.
#[derive(Debug)]
pub struct PeerSession {
    ours: Handshake,
    offer: Offer,
    piece_count: u32,
    /// Set while `info` is unknown.
    early: Option<EarlyPieces>,
    out: Vec<u8>,
    open: bool,
    extensions: bool,
    /// Whether both sides support BEP 6.
    fast: bool,
    /// The pieces that may be requested while we are choked.
    allowed: Vec<PieceIndex>,
    choked: bool,
    interested: bool,
    /// How many messages stated all of the peer's pieces at once.
    bitfields: u32,
    theirs: ExtendedHandshake,
    named: PeerExchange,
    sender: PexSender,
    waiting: RequestQueue,
    requests: Requests,
    limit: MessageLimit,
    /// When the peer last requested a block that we may serve.
    asked_at: Option<Duration>,
    last_sent: Duration,
    last_heard: Duration,
    /// How many bytes of the caller's buffer have been seen but not consumed.
    unread: usize,
}

impl PeerSession {
    /// Creates a session for a connection opened at `now`; our handshake is queued for sending.
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

    /// Takes the bytes to send; the caller must send all of them, in order.
    pub fn output(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.out.is_empty() {
            return None;
        }
        self.last_sent = now;
        Some(std::mem::take(&mut self.out))
    }

    /// Decodes the first event in the bytes, and returns it with its length; `None` if more bytes
    /// are needed.
    ///
    /// The buffer must have room for [`PeerSession::max_message_bytes`].
    ///
    /// # Errors
    /// What the peer did wrong; the session is over.
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

    /// Returns the length of the longest accepted message, including the length prefix: a buffer of
    /// this size always suffices.
    pub fn max_message_bytes(&self) -> usize {
        let bitfield = 1 + bitfield_bytes(self.piece_count);
        let block = 9 + MAX_BLOCK_BYTES as usize;
        4 + bitfield.max(block)
    }

    /// Whether we have told the peer that we are interested.
    pub fn is_interested(&self) -> bool {
        self.interested
    }

    /// Tells the peer whether we are interested, unless it already knows.
    pub fn interested(&mut self, interested: bool) {
        if self.interested != interested {
            self.interested = interested;
            let message = if interested { Message::Interested } else { Message::NotInterested };
            message.encode(&mut self.out);
        }
    }

    /// Requests a block; the caller must avoid duplicate requests. Returns false, and sends
    /// nothing, if the peer chokes us and has not allowed the piece, or if the block's length is 0
    /// or above [`MAX_BLOCK_BYTES`].
    pub fn request(&mut self, now: Duration, request: BlockRequest) -> bool {
        let fits = (1..=MAX_BLOCK_BYTES).contains(&request.length);
        if !self.may_ask(request.piece) || !fits {
            return false;
        }
        self.requests.add(now, request);
        Message::Request(request).encode(&mut self.out);
        true
    }

    /// Cancels a request. Returns false, and sends nothing, if it is not outstanding. Its block may
    /// still arrive, and is then ignored.
    pub fn cancel(&mut self, request: BlockRequest) -> bool {
        let was_there = self.requests.cancel(request);
        if was_there {
            Message::Cancel(request).encode(&mut self.out);
        }
        was_there
    }

    /// Queues a keep-alive if one is due. Call it at [`PeerSession::keep_alive_at`] or later.
    pub fn poll(&mut self, now: Duration) {
        if self.open && self.out.is_empty() && now >= self.keep_alive_at() {
            Message::KeepAlive.encode(&mut self.out);
        }
    }

    /// Returns when a keep-alive is due, unless something is sent before.
    pub fn keep_alive_at(&self) -> Duration {
        self.last_sent + KEEP_ALIVE
    }

    /// Returns the number of outstanding requests.
    pub fn outstanding(&self) -> usize {
        self.requests.len()
    }

    /// Returns the outstanding requests, oldest first.
    pub fn outstanding_requests(&self) -> impl Iterator<Item = BlockRequest> {
        self.requests.outstanding()
    }

    /// Takes the requests that a choke dropped.
    pub fn take_dropped(&mut self) -> Vec<BlockRequest> {
        self.requests.take_dropped()
    }

    /// Returns how many requests should be outstanding: three seconds' worth at the measured rate,
    /// at least 64, and at most 500 and what the peer queues (250 if it does not say). Until a rate
    /// is measured: 64 plus the number of received blocks.
    pub fn queue_depth(&self) -> usize {
        self.requests.depth(self.theirs.reqq)
    }

    /// Returns the rate at which blocks arrive, averaged over recent windows of at least half a
    /// second.
    #[cfg(test)]
    fn bytes_per_second(&self) -> u64 {
        self.requests.bytes_per_second()
    }

    /// Returns how long nothing has arrived.
    #[cfg(any(feature = "seed", test))]
    pub fn silent_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last_heard)
    }

    /// Returns the age of the oldest outstanding request.
    pub fn oldest_request_age(&self, now: Duration) -> Option<Duration> {
        self.requests.oldest().map(|asked| now.saturating_sub(asked))
    }

    /// Whether the peer's handshake has arrived.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether the peer chokes us, as it does at first.
    pub fn is_choked(&self) -> bool {
        self.choked
    }

    /// Returns how many blocks arrived unrequested, or after their request was canceled or dropped.
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

    /// BEP 3 expects at most one bitfield, as the first message. Some clients send their extension
    /// handshake, port or choke state before it, and aria2 sends a bitfield in place of many `have`
    /// messages. That is harmless: the last bitfield is valid.
    fn bitfield<'b>(&mut self, bits: &'b [u8]) -> Result<PeerEvent<'b>, PeerError> {
        self.pieces_told_at_once()?;
        let (bytes, expected_bytes) = (bits.len(), bitfield_bytes(self.piece_count));
        if self.early.is_none() && bytes < expected_bytes {
            return Err(PeerError::BitfieldLength { bytes, expected_bytes });
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

fn bitfield_bytes(piece_count: u32) -> usize {
    piece_count.div_ceil(8) as usize
}
