//! `ut_metadata` (BEP 9): the `info` dictionary, which peers send each other in pieces of 16 KiB.
//!
//! This is the codec of the three messages, for both directions. [`blocks`] decides which piece is
//! requested from which peer; the connection is an ordinary [`super::peer::PeerSession`].

use std::fmt;

use crate::torrent::bencode::{self, Limits, Node};

pub mod blocks;
#[cfg(test)]
mod tests;

/// The length of a piece of the `info` dictionary; the last one may be shorter.
pub const METADATA_PIECE_BYTES: usize = 16 << 10;

/// Enough for the three integers of a message.
const HEAD: Limits = Limits { max_bytes: 1 << 10, max_values: 256 };

const REQUEST: i64 = 0;
const DATA: i64 = 1;
const REJECT: i64 = 2;

/// A message. A piece here is a piece of the `info` dictionary, not of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataMessage<'b> {
    Request(u32),
    Data {
        piece: u32,
        total_bytes: Option<u64>,
        data: &'b [u8],
    },
    /// The sender does not have the piece, or refuses to send it.
    Reject(u32),
}

impl<'b> MetadataMessage<'b> {
    /// Creates the message with a piece of `info`; `None` if there is no such piece.
    pub fn data_of(info: &'b [u8], piece: u32) -> Option<MetadataMessage<'b>> {
        let data = info.chunks(METADATA_PIECE_BYTES).nth(piece as usize)?;
        Some(MetadataMessage::Data { piece, total_bytes: Some(info.len() as u64), data })
    }

    /// Decodes what follows the extended message's ID; `None` if it is invalid.
    pub fn decode(payload: &'b [u8]) -> Option<MetadataMessage<'b>> {
        let scan = bencode::scan_prefix(payload, &HEAD).ok()?;
        let number = |key| scan.root().get(key).and_then(Node::int);
        let piece = u32::try_from(number(b"piece")?).ok()?;
        match number(b"msg_type")? {
            REQUEST => Some(MetadataMessage::Request(piece)),
            DATA => Some(MetadataMessage::Data {
                piece,
                total_bytes: number(b"total_size").and_then(|total| u64::try_from(total).ok()),
                data: payload.get(scan.used()..).unwrap_or_default(),
            }),
            REJECT => Some(MetadataMessage::Reject(piece)),
            _ => None,
        }
    }

    /// Encodes what follows the extended message's ID.
    pub fn encode(&self) -> Vec<u8> {
        let head =
            |kind, piece, total: &str| format!("d8:msg_typei{kind}e5:piecei{piece}e{total}e");
        match *self {
            MetadataMessage::Request(piece) => head(REQUEST, piece, "").into_bytes(),
            MetadataMessage::Reject(piece) => head(REJECT, piece, "").into_bytes(),
            MetadataMessage::Data { piece, total_bytes, data } => {
                let total = total_bytes.map(|total| format!("10:total_sizei{total}e"));
                let mut bytes = head(DATA, piece, &total.unwrap_or_default()).into_bytes();
                bytes.extend_from_slice(data);
                bytes
            }
        }
    }
}

/// Why a peer provides no metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataError {
    /// It does not support BEP 10 or BEP 9.
    NotOffered,
    /// It does not have the `info` dictionary itself.
    NotThere,
    /// It states a length above the limit.
    TooLong { bytes: u64, max_bytes: usize },
    /// A piece has the wrong length, or belongs to a dictionary of another length.
    OddBlock { block: u32, bytes: usize },
    /// It rejected a request although it offers the dictionary.
    Rejected,
    /// What it sent does not match the infohash.
    Wrong,
}

impl MetadataError {
    /// Whether asking the same peer again later may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, MetadataError::NotThere | MetadataError::Rejected)
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetadataError::NotOffered => f.write_str("it does not offer metadata (BEP 9)"),
            MetadataError::NotThere => f.write_str("it does not have the torrent's metadata"),
            MetadataError::TooLong { bytes, max_bytes } => {
                write!(f, "it states {bytes} bytes of metadata, over the limit of {max_bytes}")
            }
            MetadataError::OddBlock { block, bytes } => {
                write!(
                    f,
                    "it sent {bytes} bytes for block {block} of the metadata, which is the wrong length"
                )
            }
            MetadataError::Rejected => f.write_str("it offers the metadata but does not send it"),
            MetadataError::Wrong => {
                f.write_str("it sent metadata that does not match the infohash")
            }
        }
    }
}

impl std::error::Error for MetadataError {}
