//! Signs of life: when data last arrived and how much, and which peers must make room because none
//! arrived.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Swarm;

impl Swarm {
    /// When the last useful byte arrived.
    pub fn last_useful(&self) -> Duration {
        Duration::from_millis(self.last_useful_millis.load(Ordering::Relaxed))
    }

    /// When the last byte arrived, useful or not: with a server without ranges, bytes that are
    /// already present must be read past, and that is not silence.
    pub fn last_sign_of_life(&self) -> Duration {
        self.last_useful()
            .max(Duration::from_millis(self.last_skipped_millis.load(Ordering::Relaxed)))
    }

    /// When a named peer last reported a needed piece that it has now, or connected without having
    /// all pieces.
    pub fn last_news(&self) -> Duration {
        Duration::from_millis(self.last_news_millis.load(Ordering::Relaxed))
    }

    pub fn news(&self) {
        self.last_news_millis.store(self.now().as_millis() as u64, Ordering::Relaxed);
    }

    /// Useful bytes so far, plus bytes that had to be read past to reach useful ones.
    pub fn heard_bytes(&self) -> u64 {
        self.heard_bytes.load(Ordering::Relaxed)
    }

    /// Whether a peer that has been idle for longer than its slice must give up its place now.
    pub fn makes_room(&self, idle: Duration, slice: Duration) -> bool {
        idle > slice && self.phase.gives_up_place()
    }

    /// Records bytes that had to be read past.
    pub fn skipped(&self, bytes: u64) {
        self.heard_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.last_skipped_millis.store(self.now().as_millis() as u64, Ordering::Relaxed);
    }
}
