//! A web seed (BEP 19): an HTTP server with the dataset's files, and the faults of real ones.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::coverage::Coverage;
use super::dataset::{Dataset, File};
use super::http::{HttpServer, Request, Responder, percent_encode};

/// What a web seed does wrong. Several may hold at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The first byte of this piece is wrong.
    CorruptPiece(usize),
    /// The first byte of every piece is wrong.
    CorruptAll,
    /// After so many body bytes on a connection nothing more comes, and it stays open.
    Stall { after_bytes: u64 },
    /// After so many body bytes on a connection the server's half of it is closed.
    HalfClose { after_bytes: u64 },
    /// After so many body bytes on a connection it is closed.
    CloseAfter { after_bytes: u64 },
    /// Each body is promised whole, and the connection is closed after half of it.
    CloseAtHalf,
    /// No answer before so long.
    Delay(Duration),
    /// No more body bytes a second than so many, on each connection.
    Slow { bytes_per_second: u64 },
    /// A 206 of half of what was asked for, and it says so.
    ShortRange,
    /// A 206 that says and brings another range, 16 bytes further on.
    WrongRange,
    /// A 200 with the whole file, where a range was asked for.
    IgnoreRange,
    /// A 404 for everything.
    NotFound,
    /// A 404 for this path, below the torrent's name (the name itself, for a single file).
    NotFoundFor(String),
    /// This status for everything.
    Status(u16),
    /// A 429 with `Retry-After`, so many times.
    TooMany { retry_after_secs: u64, times: usize },
    /// A 302 to the same URL.
    RedirectLoop,
    /// A 302 to this URL, with the request's path behind it.
    RedirectTo(String),
    /// The file is one byte longer than the torrent says.
    WrongLength,
    /// A 200 with an HTML page, as captive portals and moved sites send.
    Portal,
    /// `Connection: close` on each answer.
    NoKeepAlive,
    /// `Transfer-Encoding: chunked`, no `Content-Length`.
    Chunked,
    /// Holds these pieces only: a body ends where they end, by closing the connection, and a
    /// range that begins elsewhere is closed unanswered.
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

/// The bytes of one answer: `range` of `file`, whose length is `total` as this server has it.
struct Body<'a> {
    file: &'a File,
    range: Range<u64>,
    total: u64,
}

impl WebSeed {
    /// Answers a request that another server got.
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

    /// What goes into `url-list`: the file's URL, or the folder that holds the torrent's.
    pub fn url(&self) -> String {
        let name = percent_encode(self.site.dataset.name());
        match self.site.dataset.is_multi() {
            true => self.folder_url(),
            false => self.folder_url() + &name,
        }
    }

    /// The folder that holds the torrent's file or folder, with a slash at the end. For a single
    /// file, BEP 19 has the client append the name.
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

    /// Ends all faults; what has stalled stays so.
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

    /// Bytes of the torrent's stream served, each as often as it was.
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

    /// Sends the body bit by bit, so that a fault set meanwhile takes hold.
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
            // The byte too many of `WrongLength` is not in the stream.
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

    /// These bytes of the file, as this server has them.
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

    /// The file that is asked for. Pad files are on no server.
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

    /// The part of the stream that is held; empty where all of it is.
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

    /// Takes one of the refusals that are left.
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
