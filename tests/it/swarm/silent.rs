//! Addresses that never answer.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

/// Addresses that are silent while this value exists.
pub struct Silent {
    addrs: Vec<SocketAddr>,
    _listeners: Vec<TcpListener>,
    _connections: Vec<TcpStream>,
}

impl Silent {
    /// Listeners that accept connections and never answer: the kernel accepts, and nothing reads.
    pub fn after_connecting(count: usize) -> Silent {
        let listen = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let listeners: Vec<_> = (0..count).map(listen).collect();
        let addrs = listeners.iter().map(|it| it.local_addr().unwrap()).collect();
        Silent { addrs, _listeners: listeners, _connections: Vec::new() }
    }

    /// Addresses that drop connection attempts, as firewalls do. They share one listener, whose
    /// backlog is full.
    #[cfg(target_os = "linux")]
    pub fn before_connecting(count: usize) -> Silent {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let first = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (mut connections, within) = (Vec::new(), std::time::Duration::from_millis(200));
        while let Ok(connection) = TcpStream::connect_timeout(&first, within) {
            connections.push(connection);
            assert!(connections.len() < 10_000, "the queue has no end");
        }
        let addr = |n: usize| {
            let ip = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + 1 + n as u32);
            SocketAddr::from((ip, port))
        };
        let addrs = (0..count).map(addr).collect();
        Silent { addrs, _listeners: vec![listener], _connections: connections }
    }

    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.addrs.clone()
    }
}
