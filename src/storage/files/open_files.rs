//! The open files of a dataset: a torrent may have 100,000, and a process may open far fewer.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::mutex::Mutex;
use crate::process;

/// Open files of a dataset at a time.
const MAX_OPEN: usize = 128;

/// Open files of all datasets; [`process::descriptors`] has their limit.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Files by their index in the layout. The one that was opened first is closed first.
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
    /// The file, if it is open, and open for writing where that is asked for.
    pub(super) fn get(&self, index: u32, for_writing: bool) -> Option<Arc<File>> {
        let queue = self.0.lock();
        let opened = queue.files.get(&index).filter(|opened| opened.for_writing || !for_writing);
        opened.map(|opened| Arc::clone(&opened.file))
    }

    /// Keeps a file open, and closes others where there are too many.
    pub(super) fn keep(&self, index: u32, opened: OpenedFile) {
        let mut queue = self.0.lock();
        // One that is open for writing may have replaced what was opened for reading meanwhile.
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

    /// Closes one: Windows replaces no file that is open, where its file system does not do it as Unix does.
    pub(super) fn close_one(&self, index: u32) {
        let mut queue = self.0.lock();
        queue.files.remove(&index);
        queue.order.retain(|it| *it != index);
    }

    /// Closes all of them.
    pub(super) fn close(&self) {
        *self.0.lock() = Queue::default();
    }
}
