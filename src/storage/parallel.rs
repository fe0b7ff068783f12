//! Parallel work on many pieces or files.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

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

/// The number of cores that this process may use.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// The number of threads that help callers of [`each`].
struct Helpers(AtomicUsize);

/// Those of the whole process.
static HELPERS: Helpers = Helpers(AtomicUsize::new(0));

/// A thread that helps; it no longer counts when it is dropped.
struct Helper<'a>(&'a Helpers);

impl Helpers {
    /// Returns `None` if there is a helper for each core but one, which the caller uses.
    fn begin(&self) -> Option<Helper<'_>> {
        let more = |helpers: usize| (helpers + 1 < cores()).then_some(helpers + 1);
        let begun = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        begun.ok().map(|_| Helper(self))
    }
}

impl Drop for Helper<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Calls `work` for each index below `count`, in ascending order, on this thread and on the helpers
/// that no other caller uses.
///
/// # Errors
/// One of `work`'s errors; after an error no further index is started.
pub fn each(count: usize, work: &IndexedWork<'_>) -> Result<(), Error> {
    each_with(&HELPERS, count, work)
}

/// Not generic: otherwise each caller would compile the threads' code anew, and every user waits
/// for that.
fn each_with(helpers: &Helpers, count: usize, work: &IndexedWork<'_>) -> Result<(), Error> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let work_on = |before_each: &dyn Fn()| {
        let mut buffer = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            before_each();
            if let Err(error) = work(index, &mut buffer) {
                next.store(count, Ordering::Relaxed);
                failed.lock().get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = Cell::new(1);
        // Repeatedly, since other callers end.
        let get_help = || {
            while workers.get() < count {
                let Some(helper) = helpers.begin() else { break };
                workers.set(workers.get() + 1);
                let help = move || {
                    let _helper = helper;
                    work_on(&|| {});
                };
                let thread = std::thread::Builder::new().name("at-hash".to_owned());
                if thread.spawn_scoped(scope, help).is_err() {
                    workers.set(count); // this thread does the rest alone
                }
            }
        };
        work_on(&get_help);
    });
    failed.into_inner().map_or(Ok(()), Err)
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

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn each_index_is_worked_on_once() {
        for count in [0, 1, 2, 1000] {
            let calls: Vec<_> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            each(count, &|index, _| {
                calls[index].fetch_add(1, Ordering::Relaxed);
                Ok(())
            })
            .unwrap();
            assert!(calls.iter().all(|calls| calls.load(Ordering::Relaxed) == 1), "{count}");
        }
    }

    #[test]
    fn no_index_is_started_after_an_error() {
        let (helpers, started) = (Helpers(AtomicUsize::new(0)), AtomicUsize::new(0));
        let _busy: Vec<_> = std::iter::from_fn(|| helpers.begin()).collect();
        let failed = each_with(&helpers, 10, &|index, _| {
            started.fetch_add(1, Ordering::Relaxed);
            if index == 3 { Err(Error::new(ErrorKind::Disk, "third")) } else { Ok(()) }
        });
        assert_eq!(failed.unwrap_err().what(), "third");
        assert_eq!(started.into_inner(), 4);
    }

    #[test]
    fn a_caller_is_helped_as_soon_as_another_has_ended() {
        let helpers = Helpers(AtomicUsize::new(0));
        let busy: Vec<_> = std::iter::from_fn(|| helpers.begin()).collect();
        assert_eq!(busy.len(), cores() - 1);
        if busy.is_empty() {
            return; // a single core: nobody helps
        }
        let (busy, meeting) = (Mutex::new(Some(busy)), Barrier::new(2));
        // The last two can only end together.
        let work = |index, _: &mut Vec<u8>| {
            match index {
                0 => drop(busy.lock().take()),
                _ => drop(meeting.wait()),
            }
            Ok(())
        };
        each_with(&helpers, 3, &work).unwrap();
        assert_eq!(helpers.0.load(Ordering::Relaxed), 0);
    }
}
