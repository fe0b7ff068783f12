//! A dataset that is being provided, and operations on its files.

use super::lock::while_alive;
use crate::engine::resolve::Resolved;
use crate::engine::session::{Session, SharedCounters};
use crate::error::Error;
use crate::manifest::Request;
use crate::storage::{DiskWork, LocalCopy, Lock};

/// A dataset that is not complete yet, with everything that is known about it. The caller holds the
/// lock.
pub struct Work<'a> {
    pub session: &'a Session<'a>,
    pub request: &'a Request,
    pub counters: &'a SharedCounters,
    pub lock: &'a Lock,
    pub resolved: &'a Resolved,
}

impl Work<'_> {
    /// Runs work on files, and meanwhile shows processes that wait for the lock that this one is
    /// alive.
    ///
    /// # Errors
    /// Those of the work.
    pub fn while_alive<T>(&self, mut work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let mut result = Err(Error::stopped());
        while_alive(self.lock, &mut || result = work());
        result
    }

    pub fn disk_work(&self) -> DiskWork<'_> {
        self.session.disk_work(self.counters)
    }

    /// Hashes what is at the dataset's location.
    ///
    /// # Errors
    /// [`ErrorKind::Stopped`].
    pub fn existing(&self) -> Result<Option<LocalCopy>, Error> {
        let (target, work) = (self.session.target(self.request), self.disk_work());
        let Resolved { metainfo, .. } = self.resolved;
        let (id, layout) = (self.resolved.id(), self.resolved.layout());
        self.counters.begin_checking(layout.needed_bytes());
        self.while_alive(|| LocalCopy::in_place(target, id, metainfo, layout, work))
    }

    /// If the hashed data is complete, stamps it and returns true. If it is damaged, removes its
    /// stamp, and those of selections and trees that share a damaged file.
    pub fn is_stamped(&self, existing: Option<&LocalCopy>) -> Result<bool, Error> {
        let (target, pins) = (self.session.target(self.request), &self.request.sha256);
        let id = self.resolved.id();
        match existing {
            Some(complete) if complete.is_complete() => {
                self.while_alive(|| complete.stamp(target, id, pins))?;
                Ok(true)
            }
            Some(damaged) => {
                if let Some(store) = target.store() {
                    store.remove_stamp(id)?;
                    let (infohash, paths) =
                        (self.resolved.metainfo.infohash, damaged.faulty_paths());
                    store.unstamp_links(infohash, id, &paths)?;
                }
                Ok(false)
            }
            None => Ok(false),
        }
    }
}
