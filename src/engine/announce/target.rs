//! The announcers' view of a torrent, and the final events for trackers.

use std::net::SocketAddr;
use std::time::Duration;

#[cfg(feature = "dht")]
use crate::address::NamedBy;
use crate::engine::report::Remark;
use crate::protocol::tracker::{Announce, AnnounceEvent};

/// A torrent that is announced to trackers, and that receives their replies.
pub trait AnnounceTarget: Send + Sync {
    /// Time since an arbitrary but fixed moment.
    fn now(&self) -> Duration;
    /// The current transfer statistics. The announcer sets `event` and `key`.
    fn announce(&self) -> Announce;
    /// Records a tracker's status, or why it failed or is never asked.
    fn note(&self, tracker: &str, said: Remark);
    /// Receives peers from a tracker or from the DHT.
    fn named(&self, peers: Vec<SocketAddr>);
    /// The tier has answered, or all of its trackers have failed, for the first time.
    fn heard_of(&self, _tier: u32) {}
    /// No tracker of the tier has ever answered. Returns whether to give the tier up.
    fn lost(&self, tier: u32) -> bool;
    /// The interval between searches of the DHT; `None` while no search is needed.
    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration>;
    /// Bootstrap nodes for this torrent, and who named them.
    #[cfg(feature = "dht")]
    fn dht_nodes(&self) -> Vec<(NamedBy, String)> {
        Vec::new()
    }
    /// The port to announce to DHT nodes.
    #[cfg(feature = "dht")]
    fn listens_at(&self) -> Option<u16> {
        None
    }
}

/// The final events for trackers, in this order.
pub type Goodbye = &'static [AnnounceEvent];

/// The download was not completed.
pub const LEAVES: Goodbye = &[AnnounceEvent::Stopped];
/// The download was completed.
pub const HAS_ALL: Goodbye = &[AnnounceEvent::Completed, AnnounceEvent::Stopped];
/// The download was completed, and a seed of this process continues under the same ID and port,
/// which it may have announced already.
pub const SEEDS: Goodbye = &[AnnounceEvent::Completed];
