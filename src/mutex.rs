//! A mutex without poisoning. If a worker panics, only that worker ends; the data that it shares
//! with others stays valid.

#[cfg(feature = "fetch")]
use std::sync::{Condvar, TryLockError};
use std::sync::{MutexGuard, PoisonError};
#[cfg(feature = "fetch")]
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(std::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `None` if another thread holds the lock.
    #[cfg(feature = "fetch")]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a notification, at most for `within`.
#[cfg(feature = "fetch")]
pub fn wait<'a, T>(
    told: &Condvar,
    guard: MutexGuard<'a, T>,
    within: Duration,
) -> MutexGuard<'a, T> {
    told.wait_timeout(guard, within).unwrap_or_else(PoisonError::into_inner).0
}
