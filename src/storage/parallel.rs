//! Parallel work on many pieces or files.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::error::Error;
use crate::mutex::Mutex;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::pieces::PieceSet;

/// Progress counter and stop flag of work on existing data.
#[derive(Clone, Copy, Debug)]
pub struct DiskWork<'a> {
    pub done_bytes: &'a AtomicU64,
    /// Set when the caller wants to stop the work.
    pub stopped: Option<&'a AtomicBool>,
}

impl<'a> DiskWork<'a> {
    /// Work that cannot be stopped.
    pub fn counting(done_bytes: &'a AtomicU64) -> DiskWork<'a> {
        DiskWork { done_bytes, stopped: None }
    }

    pub(super) fn did(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// # Errors
    /// [`crate::ErrorKind::Stopped`].
    pub(super) fn goes_on(&self) -> Result<(), Error> {
        match self.stopped.is_some_and(|stopped| stopped.load(Ordering::Acquire)) {
            true => Err(Error::stopped()),
            false => Ok(()),
        }
    }
}

/// The work for one index. The buffer belongs to the thread and is empty at first.
pub type IndexedWork<'a> = dyn Fn(usize, &mut Vec<u8>) -> Result<(), Error> + Sync + 'a;

/// Calls `work` for each index below `count`, in parallel on the current rayon pool.
///
/// Not generic: otherwise each caller would compile rayon's iterators anew, and every user waits
/// for that.
///
/// # Errors
/// One of `work`'s errors; after an error no further index is started.
pub fn each(count: usize, work: &IndexedWork<'_>) -> Result<(), Error> {
    (0..count).into_par_iter().try_for_each_init(Vec::new, |buffer, index| work(index, buffer))
}

/// Returns those of `pieces` for which `is_right` returns true; the torrent has `count` pieces.
/// Otherwise like [`each`].
///
/// # Errors
/// [`crate::ErrorKind::Stopped`].
pub(super) fn filter(
    pieces: &[PieceIndex],
    count: u32,
    work: DiskWork<'_>,
    is_right: &(dyn Fn(PieceIndex, &mut Vec<u8>) -> bool + Sync),
) -> Result<PieceSet, Error> {
    let right = Mutex::new(PieceSet::none(count));
    each(pieces.len(), &|index, buffer| {
        work.goes_on()?;
        if is_right(pieces[index], buffer) {
            right.lock().insert(pieces[index]);
        }
        Ok(())
    })?;
    Ok(right.into_inner())
}
