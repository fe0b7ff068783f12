//! Peer exchange (BEP 11): peers name other peers that they are connected to. `sender` has the
//! sending side; this file has the receiving side.
//!
//! A PEX message can make us connect to any address, so the number of addresses per message and per
//! connection is limited, and messages that arrive faster than once a minute are ignored. Dropped
//! peers and flags are ignored too: we find out ourselves.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::compact;
use crate::torrent::bencode::{self, Limits};

mod sender;

pub use sender::{Neighbour, PexSender, REACHABLE, SEED};

#[cfg(test)]
mod tests;

/// How many peers of one message are used; BEP 11 allows fifty of each address family.
pub const MAX_IN_A_MESSAGE: usize = 100;

/// How many peers of a connection are used in total.
pub const MAX_OF_A_PEER: usize = 250;

/// BEP 11 allows one message a minute; clocks and delays vary.
const INTERVAL: Duration = Duration::from_secs(50);

const LIMITS: Limits = Limits { max_bytes: 64 << 10, max_values: 10_000 };

/// The peers that one peer has named.
#[derive(Debug, Default)]
pub(super) struct PeerExchange {
    heard_at: Option<Duration>,
    named: HashSet<SocketAddr>,
    /// Named since the last [`PeerExchange::take`].
    new: Vec<SocketAddr>,
}

impl PeerExchange {
    /// Reads a message. Returns whether there are new peers to take.
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
