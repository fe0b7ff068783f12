//! Signs of life: when and how much came, and who is to make room because nothing did.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Swarm;

impl Swarm {
    /// When the last useful byte came.
    pub fn last_useful(&self) -> Duration {
        Duration::from_millis(self.last_useful_millis.load(Ordering::Relaxed))
    }

    /// When the last byte came that is on the way to a useful one: a server without ranges has to be read past what
    /// is here already, and that is no silence.
    pub fn last_sign_of_life(&self) -> Duration {
        self.last_useful()
            .max(Duration::from_millis(self.last_skipped_millis.load(Ordering::Relaxed)))
    }

    /// When a named peer last told of a wanted piece that it has now, or, when it connected, that it lacks some.
    pub fn last_news(&self) -> Duration {
        Duration::from_millis(self.last_news_millis.load(Ordering::Relaxed))
    }

    pub fn news(&self) {
        self.last_news_millis.store(self.now().as_millis() as u64, Ordering::Relaxed);
    }

    /// Bytes of use that have come so far, and those that had to be read past to get there.
    pub fn heard_bytes(&self) -> u64 {
        self.heard_bytes.load(Ordering::Relaxed)
    }

    /// Whether a peer that has been of no use for so long gives up its place now.
    pub fn makes_room(&self, idle: Duration, slice: Duration) -> bool {
        idle > slice && self.phase.gives_up_place()
    }

    /// Bytes came that had to be read past.
    pub fn skipped(&self, bytes: u64) {
        self.heard_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.last_skipped_millis.store(self.now().as_millis() as u64, Ordering::Relaxed);
    }
}
