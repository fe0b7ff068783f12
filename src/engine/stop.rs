//! Stopping a download or a seed from another thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
#[cfg(feature = "fetch")]
use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use crate::error::Error;
use crate::mutex::Mutex;
#[cfg(feature = "fetch")]
use crate::net::Client;

/// How often a wait checks whether it was stopped.
#[cfg(feature = "fetch")]
const SLICE: Duration = Duration::from_millis(50);

/// Stops downloads from another thread, such as a signal handler, a user interface or a callback:
/// pass it to [`Get::stop_with`](crate::Get::stop_with). A seed has a handle of its own
/// (`Seeding::stop_handle`). Clones share one state; dropping a handle has no effect.
///
/// # Examples
/// ```no_run
/// use academictorrents::{ErrorKind, Get, StopHandle};
///
/// let stop = StopHandle::new();
/// let mnist = Get::new("ce990b28668abf16480b8b906640a6cd7e3b8b21").stop_with(&stop);
/// std::thread::spawn(move || {
///     let _ = std::io::stdin().read_line(&mut String::new());
///     stop.stop();
/// });
/// match mnist.run() {
///     Err(error) if error.kind() == ErrorKind::Stopped => eprintln!("stopped; the next run resumes"),
///     result => println!("{}", result?.display()),
/// }
/// # Ok::<(), academictorrents::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StopHandle {
    state: Arc<StopState>,
}

#[derive(Debug, Default)]
struct StopState {
    stopped: AtomicBool,
    /// Clients whose connections are closed when the handle is stopped.
    #[cfg(feature = "fetch")]
    clients: Mutex<Vec<Arc<Client>>>,
    /// Handles that are stopped together with this one.
    parts: Mutex<Vec<Weak<StopState>>>,
}

impl StopState {
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        #[cfg(feature = "fetch")]
        self.clients.lock().iter().for_each(|client| client.shut_down());
        let parts: Vec<_> = self.parts.lock().iter().filter_map(Weak::upgrade).collect();
        parts.iter().for_each(|part| part.stop());
    }
}

impl StopHandle {
    /// Creates a handle that is not stopped.
    #[must_use]
    pub fn new() -> StopHandle {
        StopHandle::default()
    }

    /// Stops everything that uses this handle, or is given it later. Returns at once: downloads and
    /// seeds return within about a second. Further calls have no effect.
    pub fn stop(&self) {
        self.state.stop();
    }

    /// Whether [`StopHandle::stop`] was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.flag().load(Ordering::Acquire)
    }

    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.state.stopped
    }

    /// Returns a handle that is stopped together with this one, and can be stopped alone.
    pub(crate) fn part(&self) -> StopHandle {
        let part = StopHandle::new();
        let mut parts = self.state.parts.lock();
        parts.retain(|part| part.strong_count() > 0);
        parts.push(Arc::downgrade(&part.state));
        drop(parts);
        if self.is_stopped() {
            part.stop(); // `self` may have been stopped before `part` was registered
        }
        part
    }

    /// # Errors
    /// [`crate::ErrorKind::Stopped`].
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_stopped() { Err(Error::stopped()) } else { Ok(()) }
    }

    /// Runs work that waits for replies. Stopping the handle closes the client's connections, which
    /// ends the waits.
    #[cfg(feature = "fetch")]
    pub(crate) fn closing<T>(&self, client: Option<&Client>, work: impl FnOnce() -> T) -> T {
        let client = client.map(|client| Arc::new(client.clone()));
        let clients = &self.state.clients;
        clients.lock().extend(client.clone());
        if let Some(client) = client.as_ref().filter(|_| self.is_stopped()) {
            client.shut_down(); // the handle may have been stopped before the client was registered
        }
        let done = work();
        clients.lock().retain(|it| client.as_ref().is_none_or(|own| !Arc::ptr_eq(own, it)));
        done
    }

    /// Sleeps for `time`, or until the handle is stopped.
    #[cfg(feature = "fetch")]
    pub(crate) fn pause(&self, time: Duration) {
        let begun = Instant::now();
        while !self.is_stopped() {
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(SLICE.min(left));
        }
    }

    /// Waits for another thread's message. `None` if the handle was stopped or the sender is gone.
    #[cfg(feature = "fetch")]
    pub(crate) fn wait_for<T>(&self, sent: &Receiver<T>) -> Option<T> {
        loop {
            match sent.recv_timeout(SLICE) {
                Ok(value) => return Some(value),
                Err(RecvTimeoutError::Timeout) if !self.is_stopped() => {}
                Err(_) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_stopped_with_the_whole_and_can_be_stopped_alone() {
        let whole = StopHandle::new();
        let [first, second] = [whole.part(), whole.part().part()];
        first.stop();
        assert!(first.is_stopped() && !whole.is_stopped() && !second.is_stopped());
        whole.clone().stop();
        assert!(whole.is_stopped() && whole.part().part().is_stopped());
        assert_eq!(whole.check().unwrap_err().kind(), crate::ErrorKind::Stopped);
    }

    #[test]
    fn parts_that_are_gone_take_no_room() {
        let whole = StopHandle::new();
        (0..100).for_each(|_| drop(whole.part()));
        assert_eq!(whole.state.parts.lock().len(), 1);
    }
}
