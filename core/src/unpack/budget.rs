//! Limits how much may be unpacked: bytes, plus a fixed amount for each file, directory and link.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::plan::{ENTRY_BYTES, MAX_ENTRIES};

/// The part of a limit that the archives of a dataset have used so far.
pub struct UnpackBudget<'a> {
    /// `u64::MAX` if no limit was set.
    limit: u64,
    bytes: AtomicU64,
    entries: AtomicU64,
    /// Creates the error for exceeding the limit, given the number of bytes counted so far.
    refuse: &'a (dyn Fn(u64) -> Error + Sync),
}

impl<'a> UnpackBudget<'a> {
    pub fn new(limit: u64, refuse: &'a (dyn Fn(u64) -> Error + Sync)) -> UnpackBudget<'a> {
        UnpackBudget { limit, bytes: AtomicU64::new(0), entries: AtomicU64::new(0), refuse }
    }

    /// Counts these bytes and entries.
    ///
    /// # Errors
    /// The one from `refuse`, if the limit is exceeded.
    pub fn take(&self, bytes: u64, entries: u64) -> Result<(), Error> {
        let add = |to: &AtomicU64, more| to.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        self.check(add(&self.bytes, bytes), add(&self.entries, entries))
    }

    /// Checks that this much is left, without counting it.
    ///
    /// # Errors
    /// As for [`UnpackBudget::take`].
    pub fn expect(&self, bytes: u64, entries: u64) -> Result<(), Error> {
        let of = |taken: &AtomicU64, more| taken.load(Ordering::Relaxed).saturating_add(more);
        self.check(of(&self.bytes, bytes), of(&self.entries, entries))
    }

    fn check(&self, bytes: u64, entries: u64) -> Result<(), Error> {
        let counted = bytes.saturating_add(entries.saturating_mul(ENTRY_BYTES));
        let is_too_much = counted > self.limit || (self.limit == u64::MAX && entries > MAX_ENTRIES);
        if is_too_much { Err((self.refuse)(counted)) } else { Ok(()) }
    }
}
