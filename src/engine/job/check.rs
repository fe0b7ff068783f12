//! Hashing what an earlier process left.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use super::work::Work;
use crate::counters::Phase;
use crate::engine::sources::event::WorkerEvent;
use crate::engine::sources::swarm::Swarm;
use crate::error::{Error, ErrorKind};
use crate::picker::Schedule;
use crate::storage::{Here, Partial};
use crate::torrent::geometry::PieceIndex;
use crate::torrent::pieces::PieceSet;

/// Bytes that are hashed at a time: other datasets' work in the same pool has its turn between two. But at least so many pieces for each
/// thread, since some wait for others at the end of each turn.
const TURN_BYTES: u64 = 64 << 20;
const TURN_PIECES: usize = 8;

/// Hashes what an earlier process left, and says of each piece whether it is right.
fn check(
    work: &Work<'_>,
    partial: &Partial,
    unchecked: &PieceSet,
    goes_on: &(dyn Fn() -> bool + Sync),
    said: &(dyn Fn(PieceIndex, bool) + Sync),
) -> Result<(), Error> {
    let pieces: Vec<_> = unchecked.iter().collect();
    let threads = work.session.hashing()?.current_num_threads();
    let by_bytes = TURN_BYTES / u64::from(work.resolved.layout().geometry().piece_bytes());
    let turn = usize::try_from(by_bytes).unwrap_or(usize::MAX).max(threads * TURN_PIECES);
    for pieces in pieces.chunks(turn) {
        if !goes_on() {
            break;
        }
        work.hashing(|| partial.check(pieces, goes_on, said))?;
    }
    Ok(())
}

/// [`check`] where nothing else is to be done meanwhile. Moves the pieces to where they belong.
///
/// # Errors
/// [`ErrorKind::Disk`] if there are no threads; [`ErrorKind::Network`] if the download was stopped.
pub fn check_first(work: &Work<'_>, partial: &Partial, here: &mut Here) -> Result<(), Error> {
    let Work { session, counters, resolved, .. } = work;
    let layout = resolved.layout();
    if here.unchecked.is_empty() {
        return Ok(());
    }
    counters.total_bytes.store(layout.needed_bytes(), Ordering::Relaxed);
    let unchecked_bytes = layout.bytes_of(&here.unchecked);
    counters.done_bytes.store(layout.needed_bytes() - unchecked_bytes, Ordering::Relaxed);
    counters.set_phase(Phase::Checking);
    let right = Mutex::new(PieceSet::none(layout.geometry().piece_count()));
    check(work, partial, &here.unchecked, &|| !session.host.is_stopped(), &|piece, is_right| {
        if is_right {
            right.lock().unwrap_or_else(PoisonError::into_inner).insert(piece);
        }
        counters.done_bytes.fetch_add(layout.bytes_of_piece(piece), Ordering::Relaxed);
    })?;
    if session.host.is_stopped() {
        return Err(Error::new(ErrorKind::Network, "the download was stopped"));
    }
    let right = right.into_inner().unwrap_or_else(PoisonError::into_inner);
    here.verified.insert_all(&right);
    here.unchecked = PieceSet::none(layout.geometry().piece_count());
    Ok(())
}

/// [`check`] while what is missing is being fetched.
pub fn check_meanwhile(work: &Work<'_>, swarm: &Swarm, unchecked: &PieceSet) {
    /// Who waits for the check must hear of its end, however that comes.
    struct CheckGuard<'a>(&'a Swarm);
    impl Drop for CheckGuard<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let what = "the check failed: this is a fault of academictorrents";
                self.0.disk_failed(Error::new(ErrorKind::Disk, what));
            }
        }
    }
    let guard = CheckGuard(swarm);
    let said = |piece, is_right| swarm.checked(piece, is_right);
    let checked = check(work, &swarm.partial, unchecked, &|| !swarm.is_over(), &said);
    drop(guard);
    if let Err(error) = checked {
        swarm.disk_failed(error);
    }
}

impl Swarm {
    /// A piece that an earlier process left was hashed.
    pub fn checked(&self, piece: PieceIndex, is_right: bool) {
        if !is_right {
            return self.tell(WorkerEvent::Damaged(piece));
        }
        let done = {
            let mut schedule = self.schedule();
            schedule.checked(piece);
            self.count(&schedule);
            schedule.is_done()
        };
        self.uploads.add(piece);
        self.end_if(done);
    }

    /// These pieces are damaged, and may be fetched.
    pub fn fetch_damaged(&self, pieces: &[PieceIndex]) {
        let mut schedule = self.schedule();
        pieces.iter().for_each(|piece| schedule.damaged(*piece));
        self.count(&schedule);
        drop(schedule);
        // The wait for a source begins now.
        self.skipped(0);
        self.wake();
    }

    /// What the bar shows: how much is present, or, when nothing more is to be fetched, how much is checked. Gives what it is then.
    pub fn count(&self, schedule: &Schedule) -> Phase {
        let (phase, left) = match schedule.wanted_bytes() {
            0 => (Phase::Checking, schedule.unchecked_bytes()),
            wanted => (Phase::Fetching, wanted),
        };
        let left = self.partial.layout().without_padding(left);
        let total = self.counters.total_bytes.load(Ordering::Relaxed);
        self.counters.done_bytes.store(total.saturating_sub(left), Ordering::Relaxed);
        phase
    }
}
