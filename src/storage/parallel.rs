//! Work on many pieces or files side by side.

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::error::Error;
use crate::mutex::Mutex;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::pieces::PieceSet;

/// What is done for one index, with a buffer of the thread's own that is empty at first.
pub type IndexedWork<'a> = dyn Fn(usize, &mut Vec<u8>) -> Result<(), Error> + Sync + 'a;

/// Calls `work` for each index below `count`, side by side on the current rayon pool.
///
/// Not generic: else each caller would have rayon's iterators compiled anew, and every user waits for that.
///
/// # Errors
/// One of `work`'s; then no further index is begun.
pub fn each(count: usize, work: &IndexedWork<'_>) -> Result<(), Error> {
    (0..count).into_par_iter().try_for_each_init(Vec::new, |buffer, index| work(index, buffer))
}

/// The pieces for which `is_right` holds, of those asked for, out of a torrent's `count`. As [`each`] otherwise.
pub(super) fn filter(
    pieces: &[PieceIndex],
    count: u32,
    is_right: &(dyn Fn(PieceIndex, &mut Vec<u8>) -> bool + Sync),
) -> PieceSet {
    let right = Mutex::new(PieceSet::none(count));
    // It does not fail, as the work does not.
    let _ = each(pieces.len(), &|index, buffer| {
        if is_right(pieces[index], buffer) {
            right.lock().insert(pieces[index]);
        }
        Ok(())
    });
    right.into_inner()
}
