//! A peer's TCP connection (BEP 3).
//!
//! A reader must never block on writing: two peers that wait for each other to read would wait
//! forever. Messages are therefore sent through a bounded queue by a separate writer thread. That
//! thread also reads the blocks that the peer requested, so that the reader waits for no disk.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use ureq::config::IpFamily;

use super::Client;
use super::error::{Awaited, SourceError};
use super::name_lookup::look_up;
use super::proxy::{Proxy, handshake};
use crate::protocol::socks::Destination;
use crate::protocol::wire::Handshake;

/// How many batches of messages, and how many of their bytes, may wait for the peer to read: far
/// more than a peer that reads leaves unread. The byte limit is checked before a batch is added, so
/// that a bitfield of any length is accepted.
const QUEUED_BATCHES: usize = 1024;
const QUEUED_BYTES: usize = 1 << 20;

/// The stack of a thread that serves one peer: it reads files, but keeps no large buffer on the
/// stack.
pub const PEER_STACK_BYTES: usize = 256 << 10;

/// Produces and writes a message on the writer thread.
pub type WriteJob = Box<dyn FnOnce(&mut dyn io::Write) -> io::Result<()> + Send>;

enum Outgoing {
    Bytes(Vec<u8>),
    Job(WriteJob),
}

/// An open connection to a peer.
pub struct PeerConnection {
    stream: Arc<TcpStream>,
    queue: SyncSender<Outgoing>,
    /// How many jobs are queued, and how many bytes of messages.
    jobs: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
    timeout: Option<Duration>,
}

impl Client {
    /// Connects to a peer, sends our handshake (`hello`) and waits for the peer's, all within
    /// `within`. Returns the bytes received: a handshake, or the beginning of something else.
    ///
    /// # Errors
    /// Why it failed: refused, unreachable, timed out; the peer hung up, or was silent.
    pub fn greet_peer(
        &self,
        target: &Destination,
        hello: &[u8],
        within: Duration,
        time: &dyn Fn() -> Option<Duration>,
    ) -> Result<(PeerConnection, Vec<u8>), SourceError> {
        let deadline = time().ok_or(SourceError::Ended)? + within;
        let left = || time().map(|now| deadline.saturating_sub(now)).filter(|left| !left.is_zero());
        let stream = self.reach_peer(target, within, time)?;
        if !self.note(&stream) {
            return Err(SourceError::Ended);
        }
        let failed = |why: io::Error| match why.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                SourceError::Silent(Awaited::Handshake, within)
            }
            _ => SourceError::NoHandshake(Box::new(why.into())),
        };
        let mut timed = Timed { stream: &stream, left: &left };
        timed.write_all(hello).map_err(failed)?;
        let mut heard = [0; Handshake::BYTES];
        let mut filled = 0;
        while let Ok(None) = Handshake::decode(&heard[..filled]) {
            match timed.read(&mut heard[filled..]) {
                Ok(0) => return Err(SourceError::NoHandshake(Box::new(SourceError::Closed))),
                Ok(count) => filled += count,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(failed(why)),
            }
        }
        Ok((self.open_peer(stream)?, heard[..filled].to_vec()))
    }

    pub(super) fn reach_peer(
        &self,
        target: &Destination,
        within: Duration,
        time: &dyn Fn() -> Option<Duration>,
    ) -> Result<Arc<TcpStream>, SourceError> {
        match (self.socks_for(&target.to_string()), target) {
            (Some(proxy), _) => self.connect_through(proxy, target, within, time),
            (None, Destination::Address(address)) => {
                Ok(Arc::new(TcpStream::connect_timeout(address, within)?))
            }
            (None, Destination::Name(..)) => Err(SourceError::NoAddress),
        }
    }

    /// Connects to a peer through the proxy. `time` returns the clock's time, or `None` once the
    /// connection is no longer needed.
    pub(super) fn connect_through(
        &self,
        proxy: &Proxy,
        target: &Destination,
        within: Duration,
        time: &dyn Fn() -> Option<Duration>,
    ) -> Result<Arc<TcpStream>, SourceError> {
        let deadline = time().ok_or(SourceError::Ended)? + within;
        let left = || time().map(|now| deadline.saturating_sub(now)).filter(|left| !left.is_zero());
        let addresses =
            look_up(&proxy.place(), IpFamily::Any, within).map_err(|why| proxy.unreachable(why))?;
        let connected = match left() {
            Some(within) => self.eyeballs.connect(&addresses, within),
            None => Err(io::ErrorKind::TimedOut.into()),
        };
        let stream = Arc::new(connected.map_err(|why| proxy.unreachable(why.into()))?);
        if !self.note(&stream) {
            return Err(SourceError::Ended);
        }
        let mut timed = Timed { stream: &stream, left: &left };
        let mut exchange = |send: &[u8], answer: &mut [u8]| {
            timed.write_all(send)?;
            timed.read_exact(answer)
        };
        handshake(&mut exchange, proxy, target)??;
        Ok(stream)
    }

    /// Excludes a connection from [`Client::shut_down`].
    pub fn release(&self, connection: &PeerConnection) {
        let stream = Arc::downgrade(&connection.stream);
        let mut peers = self.peers.lock();
        peers.open.retain(|open| !open.ptr_eq(&stream));
    }

    /// Includes a connection in [`Client::shut_down`]. Returns `false` if the client is already
    /// shut down.
    pub fn adopt(&self, connection: &PeerConnection) -> bool {
        self.note(&connection.stream)
    }

    /// Starts the writer thread of an established connection.
    pub(super) fn open_peer(&self, stream: Arc<TcpStream>) -> Result<PeerConnection, SourceError> {
        if !self.note(&stream) {
            return Err(SourceError::Ended);
        }
        stream.set_nodelay(true)?;
        let writer = Arc::clone(&stream);
        writer.set_write_timeout(Some(self.timing().silence))?;
        let (queue, batches) = sync_channel::<Outgoing>(QUEUED_BATCHES);
        let jobs = Arc::new(AtomicUsize::new(0));
        let bytes = Arc::new(AtomicUsize::new(0));
        let (waiting, waiting_bytes) = (Arc::clone(&jobs), Arc::clone(&bytes));
        let write = move || {
            for batch in batches {
                let written = match batch {
                    Outgoing::Bytes(bytes) => {
                        let written = (&*writer).write_all(&bytes);
                        waiting_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                        written
                    }
                    Outgoing::Job(job) => {
                        let done = job(&mut &*writer);
                        waiting.fetch_sub(1, Ordering::Relaxed);
                        done
                    }
                };
                if written.is_err() {
                    // The reader then sees a closed connection.
                    let _ = writer.shutdown(std::net::Shutdown::Both);
                    break;
                }
            }
        };
        std::thread::Builder::new()
            .name("at-peer-writer".to_owned())
            .stack_size(PEER_STACK_BYTES)
            .spawn(write)?;
        Ok(PeerConnection { stream, queue, jobs, bytes, timeout: None })
    }
}

/// A socket whose reads and writes share one deadline.
struct Timed<'a> {
    stream: &'a TcpStream,
    left: &'a dyn Fn() -> Option<Duration>,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        (self.left)().map(Some).ok_or_else(|| io::ErrorKind::TimedOut.into())
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PeerConnection {
    /// Queues bytes to be sent.
    ///
    /// # Errors
    /// The peer does not read, or the connection is closed.
    pub fn send(&self, bytes: Vec<u8>) -> Result<(), SourceError> {
        // A peer that keeps requesting, is refused and reads no answer must not fill our memory.
        if self.bytes.load(Ordering::Relaxed) > QUEUED_BYTES {
            return Err(SourceError::DoesNotRead);
        }
        self.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        self.queue(Outgoing::Bytes(bytes))
    }

    /// Queues a job for the writer thread. If it fails, the connection is closed.
    ///
    /// # Errors
    /// The peer does not read, or the connection is closed.
    pub fn send_job(&self, job: WriteJob) -> Result<(), SourceError> {
        self.jobs.fetch_add(1, Ordering::Relaxed);
        self.queue(Outgoing::Job(job))
    }

    /// Returns how many jobs are queued or running.
    pub fn waiting_jobs(&self) -> usize {
        self.jobs.load(Ordering::Relaxed)
    }

    fn queue(&self, outgoing: Outgoing) -> Result<(), SourceError> {
        self.queue.try_send(outgoing).map_err(|why| match why {
            TrySendError::Full(_) => SourceError::DoesNotRead,
            TrySendError::Disconnected(_) => SourceError::Closed,
        })
    }

    /// Reads what has arrived into the buffer. Returns `None` if nothing arrived within `timeout`.
    ///
    /// # Errors
    /// The connection is closed (even cleanly) or broken.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        timeout: Duration,
    ) -> Result<Option<usize>, SourceError> {
        let timeout = timeout.max(Duration::from_millis(1)); // a zero timeout is an error
        if self.timeout != Some(timeout) {
            self.stream.set_read_timeout(Some(timeout))?;
            self.timeout = Some(timeout);
        }
        loop {
            return match (&*self.stream).read(buffer) {
                Ok(0) => Err(SourceError::Closed),
                Ok(read) => Ok(Some(read)),
                Err(why)
                    if matches!(
                        why.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    Ok(None)
                }
                Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
                Err(why) => Err(why.into()),
            };
        }
    }
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both); // wakes the writer, which holds the stream too
    }
}

/// Resolves a `host:port`. The look-up has no deadline.
///
/// # Errors
/// The name is unknown.
pub fn resolve(peer: &str) -> Result<Vec<SocketAddr>, SourceError> {
    Ok(peer.to_socket_addrs()?.collect())
}
