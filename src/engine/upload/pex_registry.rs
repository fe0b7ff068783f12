//! The connected peers of a dataset, to be reported to each other (PEX, BEP 11), whoever opened the
//! connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::mutex::Mutex;
use crate::protocol::peer::PeerSession;
use crate::protocol::pex::{Neighbour, REACHABLE, SEED};
use crate::protocol::socks::Destination;

/// Peers that others can connect to, with our IDs for them.
#[derive(Debug, Default)]
pub struct PexRegistry {
    known: Mutex<Vec<(u32, Neighbour)>>,
}

/// One peer's entry in the registry, which is removed when this is dropped.
#[derive(Debug)]
pub struct PexEntry {
    pex: Arc<PexRegistry>,
    id: u32,
    /// The peer's address; `None` if a proxy looked up its name.
    pub ip: Option<IpAddr>,
    /// The port at which we connected to the peer.
    reached: Option<u16>,
    /// The entry in the registry.
    known: Option<Neighbour>,
}

impl PexEntry {
    /// For a peer that we connected to.
    pub fn of_one_we_reached(pex: &Arc<PexRegistry>, id: u32, target: &Destination) -> PexEntry {
        let at = match target {
            Destination::Address(address) => Some(*address),
            Destination::Name(..) => None,
        };
        PexEntry::new(pex, id, at.map(|it| it.ip()), at.map(|it| it.port()))
    }

    /// For a peer that connected to us. Its source port is useless to others: the peer must report
    /// its listening port itself.
    #[cfg(feature = "seed")]
    pub fn of_one_that_came(pex: &Arc<PexRegistry>, id: u32, from: IpAddr) -> PexEntry {
        PexEntry::new(pex, id, Some(from), None)
    }

    fn new(pex: &Arc<PexRegistry>, id: u32, ip: Option<IpAddr>, reached: Option<u16>) -> PexEntry {
        let ip = ip.map(|it| it.to_canonical());
        PexEntry { pex: Arc::clone(pex), id, ip, reached, known: None }
    }

    /// Updates the peer's entry with what it reported, and sends it the other peers when due.
    pub fn exchange(&mut self, session: &mut PeerSession, now: Duration, has_all: bool) {
        if !session.is_open() {
            return;
        }
        if let (Some(ip), Some(port)) = (self.ip, self.reached.or_else(|| session.listen_port())) {
            let seed = if has_all || session.is_upload_only() { SEED } else { 0 };
            let reachable = if self.reached.is_some() { REACHABLE } else { 0 };
            let address = SocketAddr::new(ip, port);
            self.is_known_as(Neighbour { address, flags: seed | reachable });
        }
        if session.may_be_told(now) {
            session.tell_of(now, self.ip, &self.others());
        }
    }

    fn is_known_as(&mut self, neighbour: Neighbour) {
        if self.known.replace(neighbour) == Some(neighbour) {
            return;
        }
        let mut known = self.pex.known.lock();
        match known.iter_mut().find(|(id, _)| *id == self.id) {
            Some((_, before)) => *before = neighbour,
            None => known.push((self.id, neighbour)),
        }
    }

    /// All peers except this one, which may be connected twice.
    fn others(&self) -> Vec<Neighbour> {
        let own = self.known.map(|it| it.address);
        let known = self.pex.known.lock();
        let others = known.iter().filter(|(id, it)| *id != self.id && Some(it.address) != own);
        others.map(|(_, it)| *it).collect()
    }
}

impl Drop for PexEntry {
    fn drop(&mut self) {
        if self.known.is_some() {
            self.pex.known.lock().retain(|(id, _)| *id != self.id);
        }
    }
}

impl PexRegistry {}
