//! Who is connected, and that no host takes all places.
//!
//! A guest is counted for as long as its [`Guest`] lives: a thread that panics drops it as well.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One host may have a quarter of all places: three others can do the same, and all are served.
const HOSTS: usize = 4;

/// So many places one host may have in any case: behind the address of a university are several who want the same. A
/// seed that has no more than these for all gives them to whoever comes first.
const LEAST: usize = 8;

/// The places that one host may have of so many.
fn most_per_host(places: usize) -> usize {
    places.div_ceil(HOSTS).max(LEAST).min(places)
}

/// Which host an address is of: IPv4 within IPv6 is IPv4, and of IPv6 it is the /64, from which one host may choose as
/// many addresses as it likes.
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// The peers that are connected: to a seed, or for one of its datasets.
#[derive(Debug, Default)]
pub struct Guests(Mutex<HashMap<IpAddr, usize>>);

/// One of them; it leaves where this is dropped.
#[derive(Debug)]
pub struct Guest {
    guests: Arc<Guests>,
    host: IpAddr,
}

impl Guests {
    /// Takes in who comes from there, where there are so many places in all; `None` where none is left for it.
    pub fn admit(self: &Arc<Guests>, from: IpAddr, places: usize) -> Option<Guest> {
        let host = host(from);
        let mut here = self.here();
        let all: usize = here.values().sum();
        let of_host = here.get(&host).copied().unwrap_or(0);
        if all >= places || of_host >= most_per_host(places) {
            return None;
        }
        here.insert(host, of_host + 1);
        Some(Guest { guests: Arc::clone(self), host })
    }

    /// How many are here.
    pub fn count(&self) -> usize {
        self.here().values().sum()
    }

    fn here(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// The host that it is from: of IPv6 the first address of the /64.
    pub fn host(&self) -> IpAddr {
        self.host
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut here = self.guests.here();
        match here.get_mut(&self.host) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(here.remove(&self.host)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// As many as are let in from there.
    fn fill(guests: &Arc<Guests>, from: &str, places: usize) -> Vec<Guest> {
        std::iter::from_fn(|| guests.admit(ip(from), places)).collect()
    }

    #[test]
    fn a_host_has_a_quarter_of_all_places_and_eight_at_least() {
        let check = |places, of_host| {
            let guests = Arc::default();
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
        let guests = Arc::default();
        let first = fill(&guests, "192.0.2.1", 20);
        let second = fill(&guests, "192.0.2.2", 20);
        let third = fill(&guests, "192.0.2.3", 20);
        assert_eq!((first.len(), second.len(), third.len()), (8, 8, 4));
        assert!(guests.admit(ip("192.0.2.4"), 20).is_none());
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
        let guests = Arc::default();
        let v4 = fill(&guests, "192.0.2.1", 100);
        assert!(guests.admit(ip("::ffff:192.0.2.1"), 100).is_none());
        assert_eq!((v4.len(), fill(&guests, "2001:db8::1", 100).len()), (25, 25));
    }

    #[test]
    fn who_panics_has_left() {
        let guests: Arc<Guests> = Arc::default();
        let stays = guests.admit(ip("192.0.2.1"), 10);
        let guest = guests.admit(ip("192.0.2.1"), 10);
        let visit = std::thread::spawn(move || {
            let _guest = guest;
            std::panic::resume_unwind(Box::new("a visitor's fault")); // prints nothing
        });
        assert!(visit.join().is_err());
        assert_eq!(guests.count(), 1);
        drop(stays);
        assert!(guests.count() == 0 && guests.here().is_empty());
    }
}
