//! Where the files of a workplace come from, by their index in the layout: asked for each piece that is written, of up to a million
//! files.

use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::mutex::Mutex;

/// Where a file of the workplace comes from. Its permissions do not tell: anyone may have changed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileOrigin {
    /// An earlier process left it. It may be a link to complete data, so this is checked before the first write.
    Left,
    /// This process created it, or made sure that nobody else has it.
    Ours,
    /// This process linked it from data with a valid stamp, or hashed all of it. Writes to it are dropped.
    Sealed,
}

/// Files that are opened at a time.
const OPENING: usize = 16;

/// The files of the workplace, as far as they exist.
#[derive(Debug)]
pub(super) struct FileOrigins {
    /// The last one is the scratch file's, whose index is beyond all others.
    files: Box<[AtomicU8]>,
    opening: [Mutex<()>; OPENING],
}

impl FileOrigins {
    /// For so many files. None is there.
    pub(super) fn none(files: usize) -> FileOrigins {
        let files = (0..=files).map(|_| AtomicU8::new(0)).collect();
        FileOrigins { files, opening: Default::default() }
    }

    fn place(&self, index: u32) -> Option<&AtomicU8> {
        self.files.get(index as usize).or(self.files.last())
    }

    pub(super) fn get(&self, index: u32) -> Option<FileOrigin> {
        match self.place(index)?.load(Ordering::Acquire) {
            0 => None,
            1 => Some(FileOrigin::Left),
            2 => Some(FileOrigin::Ours),
            _ => Some(FileOrigin::Sealed),
        }
    }

    pub(super) fn set(&self, index: u32, origin: Option<FileOrigin>) {
        let value = match origin {
            None => 0,
            Some(FileOrigin::Left) => 1,
            Some(FileOrigin::Ours) => 2,
            Some(FileOrigin::Sealed) => 3,
        };
        if let Some(place) = self.place(index) {
            place.store(value, Ordering::Release);
        }
    }

    /// Whoever else opens this file to write waits: it must not be replaced once it was written to. Other files are opened meanwhile.
    pub(super) fn opening(&self, index: u32) -> MutexGuard<'_, ()> {
        let lock = &self.opening[index as usize % OPENING];
        lock.lock()
    }
}
