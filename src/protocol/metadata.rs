//! Metainfo from peers (BEP 9): one outgoing connection that asks for the `info` dictionary, without the socket.
//!
//! ```text
//! new ── our handshake out ──▶ waiting
//! waiting ── theirs: same infohash, BEP 10, not ourselves ──▶ open   (extension handshake out)
//! open ── theirs: `ut_metadata`, and a size within the limit ──▶ ready   (requests out, blocks in)
//! ```
//!
//! How many pieces there are is not known yet, so that [`super::peer`]'s session is of no use here: what a peer says of
//! pieces is passed over. Which block is asked of whom, and what becomes of it, is [`blocks`]'s matter.
//!
//! Every error is the peer's and ends the session. Who waits how long is the caller's to say.

use std::fmt;

use crate::bencode::{self, Limits, Node};
use crate::infohash::Infohash;

use super::extension::{CLIENT, DEFAULT_REQQ, ExtendedHandshake};
use super::wire::{self, Handshake, Message, WireError};

pub mod blocks;
#[cfg(test)]
mod tests;

/// The `info` dictionary is sent in blocks of this length; the last may be shorter.
pub const BLOCK_BYTES: usize = 16 << 10;

/// The longest message that is accepted: a bitfield of four million pieces.
const MAX_MESSAGE_BYTES: usize = 512 << 10;

/// Under this id we want to be sent `ut_metadata`.
const OUR_ID: u8 = 1;

const REQUEST: i64 = 0;
const DATA: i64 = 1;
const REJECT: i64 = 2;

/// A head of three numbers.
const HEAD: Limits = Limits { max_bytes: 1 << 10, max_depth: 4, max_values: 32 };

/// What a peer's bytes mean for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// It has an `info` dictionary of so many bytes: ask.
    Ready { bytes: usize },
    /// A block; whether it was asked for is to be looked up.
    Block { block: u32, total_bytes: Option<u64>, data: &'b [u8] },
    /// It does not give this block.
    Rejected(u32),
    /// Nothing for us.
    Ignored,
}

/// Why a peer is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataError {
    /// It broke the protocol's framing.
    Wire(WireError),
    /// It is here for another torrent.
    OtherTorrent(Infohash),
    /// It is we.
    Ourselves,
    /// It does not speak BEP 10, or BEP 9.
    NotOffered,
    /// It does not have the `info` dictionary itself.
    NotThere,
    /// It states a length beyond the limit.
    TooLong { bytes: u64, max_bytes: usize },
    /// A block whose length is not the one it must have, or one of a dictionary with another length.
    OddBlock { block: u32, bytes: usize },
    /// It does not give what it offered.
    Rejected,
    /// What it sent is not the torrent's.
    Wrong,
}

impl MetadataError {
    /// Whether the same peer may be worth asking again.
    pub fn may_pass(&self) -> bool {
        matches!(self, MetadataError::NotThere | MetadataError::Rejected)
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetadataError::Wire(error) => error.fmt(f),
            MetadataError::OtherTorrent(infohash) => {
                write!(f, "it serves another torrent, {infohash}")
            }
            MetadataError::Ourselves => f.write_str("it is this very process"),
            MetadataError::NotOffered => f.write_str("it gives no torrents to others (BEP 9)"),
            MetadataError::NotThere => f.write_str("it does not have the torrent itself"),
            MetadataError::TooLong { bytes, max_bytes } => {
                write!(f, "it states {bytes} bytes for the torrent, over the limit of {max_bytes}")
            }
            MetadataError::OddBlock { block, bytes } => {
                write!(
                    f,
                    "it sent {bytes} bytes for block {block} of the torrent, which do not fit"
                )
            }
            MetadataError::Rejected => f.write_str("it offers the torrent, and does not give it"),
            MetadataError::Wrong => f.write_str("it sent another torrent under this infohash"),
        }
    }
}

impl std::error::Error for MetadataError {}

impl From<WireError> for MetadataError {
    fn from(error: WireError) -> MetadataError {
        MetadataError::Wire(error)
    }
}

/// One connection, from our handshake on.
#[derive(Debug)]
pub struct MetadataSession {
    ours: Handshake,
    max_bytes: usize,
    out: Vec<u8>,
    open: bool,
    /// Under which the peer takes `ut_metadata`, once it is ready.
    their_id: Option<u8>,
}

impl MetadataSession {
    /// The longest message with its length prefix: a buffer of this size is always enough.
    pub const MAX_BUFFER_BYTES: usize = 4 + MAX_MESSAGE_BYTES;

    /// A connection that has just been made; our handshake waits to be sent. An `info` dictionary of more than
    /// `max_bytes` is refused.
    pub fn new(infohash: Infohash, peer_id: [u8; 20], max_bytes: usize) -> MetadataSession {
        let ours = Handshake::ours(infohash, peer_id);
        let mut out = Vec::with_capacity(Handshake::BYTES);
        ours.encode(&mut out);
        MetadataSession { ours, max_bytes, out, open: false, their_id: None }
    }

    /// Takes the bytes to be sent.
    pub fn output(&mut self) -> Option<Vec<u8>> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out))
    }

    /// Whether the handshake is done.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Asks for a block. Nothing is sent before the peer is ready.
    pub fn request(&mut self, block: u32) {
        self.say(REQUEST, block);
    }

    /// The first event in the bytes, and how many of them it took; `None` until more have come.
    ///
    /// # Errors
    /// Why the peer is of no use: the session is over.
    pub fn next<'b>(
        &mut self,
        bytes: &'b [u8],
    ) -> Result<Option<(Event<'b>, usize)>, MetadataError> {
        if !self.open {
            let Some(theirs) = Handshake::decode(bytes)? else { return Ok(None) };
            self.greet(&theirs)?;
            return Ok(Some((Event::Ignored, Handshake::BYTES)));
        }
        let Some((message, used)) = wire::decode(bytes, MAX_MESSAGE_BYTES)? else {
            return Ok(None);
        };
        let event = match message {
            Message::Extended { id: 0, payload } => self.hear(payload)?,
            Message::Extended { id: OUR_ID, payload } => self.answer(payload),
            _ => Event::Ignored,
        };
        Ok(Some((event, used)))
    }

    fn greet(&mut self, theirs: &Handshake) -> Result<(), MetadataError> {
        if theirs.infohash != self.ours.infohash {
            return Err(MetadataError::OtherTorrent(theirs.infohash));
        }
        if theirs.peer_id == self.ours.peer_id {
            return Err(MetadataError::Ourselves);
        }
        if !theirs.extension_bit() {
            return Err(MetadataError::NotOffered);
        }
        self.open = true;
        if theirs.fast_bit() {
            Message::HaveNone.encode(&mut self.out); // BEP 6 has one say so
        }
        let hello = format!(
            "d1:md11:ut_metadatai{OUR_ID}ee4:reqqi{DEFAULT_REQQ}e1:v{}:{CLIENT}e",
            CLIENT.len()
        );
        Message::Extended { id: 0, payload: hello.as_bytes() }.encode(&mut self.out);
        Ok(())
    }

    /// An extension handshake; later ones bring nothing new.
    fn hear(&mut self, payload: &[u8]) -> Result<Event<'static>, MetadataError> {
        if self.their_id.is_some() {
            return Ok(Event::Ignored);
        }
        let theirs = ExtendedHandshake::decode(payload).map_err(|_| MetadataError::NotOffered)?;
        let id = theirs.id(b"ut_metadata").ok_or(MetadataError::NotOffered)?;
        let bytes = theirs.metadata_size_bytes.ok_or(MetadataError::NotThere)?;
        let max_bytes = self.max_bytes;
        let fits = usize::try_from(bytes).ok().filter(|bytes| *bytes <= max_bytes);
        let fits = fits.ok_or(MetadataError::TooLong { bytes, max_bytes })?;
        self.their_id = Some(id);
        Ok(Event::Ready { bytes: fits })
    }

    fn answer<'b>(&mut self, payload: &'b [u8]) -> Event<'b> {
        let Ok(scan) = bencode::scan_prefix(payload, &HEAD) else { return Event::Ignored };
        let number = |key| scan.root().get(key).and_then(Node::int);
        let block = number(b"piece").and_then(|block| u32::try_from(block).ok());
        match (number(b"msg_type"), block) {
            (Some(DATA), Some(block)) => Event::Block {
                block,
                total_bytes: number(b"total_size").and_then(|total| u64::try_from(total).ok()),
                data: payload.get(scan.used()..).unwrap_or_default(),
            },
            (Some(REJECT), Some(block)) => Event::Rejected(block),
            (Some(REQUEST), Some(block)) => {
                self.say(REJECT, block); // we do not have it, or would not ask
                Event::Ignored
            }
            _ => Event::Ignored,
        }
    }

    fn say(&mut self, kind: i64, block: u32) {
        if let Some(id) = self.their_id {
            let head = format!("d8:msg_typei{kind}e5:piecei{block}ee");
            Message::Extended { id, payload: head.as_bytes() }.encode(&mut self.out);
        }
    }
}
