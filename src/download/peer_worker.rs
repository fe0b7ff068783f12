//! A connection to a peer (BEP 3), from which we take.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::assembly::Assembly;
use super::stream::Outcome;
use super::swarm::{Fed, Swarm};
use crate::geometry::PieceIndex;
use crate::net::PeerConnection;
use crate::protocol::peer::{Event, PeerSession};
use crate::protocol::wire::Request;
use crate::schedule::{Next, PieceSet, SourceId, Verdict, WorkerId};
use crate::size;

/// Read at a time, at least; the longest message always fits.
const BUFFER_BYTES: usize = 256 << 10;

/// How long a read waits at most before the worker looks around: for keep-alives, and for work that came up.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// A peer that does not unchoke us, or has nothing for us, is left after so many times the silence.
const USELESS_SILENCES: u32 = 3;

struct Claim {
    piece: PieceIndex,
    assembly: Arc<Mutex<Assembly>>,
    /// The begins of blocks that this peer was asked for.
    asked: Vec<u32>,
}

struct Worker<'a> {
    swarm: &'a Swarm,
    source: SourceId,
    worker: WorkerId,
    session: PeerSession,
    claims: Vec<Claim>,
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
    let mut worker = Worker { swarm, source, worker, session, claims: Vec::new(), useful_at: now };
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
        let mut buffer = vec![0; BUFFER_BYTES.max(2 * self.session.max_message_bytes())];
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
            match connection.read(&mut buffer[filled..], LOOK_AROUND) {
                Ok(read) => filled += read.unwrap_or(0),
                Err(why) if self.session.is_open() => return Outcome::Failed(why),
                Err(why) => return Outcome::Failed(format!("no handshake: {why}")),
            }
            let mut used = 0;
            loop {
                let now = self.swarm.now();
                match self.session.next(now, &buffer[used..filled]) {
                    Ok(None) => break,
                    Ok(Some((event, length))) => {
                        let outcome = self.on_event(now, event);
                        used += length;
                        if let Some(outcome) = outcome {
                            return outcome;
                        }
                    }
                    // It speaks another language, or to another torrent: that will not change.
                    Err(why) => return Outcome::Lost(why.to_string()),
                }
            }
            buffer.copy_within(used..filled, 0);
            filled -= used;
            self.drop_what_others_finished();
            self.ask();
            if let Some(outcome) = self.judge() {
                return outcome;
            }
        }
    }

    fn on_event(&mut self, now: Duration, event: Event<'_>) -> Option<Outcome> {
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
            Event::Choked => {
                self.session.take_dropped();
                self.drop_claims();
            }
            Event::Block { piece, begin, data } => {
                self.useful_at = now;
                return self.on_block(piece, begin, data);
            }
            Event::HandshakeDone { .. } => {
                self.swarm.counters.peers.fetch_add(1, Ordering::Relaxed);
            }
            Event::Unchoked | Event::Reqq(_) | Event::Ignored => {}
        }
        None
    }

    fn show_interest(&mut self) {
        let useful = self.swarm.schedule().is_useful(self.source);
        self.session.interested(useful);
    }

    fn on_block(&mut self, piece: PieceIndex, begin: u32, data: &[u8]) -> Option<Outcome> {
        let claim = self.claims.iter_mut().find(|claim| claim.piece == piece)?;
        claim.asked.retain(|asked| *asked != begin);
        let assembly = Arc::clone(&claim.assembly);
        assembly.lock().unwrap_or_else(PoisonError::into_inner).unask(begin);
        match self.swarm.feed(self.source, self.worker, piece, &assembly, begin, data) {
            Fed::Onward => None,
            Fed::Done | Fed::Wrong | Fed::Blamed(Verdict::Warned) => {
                self.drop_claim(piece);
                None
            }
            Fed::Blamed(Verdict::Banned) => {
                Some(Outcome::Lost("sent wrong bytes, and is not asked again".to_owned()))
            }
            Fed::Over => Some(Outcome::Ended),
        }
    }

    /// Keeps the request queue full.
    fn ask(&mut self) {
        if self.session.is_choked() {
            return;
        }
        let now = self.swarm.now();
        while self.session.outstanding() < self.session.queue_depth() {
            if self.ask_within_claims(now) {
                continue;
            }
            let next = self.swarm.schedule().next_piece(self.worker, now);
            let Next::Fetch(pieces) = next else { break };
            let Some(assembly) = self.swarm.assembly(self.source, pieces.start) else { continue };
            self.claims.push(Claim { piece: pieces.start, assembly, asked: Vec::new() });
        }
    }

    /// Asks for one more block of the pieces that are claimed; false where all were asked for.
    fn ask_within_claims(&mut self, now: Duration) -> bool {
        for claim in &mut self.claims {
            let mut assembly = claim.assembly.lock().unwrap_or_else(PoisonError::into_inner);
            let mut block = assembly.next_block(false, |begin| claim.asked.contains(&begin));
            if block.is_none() && self.swarm.schedule().is_shared(claim.piece) {
                block = assembly.next_block(true, |begin| claim.asked.contains(&begin));
            }
            let Some((begin, length)) = block else { continue };
            if self.session.request(now, Request { piece: claim.piece, begin, length }) {
                claim.asked.push(begin);
                return true;
            }
            assembly.unask(begin);
            return false;
        }
        false
    }

    /// Another source was faster with a piece: what was asked for here is taken back.
    fn drop_what_others_finished(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let lost: Vec<_> = {
            let schedule = self.swarm.schedule();
            let lost = self.claims.iter().filter(|claim| !schedule.holds(self.worker, claim.piece));
            lost.map(|claim| claim.piece).collect()
        };
        lost.into_iter().for_each(|piece| self.drop_claim(piece));
    }

    fn drop_claim(&mut self, piece: PieceIndex) {
        let Some(index) = self.claims.iter().position(|claim| claim.piece == piece) else { return };
        let claim = self.claims.swap_remove(index);
        let mut assembly = claim.assembly.lock().unwrap_or_else(PoisonError::into_inner);
        claim.asked.iter().for_each(|begin| assembly.unask(*begin));
        let outstanding: Vec<_> =
            self.session.outstanding_requests().filter(|request| request.piece == piece).collect();
        for request in outstanding {
            self.session.cancel(request);
        }
    }

    fn drop_claims(&mut self) {
        for claim in self.claims.drain(..) {
            let mut assembly = claim.assembly.lock().unwrap_or_else(PoisonError::into_inner);
            claim.asked.iter().for_each(|begin| assembly.unask(*begin));
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
        let patience = timing.silence * USELESS_SILENCES;
        if self.claims.is_empty() && now.saturating_sub(self.useful_at) > patience {
            let why = if self.session.is_choked() {
                "did not unchoke us"
            } else {
                "has nothing that is missing"
            };
            return Some(Outcome::Failed(format!("{why} within {}", size::seconds(patience))));
        }
        None
    }
}
