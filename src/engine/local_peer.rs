//! Who this process is to the swarms that it takes part in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::mutex::Mutex;
use crate::net::Client;
use crate::protocol::extension::peer_id;

/// Trackers are told this port where we take no connections: many refuse port 0, and it is the discard port of no peer.
const NO_PORT: u16 = 1;

/// A build is one, and a seed, with all that it fetches: a peer that it would connect to and that is it itself is
/// known by its id.
#[derive(Clone, Debug)]
pub struct LocalPeer {
    pub peer_id: [u8; 20],
    /// Where it listens.
    pub port: u16,
    /// By which trackers know it again.
    pub key: u32,
    stopped: Arc<AtomicBool>,
    sent_bytes: Arc<AtomicU64>,
    /// Whose connections are closed when it is stopped.
    clients: Arc<Mutex<Vec<Arc<Client>>>>,
}

/// How often a pause looks whether it is over.
const SLICE: Duration = Duration::from_millis(50);

impl LocalPeer {
    /// One that listens nowhere.
    pub fn not_listening() -> LocalPeer {
        LocalPeer::at(NO_PORT)
    }

    pub fn at(port: u16) -> LocalPeer {
        LocalPeer {
            peer_id: peer_id(|| fastrand::alphanumeric() as u8),
            port,
            key: fastrand::u32(..),
            stopped: Arc::default(),
            sent_bytes: Arc::default(),
            clients: Arc::default(),
        }
    }

    /// Whether it listens, and serves what it has fetched.
    pub fn goes_on(&self) -> bool {
        self.port != NO_PORT && !self.is_stopped()
    }

    /// The port that others may be told of.
    pub fn listens_at(&self) -> Option<u16> {
        (self.port != NO_PORT).then_some(self.port)
    }

    /// Ends all that it does.
    #[cfg(feature = "seed")]
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.clients.lock().iter().for_each(|client| client.shut_down());
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Does work that waits for replies; when the host is stopped, the client's connections are closed, and it waits no more.
    pub fn closing<T>(&self, client: Option<&Client>, work: impl FnOnce() -> T) -> T {
        let client = client.map(|client| Arc::new(client.clone()));
        self.clients.lock().extend(client.clone());
        if let Some(client) = client.as_ref().filter(|_| self.is_stopped()) {
            client.shut_down(); // before it was noted
        }
        let done = work();
        self.clients.lock().retain(|it| client.as_ref().is_none_or(|own| !Arc::ptr_eq(own, it)));
        done
    }

    /// Waits for so long, or until it is stopped.
    pub fn pause(&self, time: Duration) {
        let begun = Instant::now();
        while !self.is_stopped() {
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(SLICE.min(left));
        }
    }

    pub fn sent(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    #[cfg(feature = "seed")]
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }
}
