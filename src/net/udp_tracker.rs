//! A UDP tracker's sockets (BEP 15).
//!
//! A tracker with addresses of both families is asked over IPv4 and IPv6 side by side: over each it names peers of that
//! family alone. The sockets are connected, so that only the tracker is heard, and that its port is closed is told at once.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Client;
use super::http::io_reason;
use super::peer::resolve;
use crate::protocol::tracker::{Announce, AnnounceEvent, Reply};
use crate::protocol::udp_tracker::{Poll, Session, parts};

#[cfg(test)]
mod tests;

/// How often a wait looks around: whether it is of use still, and at the other family's socket.
const SLICE: Duration = Duration::from_millis(20);

/// Addresses of a family that are tried.
const MAX_ADDRESSES: usize = 8;

/// No datagram is longer.
const DATAGRAM_BYTES: usize = 64 << 10;

/// What is known of a tracker from one announce to the next.
#[derive(Debug, Default)]
pub struct UdpTracker {
    /// One for each family; empty until the host is looked up.
    endpoints: Vec<Endpoint>,
}

/// A tracker's addresses of one family.
#[derive(Debug)]
struct Endpoint {
    /// The one that is asked is the first.
    addresses: Vec<SocketAddr>,
    /// Those of them that were found dead by the announce under way.
    dead: usize,
    socket: Option<UdpSocket>,
    session: Session,
    /// It has answered an announce, and is to be told that we leave.
    knows_us: bool,
}

/// How one announce goes at an endpoint.
enum Step {
    Waits,
    Answered(Reply),
    Failed(String),
}

impl UdpTracker {
    /// Announces, with one try for each family; the next call waits twice as long.
    ///
    /// # Errors
    /// The host is not known, or no address of it answered with peers.
    pub fn announce(
        &mut self,
        client: &Client,
        url: &str,
        announce: &Announce,
        time: &dyn Fn() -> Option<Duration>,
        answered: &mut dyn FnMut(Reply),
    ) -> Result<(), String> {
        let leaves =
            matches!(announce.event, Some(AnnounceEvent::Stopped | AnnounceEvent::Completed));
        let begin = |session: &mut Session, url_data: &str| session.announce(announce, url_data);
        self.ask(client, url, &begin, leaves, time, answered)
    }

    /// Asks how many have a torrent, likewise.
    ///
    /// # Errors
    /// As above; some trackers answer no scrape.
    #[cfg(feature = "cli")]
    pub fn scrape(
        &mut self,
        client: &Client,
        url: &str,
        infohash: crate::infohash::Infohash,
        time: &dyn Fn() -> Option<Duration>,
        answered: &mut dyn FnMut(Reply),
    ) -> Result<(), String> {
        let begin = |session: &mut Session, _: &str| session.scrape(infohash);
        self.ask(client, url, &begin, false, time, answered)
    }

    /// `leaves`: only those are told that have heard of us.
    fn ask(
        &mut self,
        client: &Client,
        url: &str,
        begin: &dyn Fn(&mut Session, &str),
        leaves: bool,
        time: &dyn Fn() -> Option<Duration>,
        answered: &mut dyn FnMut(Reply),
    ) -> Result<(), String> {
        let (place, url_data) = parts(url)?;
        if self.endpoints.is_empty() {
            let addresses = resolve_in_time(client, place, time)?;
            self.endpoints = endpoints(&addresses, client.timing().datagram);
        }
        let mut open: Vec<&mut Endpoint> =
            self.endpoints.iter_mut().filter(|it| it.knows_us || !leaves).collect();
        for endpoint in &mut open {
            endpoint.dead = 0;
            begin(&mut endpoint.session, url_data);
        }
        let of_two = open.len() > 1;
        let mut has_answered = false;
        let mut failures: Vec<String> = Vec::new();
        let mut buffer = vec![0; DATAGRAM_BYTES];
        while !open.is_empty() {
            let Some(now) = time().filter(|_| !client.is_shut_down()) else {
                failures.push("it had not answered when the download ended".to_owned());
                break;
            };
            open.retain_mut(|endpoint| match endpoint.step(now, &mut buffer) {
                Step::Waits => true,
                Step::Answered(reply) => {
                    has_answered = true;
                    answered(reply);
                    false
                }
                Step::Failed(why) => {
                    failures.push(match of_two {
                        true => format!("{why} ({})", endpoint.name()),
                        false => why,
                    });
                    false
                }
            });
        }
        if has_answered {
            return Ok(());
        }
        if self.endpoints.iter().all(|endpoint| endpoint.dead >= endpoint.addresses.len()) {
            // Nobody is there: the host may have moved.
            self.endpoints.clear();
        }
        Err(failures.join(", "))
    }
}

impl Endpoint {
    /// Sends what is due, and waits a moment for an answer.
    fn step(&mut self, now: Duration, buffer: &mut [u8]) -> Step {
        let heard = match self.session.poll(now) {
            Poll::Idle => return Step::Failed("nothing was asked".to_owned()),
            Poll::Silent => {
                let why = self.session.silence();
                if self.addresses.len() > 1 {
                    self.move_on();
                }
                return Step::Failed(why);
            }
            Poll::Send(datagram) => self.send(&datagram).and_then(|()| self.hear(SLICE, buffer)),
            Poll::Wait(until) => self.hear(SLICE.min(until.saturating_sub(now)), buffer),
        };
        match heard {
            Ok(length) => match self.session.handle(&buffer[..length], now) {
                None => Step::Waits,
                Some(Ok(reply)) => {
                    self.knows_us = true;
                    Step::Answered(reply)
                }
                Some(Err(why)) => Step::Failed(why.to_string()),
            },
            Err(why) => match why.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted => Step::Waits,
                _ => {
                    self.dead += 1;
                    self.move_on();
                    if self.dead < self.addresses.len() {
                        Step::Waits
                    } else {
                        Step::Failed(io_reason(&why))
                    }
                }
            },
        }
    }

    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(self.addresses.first().copied())?,
        };
        self.socket.insert(socket).send(datagram).map(|_| ())
    }

    /// The length of a datagram that came into the buffer.
    fn hear(&self, within: Duration, buffer: &mut [u8]) -> io::Result<usize> {
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        socket.set_read_timeout(Some(within.max(Duration::from_millis(1))))?; // zero would mean for ever
        socket.recv(buffer)
    }

    /// The next address is asked from now on.
    fn move_on(&mut self) {
        self.socket = None;
        self.session.move_on();
        let step = usize::from(self.addresses.len() > 1);
        self.addresses.rotate_left(step);
    }

    fn name(&self) -> &'static str {
        match self.addresses.first() {
            Some(SocketAddr::V6(_)) => "over IPv6",
            _ => "over IPv4",
        }
    }
}

fn open(address: Option<SocketAddr>) -> io::Result<UdpSocket> {
    let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = match address {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
    }?;
    socket.connect(address)?;
    Ok(socket)
}

fn endpoints(addresses: &[SocketAddr], first_wait: Duration) -> Vec<Endpoint> {
    let of_family = |ipv6: bool| {
        let addresses = addresses.iter().copied().filter(|address| address.is_ipv6() == ipv6);
        Endpoint {
            addresses: addresses.take(MAX_ADDRESSES).collect(),
            dead: 0,
            socket: None,
            session: Session::new(ipv6, first_wait, fastrand::u64(..)),
            knows_us: false,
        }
    };
    let mut endpoints = vec![of_family(true), of_family(false)];
    endpoints.retain(|endpoint| !endpoint.addresses.is_empty());
    endpoints
}

/// Looks a host up, on a thread of its own: the resolver has no deadline.
fn resolve_in_time(
    client: &Client,
    place: &str,
    time: &dyn Fn() -> Option<Duration>,
) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = place.parse::<SocketAddr>() {
        return Ok(vec![SocketAddr::new(address.ip().to_canonical(), address.port())]);
    }
    let over = || "the download has ended".to_owned();
    let begun = time().ok_or_else(over)?;
    let found = Arc::new(Mutex::new(Err("the name look-up timed out".to_owned())));
    let (ended, end) = channel::<()>();
    let look_up = {
        let (place, found) = (place.to_owned(), Arc::clone(&found));
        move || {
            let addresses = resolve(&place);
            *found.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
            drop(ended);
        }
    };
    std::thread::Builder::new()
        .name("at-resolver".to_owned())
        .spawn(look_up)
        .map_err(|why| io_reason(&why))?;
    while let Some(now) = time() {
        let over = now.saturating_sub(begun) >= client.timing().connect || client.is_shut_down();
        if over || end.recv_timeout(SLICE) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    let mut addresses =
        std::mem::replace(&mut *found.lock().unwrap_or_else(PoisonError::into_inner), Ok(vec![]))?;
    for address in &mut addresses {
        address.set_ip(address.ip().to_canonical());
    }
    match addresses.is_empty() {
        true => Err("the host has no address".to_owned()),
        false => Ok(addresses),
    }
}
