//! The peers that are connected for a dataset, of whom the others are told (PEX, BEP 11), whoever opened the connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::mutex::Mutex;
use crate::protocol::peer::PeerSession;
use crate::protocol::pex::{Neighbour, REACHABLE, SEED};
use crate::protocol::socks::Destination;

/// Those that others can connect to, by the numbers that they have with us.
#[derive(Debug, Default)]
pub struct PexRegistry {
    known: Mutex<Vec<(u32, Neighbour)>>,
}

/// One peer's place in it, left when this is dropped.
#[derive(Debug)]
pub struct PexEntry {
    pex: Arc<PexRegistry>,
    id: u32,
    /// Where it is; not known of one that a proxy has looked up.
    pub ip: Option<IpAddr>,
    /// Where we have connected to it.
    reached: Option<u16>,
    /// What the pex knows of it.
    known: Option<Neighbour>,
}

impl PexEntry {
    /// Of a peer that we connected to.
    pub fn of_one_we_reached(pex: &Arc<PexRegistry>, id: u32, target: &Destination) -> PexEntry {
        let at = match target {
            Destination::Address(address) => Some(*address),
            Destination::Name(..) => None,
        };
        PexEntry::new(pex, id, at.map(|it| it.ip()), at.map(|it| it.port()))
    }

    /// Of one that connected to us. From which port, says nothing: it has to say where it listens itself.
    #[cfg(feature = "seed")]
    pub fn of_one_that_came(pex: &Arc<PexRegistry>, id: u32, from: IpAddr) -> PexEntry {
        PexEntry::new(pex, id, Some(from), None)
    }

    fn new(pex: &Arc<PexRegistry>, id: u32, ip: Option<IpAddr>, reached: Option<u16>) -> PexEntry {
        let ip = ip.map(|it| it.to_canonical());
        PexEntry { pex: Arc::clone(pex), id, ip, reached, known: None }
    }

    /// Has the pex know what the peer said of itself, and tells the peer of the others when it is time.
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

    /// All but the peer itself, which may be connected twice.
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
