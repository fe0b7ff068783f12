//! What one peer is told of the others that we are connected to.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::address::may_tell;
use crate::protocol::compact;

#[cfg(test)]
mod tests;

/// It has all, or wants nothing.
pub const SEED: u8 = 0x02;
/// We connected to it, so others can.
pub const REACHABLE: u8 = 0x10;

/// BEP 11: no more than so many are named in a message, and so many said to have left.
const MAX_IN_A_MESSAGE: usize = 50;

/// What is remembered of a peer. Connections are far fewer, but for a seed that was allowed more.
const MAX_TOLD: usize = 250;

/// BEP 11: no more than a message a minute.
const INTERVAL: Duration = Duration::from_secs(60);

/// How long after its handshake a peer is told, as peers come in a burst; and how often it is looked then whether
/// there is news.
const LOOK: Duration = Duration::from_secs(1);

/// A connected peer that others can connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub address: SocketAddr,
    /// [`SEED`], [`REACHABLE`].
    pub flags: u8,
}

/// What one peer was told, and when.
#[derive(Debug, Default)]
pub struct PexSender {
    told: HashSet<SocketAddr>,
    next_at: Option<Duration>,
}

impl PexSender {
    /// Whether it is time to look whom the peer could be told of. To be asked from its handshake on.
    pub fn is_due(&mut self, now: Duration) -> bool {
        now >= *self.next_at.get_or_insert(now + LOOK)
    }

    /// The message for a peer at this address, where that is known: who of the `connected` is new to it, and who left.
    /// `None` where there is no news.
    pub fn message(
        &mut self,
        now: Duration,
        to: Option<IpAddr>,
        connected: &[Neighbour],
    ) -> Option<Vec<u8>> {
        self.next_at = Some(now + LOOK);
        let here: HashSet<SocketAddr> = connected.iter().map(|it| it.address).collect();
        let mut dropped = Vec::new();
        self.told.retain(|address| {
            let goes = dropped.len() < MAX_IN_A_MESSAGE && !here.contains(address);
            if goes {
                dropped.push(Neighbour { address: *address, flags: 0 });
            }
            !goes
        });
        let mut added = Vec::new();
        for peer in connected {
            if added.len() == MAX_IN_A_MESSAGE || self.told.len() == MAX_TOLD {
                break;
            }
            if compact::can_be_a_peer(peer.address)
                && may_tell(to, peer.address.ip())
                && self.told.insert(peer.address)
            {
                added.push(*peer);
            }
        }
        if added.is_empty() && dropped.is_empty() {
            return None;
        }
        self.next_at = Some(now + INTERVAL);
        Some(encode(&added, &dropped))
    }
}

fn encode(added: &[Neighbour], dropped: &[Neighbour]) -> Vec<u8> {
    let mut message = b"d".to_vec();
    let mut text = |key: &str, value: &[u8]| {
        message.extend_from_slice(format!("{}:{key}{}:", key.len(), value.len()).as_bytes());
        message.extend_from_slice(value);
    };
    let of = |peers: &[Neighbour], v4: bool| {
        let (mut compact, mut flags) = (Vec::new(), Vec::new());
        for peer in peers.iter().filter(|peer| peer.address.is_ipv4() == v4) {
            match peer.address.ip() {
                IpAddr::V4(ip) => compact.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => compact.extend_from_slice(&ip.octets()),
            }
            compact.extend_from_slice(&peer.address.port().to_be_bytes());
            flags.push(peer.flags);
        }
        (compact, flags)
    };
    let ((v4, v4_flags), (v6, v6_flags)) = (of(added, true), of(added, false));
    text("added", &v4);
    text("added.f", &v4_flags);
    text("added6", &v6);
    text("added6.f", &v6_flags);
    text("dropped", &of(dropped, true).0);
    text("dropped6", &of(dropped, false).0);
    message.push(b'e');
    message
}
