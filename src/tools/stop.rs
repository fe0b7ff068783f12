//! An end that the user asks for.

use std::sync::{Arc, Mutex, PoisonError};

use crate::counters::Counters;
use crate::download::Host;

/// Ends what a desk does; clones end the same. What was verified is kept.
#[derive(Clone, Debug)]
pub struct Stop {
    host: Host,
    drawn: Arc<Mutex<Vec<Arc<Counters>>>>,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { host: Host::deaf(), drawn: Arc::default() }
    }
}

impl Stop {
    /// Ends it: bars are erased within a tenth of a second, nothing is said any more, downloads let go. What cannot be ended (a
    /// look-up, a hash) goes on until the process ends, which does no harm at any time.
    pub fn stop(&self) {
        self.host.stop();
        let drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.iter().for_each(|counters| counters.stop());
    }

    /// Whether it was.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.host.is_stopped()
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// These counters are being drawn.
    pub(super) fn draws(&self, counters: &Arc<Counters>) {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(counters));
        if self.is_stopped() {
            counters.stop();
        }
    }
}
