//! What of the store is to go: `gc`.

use std::time::{Duration, SystemTime};

use super::Desk;
use super::stock::Stocked;
use super::usage::{Usage, Use};
use crate::error::Error;
use crate::store::{Held, HeldKind, Ledger, Leftover};

/// What `gc` may remove. Without any of it: what projects used, and none uses any more.
#[derive(Clone, Debug, Default)]
pub struct GcOptions {
    /// Also what no project is known to have used.
    pub unknown: bool,
    /// Also what projects use.
    pub all: bool,
    /// Only what was not used for so long.
    pub older_than: Option<Duration>,
    /// Only until no more than this is held, what was not used for longest first.
    pub max_bytes: Option<u64>,
    /// Remove nothing.
    pub dry_run: bool,
}

/// What became of something that was to go.
#[derive(Clone, Debug)]
pub enum Removal {
    /// Removed, or would be, with so many bytes freed: none where other names hold the same bytes.
    Removed {
        /// On the disk.
        freed_bytes: u64,
    },
    /// A process fetches or checks it.
    Locked {
        /// Where it is known.
        process: Option<u32>,
    },
    /// It, or a part of it, is still there.
    Failed(Error),
}

/// A dataset that was to go.
#[derive(Clone, Debug)]
pub struct Collected {
    /// As it was before.
    pub dataset: Stocked,
    /// What became of it.
    pub outcome: Removal,
}

/// What `gc` did.
#[derive(Clone, Debug, Default)]
pub struct Gc {
    /// What was not used for longest first.
    pub datasets: Vec<Collected>,
    /// Left by processes that were killed, and stamps of copies that are gone.
    pub leftovers: Vec<(Leftover, Removal)>,
    /// In all.
    pub freed_bytes: u64,
    /// What the store's datasets hold now, or would, on the disk.
    pub held_bytes: u64,
    /// Datasets that stay, since a project uses them.
    pub used: usize,
    /// … since no project is known to have used them.
    pub unknown: usize,
    /// … since they were used not long ago.
    pub recent: usize,
    /// … since the store is small enough.
    pub enough: usize,
}

impl Desk {
    /// Collects.
    #[must_use]
    pub fn gc(&self, options: &GcOptions) -> Gc {
        let mut gc = Gc::default();
        // First, since a new leftover may have the name of an old one.
        for leftover in self.store.leftovers(SystemTime::now()) {
            self.sweep(leftover, options, &mut gc);
        }
        let usage = Usage::of(self);
        let inventory = self.store.inventory();
        let mut ledger = Ledger::of(inventory.iter());
        let mut candidates = Vec::new();
        for held in &inventory {
            let stocked = self.stocked(held, &usage);
            let kept = match stocked.used.by {
                Use::Used if !options.all => Some(&mut gc.used),
                Use::Unknown if !options.all && !options.unknown => Some(&mut gc.unknown),
                _ if !is_old(&stocked, options.older_than) => Some(&mut gc.recent),
                _ => None,
            };
            match kept {
                Some(kept) => *kept += 1,
                // What a declared dataset is fetched with again costs next to nothing.
                None if held.kind == HeldKind::Torrent
                    && !options.all
                    && usage.declares(held.infohash) =>
                {
                    gc.used += 1;
                }
                None => candidates.push((stocked, held)),
            }
        }
        candidates.sort_by(|(a, _), (b, _)| (a.last_use, &a.id).cmp(&(b.last_use, &b.id)));
        for (dataset, held) in candidates {
            if options.max_bytes.is_some_and(|max| ledger.held_bytes <= max) {
                gc.enough += 1;
                continue;
            }
            let outcome = match self.collect(held, &usage, options) {
                Ok(Ok(torrent_bytes)) => {
                    let freed_bytes = ledger.free(held) + torrent_bytes;
                    gc.freed_bytes += freed_bytes;
                    Removal::Removed { freed_bytes }
                }
                Ok(Err(process)) => Removal::Locked { process },
                Err(error) => Removal::Failed(error),
            };
            gc.datasets.push(Collected { dataset, outcome });
        }
        gc.held_bytes = ledger.held_bytes;
        if !options.dry_run {
            self.forget(&usage);
        }
        gc
    }

    /// Gives the bytes of the `.torrent` that went with it, or who holds the lock.
    fn collect(
        &self,
        held: &Held,
        usage: &Usage,
        options: &GcOptions,
    ) -> Result<Result<u64, Option<u32>>, Error> {
        if options.dry_run {
            return Ok(self.store.locked(held.infohash).map_or(Ok(0), |by| Err(by.process)));
        }
        if let Err(waiting) = self.store.remove(held)? {
            return Ok(Err(waiting.process));
        }
        if usage.declares(held.infohash) && !options.all {
            return Ok(Ok(0));
        }
        self.store.remove_torrent_alone(held.infohash).map(Ok)
    }

    fn sweep(&self, leftover: Leftover, options: &GcOptions, gc: &mut Gc) {
        let removed =
            if options.dry_run { Ok(true) } else { self.store.remove_leftover(&leftover) };
        let outcome = match removed {
            Ok(true) => {
                gc.freed_bytes += leftover.bytes;
                Removal::Removed { freed_bytes: leftover.bytes }
            }
            Ok(false) => Removal::Locked { process: None },
            Err(error) => Removal::Failed(error),
        };
        gc.leftovers.push((leftover, outcome));
    }

    /// Projects that are gone, and nothing of what they used is here.
    fn forget(&self, usage: &Usage) {
        let left: Vec<String> = self.store.inventory().into_iter().map(|held| held.id).collect();
        for root in usage.gone().filter(|root| !root.ids.iter().any(|id| left.contains(id))) {
            let _ = self.store.remove_root(root); // one that stays says nothing of what is here
        }
    }
}

/// One of the future is a wrong clock's, and counts as new.
fn is_old(stocked: &Stocked, least: Option<Duration>) -> bool {
    least.is_none_or(|least| stocked.age.is_some_and(|age| age >= least))
}
