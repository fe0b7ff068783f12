//! Listening sockets, the only ones of the program, for `seed`. Builds and downloads at run time do
//! not listen.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use super::error::SourceError;
use super::{Client, PeerConnection};

/// How often an ephemeral port is tried: one that is free for IPv6 may be taken for IPv4.
const TRIES: usize = 8;

/// Listens on one port over IPv6 and IPv4.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    address: SocketAddr,
}

/// A connection that a peer opened. Dropping it closes it.
#[derive(Debug)]
pub struct Incoming {
    stream: TcpStream,
    from: IpAddr,
}

impl Listener {
    /// Listens on all addresses of this machine. Port 0 stands for any free port.
    ///
    /// # Errors
    /// The port is taken, or may not be listened on.
    pub fn bind(port: u16) -> Result<Listener, SourceError> {
        let mut bound = bind_once(port);
        for _ in 1..TRIES {
            if port != 0 || bound.is_ok() {
                break;
            }
            bound = bind_once(port);
        }
        Ok(bound?)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a waiting connection, if there is one. Does not block.
    pub fn accept(&self) -> Option<Incoming> {
        // A failure (a peer that has left, too many open files) is no reason to stop: the caller
        // polls again soon.
        let (stream, from) = self.sockets.iter().find_map(|socket| socket.accept().ok())?;
        Some(Incoming { stream, from: from.ip() })
    }
}

impl Incoming {
    /// Returns the peer's address. IPv4 may be written as IPv6.
    pub fn from(&self) -> IpAddr {
        self.from
    }

    /// Starts the writer thread of this connection.
    ///
    /// # Errors
    /// The peer has disconnected, or the client was shut down.
    pub fn open(self, client: &Client) -> Result<PeerConnection, SourceError> {
        // On some systems a connection inherits the listener's non-blocking mode.
        self.stream.set_nonblocking(false)?;
        client.open_peer(Arc::new(self.stream))
    }
}

fn bind_once(port: u16) -> io::Result<Listener> {
    let any = |ip: IpAddr, port| {
        let socket = TcpListener::bind(SocketAddr::new(ip, port))?;
        socket.set_nonblocking(true)?;
        Ok::<_, io::Error>(socket)
    };
    let (v6, v4) = (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let first = match any(v6, port) {
        Err(why) if why.kind() == io::ErrorKind::AddrInUse => return Err(why),
        Err(_) => any(v4, port)?, // no IPv6 here
        Ok(first) => first,
    };
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    if address.is_ipv6() {
        match any(v4, address.port()) {
            Ok(second) => sockets.push(second),
            // On most systems an IPv6 socket accepts IPv4 too. Connecting to it shows whether this
            // one does.
            Err(why) if why.kind() == io::ErrorKind::AddrInUse && takes_v4(&sockets[0]) => {}
            Err(why) => return Err(why),
        }
    }
    Ok(Listener { sockets, address })
}

/// Whether an IPv6 listener also accepts IPv4, found out by connecting to it.
fn takes_v4(socket: &TcpListener) -> bool {
    let Ok(port) = socket.local_addr().map(|address| address.port()) else { return false };
    let here = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let Ok(probe) = TcpStream::connect_timeout(&here, std::time::Duration::from_secs(1)) else {
        return false;
    };
    // The connection is already queued at this socket, or at another program's.
    let own = probe.local_addr().ok();
    while let Ok((_, from)) = socket.accept() {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        if Some(from) == own {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::name_lookup::tests::has_ipv6;

    #[test]
    fn both_families_reach_one_port_and_a_taken_port_is_an_error() {
        let listener = Listener::bind(0).unwrap();
        let port = listener.address().port();
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            if ip.is_ipv6() && !has_ipv6() {
                continue;
            }
            let _stream = TcpStream::connect((ip, port)).unwrap();
            let accepted = std::iter::repeat_with(|| listener.accept()).find(Option::is_some);
            assert!(accepted.is_some());
        }
        assert!(listener.accept().is_none());
        assert!(Listener::bind(port).is_err());
    }
}
