//! How much may be unpacked: bytes, and so much for each file, directory and link.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::plan::{ENTRY_BYTES, MAX_ENTRIES};

/// How much of a limit is used, by all archives of a dataset.
pub struct UnpackBudget<'a> {
    /// `u64::MAX` where nobody gave one.
    limit: u64,
    bytes: AtomicU64,
    entries: AtomicU64,
    /// Refuses more, given what a limit must allow, as far as that is known.
    refuse: &'a (dyn Fn(u64) -> Error + Sync),
}

impl<'a> UnpackBudget<'a> {
    pub fn new(limit: u64, refuse: &'a (dyn Fn(u64) -> Error + Sync)) -> UnpackBudget<'a> {
        UnpackBudget { limit, bytes: AtomicU64::new(0), entries: AtomicU64::new(0), refuse }
    }

    /// Takes this of it.
    ///
    /// # Errors
    /// The one that was given, where that is too much.
    pub fn take(&self, bytes: u64, entries: u64) -> Result<(), Error> {
        let add = |to: &AtomicU64, more| to.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        self.check(add(&self.bytes, bytes), add(&self.entries, entries))
    }

    /// Whether there is so much of it left.
    ///
    /// # Errors
    /// As above.
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
