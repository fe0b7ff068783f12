//! Connecting to a peer, up to its handshake. Dials have their own small threads and their own
//! budget, so that silent addresses do not take workers from responsive peers.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::address::{NamedBy, host};
use crate::engine::budget::{DialPermit, MetadataPermit};
use crate::engine::thread::start_thread;
use crate::net::{Client, PeerConnection, SourceError, resolve};
use crate::protocol::peer::PeerSession;
use crate::protocol::socks::Destination;
use crate::protocol::wire::Handshake;
use crate::torrent::infohash::Infohash;

/// A connection, and the bytes received over it that were not processed yet.
pub struct DialedPeer {
    pub connection: PeerConnection,
    pub buffer: Vec<u8>,
    /// The number of bytes in the buffer that were read.
    pub filled: usize,
}

impl DialedPeer {
    /// `heard` is what the peer has sent so far.
    pub fn new(connection: PeerConnection, heard: Vec<u8>) -> DialedPeer {
        DialedPeer { connection, filled: heard.len(), buffer: heard }
    }
}

/// A peer that has answered our handshake and waits for a place.
pub struct Greeting {
    link: DialedPeer,
    /// The session of a connection that delivered the metainfo and is reused for data. It counts
    /// against the metadata budget until it gets a place or is dropped; all other greetings count
    /// as dials.
    going_on: Option<(PeerSession, MetadataPermit)>,
    _dial: Option<DialPermit>,
}

impl Greeting {
    /// A connection that is reused after fetching the metainfo.
    pub fn going_on(link: DialedPeer, session: PeerSession, permit: MetadataPermit) -> Greeting {
        Greeting { link, going_on: Some((session, permit)), _dial: None }
    }

    pub fn connection(&self) -> &PeerConnection {
        &self.link.connection
    }

    /// Returns the connection of a peer that got a place, and the session if the connection is
    /// reused. Releases the permit, so that another dial may begin.
    pub fn end_dial(self) -> (DialedPeer, Option<PeerSession>) {
        (self.link, self.going_on.map(|(session, _)| session))
    }
}

impl fmt::Debug for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greeting").finish_non_exhaustive()
    }
}

pub type Dialed = Result<Box<Greeting>, SourceError>;

/// The callback for a dial's result. It is called even if the dial is dropped.
struct Tell(Option<Box<dyn FnOnce(Dialed) + Send>>);

impl Tell {
    fn tell(&mut self, dialed: Dialed) {
        if let Some(tell) = self.0.take() {
            tell(dialed);
        }
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        self.tell(Err(SourceError::NoThread));
    }
}

/// Dials a peer on its own thread and passes the result to `tell`. `time` is the caller's clock; it
/// returns `None` once the result is no longer needed.
pub fn dial(
    permit: DialPermit,
    client: Client,
    target: Destination,
    who: (Infohash, [u8; 20]),
    time: Box<dyn Fn() -> Option<Duration> + Send>,
    tell: Box<dyn FnOnce(Dialed) + Send>,
) {
    let mut tell = Tell(Some(tell));
    let work = move || tell.tell(greet(permit, &client, &target, who, &*time));
    DialPermit::run(Box::new(work));
}

/// Connects, and waits for the peer's handshake.
pub fn greet(
    permit: DialPermit,
    client: &Client,
    target: &Destination,
    (infohash, peer_id): (Infohash, [u8; 20]),
    time: &dyn Fn() -> Option<Duration>,
) -> Dialed {
    let within = permit.within(client.timing());
    let mut hello = Vec::with_capacity(Handshake::BYTES);
    Handshake::ours(infohash, peer_id).encode(&mut hello);
    let (connection, heard) = client.greet_peer(target, &hello, within, time)?;
    let link = DialedPeer::new(connection, heard);
    Ok(Box::new(Greeting { link, going_on: None, _dial: Some(permit) }))
}

/// Returns the address of a peer that was named as `host:port`, if it is known at once. Otherwise
/// looks up the name and calls `found` later. The look-up has its own thread, since the resolver
/// has no deadline.
///
/// # Errors
/// The peer may not be contacted, or `name` is not a valid `host:port`.
pub fn find_peer(
    client: &Client,
    by: NamedBy,
    name: &str,
    found: impl FnOnce(Result<Vec<SocketAddr>, SourceError>) + Send + 'static,
) -> Result<Option<Destination>, SourceError> {
    client.judge_peer(by, name, None)?;
    match Destination::parse(name) {
        Some(target @ Destination::Address(_)) => return Ok(Some(target)),
        target if client.names_are_for_the_proxy(name) => {
            return target.map(Some).ok_or(SourceError::NotHostPort);
        }
        _ => {}
    }
    let name = name.to_owned();
    let started = start_thread("at-resolver", Box::new(move || found(resolve(&name))));
    started.map_err(|why| SourceError::Other(why.to_string()))?;
    Ok(None)
}

/// The host for round-robin: one address of each host is tried before the second of any.
fn host_of(target: &Destination) -> Option<IpAddr> {
    match target {
        Destination::Address(address) => Some(host(address.ip())),
        Destination::Name(..) => None,
    }
}

/// Returns how many of `others` have the same host as the target: the target's round.
pub fn turn_of<'t>(target: &Destination, others: impl Iterator<Item = &'t Destination>) -> u32 {
    match host_of(target) {
        Some(host) => others.filter(|other| host_of(other) == Some(host)).count() as u32,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_turn_before_others_have_had_theirs_whatever_its_ports_and_addresses() {
        let targets = |texts: &[&str]| -> Vec<Destination> {
            texts.iter().map(|text| Destination::parse(text).unwrap()).collect()
        };
        let turn =
            |target: &str, others: &[&str]| turn_of(&targets(&[target])[0], targets(others).iter());
        let many = ["192.0.2.1:1", "192.0.2.1:2", "[::ffff:192.0.2.1]:3", "[2001:db8::1]:1"];
        assert_eq!(turn("192.0.2.1:9", &many), 3);
        assert_eq!(turn("192.0.2.2:9", &many), 0);
        assert_eq!(turn("[2001:db8:0:0:ffff::2]:9", &many), 1);
        assert_eq!(turn("[2001:db8:0:1::1]:1", &many), 0);
        assert_eq!(turn("a.example:1", &["a.example:2"]), 0);
    }
}
