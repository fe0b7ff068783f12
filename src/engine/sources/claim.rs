//! A piece that a connection has claimed: which of its blocks were requested from that peer.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::assembly::Assembly;
use super::batch::ReceivedBlock;
use super::swarm::Swarm;
use crate::mutex::Mutex;
use crate::picker::SourceId;
use crate::protocol::peer::PeerSession;
use crate::protocol::wire::BlockRequest;
use crate::torrent::geometry::{BLOCK_BYTES, PieceIndex};

/// Whether a block of the piece was requested from this peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockState {
    No,
    Yes,
    /// The peer sent it. The block may still be waiting to be fed, so the endgame must not request
    /// it again here.
    Came,
}

#[derive(Debug)]
pub struct Claim {
    pub piece: PieceIndex,
    assembly: Arc<Mutex<Assembly>>,
    /// One entry per block.
    asked: Vec<BlockState>,
    outstanding: u32,
    /// At the last check, all blocks had been requested.
    exhausted: bool,
}

impl Claim {
    /// `None` if the piece is no longer needed.
    pub fn new(swarm: &Swarm, source: SourceId, piece: PieceIndex) -> Option<Claim> {
        let assembly = swarm.assembly(source, piece)?;
        let blocks = swarm.geometry().len(piece).div_ceil(BLOCK_BYTES) as usize;
        let asked = vec![BlockState::No; blocks];
        Some(Claim { piece, assembly, asked, outstanding: 0, exhausted: false })
    }

    /// Requests blocks until `depth` requests are outstanding in the session, or none are left.
    pub fn ask(&mut self, session: &mut PeerSession, swarm: &Swarm, depth: usize, now: Duration) {
        let mut assembly = match self.assembly.try_lock() {
            Some(assembly) => assembly,
            // Another thread is writing to it. Blocks that others gave back are not worth waiting
            // for.
            None if self.exhausted => return,
            None => self.assembly.lock(),
        };
        while session.outstanding() < depth {
            let mut next = assembly.next_unasked();
            if next.is_none() && swarm.schedule().is_shared(self.piece) {
                let is_mine = |block| self.asked.get(block as usize) != Some(&BlockState::No);
                next = assembly.next_shared(is_mine);
            }
            self.exhausted = next.is_none();
            let Some((block, length)) = next else { return };
            let request = BlockRequest { piece: self.piece, begin: block * BLOCK_BYTES, length };
            match self.asked.get_mut(block as usize) {
                Some(asked) if *asked != BlockState::Yes && session.request(now, request) => {
                    *asked = BlockState::Yes;
                }
                _ => return assembly.unask(block),
            }
            self.outstanding += 1;
        }
    }

    /// Takes a received block, if it was requested; `data` is its range in the batch's buffer.
    pub fn came(&mut self, begin: u32, data: Range<usize>) -> Option<ReceivedBlock> {
        let asked = self.asked.get_mut((begin / BLOCK_BYTES) as usize)?;
        if *asked != BlockState::Yes {
            return None;
        }
        *asked = BlockState::Came;
        self.outstanding -= 1;
        Some(ReceivedBlock { piece: self.piece, begin, assembly: Arc::clone(&self.assembly), data })
    }

    /// The peer rejected the request for this block.
    pub fn rejected(&mut self, begin: u32) {
        let block = begin / BLOCK_BYTES;
        if let Some(asked @ BlockState::Yes) = self.asked.get_mut(block as usize) {
            *asked = BlockState::No;
            self.outstanding -= 1;
            self.assembly.lock().unask(block);
        }
    }

    /// Whether no request is outstanding.
    pub fn is_idle(&self) -> bool {
        self.outstanding == 0
    }

    /// Withdraws all outstanding requests. Returns whether there were any.
    pub fn unask_all(&self) -> bool {
        if self.outstanding == 0 {
            return false;
        }
        let mut assembly = self.assembly.lock();
        for (block, _) in
            self.asked.iter().enumerate().filter(|(_, asked)| **asked == BlockState::Yes)
        {
            assembly.unask(block as u32); // at most the piece's blocks
        }
        true
    }
}
