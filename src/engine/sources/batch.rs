//! The blocks of one read from a peer, on their way to the pieces' assemblies.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvError, Sender, channel};

use super::assembly::Assembly;
use super::swarm::{Fed, Swarm};
use crate::mutex::Mutex;
use crate::picker::{Blame, SourceId, WorkerId};
use crate::protocol::wire::BLOCK_HEAD_BYTES;
use crate::torrent::geometry::{BLOCK_BYTES, PieceIndex};

/// A block that was received into its batch's buffer.
#[derive(Debug)]
pub struct ReceivedBlock {
    pub piece: PieceIndex,
    /// Offset in the piece.
    pub begin: u32,
    pub assembly: Arc<Mutex<Assembly>>,
    /// Range in the buffer.
    pub data: Range<usize>,
}

impl Drop for ReceivedBlock {
    /// A block that was not added to its piece may be requested again.
    fn drop(&mut self) {
        let mut assembly = self.assembly.lock();
        assembly.unask(self.begin / BLOCK_BYTES);
    }
}

/// The data of one read from a peer.
#[derive(Debug)]
pub struct Batch {
    pub buffer: Vec<u8>,
    pub blocks: Vec<ReceivedBlock>,
    /// The result after feeding: [`Fed::Onward`], or the reason to stop: the source was banned, or
    /// the download is over.
    pub fed: Fed,
}

impl Batch {
    pub fn new(buffer: Vec<u8>, blocks: Vec<ReceivedBlock>) -> Batch {
        Batch { buffer, blocks, fed: Fed::Onward }
    }

    /// Adds the blocks to their pieces in the torrent's order, and merges adjacent blocks.
    pub fn feed(&mut self, swarm: &Swarm, source: SourceId, worker: WorkerId) {
        // A peer may send blocks in another order than they were requested, such as its disk order.
        self.blocks.sort_unstable_by_key(|block| (block.piece, block.begin));
        let mut rest = self.blocks.as_slice();
        while let Some((first, following)) = rest.split_first() {
            rest = following;
            let (piece, mut data) = (first.piece, first.data.clone());
            let mut end_in_buffer = data.end;
            while let Some((next, following)) = rest.split_first().filter(|(next, _)| {
                next.piece == piece
                    && next.begin as usize == first.begin as usize + data.len()
                    && next.data.start == end_in_buffer + BLOCK_HEAD_BYTES
            }) {
                rest = following;
                // Closes the gap that the next message's head leaves.
                self.buffer.copy_within(next.data.clone(), data.end);
                data.end += next.data.len();
                end_in_buffer = next.data.end;
            }
            let bytes = &self.buffer[data];
            let fed = swarm.feed(source, worker, piece, &first.assembly, first.begin, bytes);
            if matches!(fed, Fed::Over | Fed::Blamed(Blame::Banned)) {
                self.fed = fed;
                break;
            }
        }
        self.blocks.clear();
    }
}

/// A thread that writes and hashes the batches of a peer that sends faster than one thread can
/// process: one batch at a time, while the worker reads the next.
#[derive(Debug)]
pub struct BlockFeeder {
    to: Sender<Batch>,
    from: Receiver<Batch>,
    is_busy: bool,
}

impl BlockFeeder {
    /// `None` if the system refused to create a thread: the worker then processes its batches
    /// itself.
    pub fn new(swarm: &Arc<Swarm>, source: SourceId, worker: WorkerId) -> Option<BlockFeeder> {
        let (to, batches) = channel::<Batch>();
        let (done, from) = channel();
        let swarm = Arc::clone(swarm);
        let work = move || {
            for mut batch in batches {
                batch.feed(&swarm, source, worker);
                if done.send(batch).is_err() {
                    break; // the worker has ended
                }
            }
        };
        let thread = std::thread::Builder::new().name("at-peer-feeder".to_owned());
        thread.spawn(work).ok()?;
        Some(BlockFeeder { to, from, is_busy: false })
    }

    /// Sends a batch to the thread. The caller must have collected the previous batch.
    pub fn feed(&mut self, batch: Batch) {
        self.is_busy = self.to.send(batch).is_ok();
    }

    /// Waits for the batch in progress, if there is one.
    ///
    /// # Errors
    /// The thread panicked.
    pub fn collect(&mut self) -> Result<Option<Batch>, RecvError> {
        if std::mem::take(&mut self.is_busy) { self.from.recv().map(Some) } else { Ok(None) }
    }
}
