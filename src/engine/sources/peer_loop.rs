//! The loop that reads from a peer: bytes of its connection, messages of its session, events for a handler. It is the same
//! whoever opened the connection, and for whatever: the handlers fetch the metainfo, fetch data, or only serve.

use std::ops::Range;
use std::time::Duration;

use super::dial::DialedPeer;
use super::event::WorkerOutcome;
use crate::net::{PeerConnection, SourceError};
use crate::protocol::peer::{PeerEvent, PeerSession};

/// What a connection is for.
pub trait PeerHandler {
    fn session(&mut self) -> &mut PeerSession;

    /// The session's clock.
    fn now(&self) -> Duration;

    /// How much is read at a time, at least. The buffer grows for a longer message.
    fn buffer_bytes(&mut self) -> usize {
        32 << 10
    }

    /// A message means this; it ends there in the buffer.
    ///
    /// # Errors
    /// The connection is of no use any more. The same holds below.
    fn on_event(&mut self, event: PeerEvent<'_>, end: usize) -> Result<(), WorkerOutcome>;

    /// All messages were taken that have come whole. Gives a buffer to read into that begins with the `rest`.
    fn on_read(
        &mut self,
        mut buffer: Vec<u8>,
        rest: Range<usize>,
    ) -> Result<Vec<u8>, WorkerOutcome> {
        buffer.copy_within(rest, 0);
        Ok(buffer)
    }

    /// Does what is due, whether something was read or not. Gives how long to wait for more, at most.
    fn turn(&mut self, connection: &PeerConnection) -> Result<Duration, WorkerOutcome>;
}

/// Reads until the handler, the peer or the connection ends it.
pub fn run(handler: &mut dyn PeerHandler, link: &mut DialedPeer) -> WorkerOutcome {
    let bytes = handler.buffer_bytes().max(link.buffer.len());
    link.buffer.resize(bytes, 0);
    loop {
        if let Err(outcome) = turn(handler, link) {
            return outcome;
        }
    }
}

/// Takes what has come, and reads more.
fn turn(handler: &mut dyn PeerHandler, link: &mut DialedPeer) -> Result<(), WorkerOutcome> {
    let mut used = 0;
    loop {
        let now = handler.now();
        match handler.session().next(now, &link.buffer[used..link.filled]) {
            Ok(None) => break,
            Ok(Some((event, length))) => {
                used += length;
                handler.on_event(event, used)?;
            }
            // It speaks another language, or to another torrent: that will not change.
            Err(why) => return Err(WorkerOutcome::Lost(SourceError::Peer(why))),
        }
    }
    let rest = used..link.filled;
    link.filled = rest.len();
    link.buffer = handler.on_read(std::mem::take(&mut link.buffer), rest)?;
    let patience = handler.turn(&link.connection);
    let now = handler.now();
    handler.session().poll(now);
    let said = handler.session().output(now).map_or(Ok(()), |bytes| link.connection.send(bytes));
    let patience = patience?;
    said.map_err(WorkerOutcome::Failed)?;
    if link.filled == link.buffer.len() {
        let longest = handler.session().max_message_bytes();
        link.buffer.resize((2 * link.filled).min(longest.max(link.filled + 1)), 0);
    }
    let read = link.connection.read(&mut link.buffer[link.filled..], patience);
    link.filled += read.map_err(WorkerOutcome::Failed)?.unwrap_or(0);
    Ok(())
}
