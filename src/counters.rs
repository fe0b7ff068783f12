//! Counters of a running download: written by `engine`, drawn by `progress`.
//!
//! Layer 0. Atomics, and a lock for the start of a phase. Does not read the clock.

pub mod sources;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, MutexGuard, OnceLock};

use crate::mutex::Mutex;

pub use sources::Sources;

/// What is currently done for a dataset, as [`Get::on_progress`](crate::Get::on_progress) reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Phase {
    /// Not started yet.
    #[default]
    Queued,
    /// Waiting for another process or thread that downloads the same torrent.
    Waiting,
    /// Looking for the `.torrent`.
    Metainfo,
    /// Hashing existing data.
    Checking,
    /// Downloading.
    Fetching,
    /// Unpacking archives.
    Unpacking,
    /// Writing to disk, checking pins, and moving the files into place.
    Publishing,
    /// Complete.
    Done,
    /// Failed or stopped. The error contains the reason.
    Failed,
    /// Checked, but not the dataset that was searched for: no longer drawn, and not reported.
    #[doc(hidden)]
    PassedOver,
}

impl Phase {
    /// Whether this is the end: complete, failed or stopped.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Done | Phase::Failed | Phase::PassedOver)
    }
}

const PHASES: [Phase; 10] = [
    Phase::Queued,
    Phase::Waiting,
    Phase::Metainfo,
    Phase::Checking,
    Phase::Fetching,
    Phase::Unpacking,
    Phase::Publishing,
    Phase::Done,
    Phase::Failed,
    Phase::PassedOver,
];

/// The counters of one dataset.
#[derive(Debug, Default)]
pub struct DatasetCounters {
    /// The dataset's key in the manifest.
    pub name: String,
    phase: AtomicU8,
    /// Held while a phase begins, so that readers do not see bytes of two phases.
    beginning: Mutex<()>,
    /// Receives each change of phase.
    listener: Option<Sender<PhaseChange>>,
    /// Bytes that the selection needs; 0 while unknown.
    pub total_bytes: AtomicU64,
    /// Verified bytes of `total_bytes`; while checking, hashed bytes.
    pub done_bytes: AtomicU64,
    /// Bytes received from any source, useful or not.
    pub received_bytes: AtomicU64,
    /// Bytes of blocks sent to peers.
    pub uploaded_bytes: AtomicU64,
    /// Connected peers.
    pub peers: AtomicU32,
    /// Web seeds and mirrors with a live connection.
    pub web_seeds: AtomicU32,
    /// The dataset's path, once it is complete.
    pub path: OnceLock<PathBuf>,
    /// Whether files were published, as opposed to only checked.
    #[cfg(feature = "engine")]
    has_published: AtomicBool,
    /// Whether [`DatasetCounters::says_once`] was called.
    #[cfg(feature = "unpack")]
    has_said: AtomicBool,
    /// The sources of this dataset, in the order of their IDs.
    pub sources: Sources,
}

impl DatasetCounters {
    pub fn new(name: &str) -> DatasetCounters {
        DatasetCounters { name: name.to_owned(), ..DatasetCounters::default() }
    }

    pub fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Relaxed)).min(PHASES.len() - 1)]
    }

    /// Returns `true` on the first call only.
    #[cfg(feature = "unpack")]
    pub fn says_once(&self) -> bool {
        !self.has_said.swap(true, Ordering::Relaxed)
    }

    /// Starts [`Phase::Checking`] with this number of bytes to hash.
    pub fn begin_checking(&self, bytes: u64) {
        self.begin(Phase::Checking, 0, bytes);
    }

    /// Starts a phase of `total_bytes`, of which `done_bytes` are done already.
    pub fn begin(&self, phase: Phase, done_bytes: u64, total_bytes: u64) {
        let beginning = self.beginning.lock();
        self.total_bytes.store(total_bytes, Ordering::Relaxed);
        self.done_bytes.store(done_bytes, Ordering::Relaxed);
        self.enter(phase, &beginning);
    }

    /// Records how many bytes of a phase are left. Does nothing once the download ended: a worker
    /// may report late.
    pub fn count(&self, phase: Phase, left_bytes: u64) {
        let beginning = self.beginning.lock();
        if self.phase() == Phase::Publishing || self.phase().is_over() {
            return;
        }
        let total = self.total_bytes.load(Ordering::Relaxed);
        self.done_bytes.store(total.saturating_sub(left_bytes), Ordering::Relaxed);
        self.enter(phase, &beginning);
    }

    pub fn set_phase(&self, phase: Phase) {
        self.enter(phase, &self.beginning.lock());
    }

    /// Whether [`Phase::Publishing`] was entered: not all files were there.
    #[cfg(feature = "engine")]
    pub fn has_published(&self) -> bool {
        self.has_published.load(Ordering::Relaxed)
    }

    fn enter(&self, phase: Phase, beginning: &MutexGuard<'_, ()>) {
        #[cfg(feature = "engine")]
        self.has_published.fetch_or(phase == Phase::Publishing, Ordering::Relaxed);
        let before = self.phase.swap(phase as u8, Ordering::Relaxed);
        if let Some(listener) = self.listener.as_ref().filter(|_| before != phase as u8) {
            let _ = listener.send(PhaseChange::To(self.read(beginning))); // the listener may be gone
        }
    }

    pub fn reading(&self) -> Reading {
        self.read(&self.beginning.lock())
    }

    fn read(&self, _: &MutexGuard<'_, ()>) -> Reading {
        Reading {
            phase: self.phase(),
            done_bytes: self.done_bytes.load(Ordering::Relaxed),
            total_bytes: self.total_bytes.load(Ordering::Relaxed),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
            peers: self.peers.load(Ordering::Relaxed),
            web_seeds: self.web_seeds.load(Ordering::Relaxed),
        }
    }
}

/// Values of [`DatasetCounters`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub phase: Phase,
    pub done_bytes: u64,
    pub total_bytes: u64,
    pub received_bytes: u64,
    pub peers: u32,
    pub web_seeds: u32,
}

/// A message to a listener.
#[derive(Clone, Debug)]
pub enum PhaseChange {
    To(Reading),
    /// No more changes follow.
    End,
}

/// A message for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserMessage {
    pub text: String,
    /// The waiting dataset, if the message applies only while it is in [`Phase::Waiting`].
    pub waiting: Option<String>,
}

/// The counters of all datasets of a build, and messages for the user.
#[derive(Debug, Default)]
pub struct Counters {
    datasets: Mutex<Vec<Arc<DatasetCounters>>>,
    messages: Mutex<Vec<UserMessage>>,
    listener: Mutex<Option<Sender<PhaseChange>>>,
    /// Set when the user stops the program: nothing is printed after that.
    pub stopped: AtomicBool,
}

impl Counters {
    /// Adds a dataset's counters.
    pub fn add(&self, name: &str) -> Arc<DatasetCounters> {
        let listener = self.listener.lock().clone();
        let counters = Arc::new(DatasetCounters { listener, ..DatasetCounters::new(name) });
        self.datasets.lock().push(Arc::clone(&counters));
        counters
    }

    /// Returns the phase changes of all datasets added from now on, in order, and a sender for
    /// [`PhaseChange::End`].
    pub fn listen(&self) -> (Receiver<PhaseChange>, Sender<PhaseChange>) {
        let (listener, changes) = channel();
        *self.listener.lock() = Some(listener.clone());
        (changes, listener)
    }

    /// The datasets in the order in which they were added.
    pub fn datasets(&self) -> Vec<Arc<DatasetCounters>> {
        self.datasets.lock().clone()
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Queues a message, which `progress` prints.
    pub fn say(&self, text: String) {
        self.queue(UserMessage { text, waiting: None });
    }

    /// Queues a message that applies while this dataset is in [`Phase::Waiting`]. Set that phase
    /// first.
    pub fn say_while_waiting(&self, name: &str, text: String) {
        self.queue(UserMessage { text, waiting: Some(name.to_owned()) });
    }

    fn queue(&self, message: UserMessage) {
        self.messages.lock().push(message);
    }

    /// Removes and returns the queued messages.
    pub fn take_messages(&self) -> Vec<UserMessage> {
        std::mem::take(&mut self.messages.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_of_phase_is_heard_once_with_the_bytes_of_its_beginning() {
        let counters = Counters::default();
        let unheard = counters.add("before");
        let (changes, end) = counters.listen();
        let dataset = counters.add("a");
        unheard.set_phase(Phase::Metainfo);
        dataset.begin(Phase::Checking, 1, 10);
        dataset.begin_checking(20);
        dataset.begin(Phase::Fetching, 5, 20);
        dataset.count(Phase::Fetching, 10);
        dataset.count(Phase::Checking, 4);
        dataset.set_phase(Phase::Publishing);
        // A late worker.
        dataset.count(Phase::Fetching, 20);
        dataset.set_phase(Phase::Done);
        dataset.count(Phase::Fetching, 20);
        end.send(PhaseChange::End).unwrap();
        let heard = changes.iter().map_while(|change| match change {
            PhaseChange::To(at) => Some((at.phase, at.done_bytes, at.total_bytes)),
            PhaseChange::End => None,
        });
        assert_eq!(
            heard.collect::<Vec<_>>(),
            [
                (Phase::Checking, 1, 10),
                (Phase::Fetching, 5, 20),
                (Phase::Checking, 16, 20),
                (Phase::Publishing, 16, 20),
                (Phase::Done, 16, 20),
            ]
        );
    }
}
