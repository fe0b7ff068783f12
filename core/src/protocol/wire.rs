//! The peer protocol's handshake and messages (BEP 3), those of the fast extension (BEP 6), and the
//! envelope of extension messages (BEP 10).
//!
//! Messages borrow from the caller's buffer: blocks are never copied here. A message with an
//! unknown ID is decoded as [`Message::Unknown`], which is harmless.

use std::fmt;

use crate::torrent::geometry::PieceIndex;
use crate::torrent::infohash::Infohash;

#[cfg(test)]
mod tests;

/// The first bytes of every connection (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Eight bytes of flags for what the sender supports beyond BEP 3.
    pub reserved: [u8; 8],
    /// The torrent that the connection is for.
    pub infohash: Infohash,
    /// The sender's stated ID.
    pub peer_id: [u8; 20],
}

/// The length of what precedes a block's bytes in its message: length prefix, ID, piece and begin
/// (BEP 3).
pub const BLOCK_HEAD_BYTES: usize = 13;

const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";
const EXTENSION_BYTE: usize = 5;
const EXTENSION_BIT: u8 = 0x10;
const FAST_BYTE: usize = 7;
const FAST_BIT: u8 = 0x04;

impl Handshake {
    /// The length of an encoded handshake.
    pub const BYTES: usize = 68;

    /// Creates our handshake, with the flags for BEP 10 and BEP 6.
    pub fn ours(infohash: Infohash, peer_id: [u8; 20]) -> Handshake {
        let mut reserved = [0; 8];
        reserved[EXTENSION_BYTE] = EXTENSION_BIT;
        reserved[FAST_BYTE] = FAST_BIT;
        Handshake { reserved, infohash, peer_id }
    }

    /// Whether the sender supports BEP 10.
    pub fn extension_bit(&self) -> bool {
        self.reserved[EXTENSION_BYTE] & EXTENSION_BIT != 0
    }

    /// Whether the sender supports BEP 6.
    pub fn fast_bit(&self) -> bool {
        self.reserved[FAST_BYTE] & FAST_BIT != 0
    }

    /// Appends the encoded handshake.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(PROTOCOL);
        out.extend_from_slice(&self.reserved);
        out.extend_from_slice(self.infohash.as_bytes());
        out.extend_from_slice(&self.peer_id);
    }

    /// Decodes the handshake at the beginning of the buffer; `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`WireError::NotBitTorrent`], as soon as one byte differs.
    pub fn decode(buffer: &[u8]) -> Result<Option<Handshake>, WireError> {
        let seen = buffer.len().min(PROTOCOL.len());
        if buffer.get(..seen) != PROTOCOL.get(..seen) {
            return Err(WireError::NotBitTorrent);
        }
        let mut rest = buffer.get(seen..).unwrap_or_default();
        let (Some(reserved), Some(infohash), Some(peer_id)) =
            (take(&mut rest), take(&mut rest), take(&mut rest))
        else {
            return Ok(None);
        };
        Ok(Some(Handshake { reserved, infohash: Infohash::from_bytes(infohash), peer_id }))
    }
}

/// A block, as requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockRequest {
    /// The piece that contains the block.
    pub piece: PieceIndex,
    /// The block's offset in the piece.
    pub begin: u32,
    /// The length in bytes.
    pub length: u32,
}

/// A message; its payload borrows from the buffer that it was decoded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Keeps the connection open.
    KeepAlive,
    /// The sender will not serve the receiver.
    Choke,
    /// The sender will serve the receiver.
    Unchoke,
    /// The sender wants pieces from the receiver.
    Interested,
    /// The sender wants no pieces from the receiver.
    NotInterested,
    /// The sender now has this piece.
    Have(PieceIndex),
    /// The pieces that the sender has, the first in the highest bit.
    Bitfield(&'a [u8]),
    /// Requests a block.
    Request(BlockRequest),
    /// Contains a block.
    Piece {
        /// The piece that contains the block.
        piece: PieceIndex,
        /// The block's offset in the piece.
        begin: u32,
        /// The block's bytes.
        block: &'a [u8],
    },
    /// Cancels a request.
    Cancel(BlockRequest),
    /// The sender's DHT port (BEP 5).
    Port(u16),
    /// Suggests a piece to request (BEP 6).
    Suggest(PieceIndex),
    /// The sender has all pieces (BEP 6).
    HaveAll,
    /// The sender has no pieces yet (BEP 6).
    HaveNone,
    /// The sender will not serve this request (BEP 6).
    Reject(BlockRequest),
    /// Blocks of this piece may be requested while the sender chokes the receiver (BEP 6).
    AllowedFast(PieceIndex),
    /// An extension message (BEP 10); ID 0 is the extension handshake.
    Extended {
        /// The ID that the receiver assigned to the extension.
        id: u8,
        /// The extension's payload.
        payload: &'a [u8],
    },
    /// A message with an unknown ID; its payload is skipped.
    Unknown {
        /// The message's ID.
        id: u8,
    },
}

/// Why bytes are not valid in the peer protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The connection does not start with BitTorrent's handshake.
    NotBitTorrent,
    /// A message's length prefix exceeds the limit.
    Oversized {
        /// The length in the prefix.
        length_bytes: u32,
        /// The limit.
        max_bytes: usize,
    },
    /// A message's length does not fit its ID.
    Length {
        /// The message's ID.
        id: u8,
        /// The payload's length, without the ID.
        payload_bytes: usize,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::NotBitTorrent => f.write_str("it does not speak BitTorrent"),
            WireError::Oversized { length_bytes, max_bytes } => {
                write!(
                    f,
                    "it announced a message of {length_bytes} bytes, over the limit of {max_bytes}"
                )
            }
            WireError::Length { id, payload_bytes } => {
                write!(f, "it sent a message {id} with a payload of {payload_bytes} bytes")
            }
        }
    }
}

impl std::error::Error for WireError {}

/// Decodes the message at the beginning of the buffer, and returns it with its length; `None` if
/// more bytes are needed.
///
/// # Errors
/// A message above `max_message_bytes` (without its length prefix) is refused based on the prefix
/// alone, before its bytes arrive; a message whose length does not fit its ID, once it is complete.
pub fn decode(
    buffer: &[u8],
    max_message_bytes: usize,
) -> Result<Option<(Message<'_>, usize)>, WireError> {
    let Some((prefix, rest)) = buffer.split_first_chunk() else {
        return Ok(None);
    };
    let length_bytes = u32::from_be_bytes(*prefix);
    if length_bytes as usize > max_message_bytes {
        return Err(WireError::Oversized { length_bytes, max_bytes: max_message_bytes });
    }
    let Some(body) = rest.get(..length_bytes as usize) else {
        return Ok(None);
    };
    let message = match body.split_first() {
        None => Message::KeepAlive,
        Some((&id, payload)) => {
            message(id, payload).ok_or(WireError::Length { id, payload_bytes: payload.len() })?
        }
    };
    Ok(Some((message, prefix.len() + body.len())))
}

/// Encodes the beginning of a message with a block, without the block's bytes.
pub fn block_head(block: BlockRequest) -> [u8; BLOCK_HEAD_BYTES] {
    let mut head = [0; BLOCK_HEAD_BYTES];
    let length = block.length.saturating_add(BLOCK_HEAD_BYTES as u32 - 4);
    head[..4].copy_from_slice(&length.to_be_bytes());
    head[4] = 7;
    head[5..9].copy_from_slice(&block.piece.to_be_bytes());
    head[9..].copy_from_slice(&block.begin.to_be_bytes());
    head
}

const PREFIX_BYTES: usize = 4;

/// Returns `None` if the payload's length does not fit the ID.
fn message(id: u8, mut payload: &[u8]) -> Option<Message<'_>> {
    let message = match id {
        0 => Message::Choke,
        1 => Message::Unchoke,
        2 => Message::Interested,
        3 => Message::NotInterested,
        4 => Message::Have(take_u32(&mut payload)?),
        5 => return Some(Message::Bitfield(payload)),
        6 => Message::Request(take_request(&mut payload)?),
        7 => {
            let (piece, begin) = (take_u32(&mut payload)?, take_u32(&mut payload)?);
            return Some(Message::Piece { piece, begin, block: payload });
        }
        8 => Message::Cancel(take_request(&mut payload)?),
        9 => Message::Port(u16::from_be_bytes(take(&mut payload)?)),
        13 => Message::Suggest(take_u32(&mut payload)?),
        14 => Message::HaveAll,
        15 => Message::HaveNone,
        16 => Message::Reject(take_request(&mut payload)?),
        17 => Message::AllowedFast(take_u32(&mut payload)?),
        20 => {
            let (&id, payload) = payload.split_first()?;
            return Some(Message::Extended { id, payload });
        }
        id => return Some(Message::Unknown { id }),
    };
    payload.is_empty().then_some(message)
}

impl Message<'_> {
    /// Appends the encoded message.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Message::KeepAlive => out.extend_from_slice(&[0; PREFIX_BYTES]),
            Message::Choke => put(out, 0, &[]),
            Message::Unchoke => put(out, 1, &[]),
            Message::Interested => put(out, 2, &[]),
            Message::NotInterested => put(out, 3, &[]),
            Message::Have(piece) => put(out, 4, &[&piece.to_be_bytes()]),
            Message::Bitfield(bits) => put(out, 5, &[bits]),
            Message::Request(request) => put_request(out, 6, request),
            Message::Piece { piece, begin, block } => {
                put(out, 7, &[&piece.to_be_bytes(), &begin.to_be_bytes(), block]);
            }
            Message::Cancel(request) => put_request(out, 8, request),
            Message::Port(port) => put(out, 9, &[&port.to_be_bytes()]),
            Message::Suggest(piece) => put(out, 13, &[&piece.to_be_bytes()]),
            Message::HaveAll => put(out, 14, &[]),
            Message::HaveNone => put(out, 15, &[]),
            Message::Reject(request) => put_request(out, 16, request),
            Message::AllowedFast(piece) => put(out, 17, &[&piece.to_be_bytes()]),
            Message::Extended { id, payload } => put(out, 20, &[&[id], payload]),
            Message::Unknown { id } => put(out, id, &[]),
        }
    }
}

fn put(out: &mut Vec<u8>, id: u8, parts: &[&[u8]]) {
    let payload_bytes: usize = parts.iter().map(|part| part.len()).sum();
    out.extend_from_slice(&(payload_bytes as u32 + 1).to_be_bytes()); // our own message: far below 4 GiB
    out.push(id);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn put_request(out: &mut Vec<u8>, id: u8, request: BlockRequest) {
    let BlockRequest { piece, begin, length } = request;
    put(out, id, &[&piece.to_be_bytes(), &begin.to_be_bytes(), &length.to_be_bytes()]);
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes).map(u32::from_be_bytes)
}

fn take_request(bytes: &mut &[u8]) -> Option<BlockRequest> {
    let (piece, begin, length) = (take_u32(bytes)?, take_u32(bytes)?, take_u32(bytes)?);
    Some(BlockRequest { piece, begin, length })
}
