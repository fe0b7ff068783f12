//! The extension handshake (BEP 10): a dictionary in which each side states what it supports.
//!
//! Ours offers what we accept: `lt_donthave`; `ut_metadata` if we serve or want the metadata;
//! `ut_pex`, but never for private torrents; and our port, if we listen. Every key of a peer's
//! handshake is optional, so a value of the wrong type counts as absent. Invalid or oversized
//! bencode is an error, which the caller may ignore: a peer without extensions still has pieces.

use crate::torrent::bencode::{self, Limits, ScanError};

use super::printable;

#[cfg(test)]
mod tests;

/// How many open requests we allow a peer, and assume that a peer allows us if it does not say.
pub const DEFAULT_REQQ: u32 = 250;

/// Our name and version, as sent to peers, trackers and web servers.
pub const CLIENT: &str = concat!("academictorrents-rs/", env!("CARGO_PKG_VERSION"));

/// The prefix of our peer IDs (BEP 20): client code `AD`, then one digit for each part of the
/// version.
const PEER_ID_PREFIX: [u8; 8] = [
    b'-',
    b'A',
    b'D',
    digit(env!("CARGO_PKG_VERSION_MAJOR")),
    digit(env!("CARGO_PKG_VERSION_MINOR")),
    digit(env!("CARGO_PKG_VERSION_PATCH")),
    b'0',
    b'-',
];

/// Our extension message IDs for `ut_pex` (BEP 11), `ut_metadata` (BEP 9) and `lt_donthave` (BEP
/// 54).
pub const PEX_ID: u8 = 1;
pub const METADATA_ID: u8 = 2;
pub const DONT_HAVE_ID: u8 = 3;

const LIMITS: Limits = Limits { max_bytes: 64 << 10, max_values: 10_000 };
const MAX_CLIENT_CHARS: usize = 64;
const MAX_EXTENSIONS: usize = 64;
const MAX_EXTENSION_NAME_BYTES: usize = 64;

/// The contents of a peer's extension handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedHandshake {
    /// How many requests the peer queues for us; never 0.
    pub reqq: Option<u32>,
    /// The client's name and version: printable, at most 64 characters.
    pub client: Option<String>,
    /// The peer's extensions (`ut_metadata`, `ut_pex`, …) with its message IDs, sorted by name; ID
    /// 0 means disabled.
    pub extensions: Vec<(Vec<u8>, u8)>,
    /// The length of the `info` dictionary (BEP 9).
    pub metadata_size_bytes: Option<u64>,
    /// Whether the peer requests nothing: it has everything that it wants (BEP 21).
    pub upload_only: Option<bool>,
    /// The port on which the peer accepts connections.
    pub listen_port: Option<u16>,
}

impl ExtendedHandshake {
    /// Decodes a peer's handshake; `payload` is what follows the extended message's ID 0.
    ///
    /// # Errors
    /// The payload is not bencode, or exceeds the limits.
    pub fn decode(payload: &[u8]) -> Result<ExtendedHandshake, ScanError> {
        let value = bencode::decode(payload, &LIMITS)?;
        let positive = |key| bencode::int(&value, key).filter(|&int| int > 0);
        let client = bencode::bytes(&value, b"v").map(|v| printable(v, MAX_CLIENT_CHARS));
        let mut extensions = Vec::new();
        if let Some(serde_bencode::value::Value::Dict(ids)) = bencode::dict(&value, b"m") {
            for (name, id) in ids {
                let serde_bencode::value::Value::Int(id @ 0..=255) = *id else { continue };
                if name.len() > MAX_EXTENSION_NAME_BYTES {
                    continue;
                }
                let extension = (name.clone(), id as u8);
                let at = extensions.partition_point(|before| *before < extension);
                extensions.insert(at, extension);
                extensions.truncate(MAX_EXTENSIONS);
            }
        }
        Ok(ExtendedHandshake {
            reqq: positive(b"reqq").map(|reqq| u32::try_from(reqq).unwrap_or(u32::MAX)),
            client: client.filter(|client| !client.is_empty()),
            extensions,
            metadata_size_bytes: positive(b"metadata_size").map(i64::unsigned_abs),
            upload_only: bencode::int(&value, b"upload_only").map(|it| it != 0),
            listen_port: positive(b"p").and_then(|port| u16::try_from(port).ok()),
        })
    }

    /// Returns the message ID that the peer assigned to this extension; `None` if it is absent or
    /// disabled.
    pub fn id(&self, extension: &[u8]) -> Option<u8> {
        let found = self.extensions.iter().find(|(name, _)| name == extension);
        found.map(|&(_, id)| id).filter(|id| *id != 0)
    }

    /// Adds the extensions of an earlier handshake: a later one may contain only the changes (BEP
    /// 10).
    pub fn add_extensions(&mut self, earlier: Vec<(Vec<u8>, u8)>) {
        for extension in earlier {
            let at = self.extensions.partition_point(|(name, _)| *name < extension.0);
            if self.extensions.get(at).is_none_or(|(name, _)| *name != extension.0) {
                self.extensions.insert(at, extension);
            }
        }
        self.extensions.truncate(MAX_EXTENSIONS);
    }
}

/// What we offer beyond BEP 3 and 6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Peer exchange; never for private torrents (BEP 27). Required even if we only send:
    /// libtorrent disconnects a peer that sends an extension message which it did not offer itself.
    pub pex: bool,
    /// Whether to read the peer's PEX messages; otherwise they are ignored.
    pub wants_peers: bool,
    /// Whether we serve blocks.
    pub serves: bool,
    /// The length of the `info` dictionary, if we serve it.
    pub metadata_bytes: Option<u64>,
    /// Whether we want to receive the `info` dictionary.
    pub wants_metadata: bool,
    /// Whether we request nothing (BEP 21).
    pub upload_only: bool,
    /// The port on which we accept connections.
    pub port: Option<u16>,
}

/// Encodes our own handshake.
pub fn encode_ours(offer: &Offer) -> Vec<u8> {
    let mut ids = format!("11:lt_donthavei{DONT_HAVE_ID}e");
    let size = offer.metadata_bytes.map(|bytes| format!("13:metadata_sizei{bytes}e"));
    if offer.wants_metadata || size.is_some() {
        ids += &format!("11:ut_metadatai{METADATA_ID}e");
    }
    let size = size.unwrap_or_default();
    if offer.pex {
        ids += &format!("6:ut_pexi{PEX_ID}e");
    }
    let port = offer.port.map(|port| format!("1:pi{port}e")).unwrap_or_default();
    let only = if offer.upload_only { "11:upload_onlyi1e" } else { "" };
    let name = CLIENT.len();
    format!("d1:md{ids}e{size}{port}4:reqqi{DEFAULT_REQQ}e{only}1:v{name}:{CLIENT}e").into_bytes()
}

/// Creates our peer ID for a download (BEP 20): the prefix, then bytes from `random`.
pub fn peer_id(mut random: impl FnMut() -> u8) -> [u8; 20] {
    let mut peer_id = [0; 20];
    let (prefix, rest) = peer_id.split_at_mut(PEER_ID_PREFIX.len());
    prefix.copy_from_slice(&PEER_ID_PREFIX);
    rest.fill_with(&mut random);
    peer_id
}

/// Encodes a number below 36 as one digit; greater numbers become `Z`.
const fn digit(number: &str) -> u8 {
    match *number.as_bytes() {
        [one] => one,
        [tens, ones] if tens < b'3' || (tens == b'3' && ones < b'6') => {
            b'A' + (tens - b'1') * 10 + (ones - b'0')
        }
        _ => b'Z',
    }
}
