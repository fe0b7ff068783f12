//! Counts connections against a total limit and a limit per key, such as a host.
//!
//! A connection counts for as long as its [`Permit`] lives. A panicking thread drops its permit
//! too.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::mutex::Mutex;

/// Counts connections by key. Clones share their counts.
#[derive(Clone, Debug)]
pub struct ConnectionLimiter<K>(Arc<Mutex<Counts<K>>>);

#[derive(Debug)]
struct Counts<K> {
    all: usize,
    by_key: HashMap<K, usize>,
}

/// The right to one connection. Dropping it returns it.
#[derive(Debug)]
pub struct Permit<K: Eq + Hash> {
    counts: Arc<Mutex<Counts<K>>>,
    pub key: K,
}

impl<K> Default for ConnectionLimiter<K> {
    fn default() -> ConnectionLimiter<K> {
        let counts = Counts { all: 0, by_key: HashMap::new() };
        ConnectionLimiter(Arc::new(Mutex::new(counts)))
    }
}

impl<K: Eq + Hash + Clone> ConnectionLimiter<K> {
    /// Returns a permit if there are fewer than `most` permits in total and fewer than
    /// `most_of_key` with this key.
    pub fn admit(&self, key: K, most: usize, most_of_key: usize) -> Option<Permit<K>> {
        let mut counts = self.0.lock();
        let of_key = counts.by_key.get(&key).copied().unwrap_or(0);
        if counts.all >= most || of_key >= most_of_key {
            return None;
        }
        counts.all += 1;
        counts.by_key.insert(key.clone(), of_key + 1);
        drop(counts);
        Some(Permit { counts: Arc::clone(&self.0), key })
    }

    /// The number of permits in use.
    pub fn count(&self) -> usize {
        self.0.lock().all
    }
}

impl<K: Eq + Hash> Permit<K> {}

impl<K: Eq + Hash> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.all -= 1;
        match counts.by_key.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.by_key.remove(&self.key)),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "seed")]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::address::host;
    use crate::engine::budget::guests_per_host;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn admit(
        guests: &ConnectionLimiter<IpAddr>,
        from: &str,
        places: usize,
    ) -> Option<Permit<IpAddr>> {
        guests.admit(host(ip(from)), places, guests_per_host(places))
    }

    /// Permits for `from` until the limiter refuses.
    fn fill(guests: &ConnectionLimiter<IpAddr>, from: &str, places: usize) -> Vec<Permit<IpAddr>> {
        std::iter::from_fn(|| admit(guests, from, places)).collect()
    }

    #[test]
    fn a_host_has_a_quarter_of_all_places_and_eight_at_least() {
        let check = |places, of_host| {
            let guests = ConnectionLimiter::default();
            assert_eq!(fill(&guests, "192.0.2.1", places).len(), of_host, "of {places}");
            assert_eq!(guests.count(), 0);
        };
        check(1, 1);
        check(2, 2);
        check(8, 8);
        check(20, 8);
        check(50, 13);
        check(200, 50);
        check(4_000, 1_000);
    }

    #[test]
    fn the_others_have_what_one_cannot_take_and_no_more_than_there_is() {
        let guests = ConnectionLimiter::default();
        let first = fill(&guests, "192.0.2.1", 20);
        let second = fill(&guests, "192.0.2.2", 20);
        let third = fill(&guests, "192.0.2.3", 20);
        assert_eq!((first.len(), second.len(), third.len()), (8, 8, 4));
        assert!(admit(&guests, "192.0.2.4", 20).is_none());
        drop(first);
        assert_eq!(fill(&guests, "192.0.2.4", 20).len(), 8);
        assert_eq!(guests.count(), 12);
    }

    #[test]
    fn a_host_with_many_addresses_is_one() {
        let check = |address: &str, is_of: &str| assert_eq!(host(ip(address)), ip(is_of));
        check("192.0.2.1", "192.0.2.1");
        check("::ffff:192.0.2.1", "192.0.2.1");
        check("2001:db8:1:2::1", "2001:db8:1:2::");
        check("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::");
        check("2001:db8:1:3::1", "2001:db8:1:3::");
        check("::1", "::");
        let guests = ConnectionLimiter::default();
        let v4 = fill(&guests, "192.0.2.1", 100);
        assert!(admit(&guests, "::ffff:192.0.2.1", 100).is_none());
        assert_eq!((v4.len(), fill(&guests, "2001:db8::1", 100).len()), (25, 25));
    }

    #[test]
    fn who_panics_has_left() {
        let guests = ConnectionLimiter::default();
        let stays = admit(&guests, "192.0.2.1", 10);
        let guest = admit(&guests, "192.0.2.1", 10);
        let visit = std::thread::spawn(move || {
            let _guest = guest;
            // prints nothing, unlike `panic!`
            std::panic::resume_unwind(Box::new("a visitor's fault"));
        });
        assert!(visit.join().is_err());
        assert_eq!(guests.count(), 1);
        drop(stays);
        assert!(guests.count() == 0 && guests.0.lock().by_key.is_empty());
    }
}
