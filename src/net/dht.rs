//! The DHT (BEP 5): searches for peers, each from its own short-lived socket.
//!
//! We answer no queries (BEP 43), so nothing listens between searches. A search leaves nodes for
//! the next search to start with. [`crate::protocol::dht`] is the protocol.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar};
use std::time::Duration;

use super::Timing;
use super::error::SourceError;
use super::peer::resolve;
use crate::address::{NamedBy, PrivateHosts, host_and_port};
use crate::mutex::{Mutex, wait};
use crate::protocol::dht::{Contact, DhtPoll, DhtSearch};
use crate::settings::Settings;
use crate::torrent::infohash::Infohash;

/// Bootstrap nodes, unless the user names others.
const BOOTSTRAP: [&str; 4] = [
    "router.bittorrent.com:6881",
    "dht.transmissionbt.com:6881",
    "dht.libtorrent.org:25401",
    "router.utorrent.com:6881",
];

/// How many nodes a search keeps for the next one.
const KEPT: usize = 64;
const ENOUGH: usize = 8;

/// Limits on the nodes that the user names, and on the addresses of one name.
const MAX_NAMED: usize = 32;
const MAX_ADDRESSES: usize = 8;

/// How many searches run at a time. A seeder may have thousands of torrents, and all searches start
/// at the same few nodes.
const SIDE_BY_SIDE: usize = 8;

/// How often a search that waits for its turn checks whether it is still needed.
const TURN: Duration = Duration::from_millis(100);

/// How long a read of the socket waits before the search checks whether it is still needed.
const SLICE: Duration = Duration::from_millis(20);

/// No datagram is longer. Windows reports a datagram that does not fit as a failure of the socket,
/// and anyone may send one.
const DATAGRAM_BYTES: usize = 64 << 10;

/// State that all searches of a build share.
#[derive(Debug)]
pub struct Dht {
    /// `None`: [`BOOTSTRAP`].
    bootstrap: Option<Vec<String>>,
    wait: Duration,
    private_hosts: Arc<PrivateHosts>,
    own_id: [u8; 20],
    known: Mutex<Vec<Contact>>,
    running: Mutex<usize>,
    ended: Condvar,
}

/// The right to run one search.
struct SearchPermit<'a>(&'a Dht);

impl Drop for SearchPermit<'_> {
    fn drop(&mut self) {
        *self.0.running.lock() -= 1;
        self.0.ended.notify_one();
    }
}

impl Dht {
    /// Returns `None` if the user disabled the DHT. Opens and looks up nothing before the first
    /// search.
    pub fn new(settings: &Settings) -> Option<Dht> {
        let bootstrap = settings.dht_bootstrap.clone();
        if settings.offline || bootstrap.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let mut own_id = [0; 20];
        own_id.fill_with(|| fastrand::u8(..));
        let wait = Timing::for_timeout(settings.timeout).node;
        let (known, running, ended) = Default::default();
        let private_hosts = Arc::clone(&settings.private_hosts);
        Some(Dht { bootstrap, wait, private_hosts, own_id, known, running, ended })
    }

    /// Searches once for a torrent's peers and passes them to `named` as they arrive. With `port`,
    /// announces to the nodes closest to the infohash that a peer listens there, which they forget
    /// within half an hour. Returns how many nodes the announcement was sent to. A search takes
    /// seconds, and its name look-ups have no deadline: nobody may wait for it.
    ///
    /// `in_vain`: the last search for this torrent found nothing. The bootstrap nodes are then
    /// asked again, however many others are known: those may be useless, or all belong to an
    /// isolated network.
    ///
    /// `nodes` are the torrent's own nodes and who named them. They are asked before the bootstrap
    /// nodes.
    ///
    /// `time` returns the clock's time, or `None` once peers are no longer needed. It is called
    /// often.
    ///
    /// # Errors
    /// No node could be asked, or none answered; [`SourceError::Ended`] if the peers are no longer
    /// needed. `named` may have received peers before.
    pub fn search(
        &self,
        infohash: Infohash,
        nodes: &[(NamedBy, String)],
        port: Option<u16>,
        in_vain: bool,
        time: &dyn Fn() -> Option<Duration>,
        named: &mut dyn FnMut(Vec<SocketAddr>),
    ) -> Result<usize, SourceError> {
        let _turn = self.turn(time)?;
        let (mut search, socket) = self.run(infohash, nodes, in_vain, time, named)?;
        let told = port.map(|port| search.announce(port)).unwrap_or_default();
        let sent = told.iter().filter(|(node, message)| socket.send_to(message, node).is_ok());
        Ok(sent.count())
    }

    /// Waits until fewer than [`SIDE_BY_SIDE`] other searches run. Each takes less than a minute.
    fn turn(&self, time: &dyn Fn() -> Option<Duration>) -> Result<SearchPermit<'_>, SourceError> {
        let mut running = self.running.lock();
        while *running >= SIDE_BY_SIDE {
            time().ok_or(SourceError::Ended)?;
            running = wait(&self.ended, running, TURN);
        }
        *running += 1;
        Ok(SearchPermit(self))
    }

    fn run(
        &self,
        infohash: Infohash,
        nodes: &[(NamedBy, String)],
        in_vain: bool,
        time: &dyn Fn() -> Option<Duration>,
        named: &mut dyn FnMut(Vec<SocketAddr>),
    ) -> Result<(DhtSearch, UdpSocket), SourceError> {
        let mut search = DhtSearch::new(self.own_id, infohash, self.wait, fastrand::u64(..));
        self.begin(&mut search, nodes, in_vain, time)?;
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            let now = time().ok_or(SourceError::Ended)?;
            match search.poll(now) {
                DhtPoll::Send(node, message) => {
                    // An unreachable node counts as one that does not answer.
                    let _ = socket.send_to(&message, node);
                }
                DhtPoll::Wait(until) => {
                    let within = SLICE.min(until.saturating_sub(now)).max(Duration::from_millis(1));
                    socket.set_read_timeout(Some(within))?;
                    match socket.recv_from(&mut buffer) {
                        Ok((length, from)) => {
                            let mut peers = search.handle(from, &buffer[..length]);
                            peers.retain(|it| self.private_hosts.may_hear(Some(from.ip()), *it));
                            if !peers.is_empty() {
                                named(peers);
                            }
                        }
                        Err(why) if is_of_one_node(&why) => {}
                        Err(why) => return Err(why.into()),
                    }
                }
                DhtPoll::Done => break,
            }
        }
        let mut answered = search.answered();
        if answered.is_empty() {
            // The nodes that the last search kept did not answer either.
            self.known.lock().clear();
            return Err(SourceError::NoNodeAnswered);
        }
        answered.truncate(KEPT);
        *self.known.lock() = answered;
        Ok((search, socket))
    }

    /// Adds the nodes to start with. The torrent's nodes and the bootstrap nodes are left out if
    /// enough nodes are known.
    fn begin(
        &self,
        search: &mut DhtSearch,
        nodes: &[(NamedBy, String)],
        in_vain: bool,
        time: &dyn Fn() -> Option<Duration>,
    ) -> Result<(), SourceError> {
        let known = self.known.lock().clone();
        known.iter().for_each(|contact| search.add(*contact));
        if known.len() >= ENOUGH && !in_vain {
            return Ok(());
        }
        let mut why = None;
        let by = if self.bootstrap.is_some() { NamedBy::User } else { NamedBy::Dht };
        let mut ask = |by: NamedBy, name: &str| -> Result<(), SourceError> {
            time().ok_or(SourceError::Ended)?;
            let failure = match resolve(name) {
                Ok(addresses) => {
                    let addresses = addresses.into_iter().filter(SocketAddr::is_ipv4);
                    let mut failure = SourceError::NoIpv4;
                    let host = host_and_port(name).map_or(name, |(host, _)| host);
                    for address in addresses.take(MAX_ADDRESSES) {
                        match self.private_hosts.judge(by, host, false, address) {
                            Ok(()) => search.add(Contact { id: None, address }),
                            Err(refused) => failure = refused.into(),
                        }
                    }
                    failure
                }
                Err(failure) => failure,
            };
            if search.is_empty() {
                why = Some(SourceError::NoNode(name.to_owned(), Box::new(failure)));
            }
            Ok(())
        };
        nodes.iter().try_for_each(|(by, name)| ask(*by, name))?;
        match &self.bootstrap {
            Some(names) => names.iter().take(MAX_NAMED).try_for_each(|name| ask(by, name))?,
            None => BOOTSTRAP.into_iter().try_for_each(|name| ask(by, name))?,
        }
        match why.filter(|_| search.is_empty()) {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }
}

/// Whether an error does not concern the socket itself: no datagram arrived, or (on some systems) a
/// node was unreachable.
fn is_of_one_node(why: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable,
        TimedOut, WouldBlock,
    };
    matches!(
        why.kind(),
        WouldBlock
            | TimedOut
            | Interrupted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkUnreachable
    )
}

#[cfg(test)]
mod tests;
