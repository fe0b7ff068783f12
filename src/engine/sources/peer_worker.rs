//! The worker of a peer connection (BEP 3): downloads from the peer, and serves it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::batch::{Batch, BlockFeeder, ReceivedBlock};
use super::claim::Claim;
use super::dial::Greeting;
use super::event::WorkerOutcome;
use super::peer_loop::{self, PeerHandler};
use super::swarm::{Fed, Swarm};
use crate::engine::upload::manager::Served;
use crate::engine::upload::pex_registry::PexEntry;
use crate::engine::upload::serving::Serving;

use crate::net::timing::LOOK_AROUND;
use crate::net::{Awaited, PeerConnection, SourceError};
use crate::picker::{Blame, PieceSet, SourceId, WorkerId};
use crate::protocol::extension::Offer;
use crate::protocol::peer::{PeerError, PeerEvent, PeerSession};
use crate::protocol::socks::Destination;
use crate::torrent::geometry::PieceIndex;

mod asking;
#[cfg(test)]
mod tests;

/// Minimum number of bytes read at a time; the longest message always fits.
const BUFFER_BYTES: usize = 256 << 10;

struct PeerDownload<'a> {
    swarm: &'a Arc<Swarm>,
    source: SourceId,
    worker: WorkerId,
    session: PeerSession,
    named: bool,
    /// In the order in which they are requested, which is the order in which blocks usually arrive.
    claims: Vec<Claim>,
    /// The peer choked us and thereby dropped our requests, and the claims have not been released
    /// yet.
    was_choked: bool,
    /// Claims that the peer does not serve, and whether it rejected them.
    returned: Vec<(PieceIndex, bool)>,
    refused_at: Option<Duration>,
    serving: Serving,
    seat: PexEntry,
    /// Created when the peer sends faster than this thread can process.
    feeder: Option<BlockFeeder>,
    /// The blocks of the current read, until they are fed.
    blocks: Vec<ReceivedBlock>,
    spare: Option<Vec<u8>>,
    useful_at: Duration,
    /// How long the peer keeps its place while it is useless and others wait for one.
    slice: Duration,
}

/// Downloads pieces from a peer that answered the handshake, until none are left. `named`: the user
/// or the manifest gave the peer's address. `slice`: how long the peer keeps its place while it is
/// useless and others wait for one.
pub fn work(
    swarm: &Arc<Swarm>,
    (source, worker): (SourceId, WorkerId),
    target: &Destination,
    named: bool,
    slice: Duration,
    greeting: Greeting,
) -> WorkerOutcome {
    let (mut link, going_on) = greeting.end_dial();
    let now = swarm.now();
    let infohash = swarm.partial.metainfo().infohash;
    let (metainfo, serves) = (swarm.partial.metainfo(), swarm.uploads.is_on());
    let metadata_bytes = serves.then_some(metainfo.raw_info().len() as u64);
    let pex = !metainfo.private;
    let port = swarm.host.listens_at();
    let offer = Offer { pex, wants_peers: pex, serves, metadata_bytes, port, ..Offer::default() };
    let count = swarm.geometry().piece_count();
    let goes_on = going_on.is_some();
    let session = going_on.unwrap_or_else(|| {
        let mut new = PeerSession::new(now, infohash, swarm.host.peer_id, count, offer);
        new.output(now); // discards our handshake, which the peer already has
        new
    });
    let mut worker = PeerDownload {
        swarm,
        source,
        worker,
        session,
        named,
        claims: Vec::new(),
        was_choked: false,
        returned: Vec::new(),
        refused_at: None,
        serving: Serving::new(Arc::clone(swarm) as Arc<dyn Served>, source.0),
        seat: PexEntry::of_one_we_reached(&swarm.pex, source.0, target),
        feeder: None,
        blocks: Vec::new(),
        spare: None,
        useful_at: now,
        slice,
    };
    let begun = if goes_on { worker.begin_data(offer) } else { Ok(()) };
    let outcome = match begun {
        Ok(()) => peer_loop::run(&mut worker, &mut link),
        Err(why) => WorkerOutcome::Lost(SourceError::Peer(why)),
    };
    worker.blocks.clear();
    if worker.session.is_open() {
        swarm.counters.peers.fetch_sub(1, Ordering::Relaxed);
    }
    worker.drop_claims();
    swarm.schedule().forget_peer(source);
    outcome
}

impl PeerHandler for PeerDownload<'_> {
    fn session(&mut self) -> &mut PeerSession {
        &mut self.session
    }

    fn now(&self) -> Duration {
        self.swarm.now()
    }

    fn buffer_bytes(&mut self) -> usize {
        BUFFER_BYTES.max(2 * self.session.max_message_bytes())
    }

    fn on_event(&mut self, event: PeerEvent<'_>, end: usize) -> Result<(), WorkerOutcome> {
        if let PeerEvent::Block { piece, begin, data } = event {
            self.useful_at = self.swarm.now();
            let claim = self.claims.iter_mut().find(|claim| claim.piece == piece);
            // The data of a block is the end of its message.
            self.blocks.extend(claim.and_then(|claim| claim.came(begin, end - data.len()..end)));
        } else {
            self.on_message(event);
        }
        Ok(())
    }

    /// Feeds the blocks to their pieces. If the peer sends faster than that, the feeder thread does
    /// so while the next blocks are read into another buffer.
    fn on_read(&mut self, buffer: Vec<u8>, rest: Range<usize>) -> Result<Vec<u8>, WorkerOutcome> {
        let more_waits = rest.end == buffer.len();
        let mut batch = Batch::new(buffer, std::mem::take(&mut self.blocks));
        // One batch at a time, so that most bytes arrive in order.
        self.collect()?;
        if more_waits && self.feeder.is_none() {
            self.feeder = BlockFeeder::new(self.swarm, self.source, self.worker);
        }
        if let Some(feeder) = self.feeder.as_mut().filter(|_| more_waits) {
            let mut next = self.spare.take().unwrap_or_else(|| vec![0; batch.buffer.len()]);
            next[..rest.len()].copy_from_slice(&batch.buffer[rest]);
            feeder.feed(batch);
            return Ok(next);
        }
        batch.feed(self.swarm, self.source, self.worker);
        self.on_fed(&mut batch)?;
        self.blocks = batch.blocks;
        batch.buffer.copy_within(rest, 0);
        Ok(batch.buffer)
    }

    fn turn(&mut self, connection: &PeerConnection) -> Result<Duration, WorkerOutcome> {
        if std::mem::take(&mut self.was_choked) {
            // The blocks received before the choke must be fed while their claims still exist.
            self.collect()?;
            self.session.take_dropped();
            self.drop_claims();
        }
        self.return_claims()?;
        self.drop_ended_claims();
        self.ask();
        self.seat.exchange(&mut self.session, self.swarm.now(), self.serving.has_all);
        self.serving.serve(&mut self.session, connection).map_err(WorkerOutcome::Failed)?;
        self.judge()?;
        if self.swarm.is_over() { Err(WorkerOutcome::Ended) } else { Ok(LOOK_AROUND) }
    }
}

impl PeerDownload<'_> {
    /// Waits for the feeder's current batch, if there is one.
    fn collect(&mut self) -> Result<(), WorkerOutcome> {
        let failed = |_| WorkerOutcome::Lost(SourceError::FeederFailed);
        let collected = self.feeder.as_mut().and_then(|feeder| feeder.collect().transpose());
        let Some(mut batch) = collected.transpose().map_err(failed)? else { return Ok(()) };
        let fed = self.on_fed(&mut batch);
        self.spare = Some(batch.buffer);
        fed
    }

    fn on_fed(&mut self, batch: &mut Batch) -> Result<(), WorkerOutcome> {
        let fed = std::mem::replace(&mut batch.fed, Fed::Onward);
        match fed {
            Fed::Blamed(Blame::Banned) => Err(WorkerOutcome::Lost(SourceError::Banned)),
            Fed::Over => Err(WorkerOutcome::Ended),
            // The schedule knows which claims ended.
            Fed::Onward | Fed::Done | Fed::Wrong | Fed::Blamed(_) => Ok(()),
        }
    }

    fn on_message(&mut self, event: PeerEvent<'_>) {
        match event {
            PeerEvent::Bitfield(bitfield) => {
                let pieces = PieceSet::from_bitfield(bitfield, self.swarm.geometry().piece_count());
                self.has(pieces);
            }
            PeerEvent::HaveAll => self.has(PieceSet::all(self.swarm.geometry().piece_count())),
            PeerEvent::Have(piece) => {
                if self.swarm.schedule().peer_has_piece(self.source, piece) {
                    self.session.interested(true);
                    self.news();
                }
            }
            PeerEvent::DontHave(piece) => {
                self.swarm.schedule().peer_lacks(self.source, piece);
                self.serving.has_all = false;
                self.returned.push((piece, false));
                self.show_interest();
            }
            PeerEvent::Choked => self.was_choked = !self.session.is_fast(),
            PeerEvent::Unchoked => self.forgive(),
            PeerEvent::Rejected(request) => self.on_rejected(request),
            PeerEvent::HandshakeDone { .. } => {
                self.swarm.counters.peers.fetch_add(1, Ordering::Relaxed);
                self.serving.introduce(&mut self.session);
            }
            PeerEvent::PeersNamed => {
                let mut named = self.session.take_named();
                named.retain(|it| self.swarm.phase.client.may_hear(self.seat.ip, *it));
                self.swarm.tell(super::event::WorkerEvent::Exchanged {
                    source: self.source,
                    addresses: named,
                });
            }
            PeerEvent::HaveNone => self.news(),
            PeerEvent::Block { .. }
            | PeerEvent::AllowedFast(_)
            | PeerEvent::Extensions
            | PeerEvent::Metadata(_)
            | PeerEvent::Ignored => {}
        }
    }

    /// Continues a connection that delivered the metainfo.
    fn begin_data(&mut self, offer: Offer) -> Result<(), PeerError> {
        self.swarm.counters.peers.fetch_add(1, Ordering::Relaxed);
        let pieces = self.serving.begin_data(&mut self.session, offer)?;
        self.has(pieces);
        Ok(())
    }

    fn has(&mut self, pieces: PieceSet) {
        self.serving.has_all = pieces.len() == self.swarm.geometry().piece_count();
        if !self.serving.has_all && !self.session.is_upload_only() {
            self.news();
        }
        self.swarm.schedule().peer_has(self.source, pieces);
        self.show_interest();
    }

    /// Records that a named peer lacks pieces and is downloading them. Other peers are too numerous
    /// for this to mean anything.
    fn news(&self) {
        if self.named {
            self.swarm.news();
        }
    }

    fn show_interest(&mut self) {
        let useful = self.swarm.schedule().is_useful(self.source);
        self.session.interested(useful);
    }

    /// Fails if the peer is not worth waiting for any longer.
    fn judge(&self) -> Result<(), WorkerOutcome> {
        let timing = self.swarm.phase.client.timing();
        let now = self.swarm.now();
        if self.swarm.makes_room(now.saturating_sub(self.useful_at), self.slice) {
            return Err(WorkerOutcome::GaveWay(SourceError::GaveWay));
        }
        let waits = self.session.oldest_request_age(now).unwrap_or_default();
        if waits > timing.silence && now.saturating_sub(self.useful_at) > timing.silence {
            let why = SourceError::Silent(Awaited::Data, timing.silence);
            return Err(WorkerOutcome::Failed(why));
        }
        // Applies even with claims: a peer that alternates between choke and unchoke never has a
        // request outstanding for long. A peer that is upload-only and has nothing for us will have
        // nothing later either.
        let hopeless = self.session.is_upload_only() && !self.session.is_interested();
        let patience = match hopeless {
            true => timing.silence,
            false => timing.useless(),
        };
        if now.saturating_sub(self.useful_at) > patience {
            let awaited = match (self.session.is_choked(), self.claims.is_empty()) {
                (true, _) => Awaited::Unchoke,
                (false, true) => Awaited::Offer,
                (false, false) => Awaited::Data,
            };
            return Err(WorkerOutcome::Failed(SourceError::Silent(awaited, patience)));
        }
        Ok(())
    }
}
