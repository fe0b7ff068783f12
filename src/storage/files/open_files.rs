//! The open files of a dataset. A torrent may have 100,000 files, and a process may open far fewer.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::mutex::Mutex;
use crate::process;

/// Largest number of open files per dataset.
const MAX_OPEN: usize = 128;

/// Open files of all datasets together; [`process::descriptors`] has the limit.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Open files by index in the layout. The file that was opened first is closed first.
#[derive(Debug, Default)]
pub(super) struct OpenFiles(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    files: HashMap<u32, OpenedFile>,
    order: VecDeque<u32>,
}

#[derive(Debug)]
pub(super) struct OpenedFile {
    file: Arc<File>,
    for_writing: bool,
}

impl OpenedFile {
    pub(super) fn new(file: &Arc<File>, for_writing: bool) -> OpenedFile {
        OPEN.fetch_add(1, Ordering::Relaxed);
        OpenedFile { file: Arc::clone(file), for_writing }
    }
}

impl Drop for OpenedFile {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

impl OpenFiles {
    /// Returns the file if it is open, and open for writing if `for_writing` is set.
    pub(super) fn get(&self, index: u32, for_writing: bool) -> Option<Arc<File>> {
        let queue = self.0.lock();
        let opened = queue.files.get(&index).filter(|opened| opened.for_writing || !for_writing);
        opened.map(|opened| Arc::clone(&opened.file))
    }

    /// Keeps a file open, and closes the oldest ones if there are too many.
    pub(super) fn keep(&self, index: u32, opened: OpenedFile) {
        let mut queue = self.0.lock();
        // The existing entry may be open for writing, and its file may have replaced the one opened
        // for reading here.
        if !opened.for_writing && queue.files.contains_key(&index) {
            return;
        }
        if queue.files.insert(index, opened).is_none() {
            queue.order.push_back(index);
        }
        let most = process::descriptors().files;
        while queue.order.len() > MAX_OPEN
            || (OPEN.load(Ordering::Relaxed) > most && queue.order.len() > 1)
        {
            let first = queue.order.pop_front();
            first.and_then(|first| queue.files.remove(&first));
        }
    }

    /// Closes one file: Windows cannot replace an open file on file systems without POSIX rename
    /// semantics.
    pub(super) fn close_one(&self, index: u32) {
        let mut queue = self.0.lock();
        queue.files.remove(&index);
        queue.order.retain(|it| *it != index);
    }

    /// Closes all files.
    pub(super) fn close(&self) {
        *self.0.lock() = Queue::default();
    }
}
