//! Connects to the first of a host's addresses that answers (RFC 8305, section 5).
//!
//! A network may silently drop everything sent over IPv6. Address families therefore alternate, and
//! if an address does not answer within a quarter of a second, the next one is tried in parallel.
//! Callers decide beforehand which addresses may be contacted.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::mutex::Mutex;

/// How long to wait for an address before trying the next in parallel: RFC 8305's recommendation.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The stack of a thread that only connects.
const CONNECT_STACK_BYTES: usize = 64 << 10;

/// How many slow addresses are remembered, over all hosts.
const MOST_SLOW: usize = 1024;

/// Makes connections and remembers addresses that did not answer in time, which are tried last from
/// then on.
#[derive(Clone, Debug, Default)]
pub struct HappyEyeballs {
    slow: Arc<Mutex<HashSet<IpAddr>>>,
}

impl HappyEyeballs {
    /// Connects to the first address that answers.
    ///
    /// # Errors
    /// The last failure, if no address accepted a connection within that time.
    pub fn connect(&self, addresses: &[SocketAddr], within: Duration) -> io::Result<TcpStream> {
        let ordered = self.ordered(addresses);
        let delay = ATTEMPT_DELAY.min(within / (1 + ordered.len() as u32)); // at most 16
        let mut failure = io::Error::from(io::ErrorKind::ConnectionRefused);
        let mut rest = &ordered[..];
        // Most hosts accept or refuse at once, so the first attempts need no thread.
        while let Some((address, others)) = rest.split_first() {
            let own = if others.is_empty() { within } else { delay };
            match TcpStream::connect_timeout(address, own.max(Duration::from_millis(1))) {
                Ok(stream) => return Ok(stream),
                Err(why) if is_silence(&why) && !others.is_empty() => {
                    self.remember(*address);
                    return self.race(rest, within.saturating_sub(delay), delay);
                }
                Err(why) => failure = why,
            }
            rest = others;
        }
        Err(failure)
    }

    /// Connects to all addresses, each started `delay` after the one before or as soon as an
    /// attempt fails, until one answers. The caller has already waited for the first.
    fn race(
        &self,
        addresses: &[SocketAddr],
        within: Duration,
        delay: Duration,
    ) -> io::Result<TcpStream> {
        let (tell, told) = channel();
        let mut failure = io::Error::from(io::ErrorKind::TimedOut);
        let (mut running, mut left) = (0, within);
        let mut waiting = addresses.iter().copied().enumerate().peekable();
        loop {
            if let Some((index, address)) = waiting.next() {
                let (tell, own) = (tell.clone(), left.max(Duration::from_millis(1)));
                let connect = move || {
                    // If another attempt was faster, nobody receives this connection, and dropping
                    // it closes it.
                    let _ = tell.send((address, TcpStream::connect_timeout(&address, own)));
                };
                let thread = std::thread::Builder::new().name("at-connect".to_owned());
                match thread.stack_size(CONNECT_STACK_BYTES).spawn(connect) {
                    Ok(_) => running += 1,
                    Err(why) => failure = why,
                }
                if index == 0 {
                    continue;
                }
            }
            if running == 0 && waiting.peek().is_none() {
                return Err(failure);
            }
            // The last attempts end by their own timeouts.
            let wait = if waiting.peek().is_some() { delay } else { left + ATTEMPT_DELAY };
            match told.recv_timeout(wait) {
                Ok((address, Ok(stream))) => {
                    self.slow.lock().remove(&address.ip());
                    return Ok(stream);
                }
                Ok((address, Err(why))) => {
                    if is_silence(&why) {
                        self.remember(address);
                    }
                    running -= 1;
                    failure = why;
                }
                Err(RecvTimeoutError::Timeout) if waiting.peek().is_some() => {
                    left = left.saturating_sub(delay);
                }
                Err(_) => return Err(failure),
            }
        }
    }

    /// Orders addresses by alternating families, beginning with that of the first address.
    /// Addresses that did not answer before are last.
    fn ordered(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
        let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
            addresses.iter().copied().partition(|address| address.is_ipv4() == first_is_v4);
        let mut ordered: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
        let (mut first, mut second) = (first.into_iter(), second.into_iter());
        while ordered.len() < addresses.len() {
            ordered.extend(first.next());
            ordered.extend(second.next());
        }
        let slow = self.slow.lock();
        ordered.sort_by_key(|address| slow.contains(&address.ip()));
        ordered
    }

    fn remember(&self, address: SocketAddr) {
        let mut slow = self.slow.lock();
        if slow.len() >= MOST_SLOW {
            slow.clear();
        }
        slow.insert(address.ip());
    }
}

fn is_silence(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn listener(ip: &str) -> TcpListener {
        TcpListener::bind((ip, 0)).unwrap()
    }

    /// An address that refuses connections at once.
    fn closed(ip: &str) -> SocketAddr {
        listener(ip).local_addr().unwrap()
    }

    /// An address that does not answer: its backlog is full.
    #[cfg(target_os = "linux")]
    struct Silence(SocketAddr, #[expect(dead_code, reason = "held")] Vec<TcpStream>, TcpListener);

    #[cfg(target_os = "linux")]
    impl Silence {
        fn at(ip: &str) -> Silence {
            let listener = listener(ip);
            let address = listener.local_addr().unwrap();
            let mut held = Vec::new();
            while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100))
            {
                held.push(stream);
                assert!(held.len() < 20_000);
            }
            Silence(address, held, listener)
        }
    }

    fn texts(addresses: &[SocketAddr]) -> Vec<String> {
        addresses.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn families_take_turns_and_slow_addresses_come_last() {
        let all: Vec<SocketAddr> = ["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1", "1.0.0.2:1"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let eyeballs = HappyEyeballs::default();
        let ordered = |addresses: &[SocketAddr]| texts(&eyeballs.ordered(addresses));
        assert_eq!(ordered(&all), ["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "[::3]:1"]);
        assert_eq!(ordered(&all[3..]), ["1.0.0.1:1", "1.0.0.2:1"]);
        assert_eq!(ordered(&[all[3], all[0]]), ["1.0.0.1:1", "[::1]:1"]);
        assert!(ordered(&[]).is_empty());
        eyeballs.remember(all[0]);
        eyeballs.remember(all[2]);
        assert_eq!(ordered(&all), ["1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "[::1]:1", "[::3]:1"]);
        assert_eq!(ordered(&all[..1]), ["[::1]:1"]);
    }

    #[test]
    fn an_address_that_refuses_costs_no_time() {
        let here = listener("127.0.0.1");
        let address = here.local_addr().unwrap();
        let eyeballs = HappyEyeballs::default();
        let begun = Instant::now();
        // Where there are several loopback addresses: ports of 127.0.0.1 may be given to other tests.
        let others = ["127.0.0.2", "127.0.0.3"];
        let nobody =
            others.map(|ip| closed(if cfg!(target_os = "macos") { "127.0.0.1" } else { ip }));
        let stream = eyeballs.connect(&[nobody[0], nobody[1], address], LONG).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        let refused = eyeballs.connect(&nobody, LONG).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(
            eyeballs.connect(&[], LONG).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_silent_address_is_joined_by_the_next_and_comes_last_from_then_on() {
        let (silent, silent_too) = (Silence::at("127.0.0.4"), Silence::at("127.0.0.5"));
        let here = listener("127.0.0.1");
        let address = here.local_addr().unwrap();
        let eyeballs = HappyEyeballs::default();
        let connect = |addresses: &[SocketAddr]| {
            let begun = Instant::now();
            let result = eyeballs.connect(addresses, LONG).map(|it| it.peer_addr().unwrap());
            (result.unwrap(), begun.elapsed())
        };
        let (reached, took) = connect(&[silent.0, address]);
        assert_eq!(reached, address);
        assert!(took >= ATTEMPT_DELAY && took < LONG / 2, "{took:?}");
        // From then on the silent address costs no time. The minimum of several runs excludes a
        // busy machine.
        let took = (0..20).map(|_| connect(&[silent.0, address]).1).min().unwrap();
        assert!(took < ATTEMPT_DELAY, "{took:?}");
        // Two silent addresses before the one that answers, and one that refuses between them.
        let other = HappyEyeballs::default();
        let begun = Instant::now();
        let nobody = closed("127.0.0.6");
        let all = [silent.0, nobody, silent_too.0, address];
        let reached = other.connect(&all, LONG).unwrap().peer_addr().unwrap();
        assert!(reached == address && begun.elapsed() < LONG / 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn where_nobody_answers_it_ends_in_time_and_a_late_answer_counts() {
        let within = Duration::from_millis(600);
        let silent = [Silence::at("127.0.0.7"), Silence::at("127.0.0.8"), Silence::at("127.0.0.9")];
        let addresses = [silent[0].0, silent[1].0, silent[2].0];
        let begun = Instant::now();
        let failure = HappyEyeballs::default().connect(&addresses, within).unwrap_err();
        assert!(is_silence(&failure), "{failure}");
        assert!(begun.elapsed() < 50 * within, "{:?}", begun.elapsed());
        // The first attempt continues beside the others: its backlog has room again after a while.
        let [first, second, _] = silent;
        let (at, other) = (first.0, second.0);
        let accepting = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            let accepted: Vec<_> = (0..10).map(|_| first.2.accept().unwrap()).collect();
            (first, accepted)
        });
        let reached = HappyEyeballs::default().connect(&[at, other], LONG).unwrap();
        assert_eq!(reached.peer_addr().unwrap(), at);
        drop(accepting.join().unwrap());
    }
}
