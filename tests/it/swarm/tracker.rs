//! An HTTP tracker (BEP 3, BEP 7, BEP 23).

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener};
use std::sync::{Arc, Mutex};

use super::bencode::B;
use super::http::{HttpServer, Request, Responder};

/// A tracker's misbehavior, or an optional part of its reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Replies with `failure reason` and status 200.
    Failure(String),
    /// Replies with this status (403, 404, …), with `Retry-After` if given.
    Status { status: u16, retry_after_secs: Option<u64> },
    /// Accepts connections and never answers.
    Stall,
    /// Replies with something that is not bencode.
    Garbage,
    /// Replies with this status and body.
    Says(u16, &'static str),
    /// Sets `interval`.
    Interval(i64),
    /// Adds useless peers: port 0, a port where nothing listens, and the tracker itself.
    LyingPeers,
    /// Makes the length of `peers` not a multiple of six.
    RaggedPeers,
    /// Announces ten gigabytes of peers, and sends bytes as long as the client reads.
    HugeBody,
    /// Adds a `warning message`.
    Warning(String),
    /// Adds a `min interval`.
    MinInterval(u64),
    /// Replies 404 to scrapes (BEP 48).
    NoScrape,
}

/// The encoding of the peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `peers` with six bytes each, and `peers6` with eighteen (BEP 23, BEP 7).
    Compact,
    /// A list of dictionaries, even if the client asks for `compact` (BEP 3).
    Dictionaries,
    /// Like `Dictionaries`, with the host name `localhost` as `ip`.
    HostNames,
    /// A list of compact strings of either address family.
    CompactList,
}

/// The parameters of one announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    pub info_hash: Vec<u8>,
    pub peer_id: Vec<u8>,
    pub port: Option<u64>,
    pub left: Option<u64>,
    pub uploaded: Option<u64>,
    pub downloaded: Option<u64>,
    pub numwant: Option<u64>,
    pub compact: bool,
    pub event: Option<String>,
}

pub struct Tracker {
    http: HttpServer,
    state: Arc<Mutex<State>>,
}

struct State {
    peers: Vec<SocketAddr>,
    form: Form,
    faults: Vec<Fault>,
    announces: Vec<Announce>,
}

impl Tracker {
    /// Starts a tracker that returns these peers for every infohash.
    pub fn start(peers: Vec<SocketAddr>) -> Tracker {
        Tracker::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), peers)
    }

    /// Like [`Tracker::start`], on a socket that already listens.
    pub fn on(listener: TcpListener, peers: Vec<SocketAddr>) -> Tracker {
        let state = State { peers, form: Form::Compact, faults: Vec::new(), announces: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let http = HttpServer::on(listener, {
            let state = state.clone();
            move |request, responder| answer(&state, request, responder)
        });
        Tracker { http, state }
    }

    /// The announce URL.
    pub fn url(&self) -> String {
        format!("{}/announce", self.http.url())
    }

    pub fn form(self, form: Form) -> Tracker {
        self.state.lock().unwrap().form = form;
        self
    }

    pub fn with(self, fault: Fault) -> Tracker {
        self.fault(fault);
        self
    }

    pub fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().faults.push(fault);
    }

    pub fn mend(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    pub fn announces(&self) -> Vec<Announce> {
        self.state.lock().unwrap().announces.clone()
    }

    pub fn http(&self) -> &HttpServer {
        &self.http
    }
}

fn answer(state: &Mutex<State>, request: &Request, responder: &mut Responder<'_>) {
    let is_scrape = request.path() == b"/scrape";
    let has_scrape = !state.lock().unwrap().faults.contains(&Fault::NoScrape);
    if request.path() != b"/announce" && !(is_scrape && has_scrape) {
        return responder.status(404);
    }
    let (mut peers, form, faults) = {
        let mut state = state.lock().unwrap();
        if !is_scrape {
            state.announces.push(Announce::read(request));
        }
        (state.peers.clone(), state.form, state.faults.clone())
    };
    let mut reply = B::dict([("interval", B::Int(1800))]);
    for fault in &faults {
        match fault {
            Fault::Failure(reason) => {
                let reply = B::dict([("failure reason", B::bytes(reason))]);
                return responder.respond(200, &[], &reply.write());
            }
            Fault::Status { status, retry_after_secs } => {
                let after = retry_after_secs.map(|seconds| seconds.to_string());
                let header = after.as_deref().map(|seconds| ("retry-after", seconds));
                return responder.respond(*status, header.as_slice(), b"");
            }
            Fault::Stall => return responder.stall(),
            Fault::Garbage => return responder.respond(200, &[], b"<html>Not a tracker</html>"),
            Fault::HugeBody => {
                return responder.endless(b"d8:intervali1800e5:peers10000000000:", 1);
            }
            Fault::Says(status, body) => return responder.respond(*status, &[], body.as_bytes()),
            Fault::Interval(seconds) => reply = reply.with("interval", B::Int(*seconds)),
            Fault::LyingPeers => {
                let lies = [0, 1, responder.local_addr().port()];
                peers.extend(lies.map(|port| SocketAddr::from(([127, 0, 0, 1], port))));
            }
            Fault::Warning(text) => reply = reply.with("warning message", B::bytes(text)),
            Fault::MinInterval(seconds) => {
                reply = reply.with("min interval", B::Int(i64::try_from(*seconds).unwrap()));
            }
            Fault::RaggedPeers | Fault::NoScrape => {}
        }
    }
    if is_scrape {
        let complete = B::Int(i64::try_from(peers.len()).unwrap());
        let counts = B::dict([("complete", complete), ("incomplete", B::Int(0))]);
        let files = B::dict([(request.query("info_hash").unwrap_or_default(), counts)]);
        return responder.respond(200, &[], &B::dict([("files", files)]).write());
    }
    let mut reply = match form {
        Form::Compact => compact(reply, &peers),
        Form::Dictionaries => reply.with("peers", B::list(peers.iter().map(dictionary))),
        Form::HostNames => {
            let named = |peer| dictionary(peer).with("ip", B::bytes("localhost"));
            reply.with("peers", B::list(peers.iter().map(named)))
        }
        Form::CompactList => {
            reply.with("peers", B::list(peers.iter().map(|peer| B::Bytes(compact_peer(peer)))))
        }
    };
    if faults.contains(&Fault::RaggedPeers) {
        let ragged = [reply.bytes_at("peers").unwrap_or_default(), &[127, 0, 0]].concat();
        reply = reply.with("peers", B::Bytes(ragged));
    }
    responder.respond(200, &[("content-type", "text/plain")], &reply.write());
}

fn compact(reply: B, peers: &[SocketAddr]) -> B {
    let v6: Vec<u8> = peers.iter().filter(|peer| peer.is_ipv6()).flat_map(compact_peer).collect();
    let v4: Vec<u8> = peers.iter().filter(|peer| peer.is_ipv4()).flat_map(compact_peer).collect();
    let reply = reply.with("peers", B::Bytes(v4));
    if v6.is_empty() { reply } else { reply.with("peers6", B::Bytes(v6)) }
}

/// Address and port in network byte order.
pub fn compact_peer(peer: &SocketAddr) -> Vec<u8> {
    let port = peer.port().to_be_bytes();
    match peer {
        SocketAddr::V4(peer) => [&SocketAddrV4::ip(peer).octets()[..], &port].concat(),
        SocketAddr::V6(peer) => [&SocketAddrV6::ip(peer).octets()[..], &port].concat(),
    }
}

fn dictionary(peer: &SocketAddr) -> B {
    B::dict([
        ("ip", B::bytes(peer.ip().to_string())),
        ("peer id", B::bytes("-SW0001-000000000000")),
        ("port", B::Int(peer.port().into())),
    ])
}

impl Announce {
    fn read(request: &Request) -> Announce {
        let text = |key| request.query(key).and_then(|value| String::from_utf8(value).ok());
        let number = |key| text(key).and_then(|value| value.parse().ok());
        Announce {
            info_hash: request.query("info_hash").unwrap_or_default(),
            peer_id: request.query("peer_id").unwrap_or_default(),
            port: number("port"),
            left: number("left"),
            uploaded: number("uploaded"),
            downloaded: number("downloaded"),
            numwant: number("numwant"),
            compact: text("compact").as_deref() == Some("1"),
            event: text("event"),
        }
    }
}
