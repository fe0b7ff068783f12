//! The peer wire protocol (BEP 3, BEP 6, BEP 10), independent of the crate's implementation.

use std::io::{Read, Result};

pub const CHOKE: u8 = 0;
pub const UNCHOKE: u8 = 1;
pub const INTERESTED: u8 = 2;
pub const NOT_INTERESTED: u8 = 3;
pub const HAVE: u8 = 4;
pub const BITFIELD: u8 = 5;
pub const REQUEST: u8 = 6;
pub const PIECE: u8 = 7;
pub const CANCEL: u8 = 8;
pub const HAVE_ALL: u8 = 14;
pub const HAVE_NONE: u8 = 15;
pub const REJECT: u8 = 16;
pub const ALLOWED_FAST: u8 = 17;
pub const EXTENDED: u8 = 20;

/// The reserved bit of BEP 10: byte and mask.
const EXTENSION_BIT: (usize, u8) = (5, 0x10);
/// The reserved bit of BEP 6.
const FAST_BIT: (usize, u8) = (7, 0x04);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    pub reserved: [u8; 8],
    pub infohash: [u8; 20],
    pub peer_id: [u8; 20],
}

/// A message without its length prefix. Keep-alives are skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: u8,
    pub payload: Vec<u8>,
}

/// The block that a request or cancel names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub piece: u32,
    pub begin: u32,
    pub length: u32,
}

impl Handshake {
    pub fn new(infohash: [u8; 20], extensions: bool) -> Handshake {
        let mut reserved = [0; 8];
        reserved[EXTENSION_BIT.0] |= if extensions { EXTENSION_BIT.1 } else { 0 };
        Handshake { reserved, infohash, peer_id: *b"-SW0001-swarmswarm00" }
    }

    pub fn extensions(&self) -> bool {
        self.reserved[EXTENSION_BIT.0] & EXTENSION_BIT.1 != 0
    }

    pub fn with_fast(mut self) -> Handshake {
        self.reserved[FAST_BIT.0] |= FAST_BIT.1;
        self
    }

    pub fn fast(&self) -> bool {
        self.reserved[FAST_BIT.0] & FAST_BIT.1 != 0
    }

    pub fn write(&self) -> Vec<u8> {
        let parts = [&self.reserved[..], &self.infohash, &self.peer_id];
        [b"\x13BitTorrent protocol", &parts.concat()[..]].concat()
    }

    /// Returns `None` for another protocol's handshake.
    pub fn read(from: &mut impl Read) -> Result<Option<Handshake>> {
        let mut bytes = [0; 68];
        from.read_exact(&mut bytes)?;
        let part = |at: usize| <[u8; 20]>::try_from(&bytes[at..at + 20]).unwrap();
        Ok((bytes[..20] == *b"\x13BitTorrent protocol").then(|| Handshake {
            reserved: bytes[20..28].try_into().unwrap(),
            infohash: part(28),
            peer_id: part(48),
        }))
    }
}

pub fn message(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).unwrap();
    [&length.to_be_bytes()[..], &[id], payload].concat()
}

pub fn have(piece: u32) -> Vec<u8> {
    message(HAVE, &piece.to_be_bytes())
}

/// The first piece is the highest bit of the first byte.
pub fn bitfield(have: &[bool]) -> Vec<u8> {
    let byte = |bits: &[bool]| {
        (0..8).fold(0, |byte, at| byte << 1 | u8::from(bits.get(at) == Some(&true)))
    };
    have.chunks(8).map(byte).collect()
}

pub fn block(block: Block) -> [u8; 12] {
    let words = [block.piece, block.begin, block.length].map(u32::to_be_bytes);
    words.concat().try_into().unwrap()
}

pub fn piece(piece: u32, begin: u32, bytes: &[u8]) -> Vec<u8> {
    message(PIECE, &[&piece.to_be_bytes(), &begin.to_be_bytes(), bytes].concat())
}

/// A message of BEP 10; `id` 0 is the extension handshake.
pub fn extended(id: u8, payload: &[u8]) -> Vec<u8> {
    message(EXTENDED, &[&[id], payload].concat())
}

impl Message {
    /// Reads the next message that is not a keep-alive.
    pub fn read(from: &mut impl Read) -> Result<Message> {
        loop {
            let mut length = [0; 4];
            from.read_exact(&mut length)?;
            let length = u32::from_be_bytes(length) as usize;
            assert!(length <= 1 << 20, "the client sent a message of {length} bytes");
            let mut bytes = vec![0; length];
            from.read_exact(&mut bytes)?;
            if let Some((id, payload)) = bytes.split_first() {
                return Ok(Message { id: *id, payload: payload.to_vec() });
            }
        }
    }

    /// The block that a request or cancel names.
    pub fn block(&self) -> Block {
        let word = |at: usize| u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap());
        assert_eq!(self.payload.len(), 12, "payload of message {}", self.id);
        Block { piece: word(0), begin: word(4), length: word(8) }
    }
}
