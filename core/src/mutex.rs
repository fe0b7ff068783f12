//! A mutex without poisoning, and a value that one thread creates. If a worker panics, only that
//! worker ends; the data that it shares with others stays valid.

#[cfg(feature = "fetch")]
use std::sync::{Condvar, OnceLock, TryLockError};
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

/// A value that is created on first use. Only one thread creates it, and the others wait; with
/// [`OnceLock`] alone, whose `get_or_try_init` is unstable, each would create a value.
#[cfg(feature = "fetch")]
#[derive(Debug)]
pub struct TryOnce<T> {
    value: OnceLock<T>,
    creating: Mutex<()>,
}

#[cfg(feature = "fetch")]
impl<T> TryOnce<T> {
    #[expect(clippy::new_without_default, reason = "it is created in statics")]
    pub const fn new() -> TryOnce<T> {
        TryOnce { value: OnceLock::new(), creating: Mutex::new(()) }
    }

    /// Returns the value. A later call tries again if `create` fails.
    ///
    /// # Errors
    /// The error of `create`.
    pub fn get_or_try_init<E>(&self, create: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let _creating = self.creating.lock();
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let created = create()?;
        Ok(self.value.get_or_init(|| created))
    }
}

#[cfg(all(test, feature = "fetch"))]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_value_is_created_once_however_many_ask_at_the_same_time() {
        let (once, tries, barrier) = (TryOnce::new(), AtomicUsize::new(0), Barrier::new(8));
        let create = || match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Err("refused"),
            _ => {
                // The others get here meanwhile, if they may.
                (0..1_000).for_each(|_| std::thread::yield_now());
                Ok(7)
            }
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let get = || {
                barrier.wait();
                once.get_or_try_init(create).copied()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(get)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|it| **it == Err("refused")).count(), 1);
        assert_eq!(results.iter().filter(|it| **it == Ok(7)).count(), 7);
        assert_eq!(tries.into_inner(), 2);
    }
}
