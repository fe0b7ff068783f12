//! A peer's TCP connection (BEP 3).
//!
//! A reader must never block on writing: two peers that each wait for the other to read would wait for ever.
//! So what a peer is sent goes through a bounded queue to a writer thread of its own. Blocks that the peer asked for
//! are fetched by that thread, too: the reader waits for no disk.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::Client;
use super::http::io_reason;
use crate::protocol::socks::Target;

/// Batches of messages, and their bytes, that may wait for the peer to read: far more than a peer that reads leaves.
/// One more batch is always taken, however long a bitfield it holds.
const QUEUED_BATCHES: usize = 1024;
const QUEUED_BYTES: usize = 1 << 20;

const NOT_READ: &str = "it does not read what it is sent";

/// The writer's stack: it reads files, and holds no large buffer there.
const WRITER_STACK_BYTES: usize = 256 << 10;

/// What the writer itself makes, when its turn comes, and writes.
pub type Job = Box<dyn FnOnce(&mut dyn io::Write) -> io::Result<()> + Send>;

enum Outgoing {
    Bytes(Vec<u8>),
    Job(Job),
}

/// An open connection.
pub struct PeerConnection {
    stream: Arc<TcpStream>,
    queue: SyncSender<Outgoing>,
    /// How many jobs wait, and how many bytes of messages.
    jobs: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
    timeout: Option<Duration>,
}

impl Client {
    /// Connects to a peer, through the SOCKS proxy where there is one. `time` is a clock's, and `None` once nobody
    /// waits any more.
    ///
    /// # Errors
    /// Why it did not: refused, unreachable, timed out.
    pub fn connect_peer(
        &self,
        target: &Target,
        time: &dyn Fn() -> Option<Duration>,
    ) -> Result<PeerConnection, String> {
        let failed = |why: io::Error| io_reason(&why);
        let stream = match (self.socks_for(&target.to_string()), target) {
            (Some(proxy), _) => self.connect_through(proxy, target, time)?,
            (None, Target::Address(address)) => {
                let stream = TcpStream::connect_timeout(address, self.timing().connect);
                Arc::new(stream.map_err(failed)?)
            }
            (None, Target::Name(..)) => return Err("its name was not looked up".to_owned()),
        };
        self.open_peer(stream)
    }

    /// Begins to write to a connection that stands.
    pub(super) fn open_peer(&self, stream: Arc<TcpStream>) -> Result<PeerConnection, String> {
        let failed = |why: io::Error| io_reason(&why);
        if !self.note(&stream) {
            return Err("the download has ended".to_owned());
        }
        stream.set_nodelay(true).map_err(failed)?;
        let writer = Arc::clone(&stream);
        writer.set_write_timeout(Some(self.timing().silence)).map_err(failed)?;
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
                    // The reader finds the connection closed.
                    let _ = writer.shutdown(std::net::Shutdown::Both);
                    break;
                }
            }
        };
        std::thread::Builder::new()
            .name("at-peer-writer".to_owned())
            .stack_size(WRITER_STACK_BYTES)
            .spawn(write)
            .map_err(failed)?;
        Ok(PeerConnection { stream, queue, jobs, bytes, timeout: None })
    }
}

impl PeerConnection {
    /// Queues bytes to be sent.
    ///
    /// # Errors
    /// The peer does not read, or the connection is closed.
    pub fn send(&self, bytes: Vec<u8>) -> Result<(), String> {
        // Whoever asks for what it is refused, and reads no answer, must not have us keep them all.
        if self.bytes.load(Ordering::Relaxed) > QUEUED_BYTES {
            return Err(NOT_READ.to_owned());
        }
        self.bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        self.queue(Outgoing::Bytes(bytes))
    }

    /// Queues what the writer makes and writes when its turn comes. Where it fails the connection is closed.
    ///
    /// # Errors
    /// The peer does not read, or the connection is closed.
    pub fn send_job(&self, job: Job) -> Result<(), String> {
        self.jobs.fetch_add(1, Ordering::Relaxed);
        self.queue(Outgoing::Job(job))
    }

    /// How many jobs wait for their turn, or are being done.
    pub fn waiting_jobs(&self) -> usize {
        self.jobs.load(Ordering::Relaxed)
    }

    fn queue(&self, outgoing: Outgoing) -> Result<(), String> {
        self.queue.try_send(outgoing).map_err(|why| match why {
            TrySendError::Full(_) => NOT_READ.to_owned(),
            TrySendError::Disconnected(_) => "the connection was closed".to_owned(),
        })
    }

    /// Reads what has come into the buffer; `None` if nothing did within `timeout`.
    ///
    /// # Errors
    /// The connection is closed (also cleanly) or broken.
    pub fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>, String> {
        let timeout = timeout.max(Duration::from_millis(1)); // zero would mean for ever
        if self.timeout != Some(timeout) {
            self.stream.set_read_timeout(Some(timeout)).map_err(|why| io_reason(&why))?;
            self.timeout = Some(timeout);
        }
        loop {
            return match (&*self.stream).read(buffer) {
                Ok(0) => Err("the connection was closed".to_owned()),
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
                Err(why) => Err(io_reason(&why)),
            };
        }
    }
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both); // the writer has a handle of its own
    }
}

/// The addresses of a `host:port` that a person named.
///
/// # Errors
/// The name is not known.
pub fn resolve(peer: &str) -> Result<Vec<SocketAddr>, String> {
    peer.to_socket_addrs().map(Iterator::collect).map_err(|why| io_reason(&why))
}
