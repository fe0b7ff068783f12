//! Bytes received per source of a dataset, for the command line.

use std::sync::MutexGuard;

use crate::mutex::Mutex;

/// The counters of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCounters {
    /// A URL, a directory, or `peer` and its address.
    pub name: String,
    /// Bytes received from it, useful or not.
    pub received_bytes: u64,
    /// Whether it is in use right now.
    pub works: bool,
}

/// The sources of a dataset. The index is the source's ID in the download.
#[derive(Debug, Default)]
pub struct Sources(Mutex<Vec<SourceCounters>>);

impl Sources {
    pub fn all(&self) -> MutexGuard<'_, Vec<SourceCounters>> {
        self.0.lock()
    }

    /// Adds a source. IDs count from 0.
    pub fn add(&self, name: &str) {
        self.all().push(SourceCounters { name: name.to_owned(), received_bytes: 0, works: false });
    }

    /// Adds received bytes to a source.
    pub fn brought(&self, source: u32, bytes: u64) {
        if let Some(source) = self.all().get_mut(source as usize) {
            source.received_bytes += bytes;
        }
    }

    /// Sets whether a source is in use.
    pub fn set_works(&self, source: u32, works: bool) {
        if let Some(source) = self.all().get_mut(source as usize) {
            source.works = works;
        }
    }
}
