//! An HTTP proxy with squid's rules: it forwards `http` requests, and opens `CONNECT` tunnels to
//! the allowed ports only.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use super::http::{Request, next_request};
use super::server::{Conn, Server};
use super::socks::relay;

pub struct HttpProxy {
    server: Server,
    state: Arc<Mutex<Rules>>,
}

#[derive(Default)]
struct Rules {
    requests: Vec<Request>,
    /// The required value of `Proxy-Authorization`.
    login: Option<String>,
    challenge: String,
    hosts: BTreeMap<String, SocketAddr>,
    tls: BTreeSet<u16>,
    /// A fixed reply to every request.
    says: Option<String>,
    /// After this number of requests on a connection, every further one is answered 407.
    forgets_after: Option<usize>,
}

impl HttpProxy {
    pub fn start() -> HttpProxy {
        let challenge = "Proxy-Authenticate: Basic realm=\"proxy\"\r\n".to_owned();
        let state = Arc::new(Mutex::new(Rules { challenge, ..Rules::default() }));
        let shared = state.clone();
        let server = Server::start(move |conn| serve(conn, &shared));
        HttpProxy { server, state }
    }

    fn rule(self, set: impl FnOnce(&mut Rules)) -> HttpProxy {
        set(&mut self.state.lock().unwrap());
        self
    }

    /// Requires this value of `Proxy-Authorization`.
    pub fn login(self, value: &str) -> HttpProxy {
        self.rule(|rules| rules.login = Some(value.to_owned()))
    }

    /// Replaces the `Proxy-Authenticate` headers of 407 responses.
    pub fn challenge(self, headers: &str) -> HttpProxy {
        self.rule(|rules| rules.challenge = headers.to_owned())
    }

    /// Resolves this host name to this address, whatever the port.
    pub fn host(self, name: &str, addr: SocketAddr) -> HttpProxy {
        self.rule(|rules| rules.hosts.extend([(name.to_owned(), addr)]))
    }

    /// Allows tunnels to this port.
    pub fn tls(self, port: u16) -> HttpProxy {
        self.rule(|rules| rules.tls.extend([port]))
    }

    /// Answers each request with these bytes.
    pub fn says(self, reply: &str) -> HttpProxy {
        self.rule(|rules| rules.says = Some(reply.to_owned()))
    }

    pub fn forgets_after(self, requests: usize) -> HttpProxy {
        self.rule(|rules| rules.forgets_after = Some(requests))
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }
}

fn serve(conn: &mut Conn, state: &Mutex<Rules>) {
    let (mut buffer, mut served) = (Vec::new(), 0);
    while let Some(request) = next_request(conn, &mut buffer) {
        served += 1;
        let (login, challenge, says, forgets) = {
            let mut rules = state.lock().unwrap();
            rules.requests.push(request.clone());
            let forgets = rules.forgets_after.is_some_and(|most| served > most);
            (rules.login.clone(), rules.challenge.clone(), rules.says.clone(), forgets)
        };
        if let Some(reply) = says {
            let _ = conn.stream.write_all(reply.as_bytes()); // the client may have hung up
            return;
        }
        if forgets || login.is_some() && request.header("proxy-authorization") != login.as_deref() {
            let reply = format!("HTTP/1.1 407 No\r\n{challenge}Content-Length: 0\r\n\r\n");
            let _ = conn.stream.write_all(reply.as_bytes());
            continue;
        }
        if request.method == "CONNECT" {
            if let Some(upstream) = connect(conn, &request, state) {
                relay(conn, upstream);
            }
            return;
        }
        if forward(conn, &request, state).is_none() {
            return;
        }
    }
}

fn place_of(target: &str, state: &Mutex<Rules>) -> Option<SocketAddr> {
    let (host, port) = target.rsplit_once(':').unwrap_or((target, "80"));
    let known = state.lock().unwrap().hosts.get(host).copied();
    let local = || SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    known.or_else(|| (host == "localhost").then(local)).or_else(|| target.parse().ok())
}

fn connect(conn: &mut Conn, request: &Request, state: &Mutex<Rules>) -> Option<TcpStream> {
    let place = place_of(&request.target, state);
    let allowed = place.filter(|it| state.lock().unwrap().tls.contains(&it.port()));
    let upstream = allowed.and_then(|place| TcpStream::connect(place).ok());
    let reply = match (allowed, &upstream) {
        (_, Some(_)) => "HTTP/1.1 200 Connection established\r\n\r\n",
        (None, _) => "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        _ => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    };
    conn.stream.write_all(reply.as_bytes()).ok()?;
    upstream
}

/// Forwards a request on a new connection and relays the response.
fn forward(conn: &mut Conn, request: &Request, state: &Mutex<Rules>) -> Option<()> {
    let refused = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let Some(rest) = request.target.strip_prefix("http://") else {
        let _ = conn.stream.write_all(refused.as_bytes());
        return None;
    };
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut upstream = TcpStream::connect(place_of(place, state)?).ok()?;
    let mut head = format!("{} {path} HTTP/1.1\r\nConnection: close\r\n", request.method);
    for (name, value) in &request.headers {
        if !name.to_ascii_lowercase().starts_with("proxy-") {
            head += &format!("{name}: {value}\r\n");
        }
    }
    upstream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    let mut bytes = [0; 64 << 10];
    loop {
        match upstream.read(&mut bytes) {
            Ok(count @ 1..) => conn.stream.write_all(&bytes[..count]).ok()?,
            _ => return Some(()),
        }
    }
}
