//! The shared state of the connections to one web seed (BEP 19), or to a mirror that is a URL.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::redirects::Redirects;
use super::swarm::Swarm;
use crate::address::NamedBy;
use crate::engine::sources::lost_files::LostFiles;
use crate::mutex::Mutex;
use crate::net::{Credential, SourceError};
use crate::picker::{SourceId, WorkerId};
use crate::protocol::web_url::FileUrls;
use crate::settings::AuthHeader;
use crate::torrent::metainfo::{FileKind, Metainfo};
use crate::url::Url;

/// Number of replies to pipelined requests after which a server is known to support pipelining.
const PROVEN_AHEAD: u32 = 32;

/// State shared by the connections to one web seed.
#[derive(Debug)]
pub struct WebSeed {
    pub id: SourceId,
    pub url: Url,
    pub by: NamedBy,
    pub urls: FileUrls,
    pub redirects: Redirects,
    pub lost: LostFiles,
    pub received_bytes: AtomicU64,
    pub refused_in_a_row: AtomicU32,
    /// Number of replies to pipelined requests; and whether such a reply was lost or mixed up.
    answered_ahead: AtomicU32,
    one_at_a_time: AtomicBool,
    /// The server ignores range requests: which worker reads which file from its beginning.
    is_without_ranges: AtomicBool,
    streams: Mutex<HashMap<u32, WorkerId>>,
    files: usize,
    /// The credential that the user stored for the seed's host.
    kept: OnceLock<Option<AuthHeader>>,
}

/// Number of non-empty data files in the torrent.
fn files_on_seed(metainfo: &Metainfo) -> usize {
    metainfo.files.iter().filter(|it| it.kind == FileKind::Data && it.length > 0).count()
}

/// The possible URLs of the torrent's files on a web seed.
pub fn file_urls(seed: &Url, metainfo: &Metainfo) -> FileUrls {
    let urls = FileUrls::new(seed, metainfo.multi, &metainfo.name);
    if files_on_seed(metainfo) == 1 { urls.of_one_file(seed) } else { urls }
}

impl WebSeed {
    pub fn new(id: SourceId, url: Url, by: NamedBy, metainfo: &Metainfo) -> WebSeed {
        let files = files_on_seed(metainfo);
        WebSeed {
            id,
            urls: file_urls(&url, metainfo),
            files,
            url,
            by,
            redirects: Redirects::default(),
            lost: LostFiles::default(),
            received_bytes: AtomicU64::new(0),
            refused_in_a_row: AtomicU32::new(0),
            answered_ahead: AtomicU32::new(0),
            one_at_a_time: AtomicBool::new(false),
            is_without_ranges: AtomicBool::new(false),
            streams: Mutex::default(),
            kept: OnceLock::new(),
        }
    }

    /// Bytes received over all connections.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// The URL to request for the file, after the redirects known so far.
    pub fn url_of(&self, swarm: &Swarm, file: u32) -> Option<Url> {
        self.redirects.target(file).or_else(|| self.first_url(swarm, file))
    }

    /// The credential for a request for this URL of the file: the user's credential for a host is
    /// never sent to a redirect target.
    pub fn credential(&self, swarm: &Swarm, file: u32, url: &Url) -> Credential<'static> {
        // The redirect itself may have been dropped meanwhile.
        match self.first_url(swarm, file).as_ref() == Some(url) {
            true => Credential::OfHost,
            false => Credential::Nothing,
        }
    }

    /// The same, for a request over an existing connection.
    pub fn kept(&self, swarm: &Swarm, file: u32, url: &Url) -> Option<&AuthHeader> {
        // All file URLs have the seed's origin.
        let find = || swarm.phase.client.kept_header(self.by, &self.url);
        let kept = self.kept.get_or_init(find).as_ref()?;
        matches!(self.credential(swarm, file, url), Credential::OfHost).then_some(kept)
    }

    /// Who named this URL, which may be a redirect target of the seed.
    pub fn named_by(&self, url: &Url) -> NamedBy {
        self.by.redirect(url.origin() == self.url.origin())
    }

    /// The file's URL before any redirect.
    pub fn first_url(&self, swarm: &Swarm, file: u32) -> Option<Url> {
        let metainfo = swarm.partial.metainfo();
        let components = metainfo.components(metainfo.files.get(file as usize)?);
        Some(self.urls.in_form(self.redirects.form(file), components))
    }

    /// Whether this is the file's URL in a form other than the current one.
    pub fn is_other_form(&self, swarm: &Swarm, file: u32, url: &Url) -> bool {
        let metainfo = swarm.partial.metainfo();
        let Some(known) = metainfo.files.get(file as usize) else { return false };
        let mut others = (0..self.urls.forms()).filter(|form| *form != self.redirects.form(file));
        others.any(|form| self.urls.in_form(form, metainfo.components(known)) == *url)
    }

    /// Whether requests may be pipelined: only once the URL form is known.
    pub fn takes_requests_ahead(&self) -> bool {
        let knows_form = self.urls.forms() == 1 || self.redirects.knows_form();
        knows_form && !self.one_at_a_time.load(Ordering::Relaxed)
    }

    /// Whether a reply may belong to another request.
    pub fn may_mix_up(&self) -> bool {
        self.takes_requests_ahead() && self.answered_ahead.load(Ordering::Relaxed) > 0
    }

    /// Whether the server is known to answer pipelined requests.
    pub fn answers_ahead(&self) -> bool {
        self.answered_ahead.load(Ordering::Relaxed) >= PROVEN_AHEAD
    }

    /// Counts a reply to a pipelined request.
    pub fn answered_ahead(&self) {
        self.answered_ahead.fetch_add(1, Ordering::Relaxed);
    }

    /// Disables pipelining: a pipelined request was lost, or its reply belonged to another request.
    pub fn ask_one_at_a_time(&self) {
        self.one_at_a_time.store(true, Ordering::Relaxed);
    }

    /// Records that the server ignored a range request and sent the file from its beginning.
    /// Returns whether that was known.
    pub fn has_no_ranges(&self) -> bool {
        self.is_without_ranges.swap(true, Ordering::Relaxed)
    }

    /// Limit on useful connections: without ranges, one per file.
    pub fn most_connections(&self) -> Option<usize> {
        self.is_without_ranges.load(Ordering::Relaxed).then_some(self.files)
    }

    /// Whether this worker is the one that reads the file from a server without ranges. Assigns the
    /// file to it if it has no reader.
    pub fn streams(&self, file: u32, worker: WorkerId) -> bool {
        let mut streams = self.streams.lock();
        *streams.entry(file).or_insert(worker) == worker
    }

    /// Releases the files that this worker reads.
    pub fn ends_streams(&self, worker: WorkerId) {
        if self.is_without_ranges.load(Ordering::Relaxed) {
            let mut streams = self.streams.lock();
            streams.retain(|_, other| *other != worker);
        }
    }

    /// The error for a request for `url`, which it names unless it is the seed's own URL.
    pub fn asked(&self, url: &Url, why: SourceError) -> SourceError {
        match *url == self.url {
            true => why,
            false => SourceError::AskedFor(url.clone(), Box::new(why)),
        }
    }
}
