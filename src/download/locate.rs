//! Where the metainfo comes from: vendored, the store, mirrors, the catalogue, peers, in this order.
//!
//! Where peers can be asked, a catalogue that does not answer at once is not waited for: it is asked again where no peer
//! has it.

use std::path::Path;
use std::time::Instant;

use super::at_hand::{at_hand, read_torrent};
use super::report::{Report, advise};
use super::{Host, Session, metadata, permission};
use crate::context::ApiKey;
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::manifest::{Mirror, Request};
use crate::metainfo::{MAX_INFO_BYTES, MAX_TORRENT_BYTES, Metainfo};
use crate::net::Client;
use crate::plan;
use crate::protocol::http::verdict::status_text;

/// Times that a server is asked, with pauses, where that may help.
const ATTEMPTS: u32 = 4;

/// The metainfo, and its `.torrent`.
pub struct Located {
    pub metainfo: Metainfo,
    pub bytes: Vec<u8>,
    /// Peers that are known, where it came from peers.
    pub peers: Vec<String>,
}

impl From<(Metainfo, Vec<u8>)> for Located {
    fn from((metainfo, bytes): (Metainfo, Vec<u8>)) -> Located {
        Located { metainfo, bytes, peers: Vec::new() }
    }
}

/// The metainfo, from wherever it can be had.
///
/// # Errors
/// [`ErrorKind::Metainfo`], [`ErrorKind::Network`] or [`ErrorKind::Offline`], with what each place said.
pub fn find(
    session: &Session<'_>,
    request: &Request,
    mirrors: &[Mirror],
    client: Option<&Client>,
) -> Result<Located, Error> {
    if let Some(found) = at_hand(session, request)? {
        return Ok(found.into());
    }
    // The manifest room lets no request pass without one of the two.
    let Some(infohash) = request.identity.infohash else {
        return Err(Error::new(ErrorKind::Manifest, "neither `infohash` nor `torrent` is given"));
    };
    permission::check(session, request, &format!("the torrent {infohash} is"))?;
    session.host.closing(client, || search(session, request, infohash, mirrors, client))
}

/// Where it may be that is not at hand; until the host is stopped.
fn search(
    session: &Session<'_>,
    request: &Request,
    infohash: Infohash,
    mirrors: &[Mirror],
    client: Option<&Client>,
) -> Result<Located, Error> {
    let host = &session.host;
    let mut tried = Vec::new();
    for mirror in mirrors {
        let of_mirror = |name: &str| of_mirror(mirror, name, client, host);
        let Some((place, mut bytes)) = of_mirror(&format!("{infohash}.torrent")) else {
            continue;
        };
        // A mirror may be a store.
        if bytes.as_ref().is_err_and(|why| is_missing(mirror, &place, why))
            && let Some((_, Ok(kept))) = of_mirror(&format!("v1/torrents/{infohash}.torrent"))
        {
            bytes = Ok(kept);
        }
        match bytes.and_then(|bytes| checked(infohash, bytes)) {
            Ok(found) => return Ok(found.into()),
            Err(why) => tried.push(format!("{place}: {why}")),
        }
    }
    let allowed = request.sources.and(session.settings.sources);
    let peers = metadata::Sources {
        peers: plan::metainfo_peers(request, session.settings),
        trackers: plan::metainfo_tiers(request),
        #[cfg(feature = "dht")]
        dht: session.dht.clone().filter(|_| plan::allows_dht(request, session.settings)),
    };
    let some_named = !(peers.peers.is_empty() && peers.trackers.is_empty());
    let asks_peers = allowed.peers && (some_named || peers.ask_dht());
    let mut asked = Asked {
        catalogue_left_out: !allowed.catalogue,
        peers_left_out: some_named && !allowed.peers,
        ..Asked::default()
    };
    if let Some(client) = client {
        let catalogue = format!("{}/download/{infohash}.torrent", session.settings.catalogue);
        let of_catalogue = |attempts| {
            let cookie = session.settings.api_key.as_ref().map(ApiKey::cookie);
            let bytes = fetch(client, &catalogue, cookie, attempts, host)?;
            checked(infohash, bytes).map_err(|why| Failed { why, again_at: None })
        };
        let first = if asks_peers { 1 } else { ATTEMPTS };
        let mut failed = None;
        if allowed.catalogue {
            match of_catalogue(first) {
                Ok(found) => return Ok(found.into()),
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
                host.pause(again_at.saturating_duration_since(Instant::now()));
                match of_catalogue(ATTEMPTS - first) {
                    Ok(found) => return Ok(found.into()),
                    Err(why) => failed = Some(why),
                }
            }
        }
        if let Some(failed) = failed {
            tried.push(format!("{catalogue}: {}", failed.why));
        }
    }
    Err(not_found(session, request, infohash, tried, &asked))
}

/// What else was asked for a torrent that could not be had.
#[derive(Default)]
struct Asked {
    catalogue_left_out: bool,
    peers_left_out: bool,
    /// Why peers did not bring it, and what each of them said.
    peers: Option<metadata::Failure>,
}

/// From peers: the `info` dictionary, kept as a `.torrent` with the trackers that are known.
fn of_peers(
    session: &Session<'_>,
    client: &Client,
    infohash: Infohash,
    sources: &metadata::Sources,
) -> Result<Located, metadata::Failure> {
    let most = metadata::side_by_side(session.datasets);
    let found = metadata::fetch(client, infohash, MAX_INFO_BYTES, sources, most, &session.host)?;
    let bytes = Metainfo::wrap(&found.info, &sources.trackers);
    match checked(infohash, bytes) {
        Ok((metainfo, bytes)) => {
            let mut peers = found.peers;
            if !metainfo.private {
                peers.extend(found.of_dht);
            }
            Ok(Located { metainfo, bytes, peers })
        }
        // It is the declared one, whoever is asked: as a torrent it is of no use.
        Err(why) => Err(metadata::Failure { why, report: Report::default() }),
    }
}

/// Who leaves out what the user allows, or does not.
fn left_out_by(session: &Session<'_>, user_allows: bool) -> String {
    match user_allows {
        true => "`sources` in the manifest".to_owned(),
        false => session.settings.configured.place_of("SOURCES"),
    }
}

/// A `.torrent` in a mirror, and where that is; `None` where it may not be asked.
fn of_mirror(
    mirror: &Mirror,
    name: &str,
    client: Option<&Client>,
    host: &Host,
) -> Option<(String, Result<Vec<u8>, String>)> {
    match mirror {
        Mirror::Directory(directory) => {
            let path = directory.join(name);
            Some((path.display().to_string(), read_torrent(&path)))
        }
        Mirror::Url(url) => {
            let url = format!("{url}/{name}");
            let bytes = fetch(client?, &url, None, ATTEMPTS, host).map_err(|failed| failed.why);
            Some((url, bytes))
        }
    }
}

/// Whether the mirror works, and does not have it.
fn is_missing(mirror: &Mirror, place: &str, why: &str) -> bool {
    match mirror {
        Mirror::Directory(_) => !Path::new(place).exists(),
        Mirror::Url(_) => [403, 404, 410].iter().any(|status| why == status_text(*status)),
    }
}

fn not_found(
    session: &Session<'_>,
    request: &Request,
    infohash: Infohash,
    tried: Vec<String>,
    asked: &Asked,
) -> Error {
    let mut error = if session.settings.offline {
        Error::new(
            ErrorKind::Offline,
            format!("the torrent {infohash} is not here, and the network may not be used"),
        )
    } else {
        Error::new(
            ErrorKind::Network,
            format!("the torrent {infohash} could not be had from anywhere"),
        )
    };
    for line in &tried {
        error = error.why(line);
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
        error = error.why(format!(
            "{load_path}: {}: {infohash}.torrent is neither there nor in v1/torrents",
            directory.display()
        ));
    }
    if session.settings.offline {
        return error
            .why(session.settings.offline_reason())
            .help(match request.line {
                Some(_) => "build once with the network, or copy the .torrent into the crate and add `torrent = \"<file>\"`",
                None => "give the path of the .torrent in place of the infohash",
            });
    }
    let user = session.settings.sources;
    if asked.catalogue_left_out {
        let by = left_out_by(session, user.catalogue);
        error = error
            .why(format!("left out by {by}: the catalogue"))
            .help(format!("to use it, add `catalogue` to {by}"));
    }
    if asked.peers_left_out {
        let by = left_out_by(session, user.peers);
        error = error
            .why(format!("left out by {by}: peers and trackers, which may have the torrent"))
            .help(format!("to ask them, add `peers` to {by}"));
    }
    error = advise(error, tried.iter());
    let has_key = session.settings.api_key.is_some();
    // The catalogue is the last.
    error = match tried.last() {
        Some(said) if said.ends_with(&status_text(404)) => {
            error.help("check the infohash at the catalogue")
        }
        Some(said) if has_key && [401, 403].iter().any(|no| said.ends_with(&status_text(*no))) => {
            error.help(format!("check {}", session.settings.configured.place_of("API_KEY")))
        }
        _ if asked.catalogue_left_out => error,
        _ => error.help("build again later: the catalogue may be down, or the line to it"),
    };
    error.help(match request.line {
        Some(_) => {
            "behind a firewall, put the .torrent into the crate and add `torrent = \"<file>\"`;\n\
             for the data add `mirrors` or `web-seeds`"
        }
        None => "behind a firewall, give the path of the .torrent in place of the infohash",
    })
}

fn checked(infohash: Infohash, bytes: Vec<u8>) -> Result<(Metainfo, Vec<u8>), String> {
    // Of what anyone may have sent, no more is read than that before it is known to be the declared one.
    let found = Metainfo::infohash_of(&bytes).map_err(|error| one_line(&error))?;
    if found != infohash {
        return Err(format!("it is another torrent, {found}"));
    }
    let metainfo = Metainfo::parse(&bytes).map_err(|error| one_line(&error))?;
    Ok((metainfo, bytes))
}

fn one_line(error: &Error) -> String {
    // The first line says that it cannot be used, the second why.
    let text = error.to_string();
    text.lines().take(2).last().unwrap_or_default().trim().to_owned()
}

/// Why a `.torrent` could not be fetched.
struct Failed {
    why: String,
    /// From then on it may go better, within the time that the user waits.
    again_at: Option<Instant>,
}

/// Gets a `.torrent` from where it was said to be.
///
/// # Errors
/// Why it cannot be had, as it follows after the URL.
#[cfg(feature = "cli")]
pub fn fetch_torrent(client: &Client, url: &str) -> Result<Vec<u8>, String> {
    fetch(client, url, None, ATTEMPTS, &Host::deaf()).map_err(|failed| failed.why)
}

/// Gets a `.torrent`, again after a pause where the server is busy or does not answer, within the time that the
/// user waits without data, and until the host is stopped.
fn fetch(
    client: &Client,
    url: &str,
    cookie: Option<&str>,
    most_attempts: u32,
    host: &Host,
) -> Result<Vec<u8>, Failed> {
    let timing = client.timing();
    let begun = Instant::now();
    let mut pause = timing.back_off;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (why, wait) = match client.fetch(url, cookie, MAX_TORRENT_BYTES as u64, timing.give_up)
        {
            Ok(reply) if reply.status == 200 => return Ok(reply.body),
            Ok(reply) if matches!(reply.status, 408 | 429 | 500..=599) => {
                (status_text(reply.status), reply.retry_after.unwrap_or(pause).max(pause))
            }
            Ok(reply) => {
                return Err(Failed { why: status_text(reply.status), again_at: None });
            }
            Err(why) => (why.to_string(), pause),
        };
        let in_time = begun.elapsed() + wait < timing.give_up;
        if attempts >= most_attempts || !in_time || host.is_stopped() {
            return Err(Failed { why, again_at: in_time.then(|| Instant::now() + wait) });
        }
        host.pause(wait);
        pause *= 2;
    }
}
