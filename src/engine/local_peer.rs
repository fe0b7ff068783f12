//! The identity of this process in the swarms that it joins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::stop::StopHandle;
use crate::protocol::extension::peer_id;

/// The port announced to trackers while we accept no connections. Many trackers refuse port 0, and
/// no peer listens on this port.
const NO_PORT: u16 = 1;

/// Shared by everything that one build or one seed fetches and serves. A peer that reports our own
/// ID is ourselves.
#[derive(Clone, Debug)]
pub struct LocalPeer {
    pub peer_id: [u8; 20],
    /// The port on which we listen.
    pub port: u16,
    /// The key by which trackers recognize us.
    pub key: u32,
    /// Stops everything that uses this identity.
    pub stop: StopHandle,
    sent_bytes: Arc<AtomicU64>,
}

impl LocalPeer {
    /// An identity that does not listen.
    pub fn not_listening() -> LocalPeer {
        LocalPeer::at(NO_PORT)
    }

    pub fn at(port: u16) -> LocalPeer {
        LocalPeer {
            peer_id: peer_id(|| fastrand::alphanumeric() as u8),
            port,
            key: fastrand::u32(..),
            stop: StopHandle::new(),
            sent_bytes: Arc::default(),
        }
    }

    /// Whether we listen and continue to serve what was fetched.
    pub fn goes_on(&self) -> bool {
        self.port != NO_PORT && !self.is_stopped()
    }

    /// The port to announce to others, if we listen.
    pub fn listens_at(&self) -> Option<u16> {
        (self.port != NO_PORT).then_some(self.port)
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.is_stopped()
    }

    pub fn sent(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    #[cfg(feature = "seed")]
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }
}
