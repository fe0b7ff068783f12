//! What a dataset lacks, independent of the source: how much is missing, whether it may be fetched,
//! and which parts copies can provide.

use std::sync::atomic::Ordering;

use super::check::check_first;
use super::elsewhere;
use super::space;
use super::work::Work;
use crate::counters::Phase;
use crate::engine::fetch_policy;
use crate::error::Error;
use crate::plan::{self, Layout};
use crate::storage::{Here, LocalCopy, Partial};
use crate::torrent::pieces::PieceSet;

/// What a dataset lacks, and why that may be more than before.
pub struct Lack {
    /// Bytes to fetch in total.
    pub bytes: u64,
    /// The part of `bytes` that an earlier process left and that is damaged.
    pub damaged_bytes: u64,
    /// The part of `bytes` that belongs to files that are not selected.
    pub scratch_bytes: u64,
    /// Bytes that are still missing.
    pub missing_bytes: u64,
    /// Files and directories to create, even if no byte is missing.
    pub entries: u64,
}

/// Checks that the missing data may be fetched and fits on the disk.
///
/// # Errors
/// The reason why it may not.
pub fn may_fetch(work: &Work<'_>, partial: &Partial, lack: &Lack) -> Result<(), Error> {
    let Work { session, request, counters, resolved, .. } = work;
    let limit = plan::Limit {
        requested: request.max_size_bytes,
        user: session.settings.max_size_bytes,
        origin: &request.origin,
        foreign: session.foreign,
    };
    let user_by = session.settings.configured.place_of("MAX_SIZE");
    let needed = resolved.layout().needed_bytes();
    let name = counters.name.as_str();
    if lack.missing_bytes == 0 {
        return limit.check(name, 0, lack.entries, &user_by);
    }
    fetch_policy::check(session, request, &format!("{} are", crate::size::display(lack.bytes)))
        .and_then(|()| limit.check(name, lack.bytes, lack.entries, &user_by))
        .and_then(|()| {
            space::check(
                partial,
                session,
                request,
                needed.saturating_sub(lack.missing_bytes),
                lack.missing_bytes,
            )
        })
        .map_err(|error| lack.explain(error))
}

impl Lack {
    pub fn of(layout: &Layout, wanted: &PieceSet, damaged_bytes: u64) -> Lack {
        let (bytes, entries) = (layout.bytes_of(wanted), layout.entries_of(wanted));
        let scratch_bytes = layout.scratch_bytes_of(wanted);
        let damaged_bytes = damaged_bytes.min(bytes);
        Lack { bytes, damaged_bytes, scratch_bytes, missing_bytes: bytes, entries }
    }

    pub fn explain(&self, error: Error) -> Error {
        let error = match plan::of_other_files(self.bytes, self.scratch_bytes) {
            Some(part) => error.why(part),
            None => error,
        };
        match self.damaged_bytes {
            0 => error,
            damaged => error.why(format!(
                "{} that an earlier run downloaded have changed on disk and are downloaded again",
                crate::size::display(damaged)
            )),
        }
    }
}

/// Copies the wanted pieces that `copies` have, if the rest may be fetched. The check comes before
/// anything is written, because writing may move the user's files.
pub fn take(
    work: &Work<'_>,
    partial: &Partial,
    mut copies: Vec<LocalCopy>,
    wanted: &mut PieceSet,
    may_fetch: &dyn Fn(&PieceSet) -> Result<(), Error>,
) -> Result<(), Error> {
    let done_bytes = &work.counters.done_bytes;
    let mut lacking = wanted.clone();
    for copy in &mut copies {
        if partial.would_move_files() && !copy.is_hashed() {
            done_bytes.store(0, Ordering::Relaxed);
            work.while_alive(|| copy.hash(work.disk_work()))?;
        }
        lacking.remove_all(copy.pieces());
    }
    may_fetch(&lacking)?;
    for copy in &copies {
        done_bytes.store(0, Ordering::Relaxed);
        let taken = work.while_alive(|| partial.take(copy, wanted, work.disk_work()))?;
        wanted.remove_all(&taken);
    }
    // A copy that was not hashed, or has changed, may have provided less than expected.
    if copies.is_empty() { Ok(()) } else { may_fetch(wanted) }
}

/// A download that was opened: what is on disk, and what is missing.
pub struct Begun {
    pub partial: Partial,
    pub here: Here,
    pub wanted: PieceSet,
    /// Damaged bytes among those that an earlier process left.
    pub damaged_bytes: u64,
}

impl Begun {
    /// Opens the partial download. If nothing seems to be missing, or there are copies, what an
    /// earlier process left is hashed first. Other selections of the torrent are added to the
    /// copies.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn new(
        work: &Work<'_>,
        copies: &mut Vec<LocalCopy>,
        existing: Option<&LocalCopy>,
    ) -> Result<Begun, Error> {
        let Work { session, request, resolved, .. } = work;
        let (metainfo, layout, id) = (&resolved.metainfo, resolved.layout(), resolved.id());
        let target = session.target(request);
        let open = || Partial::open(target, id, metainfo, layout, existing, request.hash_again);
        let (partial, mut here) = work.while_alive(open)?;
        let wanted = |here: &Here| {
            let mut wanted = layout.needed();
            wanted.remove_all(&here.verified);
            wanted.remove_all(&here.unchecked);
            wanted
        };
        copies.extend(elsewhere::selections(work, &wanted(&here)));
        let mut damaged_bytes = 0;
        if wanted(&here).is_empty() || !copies.is_empty() {
            let before = layout.bytes_of(&wanted(&here));
            check_first(work, &partial, &mut here)?;
            damaged_bytes = layout.bytes_of(&wanted(&here)) - before;
        }
        let wanted = wanted(&here);
        Ok(Begun { partial, here, wanted, damaged_bytes })
    }
}

/// Begins a phase with `missing_bytes` still missing.
pub fn begin(work: &Work<'_>, phase: Phase, missing_bytes: u64) {
    let needed = work.resolved.layout().needed_bytes();
    work.counters.begin(phase, needed.saturating_sub(missing_bytes), needed);
}
