//! The catalog: `/download/<infohash>.torrent`, `/database.xml` and `/apiv2/entry/<infohash>`, as
//! on Academic Torrents.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bencode::B;
use super::dataset::Dataset;
use super::http::{HttpServer, Request, Responder};

/// A catalog's misbehavior.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Answers everything with this status.
    Status(u16),
    /// Serves this torrent instead of the requested one.
    WrongTorrent(Vec<u8>),
    /// Answers 200 with an HTML page.
    Garbage,
    /// Serves the .torrent without its last byte, or the first half of another document.
    Truncated,
    /// Pauses for 20 ms after each part of this length.
    Slow(usize),
    /// Redirects (302) to this URL with the request's path appended.
    RedirectTo(String),
    /// Redirects (302) to the same URL.
    RedirectLoop,
    /// Answers 429 with `Retry-After`, this number of times.
    TooMany { retry_after_secs: u64, times: usize },
    /// Accepts requests and never answers.
    Stall,
    /// Serves a torrent of endlessly nested lists.
    Endless,
}

pub struct Catalogue {
    http: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    torrents: Vec<(String, Vec<u8>)>,
    /// Documents other than torrents, by path.
    documents: Vec<(String, Vec<u8>)>,
    /// The documents' ETag; a conditional request with it is answered 304.
    etag: Option<String>,
    /// Replaces the web seeds of each torrent when it is downloaded.
    url_list: Option<Vec<String>>,
    faults: Vec<Fault>,
}

impl Catalogue {
    pub fn serving(datasets: &[&Dataset]) -> Catalogue {
        let torrents = datasets.iter().map(|it| (it.infohash_hex(), it.torrent())).collect();
        let state = Arc::new(Mutex::new(State { torrents, ..State::default() }));
        let http = HttpServer::start({
            let state = state.clone();
            move |request, responder| answer(&state, request, responder)
        });
        Catalogue { http, state }
    }

    /// The base URL, without a trailing slash.
    pub fn url(&self) -> String {
        self.http.url()
    }

    /// Serves arbitrary bytes under this infohash.
    pub fn torrent(self, infohash_hex: &str, torrent: Vec<u8>) -> Catalogue {
        self.state.lock().unwrap().torrents.push((infohash_hex.into(), torrent));
        self
    }

    /// Serves a `/database.xml` with these items.
    pub fn database(self, items: &str) -> Catalogue {
        self.document("/database.xml", database(items));
        self
    }

    /// Serves an arbitrary record.
    pub fn record(self, infohash_hex: &str, record: &str) -> Catalogue {
        self.document(&format!("/apiv2/entry/{infohash_hex}"), record);
        self
    }

    /// Serves a document at this path and replaces an earlier one.
    pub fn document(&self, path: &str, document: impl AsRef<[u8]>) {
        let mut state = self.state.lock().unwrap();
        state.documents.retain(|(known, _)| known != path);
        state.documents.push((path.into(), document.as_ref().to_vec()));
    }

    /// Sets the ETag of all documents.
    pub fn etag(&self, etag: &str) {
        self.state.lock().unwrap().etag = Some(etag.into());
    }

    /// Puts these web seeds into each torrent when it is downloaded, as Academic Torrents does:
    /// this changes the bytes of the .torrent, but not its infohash.
    pub fn inject_url_list<T: Into<String>>(self, urls: impl IntoIterator<Item = T>) -> Catalogue {
        let urls = urls.into_iter().map(Into::into).collect();
        self.state.lock().unwrap().url_list = Some(urls);
        self
    }

    pub fn with(self, fault: Fault) -> Catalogue {
        self.fault(fault);
        self
    }

    pub fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().faults.push(fault);
    }

    pub fn mend(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    pub fn requests(&self) -> Vec<Request> {
        self.http.requests()
    }

    pub fn http(&self) -> &HttpServer {
        &self.http
    }
}

fn answer(state: &Mutex<State>, request: &Request, responder: &mut Responder<'_>) {
    let known = {
        let state = state.lock().unwrap();
        let asked = String::from_utf8(request.path()).unwrap_or_default();
        let asked = asked.strip_prefix("/download/").and_then(|name| name.strip_suffix(".torrent"));
        let known = state.torrents.iter().find(|(infohash, _)| Some(&infohash[..]) == asked);
        known.map(|(_, torrent)| inject(torrent, state.url_list.as_deref()))
    };
    let (document, etag) = {
        let state = state.lock().unwrap();
        let path = String::from_utf8(request.path()).unwrap_or_default();
        let found = state.documents.iter().find(|(known, _)| *known == path);
        (found.map(|(_, document)| document.clone()), state.etag.clone())
    };
    let faults = state.lock().unwrap().faults.clone();
    for fault in faults {
        match fault {
            Fault::Status(status) => return responder.status(status),
            Fault::WrongTorrent(torrent) => return send(responder, &torrent),
            Fault::Garbage => return send(responder, b"<html>Down for maintenance</html>"),
            Fault::Truncated if document.is_some() => {
                let document = document.unwrap_or_default();
                return send(responder, &document[..document.len() / 2]);
            }
            Fault::Slow(step) => {
                let body = document.or(known).unwrap_or_default();
                responder.head(200, &[("content-length", &body.len().to_string())]);
                for part in body.chunks(step) {
                    responder.body(part);
                    responder.pause(Duration::from_millis(20));
                }
                return;
            }
            Fault::Truncated => {
                let torrent = known.unwrap_or_default();
                return send(responder, &torrent[..torrent.len().saturating_sub(1)]);
            }
            Fault::RedirectTo(url) => {
                let url = format!("{}{}", url.trim_end_matches('/'), request.target);
                return responder.respond(302, &[("location", &url)], b"");
            }
            Fault::RedirectLoop => {
                return responder.respond(302, &[("location", &request.target)], b"");
            }
            Fault::TooMany { retry_after_secs, .. } if too_many(state) => {
                let after = retry_after_secs.to_string();
                return responder.respond(429, &[("retry-after", &after)], b"");
            }
            Fault::TooMany { .. } => {}
            Fault::Stall => return responder.stall(),
            Fault::Endless => return responder.endless(b"d4:info", b'l'),
        }
    }
    if let Some(document) = document {
        return match &etag {
            Some(etag) if request.header("if-none-match") == Some(etag) => responder.status(304),
            Some(etag) => responder.respond(200, &[("etag", etag)], &document),
            None => responder.respond(200, &[], &document),
        };
    }
    match known {
        Some(torrent) => send(responder, &torrent),
        None => responder.respond(404, &[("content-type", "text/html")], b"<html>Not found</html>"),
    }
}

/// `database.xml` in the format that Academic Torrents documents.
pub fn database(items: &str) -> String {
    format!(
        "<rss xmlns:academictorrents=\"http://academictorrents.com\" version=\"2.0\">\n<channel>\n\
         <title>Academic Torrents</title>\n<description>All Torrents</description>\n\
         <link>http://academictorrents.com/</link>\n{items}</channel>\n</rss>\n"
    )
}

/// An item of `database.xml`.
pub fn item(infohash: &str, title: &str, category: &str, description: &str, size: u64) -> String {
    format!(
        "<item>\n<title>{title}</title>\n<category>{category}</category>\n<infohash>{infohash}</infohash>\n\
         <guid>http://academictorrents.com/details/{infohash}</guid>\n\
         <link>http://academictorrents.com/details/{infohash}</link>\n\
         <description>{description}</description>\n<size>{size}</size>\n</item>\n"
    )
}

fn send(responder: &mut Responder<'_>, torrent: &[u8]) {
    responder.respond(200, &[("content-type", "application/x-bittorrent")], torrent);
}

fn inject(torrent: &[u8], url_list: Option<&[String]>) -> Vec<u8> {
    // Tests may serve bytes that are not bencode; those stay unchanged.
    match (url_list, B::read(torrent)) {
        (Some(urls), Some((read, b""))) => {
            read.with("url-list", B::list(urls.iter().map(B::bytes))).write()
        }
        _ => torrent.to_vec(),
    }
}

/// Consumes one of the remaining 429 responses.
fn too_many(state: &Mutex<State>) -> bool {
    state.lock().unwrap().faults.iter_mut().any(|fault| match fault {
        Fault::TooMany { times, .. } if *times > 0 => {
            *times -= 1;
            true
        }
        _ => false,
    })
}
