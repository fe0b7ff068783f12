//! A SOCKS 5 proxy (RFC 1928, 1929), which records requests.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::server::{Conn, Server};

/// A proxy's misbehavior.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Accepts none of the offered methods.
    NoMethod,
    /// Selects a method that was not offered (GSSAPI).
    OtherMethod,
    /// Rejects every name and password.
    RefusesLogin,
    /// Answers each request with this reply code.
    Reply(u8),
    /// Answers requests for IPv6 addresses with this reply code.
    ReplyToV6(u8),
    /// Hangs up after the greeting, or after the request.
    ClosesAtGreeting,
    ClosesAtRequest,
    /// Answers as an HTTP server.
    Garbage,
    /// Sends this number of bytes of the reply and hangs up.
    Truncated(usize),
    /// Waits this long before each byte.
    Slow(Duration),
    /// Never answers.
    Silent,
    /// Reports a host name, or an IPv6 address, as its bound address.
    BoundToName,
    BoundToV6,
}

pub struct SocksProxy {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    faults: Vec<Fault>,
    login: Option<(String, String)>,
    hosts: BTreeMap<String, SocketAddr>,
    asked: Vec<String>,
    methods: Vec<Vec<u8>>,
    opened: BTreeMap<SocketAddr, usize>,
}

impl SocksProxy {
    pub fn start() -> SocksProxy {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = Server::start(move |conn| {
            let faults = shared.lock().unwrap().faults.clone();
            if let Some(upstream) = shake_hands(conn, &shared, &faults) {
                relay(conn, upstream);
            }
        });
        SocksProxy { server, state }
    }

    /// Requires this name and password.
    pub fn login(self, name: &str, password: &str) -> SocksProxy {
        self.state.lock().unwrap().login = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Resolves this host name to this address, whatever the port. By default the proxy resolves
    /// `localhost` only.
    pub fn host(self, name: &str, addr: SocketAddr) -> SocksProxy {
        self.state.lock().unwrap().hosts.insert(name.to_owned(), addr);
        self
    }

    pub fn with(self, fault: Fault) -> SocksProxy {
        self.state.lock().unwrap().faults.push(fault);
        self
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// `socks5h://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("socks5h://{}", self.addr())
    }

    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// The requested targets, as `host:port`.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The authentication methods that clients offered.
    pub fn methods(&self) -> Vec<Vec<u8>> {
        self.state.lock().unwrap().methods.clone()
    }

    /// The number of connections opened to this address.
    pub fn opened_to(&self, addr: SocketAddr) -> usize {
        self.state.lock().unwrap().opened.get(&addr).copied().unwrap_or(0)
    }
}

/// Performs the handshake and opens the requested connection.
fn shake_hands(conn: &mut Conn, state: &Mutex<State>, faults: &[Fault]) -> Option<TcpStream> {
    let has = |fault: Fault| faults.contains(&fault);
    if has(Fault::Silent) {
        conn.stall();
        return None;
    }
    let [version, count] = read(conn)?;
    if version != 5 || has(Fault::Garbage) {
        say(conn, faults, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?;
        return None;
    }
    let methods = read_many(conn, count.into())?;
    state.lock().unwrap().methods.push(methods.clone());
    if has(Fault::ClosesAtGreeting) {
        return None;
    }
    let login = state.lock().unwrap().login.clone();
    let method = match &login {
        _ if has(Fault::OtherMethod) => 1,
        _ if has(Fault::NoMethod) => 0xff,
        Some(_) if methods.contains(&2) => 2,
        None if methods.contains(&0) => 0,
        _ => 0xff,
    };
    say(conn, faults, &[5, method])?;
    if method > 2 {
        return None;
    }
    if let Some(wanted) = login {
        let [1, length] = read(conn)? else { return None };
        let name = String::from_utf8(read_many(conn, length.into())?).unwrap();
        let [length] = read(conn)?;
        let password = String::from_utf8(read_many(conn, length.into())?).unwrap();
        let refuses = has(Fault::RefusesLogin) || (name, password) != wanted;
        say(conn, faults, &[1, refuses.into()])?;
        if refuses {
            return None;
        }
    }
    let [5, 1, 0, kind] = read(conn)? else { return None };
    let (asked, target) = read_target(conn, kind, state)?;
    state.lock().unwrap().asked.push(asked);
    if has(Fault::ClosesAtRequest) {
        return None;
    }
    for fault in faults {
        if let Fault::Truncated(length) = fault {
            say(conn, faults, &[5, 0, 0, 1, 127, 0, 0, 1, 0x12, 0x34][..*length])?;
            return None;
        }
    }
    let code = faults.iter().find_map(|fault| match fault {
        Fault::Reply(code) => Some(*code),
        Fault::ReplyToV6(code) if kind == 4 => Some(*code),
        _ => None,
    });
    let upstream = match (code, target) {
        (Some(code), _) => Err(code),
        (None, None) => Err(4),
        (None, Some(target)) => {
            // Count before connecting: the target may reveal the connection before this thread
            // continues.
            *state.lock().unwrap().opened.entry(target).or_default() += 1;
            TcpStream::connect(target).map_err(|_| 5)
        }
    };
    let (code, upstream) = match upstream {
        Ok(upstream) => (0, Some(upstream)),
        Err(code) => (code, None),
    };
    let mut reply = vec![5, code, 0];
    if has(Fault::BoundToName) {
        reply.extend(b"\x03\x0bout.invalid\x12\x34");
    } else if has(Fault::BoundToV6) {
        reply.push(4);
        reply.extend(Ipv6Addr::LOCALHOST.octets());
        reply.extend([0x12, 0x34]);
    } else {
        reply.extend([1, 127, 0, 0, 1, 0x12, 0x34]);
    }
    say(conn, faults, &reply)?;
    upstream
}

/// The request's target, and its address.
fn read_target(
    conn: &mut Conn,
    kind: u8,
    state: &Mutex<State>,
) -> Option<(String, Option<SocketAddr>)> {
    let ip: IpAddr = match kind {
        1 => read::<4>(conn)?.into(),
        4 => read::<16>(conn)?.into(),
        3 => {
            let [length] = read(conn)?;
            let name = String::from_utf8(read_many(conn, length.into())?).unwrap();
            let port = u16::from_be_bytes(read(conn)?);
            let known = state.lock().unwrap().hosts.get(&name).copied();
            let local = (name == "localhost").then(|| SocketAddr::from(([127, 0, 0, 1], port)));
            return Some((format!("{name}:{port}"), known.or(local)));
        }
        _ => panic!("address of kind {kind}"),
    };
    let address = SocketAddr::new(ip, u16::from_be_bytes(read(conn)?));
    Some((address.to_string(), Some(address)))
}

fn say(conn: &mut Conn, faults: &[Fault], bytes: &[u8]) -> Option<()> {
    for fault in faults {
        if let Fault::Slow(pause) = fault {
            for byte in bytes {
                if !conn.pause(*pause) {
                    return None;
                }
                conn.stream.write_all(&[*byte]).ok()?;
            }
            return Some(());
        }
    }
    conn.stream.write_all(bytes).ok()
}

fn read<const LENGTH: usize>(conn: &mut Conn) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    conn.stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn read_many(conn: &mut Conn, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    conn.stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

pub fn relay(conn: &mut Conn, mut upstream: TcpStream) {
    let (mut back, mut client) = (upstream.try_clone().unwrap(), conn.stream.try_clone().unwrap());
    let answers = std::thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut client); // either side may have hung up
        let _ = client.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut conn.stream, &mut upstream);
    let _ = upstream.shutdown(Shutdown::Both);
    answers.join().unwrap();
}
