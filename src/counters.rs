//! What a download counts while it runs: written by `download`, drawn by `progress`.
//!
//! Floor 0. Plain atomics: no lock is held and no clock is read.

#[cfg(feature = "cli")]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a dataset is doing right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Not begun, or waiting for its turn.
    Queued,
    /// Another process has the lock.
    Waiting,
    /// Looking for the `.torrent`.
    Metainfo,
    /// Hashing what is on disk already.
    Checking,
    /// Data comes in.
    Fetching,
    /// Pins, sync, rename.
    Publishing,
    /// There: no longer drawn.
    Done,
    /// Could not be had: no longer drawn.
    Failed,
    /// Was looked at, and is not what was looked for: no longer drawn, and nothing is said of it.
    PassedOver,
}

impl Phase {
    /// Whether nothing more happens to the dataset.
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Done | Phase::Failed | Phase::PassedOver)
    }
}

const PHASES: [Phase; 9] = [
    Phase::Queued,
    Phase::Waiting,
    Phase::Metainfo,
    Phase::Checking,
    Phase::Fetching,
    Phase::Publishing,
    Phase::Done,
    Phase::Failed,
    Phase::PassedOver,
];

/// One dataset's counters.
#[derive(Debug)]
pub struct DatasetCounters {
    /// The dataset's key in the manifest.
    pub name: String,
    phase: AtomicU8,
    /// Bytes that the selection needs; 0 while that is not known.
    pub total_bytes: AtomicU64,
    /// Bytes of it that are verified (while checking: that are hashed).
    pub done_bytes: AtomicU64,
    /// Bytes that came from any source, useful or not.
    pub received_bytes: AtomicU64,
    /// Bytes of blocks that peers were sent.
    pub uploaded_bytes: AtomicU64,
    /// Connected peers.
    pub peers: AtomicU32,
    /// Web seeds and mirrors with a live connection.
    pub web_seeds: AtomicU32,
    /// Who brings the bytes, in the order of the download's own numbers.
    #[cfg(feature = "cli")]
    pub sources: Mutex<Vec<SourceCounters>>,
}

/// What one source has brought.
#[cfg(feature = "cli")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCounters {
    /// A URL, a directory, or `peer` and its address.
    pub name: String,
    /// Bytes that came from it, useful or not.
    pub received_bytes: u64,
    /// Whether it is being asked right now.
    pub works: bool,
}

impl DatasetCounters {
    pub fn new(name: &str) -> DatasetCounters {
        DatasetCounters {
            name: name.to_owned(),
            phase: AtomicU8::new(Phase::Queued as u8),
            total_bytes: AtomicU64::new(0),
            done_bytes: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            uploaded_bytes: AtomicU64::new(0),
            peers: AtomicU32::new(0),
            web_seeds: AtomicU32::new(0),
            #[cfg(feature = "cli")]
            sources: Mutex::default(),
        }
    }

    /// A source became known; they are numbered from 0.
    #[cfg(feature = "cli")]
    pub fn add_source(&self, name: &str) {
        let source = SourceCounters { name: name.to_owned(), received_bytes: 0, works: false };
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// So many bytes came from a source.
    #[cfg(feature = "cli")]
    pub fn brought(&self, source: u32, bytes: u64) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get_mut(source as usize) {
            source.received_bytes += bytes;
        }
    }

    /// A source is being asked, or not any more.
    #[cfg(feature = "cli")]
    pub fn set_works(&self, source: u32, works: bool) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get_mut(source as usize) {
            source.works = works;
        }
    }

    pub fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Relaxed)).min(PHASES.len() - 1)]
    }

    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }
}

/// A line that a person should read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub text: String,
    /// The dataset that waits: the line holds until it goes on.
    pub waiting: Option<String>,
}

/// All datasets of one build, and the lines that a person should read.
#[derive(Debug, Default)]
pub struct Counters {
    datasets: Mutex<Vec<Arc<DatasetCounters>>>,
    messages: Mutex<Vec<Message>>,
    #[cfg(feature = "cli")]
    stopped: AtomicBool,
}

impl Counters {
    /// Adds a dataset's counters.
    pub fn add(&self, name: &str) -> Arc<DatasetCounters> {
        let counters = Arc::new(DatasetCounters::new(name));
        self.datasets.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// The datasets, in the order in which they were added.
    pub fn datasets(&self) -> Vec<Arc<DatasetCounters>> {
        self.datasets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nobody is to be told anything any more: the user ends it.
    #[cfg(feature = "cli")]
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    #[cfg(feature = "cli")]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Queues a line for the log: `progress` prints it.
    pub fn say(&self, text: String) {
        self.queue(Message { text, waiting: None });
    }

    /// Queues a line that holds while this dataset is in [`Phase::Waiting`], into which it is put before.
    pub fn say_while_waiting(&self, name: &str, text: String) {
        self.queue(Message { text, waiting: Some(name.to_owned()) });
    }

    fn queue(&self, message: Message) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    /// Takes the queued lines.
    pub fn take_messages(&self) -> Vec<Message> {
        std::mem::take(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
