//! A connection to a peer (BEP 3), from which we take, and which we serve.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::batch::{Batch, Feeder};
use super::circle::Seat;
use super::claim::Claim;
use super::serving::Serving;
use super::stream::Outcome;
use super::swarm::{Fed, Swarm};
use super::uploads::Served;

use crate::geometry::PieceIndex;
use crate::net::PeerConnection;
use crate::protocol::extension::Offer;
use crate::protocol::peer::{Event, PeerSession};
use crate::protocol::pex;
use crate::protocol::socks::Target;
use crate::schedule::{PieceSet, SourceId, Verdict, WorkerId};
use crate::size;

mod asking;
#[cfg(test)]
mod tests;

/// Read at a time, at least; the longest message always fits.
const BUFFER_BYTES: usize = 256 << 10;

/// How long a read waits at most before the worker looks around: for keep-alives, and for work that came up.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// A peer that does not unchoke us, or has nothing for us, is left after so many times the silence, or half the time after
/// which the download gives up: that shall not come first, or nobody is told what the peer did.
const USELESS_SILENCES: u32 = 3;

struct Worker<'a> {
    swarm: &'a Arc<Swarm>,
    source: SourceId,
    worker: WorkerId,
    session: PeerSession,
    named: bool,
    /// In the order in which they are asked for, which is that in which their blocks come.
    claims: Vec<Claim>,
    /// The peer choked us, and dropped what was asked for, since the claims were last dropped.
    was_choked: bool,
    /// Claims that the peer does not serve, and whether it refused them.
    returned: Vec<(PieceIndex, bool)>,
    refused_at: Option<Duration>,
    serving: Serving,
    seat: Seat,
    /// Once the peer was faster than we; and a batch that is free.
    feeder: Option<Feeder>,
    spare: Option<Batch>,
    useful_at: Duration,
}

/// Connects, and takes pieces until there are none. `named`: the user or the manifest gave the peer's address.
pub fn work(
    swarm: &Arc<Swarm>,
    source: SourceId,
    worker: WorkerId,
    target: &Target,
    named: bool,
) -> Outcome {
    let mut connection =
        match swarm.client.connect_peer(target, &|| (!swarm.is_over()).then(|| swarm.now())) {
            Ok(connection) => connection,
            Err(why) => return Outcome::Failed(why),
        };
    let now = swarm.now();
    let infohash = swarm.partial.metainfo().infohash;
    let (metainfo, serves) = (swarm.partial.metainfo(), swarm.uploads.is_on());
    let metadata_bytes = serves.then_some(metainfo.info_bytes);
    let pex = !metainfo.private;
    let port = swarm.host.listens_at();
    let offer = Offer { pex, wants_peers: pex, serves, metadata_bytes, upload_only: false, port };
    let count = swarm.geometry().piece_count();
    let session = PeerSession::new(now, infohash, swarm.host.peer_id, count, offer);
    let mut worker = Worker {
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
        seat: Seat::of_one_we_reached(&swarm.circle, source.0, target),
        feeder: None,
        spare: None,
        useful_at: now,
    };
    let outcome = worker.run(&mut connection);
    if worker.session.is_open() {
        swarm.counters.peers.fetch_sub(1, Ordering::Relaxed);
    }
    worker.drop_claims();
    swarm.schedule().forget_peer(source);
    outcome
}

impl Worker<'_> {
    fn run(&mut self, connection: &mut PeerConnection) -> Outcome {
        let room = BUFFER_BYTES.max(2 * self.session.max_message_bytes());
        let mut batch = Batch::with_room(room);
        let mut filled = 0;
        loop {
            if self.swarm.is_over() {
                return Outcome::Ended;
            }
            let now = self.swarm.now();
            self.session.poll(now);
            if let Some(bytes) = self.session.output(now)
                && let Err(why) = connection.send(bytes)
            {
                return Outcome::Failed(why);
            }
            match connection.read(&mut batch.buffer[filled..], LOOK_AROUND) {
                Ok(read) => filled += read.unwrap_or(0),
                Err(why) if self.session.is_open() => return Outcome::Failed(why),
                Err(why) => return Outcome::Failed(format!("no handshake: {why}")),
            }
            let more_waits = filled == room;
            let fed = self.take_events(&mut batch, filled).and_then(|used| {
                let rest = used..filled;
                filled -= used;
                self.feed(batch, rest, more_waits)
            });
            batch = match fed {
                Ok(batch) => batch,
                Err(outcome) => return outcome,
            };
            if std::mem::take(&mut self.was_choked) {
                // What came before has been fed by now: whose it is, is still known.
                if let Err(outcome) = self.collect() {
                    return outcome;
                }
                self.session.take_dropped();
                self.drop_claims();
            }
            if let Err(outcome) = self.return_claims() {
                return outcome;
            }
            self.drop_ended_claims();
            self.ask();
            self.seat.exchange(&mut self.session, self.swarm.now(), self.serving.has_all);
            if let Err(why) = self.serving.serve(&mut self.session, connection) {
                return Outcome::Failed(why);
            }
            if let Some(outcome) = self.judge() {
                return outcome;
            }
        }
    }

    /// Takes the messages that have come whole; the blocks among them go into the batch. Gives the bytes used.
    fn take_events(&mut self, batch: &mut Batch, filled: usize) -> Result<usize, Outcome> {
        let Batch { buffer, blocks, .. } = batch;
        let mut used = 0;
        loop {
            let now = self.swarm.now();
            let (event, length) = match self.session.next(now, &buffer[used..filled]) {
                Ok(None) => return Ok(used),
                Ok(Some(found)) => found,
                // It speaks another language, or to another torrent: that will not change.
                Err(why) => return Err(Outcome::Lost(why.to_string())),
            };
            used += length;
            if let Event::Block { piece, begin, data } = event {
                self.useful_at = now;
                // The block ends its message.
                let data = used - data.len()..used;
                let claim = self.claims.iter_mut().find(|claim| claim.piece == piece);
                let Some(claim) = claim else { continue };
                blocks.extend(claim.came(begin, data));
            } else {
                self.on_event(event);
            }
        }
    }

    /// Feeds a batch to its pieces, and gives one to read into, with the `rest` of what was read: the same, or, where
    /// the peer sends faster than that, another, while the feeder works on this one.
    fn feed(
        &mut self,
        mut batch: Batch,
        rest: Range<usize>,
        more_waits: bool,
    ) -> Result<Batch, Outcome> {
        // One at a time, so that most bytes come in order.
        self.collect()?;
        if more_waits && self.feeder.is_none() {
            self.feeder = Feeder::new(self.swarm, self.source, self.worker);
        }
        if let Some(feeder) = self.feeder.as_mut().filter(|_| more_waits) {
            let mut next =
                self.spare.take().unwrap_or_else(|| Batch::with_room(batch.buffer.len()));
            next.buffer[..rest.len()].copy_from_slice(&batch.buffer[rest]);
            feeder.feed(batch);
            return Ok(next);
        }
        batch.feed(self.swarm, self.source, self.worker);
        self.on_fed(&mut batch)?;
        batch.buffer.copy_within(rest, 0);
        Ok(batch)
    }

    /// Waits for the batch that the feeder works on.
    fn collect(&mut self) -> Result<(), Outcome> {
        let failed =
            |_| Outcome::Lost("its feeder failed: this is a fault of academictorrents".to_owned());
        let collected = self.feeder.as_mut().and_then(|feeder| feeder.collect().transpose());
        let Some(mut batch) = collected.transpose().map_err(failed)? else { return Ok(()) };
        let fed = self.on_fed(&mut batch);
        self.spare = Some(batch);
        fed
    }

    fn on_fed(&mut self, batch: &mut Batch) -> Result<(), Outcome> {
        let fed = std::mem::replace(&mut batch.fed, Fed::Onward);
        match fed {
            Fed::Blamed(Verdict::Banned) => {
                Err(Outcome::Lost("sent wrong bytes, and is not asked again".to_owned()))
            }
            Fed::Over => Err(Outcome::Ended),
            // The schedule tells which claims came to an end.
            Fed::Onward | Fed::Done | Fed::Wrong | Fed::Blamed(Verdict::Warned) => Ok(()),
        }
    }

    fn on_event(&mut self, event: Event<'_>) {
        match event {
            Event::Bitfield(bitfield) => {
                let pieces = PieceSet::from_bitfield(bitfield, self.swarm.geometry().piece_count());
                self.has(pieces);
            }
            Event::HaveAll => self.has(PieceSet::all(self.swarm.geometry().piece_count())),
            Event::Have(piece) => {
                if self.swarm.schedule().peer_has_piece(self.source, piece) {
                    self.session.interested(true);
                    self.news();
                }
            }
            Event::DontHave(piece) => {
                self.swarm.schedule().peer_lacks(self.source, piece);
                self.serving.has_all = false;
                self.returned.push((piece, false));
                self.show_interest();
            }
            Event::Choked => self.was_choked = !self.session.is_fast(),
            Event::Unchoked => self.forgive(),
            Event::Rejected(request) => self.on_rejected(request),
            Event::HandshakeDone { .. } => {
                self.serving.introduce(&mut self.session);
                self.swarm.counters.peers.fetch_add(1, Ordering::Relaxed);
            }
            Event::PeersNamed => {
                let mut named = self.session.take_named();
                named.retain(|it| pex::may_pass(self.seat.ip(), it.ip()));
                self.swarm.tell(super::Event::Exchanged(named));
            }
            Event::HaveNone => self.news(),
            Event::Block { .. } | Event::AllowedFast(_) | Event::Reqq(_) | Event::Ignored => {}
        }
    }

    fn has(&mut self, pieces: PieceSet) {
        self.serving.has_all = pieces.len() == self.swarm.geometry().piece_count();
        if !self.serving.has_all && !self.session.is_upload_only() {
            self.news();
        }
        self.swarm.schedule().peer_has(self.source, pieces);
        self.show_interest();
    }

    /// The peer lacks something, and is on its way to it. Of others than named ones there are many, and it says nothing.
    fn news(&self) {
        if self.named {
            self.swarm.news();
        }
    }

    fn show_interest(&mut self) {
        let useful = self.swarm.schedule().is_useful(self.source);
        self.session.interested(useful);
    }

    /// Whether the peer is worth waiting for any longer.
    fn judge(&self) -> Option<Outcome> {
        let timing = self.swarm.client.timing();
        let now = self.swarm.now();
        let silent = self.session.silent_for(now);
        if !self.session.is_open() {
            return (silent > timing.connect).then(|| {
                Outcome::Failed(format!(
                    "sent no handshake within {}",
                    size::seconds(timing.connect)
                ))
            });
        }
        let waits = self.session.oldest_request_age(now).unwrap_or_default();
        if waits > timing.silence && now.saturating_sub(self.useful_at) > timing.silence {
            return Some(Outcome::Failed(format!(
                "sent nothing that was asked for within {}",
                size::seconds(timing.silence)
            )));
        }
        // Whatever it has claimed: one that chokes and unchokes us in turns is never asked for long.
        // And one that takes nothing has nothing new to offer later.
        let hopeless = self.session.is_upload_only() && !self.session.is_interested();
        let patience = match hopeless {
            true => timing.silence,
            false => (timing.silence * USELESS_SILENCES).min(timing.give_up / 2),
        };
        if now.saturating_sub(self.useful_at) > patience {
            let why = if self.session.is_choked() {
                "did not unchoke us"
            } else if self.claims.is_empty() {
                "has nothing that is missing"
            } else {
                "sent nothing that was asked for"
            };
            return Some(Outcome::Failed(format!("{why} within {}", size::seconds(patience))));
        }
        None
    }
}
