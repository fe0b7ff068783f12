//! The read loop of a peer connection: bytes from the socket, messages from the session, events for
//! a handler. It is the same whoever opened the connection and whatever the handler does: fetch the
//! metainfo, fetch data, or only serve.

use std::ops::Range;
use std::time::Duration;

use super::dial::DialedPeer;
use super::event::WorkerOutcome;
use crate::net::{PeerConnection, SourceError};
use crate::protocol::peer::{PeerEvent, PeerSession};

/// The purpose of a connection.
pub trait PeerHandler {
    fn session(&mut self) -> &mut PeerSession;

    /// The clock of the session.
    fn now(&self) -> Duration;

    /// The minimum size of the read buffer. It grows for longer messages.
    fn buffer_bytes(&mut self) -> usize {
        32 << 10
    }

    /// Handles an event. `end` is the end of its message in the buffer.
    ///
    /// # Errors
    /// The connection is no longer useful. The same applies to the methods below.
    fn on_event(&mut self, event: PeerEvent<'_>, end: usize) -> Result<(), WorkerOutcome>;

    /// Called when all complete messages were handled. Returns the next read buffer, which begins
    /// with the `rest`.
    fn on_read(
        &mut self,
        mut buffer: Vec<u8>,
        rest: Range<usize>,
    ) -> Result<Vec<u8>, WorkerOutcome> {
        buffer.copy_within(rest, 0);
        Ok(buffer)
    }

    /// Does what is due, whether or not something was read. Returns the maximum time to wait for
    /// more.
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

/// Handles what has arrived, and reads more.
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
            // The peer speaks another protocol or serves another torrent: retrying would not help.
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
