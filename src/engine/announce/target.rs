//! What announcers know of a torrent, and what they tell trackers at its end.

use std::net::SocketAddr;
use std::time::Duration;

#[cfg(feature = "dht")]
use crate::address::NamedBy;
use crate::engine::report::Remark;
use crate::protocol::tracker::{Announce, AnnounceEvent};

/// A torrent that trackers are told of, and who hears what they answer.
pub trait AnnounceTarget: Send + Sync {
    /// Time since any moment.
    fn now(&self) -> Duration;
    /// How it stands; the announcer knows event and key.
    fn announce(&self) -> Announce;
    /// A tracker said this; or failed so, or is never asked.
    fn note(&self, tracker: &str, said: Remark);
    /// A tracker named peers.
    fn named(&self, peers: Vec<SocketAddr>);
    /// The tier has answered, or all of its trackers have failed, for the first time.
    fn heard_of(&self, _tier: u32) {}
    /// No tracker of the tier has ever answered: whether that is enough.
    fn lost(&self, tier: u32) -> bool;
    /// The time between two searches of the DHT; `None` while none is wanted.
    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration>;
    /// Nodes that may be asked first, and who names them.
    #[cfg(feature = "dht")]
    fn dht_nodes(&self) -> Vec<(NamedBy, String)> {
        Vec::new()
    }
    /// Where peers may connect to us, for the DHT's nodes to know.
    #[cfg(feature = "dht")]
    fn listens_at(&self) -> Option<u16> {
        None
    }
}

/// What trackers are told at the end, one after another.
pub type Goodbye = &'static [AnnounceEvent];

/// The download has not come to its end.
pub const LEAVES: Goodbye = &[AnnounceEvent::Stopped];
/// It has all.
pub const HAS_ALL: Goodbye = &[AnnounceEvent::Completed, AnnounceEvent::Stopped];
/// It has all, and a seed of this process goes on under the same id and port: it may have announced itself already.
pub const SEEDS: Goodbye = &[AnnounceEvent::Completed];
