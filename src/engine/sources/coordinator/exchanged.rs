//! Limits on the peers accepted from peer exchange (PEX, BEP 11).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use crate::picker::SourceId;

/// Limit on PEX peers per download, so that peers from trackers always have room.
const MAX_EXCHANGED: usize = 250;

/// Limit on accepted addresses per reporting peer, over all of its connections, so that a malicious
/// peer leaves room for others.
const MAX_OF_ONE: usize = MAX_EXCHANGED / 8;

/// The accepted PEX addresses.
#[derive(Debug, Default)]
pub struct Exchanged {
    known: HashSet<SocketAddr>,
    /// How many accepted addresses each peer was the first to report.
    by: HashMap<SourceId, usize>,
}

impl Exchanged {
    /// Whether the address that peer `by` reported is accepted: it is new, and there is room for
    /// it.
    pub fn adds(&mut self, by: SourceId, address: SocketAddr) -> bool {
        let named = self.by.entry(by).or_default();
        let has_room = self.known.len() < MAX_EXCHANGED && *named < MAX_OF_ONE;
        let adds = has_room && self.known.insert(address);
        *named += usize::from(adds);
        adds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(host: u8) -> impl Iterator<Item = SocketAddr> {
        (1..=1_000).map(move |port| SocketAddr::from(([192, 0, 2, host], port)))
    }

    fn added(exchanged: &mut Exchanged, by: u32, host: u8) -> usize {
        addresses(host).filter(|it| exchanged.adds(SourceId(by), *it)).count()
    }

    #[test]
    fn a_peer_that_names_a_thousand_leaves_room_for_what_others_name() {
        let mut exchanged = Exchanged::default();
        assert_eq!(added(&mut exchanged, 0, 0), 31);
        // A second list from the same peer does not raise its limit.
        assert_eq!(added(&mut exchanged, 0, 1), 0);
        // Addresses that it already reported do not count against another peer.
        assert_eq!(added(&mut exchanged, 1, 0), 31);
        assert!(exchanged.adds(SourceId(2), SocketAddr::from(([198, 51, 100, 1], 1))));
        let all: usize = (2..20).map(|by| added(&mut exchanged, by, by as u8)).sum();
        assert_eq!(31 + 31 + 1 + all, MAX_EXCHANGED);
    }
}
