//! Hashing what an earlier process left on disk.

use std::sync::atomic::Ordering;

use super::lock::while_alive;
use super::work::Work;
use crate::counters::Phase;
use crate::error::Error;
use crate::mutex::Mutex;
use crate::storage::{Here, Partial};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::pieces::PieceSet;

/// Hashes the pieces that an earlier process left, and reports for each whether it is correct.
pub fn check(
    work: &Work<'_>,
    partial: &Partial,
    unchecked: &PieceSet,
    goes_on: &(dyn Fn() -> bool + Sync),
    said: &(dyn Fn(PieceIndex, bool) + Sync),
) {
    let pieces: Vec<_> = unchecked.iter().collect();
    while_alive(work.lock, &mut || partial.check(&pieces, goes_on, said));
}

/// Runs [`check`] to its end, and moves the correct pieces from `here.unchecked` to
/// `here.verified`.
///
/// # Errors
/// [`ErrorKind::Stopped`](crate::ErrorKind::Stopped).
pub fn check_first(work: &Work<'_>, partial: &Partial, here: &mut Here) -> Result<(), Error> {
    let Work { session, counters, resolved, .. } = work;
    let layout = resolved.layout();
    if here.unchecked.is_empty() {
        return Ok(());
    }
    let (needed, unchecked) = (layout.needed_bytes(), layout.bytes_of(&here.unchecked));
    counters.begin(Phase::Checking, needed - unchecked, needed);
    let right = Mutex::new(PieceSet::none(layout.geometry().piece_count()));
    check(work, partial, &here.unchecked, &|| !session.is_stopped(), &|piece, is_right| {
        if is_right {
            right.lock().insert(piece);
        }
        counters.done_bytes.fetch_add(layout.bytes_of_piece(piece), Ordering::Relaxed);
    });
    session.stop().check()?;
    let right = right.into_inner();
    here.verified.insert_all(&right);
    here.unchecked = PieceSet::none(layout.geometry().piece_count());
    Ok(())
}
