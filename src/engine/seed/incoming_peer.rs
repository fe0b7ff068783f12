//! The connection of a peer that connected to us.
//!
//! Its handshake is read first: the torrent that it names decides whether the peer may stay. From
//! then on it is served like a peer that we connected to; a seed requests nothing from it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::budget::AHEAD_OF_SEED;
use super::Seeder;
use crate::engine::connection_limiter::Permit;
use crate::engine::seed::seeded_torrent::SeededTorrent;
use crate::engine::sources::dial::DialedPeer;
use crate::engine::sources::event::WorkerOutcome;
use crate::engine::sources::peer_loop;
use crate::engine::sources::peer_loop::PeerHandler;
use crate::engine::upload::manager::Served;
use crate::engine::upload::pex_registry::PexEntry;
use crate::engine::upload::serving::Serving;
use crate::net::timing::{GUEST_IDLE, GUEST_SILENCE, LOOK_AROUND, LOOK_AROUND_SERVING};
use crate::net::{Incoming, PeerConnection};
use crate::protocol::extension::Offer;
use crate::protocol::peer::{PeerEvent, PeerSession};
use crate::protocol::wire::Handshake;
use crate::torrent::pieces::PieceSet;

/// How long a peer has held its place without a request.
#[derive(Debug)]
struct Idle {
    since: Duration,
    /// Since then, the peer has been unchoked and could have sent requests.
    was_unchoked: bool,
}

impl Idle {
    /// Whether the peer has requested nothing for [`GUEST_IDLE`], although it could.
    fn look(&mut self, now: Duration, asked_at: Option<Duration>, unchoked: bool) -> bool {
        if let Some(asked_at) = asked_at.filter(|at| *at > self.since) {
            (self.since, self.was_unchoked) = (asked_at, false);
        }
        self.was_unchoked |= unchoked;
        self.was_unchoked && now.saturating_sub(self.since) > GUEST_IDLE
    }
}

/// Serves a peer until either side ends the connection. `id` identifies the connection.
pub fn receive(seeder: &Seeder, incoming: Incoming, guest: &Permit<IpAddr>, id: u32) {
    let from = incoming.from();
    let Ok(mut connection) = incoming.open(&seeder.client) else { return };
    let Some((seeded, handshake)) = shake_hands(seeder, &mut connection) else { return };
    let Some(_guest) = seeder.admit_for(&seeded, guest.key) else { return };
    let now = Served::now(&*seeded);
    let offer = Offer {
        pex: !seeded.metainfo.private,
        serves: true,
        metadata_bytes: Some(seeded.metainfo.raw_info().len() as u64),
        upload_only: seeded.is_complete(),
        // A peer that connected to us knows our port.
        ..Offer::default()
    };
    let count = seeded.metainfo.geometry.piece_count();
    let peer_id = seeder.host.peer_id;
    let serving = Serving::new(Arc::clone(&seeded) as Arc<dyn Served>, id);
    let mut visitor = IncomingPeer {
        seeder,
        session: PeerSession::new(now, seeded.metainfo.infohash, peer_id, count, offer),
        serving: serving.from(guest.key).ahead(AHEAD_OF_SEED),
        seat: PexEntry::of_one_that_came(&seeded.pex, id, from),
        wanted_at: now,
        idle: Idle { since: now, was_unchoked: false },
        seeded,
    };
    peer_loop::run(&mut visitor, &mut DialedPeer::new(connection, handshake.to_vec()));
}

/// Reads the peer's handshake, and returns the dataset that it names.
fn shake_hands(
    seeder: &Seeder,
    connection: &mut PeerConnection,
) -> Option<(Arc<SeededTorrent>, [u8; Handshake::BYTES])> {
    let begun = Instant::now();
    let mut bytes = [0; Handshake::BYTES];
    let mut filled = 0;
    while begun.elapsed() < seeder.client.timing().connect && !seeder.host.is_stopped() {
        filled += connection.read(&mut bytes[filled..], LOOK_AROUND).ok()?.unwrap_or(0);
        if let Some(theirs) = Handshake::decode(&bytes[..filled]).ok()? {
            return Some((seeder.seeded(theirs.infohash)?, bytes));
        }
    }
    None
}

struct IncomingPeer<'a> {
    seeder: &'a Seeder,
    seeded: Arc<SeededTorrent>,
    session: PeerSession,
    serving: Serving,
    seat: PexEntry,
    /// When the peer last wanted something, or might have.
    wanted_at: Duration,
    idle: Idle,
}

impl PeerHandler for IncomingPeer<'_> {
    fn session(&mut self) -> &mut PeerSession {
        &mut self.session
    }

    fn now(&self) -> Duration {
        Served::now(&*self.seeded)
    }

    fn on_event(&mut self, event: PeerEvent<'_>, _end: usize) -> Result<(), WorkerOutcome> {
        match event {
            PeerEvent::HandshakeDone { .. } => self.serving.introduce(&mut self.session),
            PeerEvent::HaveAll => self.serving.has_all = true,
            PeerEvent::Bitfield(bits) => {
                let count = self.seeded.metainfo.geometry.piece_count();
                self.serving.has_all = PieceSet::from_bitfield(bits, count).len() == count;
            }
            PeerEvent::DontHave(_) => self.serving.has_all = false,
            _ => {}
        }
        Ok(())
    }

    fn turn(&mut self, connection: &PeerConnection) -> Result<Duration, WorkerOutcome> {
        let (is_complete, now) = (self.seeded.is_complete(), self.now());
        let sent = self.serving.serve(&mut self.session, connection);
        if is_complete {
            self.session.upload_only(); // sent after the last `have`
        }
        self.seat.exchange(&mut self.session, now, self.serving.has_all);
        sent.map_err(WorkerOutcome::Failed)?;
        if self.session.wants_blocks() || !is_complete {
            self.wanted_at = now;
        }
        let wants_nothing = is_complete
            && (self.serving.has_all
                || self.session.is_upload_only()
                || now.saturating_sub(self.wanted_at) > GUEST_IDLE);
        // A peer that claims interest but requests nothing must not hold a place that another peer
        // could use.
        let (asked_at, unchoked) = (self.session.asked_at(), !self.session.is_choking());
        let gives_way = self.idle.look(now, asked_at, unchoked)
            && self.seeder.all_places_are_taken(&self.seeded);
        let is_silent = self.session.silent_for(now) > GUEST_SILENCE;
        if wants_nothing || gives_way || is_silent || self.seeder.host.is_stopped() {
            return Err(WorkerOutcome::Ended);
        }
        Ok(if self.session.first_wanted().is_some() { LOOK_AROUND_SERVING } else { LOOK_AROUND })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_could_ask_and_does_not_is_idle_after_a_minute() {
        let at = Duration::from_secs;
        let mut idle = Idle { since: at(5), was_unchoked: false };
        // A choked peer cannot send requests.
        assert!(!idle.look(at(500), None, false));
        assert!(idle.look(at(501), None, true));
        assert!(!idle.look(at(502), Some(at(501)), true));
        assert!(!idle.look(at(561), Some(at(501)), true));
        assert!(idle.look(at(562), Some(at(501)), true));
        // It was choked in between, but had its chance before.
        assert!(idle.look(at(563), Some(at(501)), false));
    }
}
