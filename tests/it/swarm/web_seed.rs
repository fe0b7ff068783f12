//! A web seed (BEP 19): an HTTP server with the dataset's files, and the faults of real servers.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::coverage::Coverage;
use super::dataset::{Dataset, File};
use super::http::{HttpServer, Request, Responder, percent_encode};

/// A web seed's misbehavior. Several faults may be active at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Corrupts the first byte of this piece.
    CorruptPiece(usize),
    /// Corrupts the first byte of every piece.
    CorruptAll,
    /// Stops sending after this number of body bytes on a connection, and keeps the connection
    /// open.
    Stall { after_bytes: u64 },
    /// Closes the sending half of a connection after this number of body bytes.
    HalfClose { after_bytes: u64 },
    /// Closes a connection after this number of body bytes.
    CloseAfter { after_bytes: u64 },
    /// Announces each body in full, and closes the connection after half of it.
    CloseAtHalf,
    /// Waits this long before each response.
    Delay(Duration),
    /// Limits each connection to this rate.
    Slow { bytes_per_second: u64 },
    /// Answers 206 with half of the requested range, and labels it so.
    ShortRange,
    /// Answers 206 with a range that starts 16 bytes later, and labels it so.
    WrongRange,
    /// Answers a range request with 200 and the whole file.
    IgnoreRange,
    /// Answers 404 to everything.
    NotFound,
    /// Answers 404 for this path relative to the torrent's root (the name itself for a single
    /// file).
    NotFoundFor(String),
    /// Answers everything with this status.
    Status(u16),
    /// Answers 429 with `Retry-After`, this number of times.
    TooMany { retry_after_secs: u64, times: usize },
    /// Redirects (302) to the same URL.
    RedirectLoop,
    /// Redirects (302) to this URL with the request's path appended.
    RedirectTo(String),
    /// Serves files that are one byte longer than in the torrent.
    WrongLength,
    /// Answers 200 with an HTML page, as captive portals and moved sites do.
    Portal,
    /// Adds `Connection: close` to each response.
    NoKeepAlive,
    /// Sends `Transfer-Encoding: chunked` instead of `Content-Length`.
    Chunked,
    /// Holds only these pieces: closes the connection where they end, and does not answer a range
    /// that begins outside of them.
    OnlyPieces(Range<usize>),
}

pub struct WebSeed {
    http: HttpServer,
    site: Arc<Site>,
}

struct Site {
    dataset: Dataset,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    faults: Vec<Fault>,
    coverage: Coverage,
}

/// The body of a response: `range` of `file`, whose length is `total` according to this server.
struct Body<'a> {
    file: &'a File,
    range: Range<u64>,
    total: u64,
}

impl WebSeed {
    /// Answers a request that another server received.
    pub fn answer(&self, request: &Request, responder: &mut Responder<'_>) {
        self.site.answer(request, responder);
    }

    pub fn serving(dataset: &Dataset) -> WebSeed {
        let site = Arc::new(Site { dataset: dataset.clone(), state: Mutex::default() });
        let http = HttpServer::start({
            let site = site.clone();
            move |request, responder| site.answer(request, responder)
        });
        WebSeed { http, site }
    }

    /// The URL for `url-list`: the single file's, or that of the directory that contains the
    /// torrent's directory.
    pub fn url(&self) -> String {
        let name = percent_encode(self.site.dataset.name());
        match self.site.dataset.is_multi() {
            true => self.folder_url(),
            false => self.folder_url() + &name,
        }
    }

    /// The URL of the directory that contains the torrent's file or directory, with a trailing
    /// slash. For a single file, BEP 19 has the client append the name.
    pub fn folder_url(&self) -> String {
        format!("{}/seed/", self.http.url())
    }

    pub fn with(self, fault: Fault) -> WebSeed {
        self.fault(fault);
        self
    }

    pub fn fault(&self, fault: Fault) {
        self.site.state.lock().unwrap().faults.push(fault);
    }

    /// Ends all faults; a connection that has stalled stays stalled.
    pub fn mend(&self) {
        self.site.state.lock().unwrap().faults.clear();
    }

    pub fn requests(&self) -> Vec<Request> {
        self.http.requests()
    }

    pub fn http(&self) -> &HttpServer {
        &self.http
    }

    pub fn coverage(&self) -> Coverage {
        self.site.state.lock().unwrap().coverage.clone()
    }

    /// Bytes of the torrent's stream served, including repeated ones.
    pub fn bytes_served(&self) -> u64 {
        self.coverage().bytes()
    }
}

impl Site {
    fn answer(&self, request: &Request, responder: &mut Responder<'_>) {
        let faults = self.faults();
        for fault in &faults {
            match fault {
                Fault::Delay(time) => responder.pause(*time),
                Fault::NotFound => return responder.status(404),
                Fault::Status(status) => return responder.status(*status),
                Fault::TooMany { retry_after_secs, .. } if self.too_many() => {
                    let after = retry_after_secs.to_string();
                    return responder.respond(429, &[("retry-after", &after)], b"");
                }
                Fault::RedirectLoop => {
                    return responder.respond(302, &[("location", &request.target)], b"");
                }
                Fault::RedirectTo(url) => {
                    let url = format!("{}{}", url.trim_end_matches('/'), request.target);
                    return responder.respond(302, &[("location", &url)], b"");
                }
                Fault::Portal => {
                    let page = b"<html><body>Please log in.</body></html>";
                    return responder.respond(200, &[("content-type", "text/html")], page);
                }
                _ => {}
            }
        }
        match self.file(request, &faults) {
            Some(file) => self.answer_with(file, request, responder, &faults),
            None => responder.status(404),
        }
    }

    fn answer_with(
        &self,
        file: &File,
        request: &Request,
        responder: &mut Responder<'_>,
        faults: &[Fault],
    ) {
        let total = file.length + u64::from(faults.contains(&Fault::WrongLength));
        let asked = request.range(total).filter(|_| !faults.contains(&Fault::IgnoreRange));
        let (mut start, mut end) = match asked {
            None => (0, total),
            Some(Some(range)) => range,
            Some(None) => {
                let range = format!("bytes */{total}");
                return responder.respond(416, &[("content-range", &range)], b"");
            }
        };
        if faults.contains(&Fault::ShortRange) {
            end = start + (end - start).div_ceil(2);
        }
        if faults.contains(&Fault::WrongRange) {
            (start, end) = ((start + 16).min(total - 1), (end + 16).min(total));
        }
        let held = self.held(faults);
        if !held.contains(&(file.start + start)) && total > 0 && !held.is_empty() {
            return responder.close();
        }
        let chunked = faults.contains(&Fault::Chunked);
        let range = format!("bytes {start}-{}/{total}", end.saturating_sub(1));
        let length = (end - start).to_string();
        let mut headers = vec![("accept-ranges", "bytes")];
        headers.extend(asked.map(|_| ("content-range", &range[..])));
        headers.push(match chunked {
            true => ("transfer-encoding", "chunked"),
            false => ("content-length", &length),
        });
        let last = faults.contains(&Fault::NoKeepAlive);
        headers.extend(last.then_some(("connection", "close")));
        responder.head(if asked.is_some() { 206 } else { 200 }, &headers);
        if !responder.head_only() {
            self.send(&Body { file, range: start..end, total }, chunked, responder);
        }
        if last {
            responder.close();
        }
    }

    /// Sends the body in small parts, so that faults set meanwhile take effect.
    fn send(&self, body: &Body<'_>, chunked: bool, responder: &mut Responder<'_>) {
        let mut at = body.range.start;
        while at < body.range.end && !responder.ended() {
            let faults = self.faults();
            let sent = responder.connection_bytes();
            let left = |after: u64| after.saturating_sub(sent);
            let mut most = (body.range.end - at).min(64 << 10);
            for fault in &faults {
                most = match fault {
                    Fault::Stall { after_bytes } if left(*after_bytes) == 0 => {
                        return responder.stall();
                    }
                    Fault::HalfClose { after_bytes } if left(*after_bytes) == 0 => {
                        return responder.half_close();
                    }
                    Fault::CloseAfter { after_bytes } if left(*after_bytes) == 0 => {
                        return responder.close();
                    }
                    Fault::Stall { after_bytes }
                    | Fault::HalfClose { after_bytes }
                    | Fault::CloseAfter { after_bytes } => most.min(left(*after_bytes)),
                    Fault::Slow { bytes_per_second } => most.min((bytes_per_second / 50).max(1)),
                    _ => most,
                };
            }
            let held = self.held(&faults);
            if !held.is_empty() {
                most = most.min(held.end.saturating_sub(body.file.start + at));
            }
            if faults.contains(&Fault::CloseAtHalf) {
                let half = body.range.start + (body.range.end - body.range.start).div_ceil(2);
                most = most.min(half.saturating_sub(at));
            }
            if most == 0 {
                return responder.close();
            }
            // The extra byte of `WrongLength` is not part of the stream.
            let end = body.file.start + (at + most).min(body.file.length);
            self.state.lock().unwrap().coverage.record((body.file.start + at).min(end)..end);
            let bytes = self.bytes(body, at..at + most, &faults);
            write(&bytes, chunked, &faults, responder);
            at += most;
        }
        if chunked {
            responder.raw(b"0\r\n\r\n");
        }
    }

    /// The file's bytes in this range, as this server serves them.
    fn bytes(&self, body: &Body<'_>, range: Range<u64>, faults: &[Fault]) -> Vec<u8> {
        let stream = self.dataset.stream();
        let real = range.start.min(body.file.length)..range.end.min(body.file.length);
        let (start, end) = (body.file.start + real.start, body.file.start + real.end);
        let mut bytes = stream[start as usize..end as usize].to_vec();
        bytes.resize((range.end.min(body.total) - range.start) as usize, b'\n');
        let piece_bytes = self.dataset.piece_bytes() as u64;
        let first = start.next_multiple_of(piece_bytes);
        for offset in (first..end).step_by(self.dataset.piece_bytes()) {
            let piece = (offset / piece_bytes) as usize;
            if faults.contains(&Fault::CorruptAll) || faults.contains(&Fault::CorruptPiece(piece)) {
                bytes[(offset - start) as usize] ^= 0xFF;
            }
        }
        bytes
    }

    /// The requested file. Servers have no pad files.
    fn file(&self, request: &Request, faults: &[Fault]) -> Option<&File> {
        let path = request.path();
        self.dataset.layout().iter().filter(|file| !file.pad).find(|file| {
            let below = file.path.join(&b'/');
            let mut whole = [b"/seed/", self.dataset.name()].concat();
            if self.dataset.is_multi() {
                whole = [&whole[..], b"/", &below].concat();
            }
            let known_as = if self.dataset.is_multi() { &below } else { self.dataset.name() };
            let lost = |fault: &Fault| matches!(fault, Fault::NotFoundFor(lost) if lost.as_bytes() == known_as);
            whole == path && !faults.iter().any(lost)
        })
    }

    /// The part of the stream that the server holds; empty stands for all of it.
    fn held(&self, faults: &[Fault]) -> Range<u64> {
        let piece = self.dataset.piece_bytes() as u64;
        let pieces = faults.iter().find_map(|fault| match fault {
            Fault::OnlyPieces(pieces) => Some(pieces.clone()),
            _ => None,
        });
        pieces.map_or(0..0, |held| held.start as u64 * piece..held.end as u64 * piece)
    }

    fn faults(&self) -> Vec<Fault> {
        self.state.lock().unwrap().faults.clone()
    }

    /// Consumes one of the remaining 429 responses.
    fn too_many(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.faults.iter_mut().any(|fault| match fault {
            Fault::TooMany { times, .. } if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        })
    }
}

fn write(bytes: &[u8], chunked: bool, faults: &[Fault], responder: &mut Responder<'_>) {
    if chunked {
        responder.raw(format!("{:x}\r\n", bytes.len()).as_bytes());
    }
    responder.body(bytes);
    if chunked {
        responder.raw(b"\r\n");
    }
    for fault in faults {
        if let Fault::Slow { bytes_per_second } = fault {
            let seconds = bytes.len() as f64 / *bytes_per_second as f64;
            responder.pause(Duration::from_secs_f64(seconds));
        }
    }
}
