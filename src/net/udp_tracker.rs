//! UDP trackers (BEP 15): sockets and waiting.
//!
//! A tracker with addresses of both families is asked over IPv4 and IPv6 in parallel: over each it
//! names peers of that family alone. The sockets are connected, so that only the tracker is heard,
//! and a closed port is reported at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::Client;
use super::error::SourceError;
use super::name_lookup::look_up_all;
use crate::address::NamedBy;
use crate::protocol::tracker::{Announce, AnnounceEvent, Reply};
use crate::protocol::udp_tracker::{TrackerPoll, UdpTrackerSession, parts};
use crate::url::Url;

#[cfg(test)]
mod tests;

/// How long a read waits before it checks the other family's socket, and whether the reply is still
/// needed.
const SLICE: Duration = Duration::from_millis(20);

/// How many addresses of a family are tried.
const MAX_ADDRESSES: usize = 8;

/// No datagram is longer.
const DATAGRAM_BYTES: usize = 64 << 10;

/// The state of a tracker between announces.
#[derive(Debug, Default)]
pub struct UdpTracker {
    /// One per family; empty until the host is resolved.
    endpoints: Vec<Endpoint>,
}

/// A tracker's addresses of one family.
#[derive(Debug)]
struct Endpoint {
    /// The first is the one that is asked.
    addresses: Vec<SocketAddr>,
    /// How many of them failed during the current announce.
    dead: usize,
    /// Open only during an announce. The next one uses the same port, because some trackers bind a
    /// connection id to it.
    socket: Option<UdpSocket>,
    port: u16,
    session: UdpTrackerSession,
    /// Whether it has answered an announce, and must therefore hear that we leave.
    knows_us: bool,
}

/// The state of one announce at an endpoint.
enum Step {
    Waits,
    Answered(Reply),
    Failed(SourceError),
}

impl UdpTracker {
    /// Announces, with one try per family. The next call waits twice as long.
    ///
    /// # Errors
    /// The host is unknown, or none of its addresses replied.
    pub fn announce(
        &mut self,
        client: &Client,
        tracker: (NamedBy, &Url),
        announce: &Announce,
        time: &dyn Fn() -> Option<Duration>,
        answered: &mut dyn FnMut(Reply),
    ) -> Result<(), SourceError> {
        let leaves =
            matches!(announce.event, Some(AnnounceEvent::Stopped | AnnounceEvent::Completed));
        let begin =
            |session: &mut UdpTrackerSession, url_data: &str| session.announce(announce, url_data);
        self.ask(client, tracker, &begin, leaves, time, answered)
    }

    /// Asks over each family. `leaves`: only families over which the tracker has answered before.
    pub(super) fn ask(
        &mut self,
        client: &Client,
        (by, url): (NamedBy, &Url),
        begin: &dyn Fn(&mut UdpTrackerSession, &str),
        leaves: bool,
        time: &dyn Fn() -> Option<Duration>,
        answered: &mut dyn FnMut(Reply),
    ) -> Result<(), SourceError> {
        let (place, url_data) = parts(url.exposed()).map_err(SourceError::UdpAddress)?;
        if self.endpoints.is_empty() {
            client.judge_peer(by, place, None)?;
            let while_open = || time().filter(|_| !client.is_shut_down());
            let within = client.timing().connect;
            let found = look_up_all(&[place.to_owned()], within, &while_open).pop();
            let mut addresses = found.unwrap_or(Err(SourceError::NoAddress))?;
            let mut refused = Ok(());
            addresses.retain(|address| {
                let judged = client.judge_peer(by, place, Some(*address));
                let is_allowed = judged.is_ok();
                refused = std::mem::replace(&mut refused, Ok(())).and(judged);
                is_allowed
            });
            if addresses.is_empty() {
                return refused.and(Err(SourceError::NoAddress));
            }
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
        let mut failures = Vec::new();
        let mut buffer = vec![0; DATAGRAM_BYTES];
        while !open.is_empty() {
            let Some(now) = time().filter(|_| !client.is_shut_down()) else {
                failures.push((SourceError::NoAnswerYet, None));
                break;
            };
            open.retain_mut(|endpoint| match endpoint.step(url, now, &mut buffer) {
                Step::Waits => true,
                Step::Answered(mut reply) => {
                    has_answered = true;
                    client.leave_out(endpoint.ip(), &mut reply);
                    answered(reply);
                    false
                }
                Step::Failed(why) => {
                    failures.push((why, of_two.then(|| endpoint.name())));
                    false
                }
            });
        }
        // The next announce may be an hour away, and others need the sockets meanwhile.
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.socket = None);
        if has_answered {
            return Ok(());
        }
        if self.endpoints.iter().all(|endpoint| endpoint.dead >= endpoint.addresses.len()) {
            // No address has a listener: the host may have moved, so it is resolved again.
            self.endpoints.clear();
        }
        Err(SourceError::OverFamilies(failures))
    }
}

impl Endpoint {
    /// Sends what is due, and waits briefly for an answer.
    fn step(&mut self, url: &Url, now: Duration, buffer: &mut [u8]) -> Step {
        let heard = match self.session.poll(now) {
            TrackerPoll::Idle => return Step::Failed(SourceError::NotAsked),
            TrackerPoll::Silent => {
                let why = self.session.silence();
                if self.addresses.len() > 1 {
                    self.move_on();
                }
                return Step::Failed(SourceError::Tracker(why));
            }
            TrackerPoll::Send(datagram) => {
                self.send(&datagram).and_then(|()| self.hear(SLICE, buffer))
            }
            TrackerPoll::Wait(until) => self.hear(SLICE.min(until.saturating_sub(now)), buffer),
        };
        match heard {
            Ok(length) => match self.session.handle(&buffer[..length], now) {
                None => Step::Waits,
                Some(Ok(reply)) => {
                    self.knows_us = true;
                    Step::Answered(reply)
                }
                // The tracker's text may quote the passkey.
                Some(Err(why)) => Step::Failed(SourceError::Tracker(why.redacted(url))),
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
                        Step::Failed(why.into())
                    }
                }
            },
        }
    }

    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = open(self.addresses.first().copied(), self.port)?;
                self.port = socket.local_addr()?.port();
                socket
            }
        };
        self.socket.insert(socket).send(datagram).map(|_| ())
    }

    /// Receives a datagram into the buffer, and returns its length.
    fn hear(&self, within: Duration, buffer: &mut [u8]) -> io::Result<usize> {
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        socket.set_read_timeout(Some(within.max(Duration::from_millis(1))))?; // a zero timeout is an error
        socket.recv(buffer)
    }

    /// Switches to the next address.
    fn move_on(&mut self) {
        self.socket = None;
        self.session.move_on();
        let step = usize::from(self.addresses.len() > 1);
        self.addresses.rotate_left(step);
    }

    /// Returns the address that is asked.
    fn ip(&self) -> Option<IpAddr> {
        self.addresses.first().map(SocketAddr::ip)
    }

    fn name(&self) -> &'static str {
        match self.addresses.first() {
            Some(SocketAddr::V6(_)) => "IPv6",
            _ => "IPv4",
        }
    }
}

/// Opens a socket on this port, or on any if the port is taken.
fn open(address: Option<SocketAddr>, port: u16) -> io::Result<UdpSocket> {
    let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, port)).or_else(|_| UdpSocket::bind((any, 0)))?;
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
            port: 0,
            session: UdpTrackerSession::new(ipv6, first_wait, fastrand::u64(..)),
            knows_us: false,
        }
    };
    let mut endpoints = vec![of_family(true), of_family(false)];
    endpoints.retain(|endpoint| !endpoint.addresses.is_empty());
    endpoints
}
