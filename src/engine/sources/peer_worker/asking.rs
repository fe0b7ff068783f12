//! Which blocks are requested from a peer, and which claims are released for other sources.

use super::super::claim::Claim;
use super::super::event::WorkerOutcome;
use super::PeerDownload;
use crate::picker::Next;
use crate::protocol::wire::BlockRequest;
use crate::torrent::geometry::PieceIndex;

impl PeerDownload<'_> {
    pub(super) fn on_rejected(&mut self, request: BlockRequest) {
        let claim = self.claims.iter_mut().find(|claim| claim.piece == request.piece);
        let Some(claim) = claim else { return };
        claim.rejected(request.begin);
        self.refused_at = Some(self.swarm.now());
        if self.returned.last() != Some(&(request.piece, true)) {
            self.returned.push((request.piece, true));
        }
    }

    /// Releases claims that the peer does not serve, so that others are asked for them.
    pub(super) fn return_claims(&mut self) -> Result<(), WorkerOutcome> {
        let pause = self.swarm.phase.client.timing().refusal();
        if self.refused_at.is_some_and(|at| self.swarm.now().saturating_sub(at) > pause) {
            self.forgive();
        }
        if self.session.is_choked() {
            let idle = |claim: &&Claim| claim.is_idle() && !self.session.may_ask(claim.piece);
            self.returned.extend(self.claims.iter().filter(idle).map(|claim| (claim.piece, false)));
        }
        if self.returned.is_empty() {
            return Ok(());
        }
        // The blocks received so far must be fed while their claims still exist.
        self.collect()?;
        for (piece, refused) in std::mem::take(&mut self.returned) {
            self.drop_claim(piece);
            self.swarm.schedule().give_up(self.worker, piece, refused);
        }
        self.swarm.wake();
        Ok(())
    }

    /// Allows requests that the peer rejected to be sent to it again.
    pub(super) fn forgive(&mut self) {
        // A choke, its rejects and the unchoke may arrive in one read.
        self.returned.iter_mut().for_each(|(_, refused)| *refused = false);
        if self.refused_at.take().is_some() {
            self.swarm.schedule().forgive(self.source);
        }
    }

    /// Refills the request queue once an eighth of it was answered: many requests then take one
    /// write to the socket.
    pub(super) fn ask(&mut self) {
        let depth = self.session.queue_depth();
        let choked = self.session.is_choked();
        if (choked && self.session.allowed_fast().is_empty())
            || self.session.outstanding() > depth - depth / 8
        {
            return;
        }
        let now = self.swarm.now();
        for claim in &mut self.claims {
            if !choked || self.session.may_ask(claim.piece) {
                claim.ask(&mut self.session, self.swarm, depth, now);
            }
        }
        while self.session.outstanding() < depth {
            let (ended, next) = {
                let mut schedule = self.swarm.schedule();
                // A claim that just ended may be assigned to us again.
                let ended = schedule.take_ended_claims(self.worker);
                let next = match choked {
                    true => schedule.next_of(self.worker, self.session.allowed_fast(), now),
                    false => schedule.next_piece(self.worker, now),
                };
                (ended, next)
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

    /// Releases claims on pieces that ended, through any source, and cancels their requests here.
    pub(super) fn drop_ended_claims(&mut self) {
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

    pub(super) fn drop_claims(&mut self) {
        for claim in self.claims.drain(..) {
            claim.unask_all();
        }
        self.swarm.schedule().release(self.worker);
        self.swarm.wake();
    }
}
