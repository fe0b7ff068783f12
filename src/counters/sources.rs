//! What each source of a dataset has brought, which the command line shows.

use std::sync::MutexGuard;

use crate::mutex::Mutex;

/// What one source has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCounters {
    /// A URL, a directory, or `peer` and its address.
    pub name: String,
    /// Bytes that came from it, useful or not.
    pub received_bytes: u64,
    /// Whether it is being asked right now.
    pub works: bool,
}

/// The sources of a dataset, in the order of the download's own numbers.
#[derive(Debug, Default)]
pub struct Sources(Mutex<Vec<SourceCounters>>);

impl Sources {
    pub fn all(&self) -> MutexGuard<'_, Vec<SourceCounters>> {
        self.0.lock()
    }

    /// A source became known; they are numbered from 0.
    pub fn add(&self, name: &str) {
        self.all().push(SourceCounters { name: name.to_owned(), received_bytes: 0, works: false });
    }

    /// So many bytes came from a source.
    pub fn brought(&self, source: u32, bytes: u64) {
        if let Some(source) = self.all().get_mut(source as usize) {
            source.received_bytes += bytes;
        }
    }

    /// A source is being asked, or not any more.
    pub fn set_works(&self, source: u32, works: bool) {
        if let Some(source) = self.all().get_mut(source as usize) {
            source.works = works;
        }
    }
}
