//! An HTTP/1.1 server for tests: keep-alive, pipelining, and full control to misbehave.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::server::{Conn, Server};

/// A server whose handler answers the requests of a connection one by one, in order.
pub struct HttpServer {
    server: Server,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    requests: Mutex<Vec<Request>>,
    body_bytes: AtomicU64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The request target as sent: path and query, still percent-encoded.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

/// The response to one request, and its connection.
///
/// If the client has hung up, writing ends the connection and does not fail the test.
pub struct Responder<'a> {
    conn: &'a mut Conn,
    log: &'a Log,
    head_only: bool,
    /// Body bytes sent on this connection, including earlier responses.
    connection_bytes: u64,
    ended: bool,
}

impl HttpServer {
    pub fn start(
        handler: impl Fn(&Request, &mut Responder<'_>) + Send + Sync + 'static,
    ) -> HttpServer {
        HttpServer::on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), handler)
    }

    /// Like [`HttpServer::start`], on a socket that already listens.
    pub fn on(
        listener: TcpListener,
        handler: impl Fn(&Request, &mut Responder<'_>) + Send + Sync + 'static,
    ) -> HttpServer {
        let log = Arc::new(Log::default());
        let server = Server::on(listener, {
            let log = log.clone();
            move |conn| serve(conn, &log, &handler)
        });
        HttpServer { server, log }
    }

    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// `http://127.0.0.1:<port>`, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    pub fn requests(&self) -> Vec<Request> {
        self.log.requests.lock().unwrap().clone()
    }

    pub fn body_bytes(&self) -> u64 {
        self.log.body_bytes.load(Ordering::SeqCst)
    }

    pub fn server(&self) -> &Server {
        &self.server
    }
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &value[..])
    }

    /// The path, percent-decoded to bytes.
    pub fn path(&self) -> Vec<u8> {
        percent_decode(self.target.split('?').next().unwrap())
    }

    /// The query parameter `key`, percent-decoded to bytes.
    pub fn query(&self, key: &str) -> Option<Vec<u8>> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(other, _)| *other == key).map(|(_, value)| percent_decode(value))
    }

    /// The requested range of `total` bytes, as start and exclusive end. `None` without a `Range`
    /// header, `Some(None)` for an unsatisfiable range.
    pub fn range(&self, total: u64) -> Option<Option<(u64, u64)>> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let (first, last) = (first.parse::<u64>().ok(), last.parse::<u64>().ok());
        let (start, end) = match (first, last) {
            (Some(first), Some(last)) => (first, last.saturating_add(1).min(total)),
            (Some(first), None) => (first, total),
            (None, Some(tail)) => (total.saturating_sub(tail), total),
            (None, None) => return None,
        };
        Some((start < end).then_some((start, end)))
    }
}

impl Responder<'_> {
    /// Sends a complete response with `Content-Length`.
    pub fn respond(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let length = body.len().to_string();
        self.head(status, &[headers, &[("content-length", &length[..])]].concat());
        if !self.head_only {
            self.body(body);
        }
    }

    /// Sends a response with an empty body.
    pub fn status(&mut self, status: u16) {
        self.respond(status, &[], b"");
    }

    /// Sends the status line and these headers, without adding `Content-Length`.
    pub fn head(&mut self, status: u16, headers: &[(&str, &str)]) {
        let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.raw(format!("{head}\r\n").as_bytes());
    }

    /// Writes arbitrary bytes.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.ended = self.ended || self.conn.stream.write_all(bytes).is_err();
    }

    /// Counts part of a body, then writes it, so that a client that has received it finds it
    /// counted.
    pub fn body(&mut self, bytes: &[u8]) {
        if !self.ended {
            self.connection_bytes += bytes.len() as u64;
            self.log.body_bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
            self.raw(bytes);
        }
    }

    /// Sends a 200 response that starts with `prefix` and does not end until the client hangs up.
    pub fn endless(&mut self, prefix: &[u8], filling: u8) {
        self.head(200, &[("connection", "close")]);
        self.body(prefix);
        while !self.ended {
            self.body(&[filling; 64 << 10]);
        }
    }

    /// Closes the connection when the handler returns.
    pub fn close(&mut self) {
        self.ended = true;
    }

    /// Closes the sending half and waits for the client to hang up.
    pub fn half_close(&mut self) {
        self.ended = true;
        self.conn.half_close();
    }

    /// Keeps the connection open without sending, until the client hangs up or the server ends.
    pub fn stall(&mut self) {
        self.ended = true;
        self.conn.stall();
    }

    /// Pauses; ends early with the server.
    pub fn pause(&mut self, time: Duration) {
        self.ended |= !self.conn.pause(time);
    }

    /// The server's address.
    pub fn local_addr(&self) -> SocketAddr {
        self.conn.stream.local_addr().unwrap()
    }

    /// The client's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.conn.stream.peer_addr().unwrap()
    }

    /// Whether the connection will be closed, or the client has hung up.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Whether this is a `HEAD` request.
    pub fn head_only(&self) -> bool {
        self.head_only
    }

    /// Body bytes sent on this connection, including earlier responses.
    pub fn connection_bytes(&self) -> u64 {
        self.connection_bytes
    }
}

pub fn percent_decode(text: &str) -> Vec<u8> {
    let (text, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    let digit = |at: usize| text.get(at).and_then(|digit| char::from(*digit).to_digit(16));
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// Percent-encodes all but unreserved characters (RFC 3986).
pub fn percent_encode(bytes: &[u8]) -> String {
    let encode = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(*byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(encode).collect()
}

fn serve(conn: &mut Conn, log: &Log, handler: &impl Fn(&Request, &mut Responder<'_>)) {
    let (mut buffer, mut connection_bytes) = (Vec::new(), 0);
    while let Some(request) = next_request(conn, &mut buffer) {
        log.requests.lock().unwrap().push(request.clone());
        let head_only = request.method == "HEAD";
        let mut responder = Responder { conn, log, head_only, connection_bytes, ended: false };
        handler(&request, &mut responder);
        connection_bytes = responder.connection_bytes;
        let last = request.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        if responder.ended || last {
            return;
        }
    }
}

/// Reads the next request. Returns `None` at the end of the connection, or if it is not HTTP.
pub fn next_request(conn: &mut Conn, buffer: &mut Vec<u8>) -> Option<Request> {
    let mut received = [0; 4096];
    let length = loop {
        if let Some(at) = buffer.windows(4).position(|end| end == b"\r\n\r\n") {
            break at;
        }
        match conn.stream.read(&mut received) {
            Ok(count @ 1..) => buffer.extend(&received[..count]),
            _ => return None,
        }
    };
    let head = String::from_utf8(buffer.drain(..length + 4).collect()).ok()?;
    let mut lines = head.trim_end().split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.into(), first.next()?.into());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.trim().into(), value.trim().into())).collect();
    Some(Request { method, target, headers })
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        403 => "Forbidden",
        304 => "Not Modified",
        404 => "Not Found",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Other",
    }
}
