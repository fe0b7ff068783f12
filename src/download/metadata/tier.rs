//! Who hears of peers that may have the metainfo.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Hunt;
use crate::download::Event;
use crate::download::announcer::Party;
use crate::download::report::Report;
use crate::infohash::Infohash;
use crate::protocol::metadata::BLOCK_BYTES;
use crate::protocol::socks::Target;

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
}

impl Party for Tier {
    fn infohash(&self) -> Infohash {
        self.hunt.infohash
    }

    fn peer_id(&self) -> [u8; 20] {
        self.hunt.peer_id
    }

    fn now(&self) -> Duration {
        self.hunt.now()
    }

    fn uploaded_bytes(&self) -> u64 {
        0
    }

    fn downloaded_bytes(&self) -> u64 {
        0
    }

    /// How much is left nobody knows. To who lacks nothing a tracker names no seeds, so one block: libtorrent says the
    /// same.
    fn left_bytes(&self) -> u64 {
        BLOCK_BYTES as u64
    }

    fn report(&self) -> &Report {
        &self.hunt.report
    }

    fn tell(&self, event: Event) {
        match event {
            Event::Peers(addresses) => {
                let goes_on = self.is_dht && !addresses.is_empty();
                self.hunt.add(addresses.into_iter().map(Target::Address).collect(), self.is_dht);
                // A search names peers for seconds, and then none.
                if goes_on {
                    return;
                }
            }
            Event::TierLost(_) => {}
            _ => return,
        }
        if self.undecided.swap(false, Ordering::Relaxed) {
            self.hunt.decided();
        }
    }

    #[cfg(feature = "dht")]
    fn wants_more_peers(&self) -> bool {
        true
    }
}
