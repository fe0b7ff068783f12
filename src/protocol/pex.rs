//! Peer exchange (BEP 11): a peer names others that it is connected to. What we say is `sender`'s; here is what we hear.
//!
//! Whoever sends such a message can have us connect to any address, so that little of it is believed: so many
//! addresses a message and a connection, and one message a minute. What is sent faster is passed over. Who left is of
//! no interest, and neither are the flags: we find out ourselves.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::compact;
use crate::torrent::bencode::{self, Limits};

mod sender;

pub use sender::{Neighbour, PexSender, REACHABLE, SEED};

#[cfg(test)]
mod tests;

/// The most peers of one message that are taken; BEP 11 has at most fifty of each family.
pub const MAX_IN_A_MESSAGE: usize = 100;

/// And of all messages of a connection.
pub const MAX_OF_A_PEER: usize = 250;

/// BEP 11 has a minute; clocks and lines differ.
const INTERVAL: Duration = Duration::from_secs(50);

const LIMITS: Limits = Limits { max_bytes: 64 << 10, max_values: 10_000 };

/// What one peer has named.
#[derive(Debug, Default)]
pub(super) struct PeerExchange {
    heard_at: Option<Duration>,
    named: HashSet<SocketAddr>,
    /// Not taken yet.
    new: Vec<SocketAddr>,
}

impl PeerExchange {
    /// Reads a message. Whether it named anyone new.
    pub(super) fn hear(&mut self, now: Duration, payload: &[u8]) -> bool {
        if self.heard_at.is_some_and(|before| now.saturating_sub(before) < INTERVAL) {
            return false;
        }
        let Ok(message) = bencode::decode(payload, &LIMITS) else { return false };
        self.heard_at = Some(now);
        let bytes = |key| bencode::bytes(&message, key).unwrap_or_default();
        let added = compact::v4(bytes(b"added")).chain(compact::v6(bytes(b"added6")));
        for address in added.take(MAX_IN_A_MESSAGE) {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            let fits = self.named.len() < MAX_OF_A_PEER && compact::can_be_a_peer(address);
            if fits && self.named.insert(address) {
                self.new.push(address);
            }
        }
        !self.new.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.new)
    }
}
