//! A TCP socket as ureq's transport. ureq's own is not exported, and tries a host's addresses one
//! after another.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};

use crate::net::happy_eyeballs::HappyEyeballs;

/// Bytes read at a time while ureq waits for the head of a reply. It counts what came behind an
/// interim response (100 Continue, 103 Early Hints) towards its limit for heads, even if that is the
/// body.
const HEAD_INPUT_BYTES: usize = 16 << 10;

/// Connects to one of the resolved addresses.
pub(super) fn connect(
    details: &ConnectionDetails<'_>,
    eyeballs: &HappyEyeballs,
) -> Result<TcpTransport, ureq::Error> {
    let connected = eyeballs.connect(&details.addrs, *details.timeout.after);
    let stream = Arc::new(connected.map_err(|why| timed_out(why, details.timeout))?);
    stream.set_nodelay(true)?;
    let handle: Weak<dyn ShutdownHandle> = Arc::<TcpStream>::downgrade(&stream);
    (details.register_shutdown)(handle)?;
    let config = details.config;
    let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
    Ok(TcpTransport { stream, buffers, read_timeout: None, write_timeout: None })
}

#[derive(Debug)]
pub(super) struct TcpTransport {
    /// Shared with the agent, which shuts it down when nobody needs it any more.
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
    /// The current settings of the socket, because each change is a system call.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        let stream = &*self.stream;
        set(&mut self.write_timeout, timeout, |it| stream.set_write_timeout(it))?;
        let output = self.buffers.output();
        let sent = { stream }.write_all(output.get(..amount).unwrap_or_default());
        sent.map_err(|why| timed_out(why, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        let stream = &*self.stream;
        set(&mut self.read_timeout, timeout, |it| stream.set_read_timeout(it))?;
        let input = self.buffers.input_append_buf();
        let most = match timeout.reason {
            ureq::Timeout::RecvResponse => input.len().min(HEAD_INPUT_BYTES),
            _ => input.len(),
        };
        let input = input.get_mut(..most).unwrap_or_default();
        let read = loop {
            match { stream }.read(input) {
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let amount = read.map_err(|why| timed_out(why, timeout))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Whether the connection is idle: the peer has neither closed it nor sent unexpected data.
    fn is_open(&mut self) -> bool {
        let mut stream = &*self.stream;
        let is_silent = |why: io::Error| why.kind() == io::ErrorKind::WouldBlock;
        stream.set_nonblocking(true).is_ok()
            && stream.read(&mut [0]).err().is_some_and(is_silent)
            && stream.set_nonblocking(false).is_ok()
    }
}

/// Sets a socket's timeout unless it is already set.
fn set(
    known: &mut Option<Duration>,
    timeout: NextTimeout,
    set: impl FnOnce(Option<Duration>) -> io::Result<()>,
) -> Result<(), ureq::Error> {
    if timeout.after.is_zero() {
        return Err(ureq::Error::Timeout(timeout.reason));
    }
    let wanted = timeout.not_zero().map(|it| *it);
    if *known == wanted {
        return Ok(());
    }
    match set(wanted) {
        Ok(()) => *known = wanted,
        // macOS refuses to set it once the peer has closed, although the reply may be readable.
        Err(why) if cfg!(target_os = "macos") && why.kind() == io::ErrorKind::InvalidInput => {}
        Err(why) => return Err(why.into()),
    }
    Ok(())
}

fn timed_out(why: io::Error, timeout: NextTimeout) -> ureq::Error {
    match why.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ureq::Error::Timeout(timeout.reason),
        _ => why.into(),
    }
}
