//! Hashing what an earlier process left on disk, while missing data is being fetched.

use super::check::check;
use super::work::Work;
use crate::counters::Phase;
use crate::engine::sources::event::WorkerEvent;
use crate::engine::sources::swarm::Swarm;
use crate::error::{Error, ErrorKind};
use crate::picker::Schedule;
use crate::torrent::geometry::PieceIndex;
use crate::torrent::pieces::PieceSet;

/// Runs [`check()`] while missing data is being fetched, and reports to the swarm.
pub fn check_meanwhile(work: &Work<'_>, swarm: &Swarm, unchecked: &PieceSet) {
    /// Reports a panic of the check: the coordinator waits for its end.
    struct CheckGuard<'a>(&'a Swarm);
    impl Drop for CheckGuard<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let what = "the check failed: this is a bug in academictorrents";
                self.0.disk_failed(Error::new(ErrorKind::Disk, what));
            }
        }
    }
    let _guard = CheckGuard(swarm);
    let said = |piece, is_right| swarm.checked(piece, is_right);
    check(work, &swarm.partial, unchecked, &|| !swarm.is_over(), &said);
}

impl Swarm {
    /// Handles the hash result of a piece that an earlier process left.
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

    /// Marks damaged pieces as missing, so that they are fetched again.
    pub fn fetch_damaged(&self, pieces: &[PieceIndex]) {
        let mut schedule = self.schedule();
        pieces.iter().for_each(|piece| schedule.damaged(*piece));
        self.count(&schedule);
        drop(schedule);
        // The wait for a source starts now.
        self.skipped(0);
        self.wake();
    }

    /// Updates the progress bar: how much is present or, if nothing is left to fetch, how much is
    /// checked. Returns the phase.
    pub fn count(&self, schedule: &Schedule) -> Phase {
        let (phase, left) = match schedule.wanted_bytes() {
            0 if schedule.is_done() => (self.counters.phase(), 0),
            0 => (Phase::Checking, schedule.unchecked_bytes()),
            wanted => (Phase::Fetching, wanted),
        };
        self.counters.count(phase, self.partial.layout().without_padding(left));
        phase
    }
}
