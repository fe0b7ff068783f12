//! The extension handshake (BEP 10): a dictionary in which each side says what it can do.
//!
//! Ours offers nothing yet. Theirs is read with tolerance, as everything in it is optional: what has
//! another type than it should is as good as not there. What is not bencode, or beyond the limits,
//! is an error, and the caller may ignore it: a peer without extensions still has pieces.

use crate::bencode::{self, Limits, ScanError};

use super::printable;

#[cfg(test)]
mod tests;

/// Requests that we let a peer have open with us, and that a peer lets us where it does not say.
pub const DEFAULT_REQQ: u32 = 250;

/// Our name and version, as the extension handshake states it.
pub const CLIENT: &str = concat!("academictorrents ", env!("CARGO_PKG_VERSION"));

const LIMITS: Limits = Limits { max_bytes: 64 << 10, max_depth: 8, max_values: 1_000 };
const MAX_CLIENT_CHARS: usize = 64;
const MAX_EXTENSIONS: usize = 64;
const MAX_EXTENSION_NAME_BYTES: usize = 64;

/// What a peer said in its extension handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedHandshake {
    /// How many requests it keeps for us; never 0.
    pub reqq: Option<u32>,
    /// Its name and version, printable, at most 64 characters.
    pub client: Option<String>,
    /// Its extensions (`ut_metadata`, `ut_pex`, …) and the ids it gave them, sorted by name.
    pub extensions: Vec<(Vec<u8>, u8)>,
    /// The length of the `info` dictionary (BEP 9).
    pub metadata_size_bytes: Option<u64>,
}

impl ExtendedHandshake {
    /// Reads a peer's; `payload` is what follows the extended message's id 0.
    ///
    /// # Errors
    /// Where it is not bencode, or too much of it.
    pub fn decode(payload: &[u8]) -> Result<ExtendedHandshake, ScanError> {
        let value = bencode::decode(payload, &LIMITS)?;
        let positive = |key| bencode::int(&value, key).filter(|&int| int > 0);
        let client = bencode::bytes(&value, b"v").map(|v| printable(v, MAX_CLIENT_CHARS));
        let mut extensions = Vec::new();
        if let Some(serde_bencode::value::Value::Dict(ids)) = bencode::dict(&value, b"m") {
            for (name, id) in ids {
                // Id 0 says that the extension is switched off.
                if let serde_bencode::value::Value::Int(id @ 1..=255) = *id
                    && name.len() <= MAX_EXTENSION_NAME_BYTES
                {
                    let extension = (name.clone(), id as u8);
                    let at = extensions.partition_point(|before| *before < extension);
                    extensions.insert(at, extension);
                    extensions.truncate(MAX_EXTENSIONS);
                }
            }
        }
        Ok(ExtendedHandshake {
            reqq: positive(b"reqq").map(|reqq| u32::try_from(reqq).unwrap_or(u32::MAX)),
            client: client.filter(|client| !client.is_empty()),
            extensions,
            metadata_size_bytes: positive(b"metadata_size").map(i64::unsigned_abs),
        })
    }

    /// The id under which the peer wants to be sent messages of this extension.
    pub fn id(&self, extension: &[u8]) -> Option<u8> {
        self.extensions.iter().find(|(name, _)| name == extension).map(|&(_, id)| id)
    }
}

/// Our own: no extensions yet, and no port, as we take no connections.
pub fn encode_ours() -> Vec<u8> {
    format!("d1:mde4:reqqi{DEFAULT_REQQ}e1:v{}:{CLIENT}e", CLIENT.len()).into_bytes()
}
