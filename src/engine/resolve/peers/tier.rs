//! The announce target of a metainfo search.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::address::NamedBy;
use crate::engine::announce::target::AnnounceTarget;
use crate::engine::budget::NUMWANT;
use crate::engine::local_peer::LocalPeer;
use crate::engine::report::Remark;
use crate::engine::sources::event::WorkerEvent;
use crate::engine::sources::phase::PeerPhase;
use crate::protocol::tracker::Announce;
use crate::protocol::ut_metadata::METADATA_PIECE_BYTES;

/// A tier of trackers, or the DHT.
pub struct MetadataTier {
    pub phase: Arc<PeerPhase>,
    pub id: u32,
    pub by: NamedBy,
}

impl AnnounceTarget for MetadataTier {
    fn now(&self) -> Duration {
        self.phase.now()
    }

    fn announce(&self) -> Announce {
        Announce {
            infohash: self.phase.infohash,
            peer_id: self.phase.peer_id,
            port: LocalPeer::not_listening().port,
            uploaded_bytes: 0,
            downloaded_bytes: 0,
            // The number of missing bytes is not known. A tracker returns no seeds to a peer that
            // lacks nothing, so this is one block, as in libtorrent.
            left_bytes: METADATA_PIECE_BYTES as u64,
            event: None,
            numwant: NUMWANT,
            key: 0,
        }
    }

    fn note(&self, source: &str, said: Remark) {
        self.phase.report.note(source, said);
    }

    fn named(&self, addresses: Vec<SocketAddr>) {
        // A DHT search reports peers several times over seconds, and then an empty list.
        let goes_on = self.by.is_dht() && !addresses.is_empty();
        self.phase.tell(WorkerEvent::Peers { addresses, by: self.by });
        if !goes_on {
            self.phase.tell(WorkerEvent::TierHeardOf(self.id));
        }
    }

    fn lost(&self, tier: u32) -> bool {
        self.phase.tell(WorkerEvent::TierLost(tier));
        true
    }

    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration> {
        Some(crate::engine::announce::dht::INTERVAL)
    }
}
