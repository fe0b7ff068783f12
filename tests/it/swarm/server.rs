//! A TCP server with one blocking thread per connection, which ends when dropped.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A listening socket and its connections. Dropping it shuts all of them down and joins the
/// threads.
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// An accepted connection, as its thread sees it.
pub struct Conn {
    pub stream: TcpStream,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    ended: bool,
    accepted: usize,
    most_open: usize,
    /// Duplicate handles of the open connections, to shut them down.
    open: BTreeMap<usize, TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    pub fn start(serve: impl Fn(&mut Conn) + Send + Sync + 'static) -> Server {
        Server::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), serve)
    }

    /// Like [`Server::start`], on a socket that already listens.
    pub fn on(listener: TcpListener, serve: impl Fn(&mut Conn) + Send + Sync + 'static) -> Server {
        // Clients and servers of all concurrent tests are in one process. A shell of macOS allows 256
        // open files, and the tests of an eight-core machine need over 1,024.
        #[cfg(unix)]
        rlimit::increase_nofile_limit(8 << 10).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = std::thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared, &Arc::new(serve))
        });
        Server { addr, shared, accepting: Some(accepting) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().accepted
    }

    pub fn open_connections(&self) -> usize {
        self.shared.state.lock().unwrap().open.len()
    }

    /// The largest number of simultaneously open connections.
    pub fn most_open_connections(&self) -> usize {
        self.shared.state.lock().unwrap().most_open
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().ended = true;
        self.shared.ended.notify_all();
        // Unblocks `accept`.
        if TcpStream::connect(self.addr).is_err() {
            return;
        }
        let mut joined = vec![self.accepting.take().unwrap().join()];
        let threads = {
            let mut state = self.shared.state.lock().unwrap();
            for stream in state.open.values() {
                let _ = stream.shutdown(Shutdown::Both); // may be closed already
            }
            std::mem::take(&mut state.threads)
        };
        joined.extend(threads.into_iter().map(JoinHandle::join));
        if let Some(Err(panic)) = joined.into_iter().find(Result::is_err)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Conn {
    /// Pauses, at most until the server ends. Returns whether the server still runs.
    pub fn pause(&self, time: Duration) -> bool {
        let state = self.shared.state.lock().unwrap();
        let wait = self.shared.ended.wait_timeout_while(state, time, |state| !state.ended);
        !wait.unwrap().0.ended
    }

    /// Writes at most this many bytes per second, in steps of 20 ms.
    pub fn write_slowly(&mut self, bytes: &[u8], bytes_per_second: usize) -> std::io::Result<()> {
        for step in bytes.chunks((bytes_per_second / 50).max(1)) {
            self.stream.write_all(step)?;
            if !self.pause(Duration::from_secs_f64(step.len() as f64 / bytes_per_second as f64)) {
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(())
    }

    /// Keeps the connection open without sending, until the client hangs up or the server ends.
    pub fn stall(&mut self) {
        let mut ignored = [0; 4096];
        while matches!(self.stream.read(&mut ignored), Ok(1..)) {}
    }

    /// Closes the sending half and waits for the client to hang up.
    pub fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write); // the client may have closed first
        self.stall();
    }

    /// Discards unread input: closing a socket with unread input sends a reset, which can overtake
    /// the last bytes sent.
    fn discard_unread(&mut self) {
        let mut ignored = [0; 4096];
        if self.stream.set_nonblocking(true).is_ok() {
            while matches!(self.stream.read(&mut ignored), Ok(1..)) {}
        }
    }
}

fn accept<F: Fn(&mut Conn) + Send + Sync + 'static>(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    serve: &Arc<F>,
) {
    loop {
        let accepted = listener.accept();
        let mut state = shared.state.lock().unwrap();
        if state.ended {
            return;
        }
        let Ok((stream, _)) = accepted else { continue }; // the client has hung up already
        let _ = stream.set_nodelay(true);
        let Ok(second_handle) = stream.try_clone() else { continue };
        state.accepted += 1;
        let number = state.accepted;
        state.open.insert(number, second_handle);
        state.most_open = state.most_open.max(state.open.len());
        let (shared, serve) = (shared.clone(), serve.clone());
        state.threads.push(std::thread::spawn(move || {
            let mut conn = Conn { stream, shared: shared.clone() };
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                serve(&mut conn);
                conn.discard_unread();
            }));
            // Drop both handles, or the client would not see the end.
            drop(conn);
            shared.state.lock().unwrap().open.remove(&number);
            if let Err(panic) = outcome {
                std::panic::resume_unwind(panic);
            }
        }));
    }
}
