//! Who hears of peers that may have the metainfo.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Hunt;
use crate::download::announcer::Announced;
use crate::download::host::Host;
use crate::download::swarm::NUMWANT;
use crate::protocol::metadata::BLOCK_BYTES;
use crate::protocol::socks::Target;
use crate::protocol::tracker::Announce;

/// A tier of trackers, to which is announced; or the DHT.
pub struct Tier {
    hunt: Arc<Hunt>,
    undecided: AtomicBool,
    is_dht: bool,
}

impl Tier {
    pub fn new(hunt: &Arc<Hunt>, is_dht: bool) -> Tier {
        Tier { hunt: Arc::clone(hunt), undecided: AtomicBool::new(true), is_dht }
    }

    fn is_decided(&self) {
        if self.undecided.swap(false, Ordering::Relaxed) {
            self.hunt.decided();
        }
    }
}

impl Announced for Tier {
    fn now(&self) -> Duration {
        self.hunt.now()
    }

    fn announce(&self) -> Announce {
        Announce {
            infohash: self.hunt.infohash,
            peer_id: self.hunt.peer_id,
            port: Host::deaf().port,
            uploaded_bytes: 0,
            downloaded_bytes: 0,
            // How much is left nobody knows. To who lacks nothing a tracker names no seeds, so one block: libtorrent
            // says the same.
            left_bytes: BLOCK_BYTES as u64,
            event: None,
            numwant: NUMWANT,
            key: 0,
        }
    }

    fn note(&self, source: &str, said: String) {
        self.hunt.report.note(source, said);
    }

    fn named(&self, peers: Vec<SocketAddr>) {
        let goes_on = self.is_dht && !peers.is_empty();
        self.hunt.add(peers.into_iter().map(Target::Address).collect(), self.is_dht);
        // A search names peers for seconds, and then none.
        if !goes_on {
            self.is_decided();
        }
    }

    fn lost(&self, _tier: u32) -> bool {
        self.is_decided();
        true
    }

    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration> {
        Some(crate::download::dht::INTERVAL)
    }

    #[cfg(feature = "dht")]
    fn listens_at(&self) -> Option<u16> {
        None
    }
}
