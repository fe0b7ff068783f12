//! A connection to a peer (BEP 3), from which we take.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::batch::{Batch, Feeder};
use super::claim::Claim;
use super::stream::Outcome;
use super::swarm::{Fed, Swarm};
use crate::geometry::PieceIndex;
use crate::net::PeerConnection;
use crate::protocol::peer::{Event, PeerSession};
use crate::schedule::{Next, PieceSet, SourceId, Verdict, WorkerId};
use crate::size;

#[cfg(test)]
mod tests;

/// Read at a time, at least; the longest message always fits.
const BUFFER_BYTES: usize = 256 << 10;

/// How long a read waits at most before the worker looks around: for keep-alives, and for work that came up.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// A peer that does not unchoke us, or has nothing for us, is left after so many times the silence.
const USELESS_SILENCES: u32 = 3;

struct Worker<'a> {
    swarm: &'a Arc<Swarm>,
    source: SourceId,
    worker: WorkerId,
    session: PeerSession,
    /// In the order in which they are asked for, which is that in which their blocks come.
    claims: Vec<Claim>,
    /// The peer choked us since the claims were last dropped.
    was_choked: bool,
    /// Once the peer was faster than we; and a batch that is free.
    feeder: Option<Feeder>,
    spare: Option<Batch>,
    useful_at: Duration,
}

/// Connects, and takes pieces until there are none.
pub fn work(
    swarm: &Arc<Swarm>,
    source: SourceId,
    worker: WorkerId,
    address: SocketAddr,
) -> Outcome {
    let mut connection = match swarm.client.connect_peer(address) {
        Ok(connection) => connection,
        Err(why) => return Outcome::Failed(why),
    };
    let now = swarm.now();
    let infohash = swarm.partial.metainfo().infohash;
    let session = PeerSession::new(now, infohash, swarm.peer_id, swarm.geometry().piece_count());
    let mut worker = Worker {
        swarm,
        source,
        worker,
        session,
        claims: Vec::new(),
        was_choked: false,
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
            self.drop_ended_claims();
            self.ask();
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
                self.swarm.schedule().peer_has(self.source, pieces);
                self.show_interest();
            }
            Event::Have(piece) => {
                if self.swarm.schedule().peer_has_piece(self.source, piece) {
                    self.session.interested(true);
                }
            }
            Event::Choked => self.was_choked = true,
            Event::HandshakeDone { .. } => {
                self.swarm.counters.peers.fetch_add(1, Ordering::Relaxed);
            }
            Event::Block { .. } | Event::Unchoked | Event::Reqq(_) | Event::Ignored => {}
        }
    }

    fn show_interest(&mut self) {
        let useful = self.swarm.schedule().is_useful(self.source);
        self.session.interested(useful);
    }

    /// Fills the request queue up, once an eighth of it has come: many requests then go in one message to the kernel.
    fn ask(&mut self) {
        let depth = self.session.queue_depth();
        if self.session.is_choked() || self.session.outstanding() > depth - depth / 8 {
            return;
        }
        let now = self.swarm.now();
        for claim in &mut self.claims {
            claim.ask(&mut self.session, self.swarm, depth, now);
        }
        while self.session.outstanding() < depth {
            let (ended, next) = {
                let mut schedule = self.swarm.schedule();
                // One that has just come to an end may be given to us anew.
                (schedule.take_ended_claims(self.worker), schedule.next_piece(self.worker, now))
            };
            ended.into_iter().for_each(|piece| self.drop_claim(piece));
            let Next::Fetch(pieces) = next else { break };
            let Some(mut claim) = Claim::new(self.swarm, self.source, pieces.start) else {
                continue;
            };
            claim.ask(&mut self.session, self.swarm, depth, now);
            self.claims.push(claim);
        }
    }

    /// Lets go of pieces that came to an end, by whomever: what was asked for here is taken back.
    fn drop_ended_claims(&mut self) {
        let ended = self.swarm.schedule().take_ended_claims(self.worker);
        ended.into_iter().for_each(|piece| self.drop_claim(piece));
    }

    fn drop_claim(&mut self, piece: PieceIndex) {
        let Some(index) = self.claims.iter().position(|claim| claim.piece == piece) else { return };
        if !self.claims.remove(index).unask_all() {
            return;
        }
        let outstanding: Vec<_> =
            self.session.outstanding_requests().filter(|request| request.piece == piece).collect();
        for request in outstanding {
            self.session.cancel(request);
        }
    }

    fn drop_claims(&mut self) {
        for claim in self.claims.drain(..) {
            claim.unask_all();
        }
        self.swarm.schedule().release(self.worker);
        self.swarm.wake();
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
        let patience = timing.silence * USELESS_SILENCES;
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
