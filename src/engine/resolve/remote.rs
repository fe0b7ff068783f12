//! Finding a `.torrent` that is not on this machine: in mirrors, the catalog and peers, in this
//! order.
//!
//! If peers can be asked, the catalog gets a single attempt first, and is asked again only if peers
//! do not have the torrent.

use std::sync::mpsc::sync_channel;
use std::time::Instant;

use super::local::in_mirror;
use super::{Located, Network};
use crate::address::NamedBy;
use crate::engine::fetch_policy;
use crate::engine::local_peer::LocalPeer;
use crate::engine::report::{Report, advise};
use crate::engine::resolve::peers;
use crate::engine::session::Session;
use crate::engine::sources::open_peers::KnownPeers;
use crate::engine::thread::start_thread;
use crate::error::{Error, ErrorKind};
#[cfg(feature = "engine")]
use crate::manifest::infohash_of_page;
use crate::manifest::{Mirror, Request};
use crate::net::{Client, Credential, Fetched, SourceError};
use crate::origin::TorrentOrigin;
use crate::plan;
use crate::protocol::http::page::WebPage;
use crate::settings::ApiKey;
#[cfg(feature = "engine")]
use crate::settings::Settings;
use crate::storage::directory_fault;
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::{MAX_INFO_BYTES, MAX_TORRENT_BYTES, Metainfo};
use crate::url::Url;

/// Number of requests to a server, with pauses in between, if a retry may help.
const ATTEMPTS: u32 = 4;

/// The same while a download, which has a `.torrent` already, waits for a newer one.
const REFRESH_ATTEMPTS: u32 = 2;

/// See [`super::locate`].
pub fn find(session: &Session<'_>, request: &Request, network: &Network) -> Result<Located, Error> {
    // `manifest` rejects requests that have neither.
    let Some(infohash) = request.identity.infohash else {
        return Err(Error::new(ErrorKind::Manifest, "neither `infohash` nor `torrent` is given"));
    };
    if let Err(refused) =
        fetch_policy::check(session, request, &format!("the torrent {infohash} is"))
    {
        return in_directories(network, infohash).ok_or(refused);
    }
    let (client, stop) = (network.client.as_ref(), session.stop());
    let found = stop.closing(client, || search(session, request, infohash, network));
    // Anything that fails after a stop is reported as stopped.
    found.map_err(|error| stop.check().err().unwrap_or(error))
}

/// Looks in mirror directories: local data, which every policy allows.
fn in_directories(network: &Network, infohash: Infohash) -> Option<Located> {
    network.mirrors.iter().find_map(|(by, mirror)| {
        let Mirror::Directory(directory) = mirror else { return None };
        let bytes = in_mirror(directory, infohash).1.ok()?;
        checked(infohash, TorrentOrigin::Mirror(*by), bytes).ok()
    })
}

/// Asks each source until the host is stopped.
fn search(
    session: &Session<'_>,
    request: &Request,
    infohash: Infohash,
    network: &Network,
) -> Result<Located, Error> {
    let (host, client) = (&session.network.host, network.client.as_ref());
    let mut tried = Vec::new();
    for (by, mirror) in &network.mirrors {
        let (place, bytes) = match mirror {
            Mirror::Directory(directory) => {
                let (path, bytes) = in_mirror(directory, infohash);
                (path.display().to_string(), bytes.map_err(SourceError::from))
            }
            Mirror::Url(url) => {
                let Some(client) = client else { continue };
                from_mirror((*by, url), infohash, client, host)
            }
        };
        match bytes.and_then(|bytes| checked(infohash, TorrentOrigin::Mirror(*by), bytes)) {
            Ok(found) => return Ok(found),
            Err(why) => tried.push((place, why)),
        }
    }
    let allowed = request.sources.and(session.settings.sources);
    let peers = peers::MetadataSources {
        peers: plan::metainfo_peers(request, session.settings),
        trackers: plan::metainfo_tiers(request),
        default_trackers: plan::default_tiers(request, session.settings),
        #[cfg(feature = "dht")]
        dht: session.network.dht.clone().filter(|_| plan::allows_dht(request, session.settings)),
    };
    let some_named = !(peers.peers.is_empty() && peers.trackers.is_empty());
    let asks_peers =
        allowed.peers && (some_named || !peers.default_trackers.is_empty() || peers.ask_dht());
    let mut asked = Asked {
        catalogue_left_out: !allowed.catalogue,
        peers_left_out: some_named && !allowed.peers,
        ..Asked::default()
    };
    if let Some(client) = client.filter(|_| allowed.web_seeds) {
        let magnet = request.identity.magnet.as_ref();
        // URLs in the magnet link are trusted as much as those in a torrent of the same origin.
        let by = request.origin.named_by().torrent();
        for url in magnet.map_or(&[][..], |magnet| &magnet.torrents) {
            let bytes =
                fetch(client, by, url, Credential::Nothing, 1, host).map_err(|failed| failed.why);
            let origin = TorrentOrigin::Named(request.origin.named_by());
            match bytes.and_then(|bytes| checked(infohash, origin, bytes)) {
                Ok(found) => return Ok(found),
                Err(why) => tried.push((url.to_string(), why)),
            }
        }
    }
    if let Some(client) = client {
        let catalogue = CatalogTorrent::new(session, client, infohash);
        let first = if asks_peers { 1 } else { ATTEMPTS };
        let mut failed = None;
        if allowed.catalogue {
            session.network.note_catalogue(infohash, None);
            match catalogue.fetch(first) {
                Ok(found) => return Ok(found),
                Err(why) => failed = Some(why),
            }
        }
        if asks_peers {
            session.counters.say(format!("{}: asking peers for the torrent", request.name));
            match of_peers(session, client, infohash, &peers) {
                Ok(found) => return Ok(found),
                Err(failure) => asked.peers = Some(failure),
            }
            if let Some(again_at) = failed.as_ref().and_then(|failed| failed.again_at) {
                host.stop.pause(again_at.saturating_duration_since(Instant::now()));
                match catalogue.fetch(ATTEMPTS - first) {
                    Ok(found) => return Ok(found),
                    Err(why) => failed = Some(why),
                }
            }
        }
        if let Some(failed) = failed {
            asked.catalogue_status = failed.why.status();
            tried.push((catalogue.url.to_string(), failed.why));
        }
    }
    Err(not_found(session, request, infohash, tried, &asked))
}

/// The credential for requests to the catalog.
#[cfg(feature = "engine")]
pub fn catalog_credential(settings: &Settings) -> Credential<'_> {
    credential_of(settings.api_key.as_ref())
}

/// As `catalog_credential`, of this key.
pub fn credential_of(key: Option<&ApiKey>) -> Credential<'_> {
    key.map_or(Credential::Nothing, |key| Credential::Cookie(key.cookie()))
}

/// A torrent in the catalog.
pub struct CatalogTorrent {
    client: Client,
    by: NamedBy,
    pub url: Url,
    key: Option<ApiKey>,
    host: LocalPeer,
    infohash: Infohash,
}

impl CatalogTorrent {
    pub fn new(session: &Session<'_>, client: &Client, infohash: Infohash) -> CatalogTorrent {
        let settings = session.settings;
        CatalogTorrent {
            client: client.clone(),
            by: settings.catalogue_by(),
            url: settings.catalogue.with(&format!("/download/{infohash}.torrent")),
            key: settings.api_key.clone(),
            host: session.network.host.clone(),
            infohash,
        }
    }

    /// Fetches the catalog's current `.torrent`.
    ///
    /// # Errors
    /// Why the catalog returned none, or none that can be used.
    pub fn newest(&self) -> Result<Located, SourceError> {
        self.fetch(REFRESH_ATTEMPTS).map_err(|failed| failed.why)
    }

    fn fetch(&self, attempts: u32) -> Result<Located, Failed> {
        let credential = credential_of(self.key.as_ref());
        let bytes = fetch(&self.client, self.by, &self.url, credential, attempts, &self.host)?;
        checked(self.infohash, TorrentOrigin::Catalogue(self.by), bytes)
            .map_err(|why| Failed { why, again_at: None })
    }
}

/// What happened with the other sources of a torrent that was not found.
#[derive(Default)]
struct Asked {
    catalogue_left_out: bool,
    /// The status with which the catalog refused, if it was asked.
    catalogue_status: Option<u16>,
    peers_left_out: bool,
    /// Why peers did not deliver the metainfo, with the status of each.
    peers: Option<peers::MetadataFailure>,
}

/// Fetches the `info` dictionary from peers and wraps it as a `.torrent` with the known trackers.
fn of_peers(
    session: &Session<'_>,
    client: &Client,
    infohash: Infohash,
    sources: &peers::MetadataSources,
) -> Result<Located, peers::MetadataFailure> {
    let budgets = (
        session.network.dials(session.datasets),
        session.network.metadata_budget(session.datasets),
    );
    let found =
        peers::fetch(client, budgets, infohash, MAX_INFO_BYTES, sources, &session.network.host)?;
    // The `.torrent` does not record who named each tracker: the next build takes that from the
    // request.
    let tiers: Vec<_> = sources.trackers.iter().flat_map(|(_, tiers)| tiers).cloned().collect();
    let bytes = Metainfo::wrap(&found.info, &tiers);
    match checked(infohash, TorrentOrigin::Peers, bytes) {
        Ok(mut located) => {
            let mut addresses = found.peers;
            if !located.metainfo.private {
                addresses.extend(found.open_to_all);
            }
            located.peers = KnownPeers { addresses, open: found.open };
            Ok(located)
        }
        // The data has the declared infohash, so asking others is useless: it is not a valid
        // torrent.
        Err(why) => Err(peers::MetadataFailure { why, report: Report::default() }),
    }
}

/// The place that excludes a source: the manifest if the user's setting allows the source,
/// otherwise that setting.
fn left_out_by(session: &Session<'_>, user_allows: bool) -> String {
    match user_allows {
        true => "`sources` in the manifest".to_owned(),
        false => session.settings.configured.place_of("SOURCES"),
    }
}

/// The `.torrent` in a mirror, which may be a store, and its URL.
fn from_mirror(
    (by, mirror): (NamedBy, &Url),
    infohash: Infohash,
    client: &Client,
    host: &LocalPeer,
) -> (String, Result<Vec<u8>, SourceError>) {
    let ask = |path: &str| {
        let url = mirror.with(path);
        let bytes = fetch(client, by, &url, Credential::OfHost, ATTEMPTS, host);
        (url.to_string(), bytes.map_err(|failed| failed.why))
    };
    let found = ask(&format!("/{infohash}.torrent"));
    // The mirror works, but does not have the file.
    let is_missing = |why: &SourceError| matches!(why.status(), Some(403 | 404 | 410));
    if !found.1.as_ref().is_err_and(is_missing) {
        return found;
    }
    let of_store = ask(&format!("/v1/torrents/{infohash}.torrent"));
    if of_store.1.is_ok() { of_store } else { found }
}

fn not_found(
    session: &Session<'_>,
    request: &Request,
    infohash: Infohash,
    tried: Vec<(String, SourceError)>,
    asked: &Asked,
) -> Error {
    let mut error = if session.settings.offline {
        Error::new(
            ErrorKind::Offline,
            format!(
                "the torrent {infohash} is not on this machine, and network access is disabled"
            ),
        )
    } else {
        Error::new(
            ErrorKind::Network,
            format!("the torrent {infohash} could not be found anywhere"),
        )
    };
    for (place, why) in &tried {
        error = error.why(format!("{place}: {why}"));
    }
    #[cfg(not(feature = "dht"))]
    if let Some(why) = plan::without_dht(request, session.settings) {
        error = error.why(format!("DHT: {why}"));
    }
    if let Some(peers) = &asked.peers {
        error = peers.report.explain(error.why(format!("peers: {}", peers.why)));
    }
    let load_path = session.settings.configured.place_of("LOAD_PATH");
    for directory in &session.settings.load_path {
        let why = directory_fault(directory);
        let why = why.unwrap_or_else(|| {
            format!("contains neither {infohash}.torrent nor v1/torrents/{infohash}.torrent")
        });
        error = error.why(format!("{load_path}: {}: {why}", directory.display()));
    }
    if session.settings.offline {
        error = error.why(session.settings.offline_reason());
        return match request.origin.is_declared() {
            true => error
                .why(session.store_in_words(request).unwrap_or_default())
                .why("its data is missing as well; the size is unknown without the torrent")
                .help("build once with network access, which downloads both")
                .help(
                    "or provide both: the .torrent in the crate, with `torrent = \"<file>\"`, and the data in a directory that\n\
                     ACADEMICTORRENTS_LOAD_PATH or `mirrors` names",
                ),
            false => error.help("give the path of the .torrent in place of the infohash"),
        };
    }
    let user = session.settings.sources;
    if asked.catalogue_left_out {
        let by = left_out_by(session, user.catalogue);
        error = error
            .why(format!("excluded by {by}: the catalog"))
            .help(format!("to use it, add `catalogue` to {by}"));
    }
    if asked.peers_left_out {
        let by = left_out_by(session, user.peers);
        error = error
            .why(format!("excluded by {by}: peers and trackers, which may have the torrent"))
            .help(format!("to ask them, add `peers` to {by}"));
    }
    error = advise(error, tried.iter().map(|(_, why)| why));
    let has_key = session.settings.api_key.is_some();
    error = match asked.catalogue_status {
        Some(404) => error.help("check the infohash in the catalog"),
        Some(401 | 403) if has_key => {
            error.help(format!("check {}", session.settings.configured.place_of("API_KEY")))
        }
        _ if asked.catalogue_left_out => error,
        _ => error.help("try again later: the catalog or the network may be down"),
    };
    error.help(match request.origin.is_declared() {
        true => {
            "behind a firewall, put the .torrent into the crate and add `torrent = \"<file>\"`;\n\
             add `mirrors` or `web-seeds` for the data"
        }
        false => "behind a firewall, use the path of the .torrent instead of the infohash",
    })
}

fn checked(
    infohash: Infohash,
    origin: TorrentOrigin,
    bytes: Vec<u8>,
) -> Result<Located, SourceError> {
    // The bytes may come from anyone: nothing but the infohash is computed before it is known to be
    // the declared one.
    let unusable = |error: Error| SourceError::Unusable(error.reason());
    let found = Metainfo::infohash_of(&bytes).map_err(unusable)?;
    if found != infohash {
        return Err(SourceError::OtherTorrent(found));
    }
    let metainfo = Metainfo::parse(&bytes).map_err(unusable)?;
    Ok(Located::new(metainfo.with_origin(origin), bytes))
}

/// Fetches the catalog's current `.torrent`.
///
/// # Errors
/// [`ErrorKind::Network`] if it cannot be fetched; [`ErrorKind::Offline`] if network access is
/// disabled.
#[cfg(feature = "engine")]
pub fn newest(session: &Session<'_>, infohash: Infohash) -> Result<Located, Error> {
    let failed = |kind| {
        Error::new(kind, format!("the catalog's .torrent of {infohash} could not be fetched"))
    };
    if session.settings.offline {
        return Err(failed(ErrorKind::Offline).why(session.settings.offline_reason()));
    }
    let client = Client::new(session.settings)?;
    let catalogue = CatalogTorrent::new(session, &client, infohash);
    catalogue.fetch(ATTEMPTS).map_err(|Failed { why, .. }| {
        let error = failed(ErrorKind::Network).why(format!("{}: {why}", catalogue.url));
        advise(error, std::iter::once(&why))
    })
}

/// Fetches the `.torrent` at a URL.
///
/// # Errors
/// [`ErrorKind::Network`] if it cannot be fetched, [`ErrorKind::Offline`] if network access is
/// disabled, [`ErrorKind::Metainfo`] if it is not a torrent.
#[cfg(feature = "engine")]
pub fn at_url(session: &Session<'_>, url: &Url) -> Result<Located, Error> {
    let failed = |kind| Error::new(kind, format!("could not download a torrent from {url}"));
    let advice = |help: &str| match infohash_of_page(url.exposed()) {
        Some(infohash) => format!("use the infohash in the URL: {infohash}"),
        None => help.to_owned(),
    };
    if session.settings.offline {
        return Err(failed(ErrorKind::Offline)
            .why(session.settings.offline_reason())
            .help(advice("give the path of a .torrent that is on this machine")));
    }
    let client = Client::new(session.settings)?.with_credentials(session.settings);
    let host = LocalPeer::not_listening();
    let bytes = fetch(&client, NamedBy::User, url, Credential::OfHost, ATTEMPTS, &host);
    let bytes = bytes.map_err(|Failed { why, .. }| {
        advise(failed(ErrorKind::Network).why(why.to_string()), std::iter::once(&why))
            .help(advice("open the URL in a browser, or use an infohash or the path of a .torrent"))
    })?;
    match Metainfo::parse(&bytes) {
        Ok(metainfo) => {
            let origin = TorrentOrigin::Named(NamedBy::User);
            Ok(Located::new(metainfo.with_origin(origin), bytes))
        }
        Err(error) => {
            // The help texts of `error` are for torrents on this machine.
            let what = format!("there is no valid torrent at {url}");
            Err(Error::new(ErrorKind::Metainfo, what)
                .why(error.reason())
                .help(advice("use the URL of the .torrent itself, not of a page that links to it")))
        }
    }
}

/// Why a `.torrent` could not be fetched.
struct Failed {
    why: SourceError,
    /// When a retry may succeed, if that is within the user's timeout.
    again_at: Option<Instant>,
}

/// Sends one request, on a detached thread: neither connecting nor the system's name look-up can be
/// cancelled.
fn ask(
    client: &Client,
    by: NamedBy,
    url: &Url,
    credential: Credential<'_>,
    host: &LocalPeer,
) -> Result<Fetched, SourceError> {
    let (tell, told) = sync_channel(1);
    let (client, url, within) = (client.clone(), url.clone(), client.timing().give_up);
    let (of_host, cookie) = match credential {
        Credential::Cookie(cookie) => (false, Some(cookie.to_owned())),
        credential => (matches!(credential, Credential::OfHost), None),
    };
    let ask = move || {
        let credential = match &cookie {
            Some(cookie) => Credential::Cookie(cookie),
            None if of_host => Credential::OfHost,
            None => Credential::Nothing,
        };
        let reply = client.fetch(by, &url, credential, MAX_TORRENT_BYTES as u64, within);
        let _ = tell.send(reply); // the caller may have stopped waiting
    };
    start_thread("at-torrent", Box::new(ask))?;
    host.stop.wait_for(&told).unwrap_or(Err(match host.is_stopped() {
        true => SourceError::Stopped,
        false => SourceError::WorkerFailed,
    }))
}

/// Downloads a `.torrent`. Retries after a pause if the server is busy or does not answer, within
/// the user's timeout, until the host is stopped.
fn fetch(
    client: &Client,
    by: NamedBy,
    url: &Url,
    credential: Credential<'_>,
    most_attempts: u32,
    host: &LocalPeer,
) -> Result<Vec<u8>, Failed> {
    let timing = client.timing();
    let begun = Instant::now();
    let mut pause = timing.back_off;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (why, wait) = match ask(client, by, url, credential, host) {
            // Repeated requests are what a bot check is meant to prevent.
            Ok(reply) if reply.page == Some(WebPage::BotCheck) => {
                let why = SourceError::BotCheck(reply.status);
                return Err(Failed { why, again_at: None });
            }
            Ok(reply) if reply.status == 200 => return Ok(reply.body),
            Ok(reply) if matches!(reply.status, 408 | 429 | 500..=599) => {
                let wait = reply.retry_after.unwrap_or(pause).max(pause);
                (SourceError::Status(reply.status), wait)
            }
            Ok(reply) => {
                return Err(Failed { why: SourceError::Status(reply.status), again_at: None });
            }
            Err(why) if why.is_refused() => return Err(Failed { why, again_at: None }),
            Err(why) => (why, pause),
        };
        let in_time = begun.elapsed() + wait < timing.give_up;
        if attempts >= most_attempts || !in_time || host.is_stopped() {
            return Err(Failed { why, again_at: in_time.then(|| Instant::now() + wait) });
        }
        host.stop.pause(wait);
        pause *= 2;
    }
}
