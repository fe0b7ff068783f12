//! The catalogue: `/download/<infohash>.torrent`, `/database.xml` and `/apiv2/entry/<infohash>`, as Academic Torrents serves them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bencode::B;
use super::dataset::Dataset;
use super::http::{HttpServer, Request, Responder};

/// What a catalogue does wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// This status for everything.
    Status(u16),
    /// Another torrent than the one asked for, complete and sound.
    WrongTorrent(Vec<u8>),
    /// A 200 with an HTML page.
    Garbage,
    /// The .torrent without its last byte; half of another document.
    Truncated,
    /// Sends so many bytes, then waits for 20 ms.
    Slow(usize),
    /// A 302 to this URL, with the request's path behind it.
    RedirectTo(String),
    /// A 302 to the same URL.
    RedirectLoop,
    /// A 429 with `Retry-After`, so many times.
    TooMany { retry_after_secs: u64, times: usize },
    /// Accepts, and never answers.
    Stall,
    /// A torrent that never ends: lists in lists, for as long as they are read.
    Endless,
}

pub struct Catalogue {
    http: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    torrents: Vec<(String, Vec<u8>)>,
    /// Other documents, by path.
    documents: Vec<(String, Vec<u8>)>,
    /// What documents are told to be; asked with this one, the answer is 304.
    etag: Option<String>,
    /// Put into each torrent at download, in the place of its own.
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

    /// The base URL, without a slash at the end.
    pub fn url(&self) -> String {
        self.http.url()
    }

    /// Serves these bytes under this infohash, whatever they are.
    pub fn torrent(self, infohash_hex: &str, torrent: Vec<u8>) -> Catalogue {
        self.state.lock().unwrap().torrents.push((infohash_hex.into(), torrent));
        self
    }

    /// Serves `/database.xml` with these items.
    pub fn database(self, items: &str) -> Catalogue {
        self.document("/database.xml", database(items));
        self
    }

    /// Serves a record, whatever it is.
    pub fn record(self, infohash_hex: &str, record: &str) -> Catalogue {
        self.document(&format!("/apiv2/entry/{infohash_hex}"), record);
        self
    }

    /// Serves this at a path, in the place of what was there.
    pub fn document(&self, path: &str, document: impl AsRef<[u8]>) {
        let mut state = self.state.lock().unwrap();
        state.documents.retain(|(known, _)| known != path);
        state.documents.push((path.into(), document.as_ref().to_vec()));
    }

    /// Names the state that documents are in.
    pub fn etag(&self, etag: &str) {
        self.state.lock().unwrap().etag = Some(etag.into());
    }

    /// Puts these web seeds into each torrent at download, as Academic Torrents does: the bytes of
    /// the .torrent change, its infohash does not.
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

/// `database.xml`, as the documentation of Academic Torrents shows it.
pub fn database(items: &str) -> String {
    format!(
        "<rss xmlns:academictorrents=\"http://academictorrents.com\" version=\"2.0\">\n<channel>\n\
         <title>Academic Torrents</title>\n<description>All Torrents</description>\n\
         <link>http://academictorrents.com/</link>\n{items}</channel>\n</rss>\n"
    )
}

/// An item of it.
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
    // What a test serves need not be bencode: then it stays as it is.
    match (url_list, B::read(torrent)) {
        (Some(urls), Some((read, b""))) => {
            read.with("url-list", B::list(urls.iter().map(B::bytes))).write()
        }
        _ => torrent.to_vec(),
    }
}

/// Takes one of the refusals that are left.
fn too_many(state: &Mutex<State>) -> bool {
    state.lock().unwrap().faults.iter_mut().any(|fault| match fault {
        Fault::TooMany { times, .. } if *times > 0 => {
            *times -= 1;
            true
        }
        _ => false,
    })
}
