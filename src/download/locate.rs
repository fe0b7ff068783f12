//! Where the metainfo comes from: vendored, the store, mirrors, the catalogue, in this order.

use std::path::Path;
use std::time::Instant;

use super::report::advise;
use super::{Session, permission};
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::manifest::{Mirror, Request};
use crate::metainfo::{MAX_TORRENT_BYTES, Metainfo, not_declared};
use crate::net::Client;
use crate::protocol::http::verdict::status_text;
use crate::store::Store;

/// The infohash that a request means. Of a vendored torrent nothing more is read: a warm build has no time.
///
/// # Errors
/// [`ErrorKind::Metainfo`] for a vendored torrent that cannot be read or is not the declared one.
pub fn infohash(request: &Request) -> Result<Option<Infohash>, Error> {
    let Some(path) = &request.identity.torrent else { return Ok(request.identity.infohash) };
    let found = Metainfo::infohash_of(&vendored(request, path)?)
        .map_err(|error| of_vendored(error, path))?;
    match request.identity.infohash {
        Some(declared) if declared != found => {
            Err(of_vendored(not_declared(declared, found), path))
        }
        _ => Ok(Some(found)),
    }
}

fn vendored(request: &Request, path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |what| {
        Error::new(ErrorKind::Metainfo, format!("the {what} {} cannot be read", path.display()))
    };
    read_torrent(path).map_err(|why| match request.line {
        Some(_) => {
            let name = path.file_name().unwrap_or_default().display().to_string();
            failed("vendored torrent")
                .why(why)
                .help("`torrent` is relative to the manifest")
                .help(format!(
                    "the package that is published must hold it: where [package] has `include`, add {name:?};\n\
                     where it has `exclude`, let that not cover it"
                ))
        }
        None => failed("torrent").why(why).help("give the path of a .torrent, or an infohash"),
    })
}

fn of_vendored(error: Error, path: &Path) -> Error {
    error.why(format!("the torrent is {}", path.display()))
}

fn read_torrent(path: &Path) -> Result<Vec<u8>, String> {
    let length = std::fs::metadata(path).map_err(|why| why.to_string())?.len();
    if length > MAX_TORRENT_BYTES as u64 {
        return Err(format!("it has {length} bytes, too many for a torrent"));
    }
    std::fs::read(path).map_err(|why| why.to_string())
}

/// The metainfo that lies on this machine without looking anything up: vendored, or in a store.
///
/// # Errors
/// [`ErrorKind::Metainfo`] for a vendored torrent that cannot be used or is not the declared one.
pub fn at_hand(
    session: &Session<'_>,
    request: &Request,
) -> Result<Option<(Metainfo, Vec<u8>)>, Error> {
    if let Some(path) = &request.identity.torrent {
        let bytes = vendored(request, path)?;
        let metainfo = Metainfo::parse(&bytes)
            .and_then(|metainfo| match request.identity.infohash {
                Some(declared) => metainfo.expect(declared),
                None => Ok(metainfo),
            })
            .map_err(|error| of_vendored(error, path))?;
        return Ok(Some((metainfo, bytes)));
    }
    let Some(infohash) = request.identity.infohash else { return Ok(None) };
    let stores = [session.store(request), session.shared];
    let kept = stores.iter().filter_map(|store| store.torrent(infohash));
    // at-python kept it beside the data.
    let elsewhere = session.settings.load_path.iter().flat_map(|directory| {
        let beside = read_torrent(&directory.join(format!("{infohash}.torrent"))).ok();
        [Store::at(directory).torrent(infohash), beside]
    });
    let found = kept.chain(elsewhere.flatten()).find_map(|bytes| {
        // A damaged copy in the store is as good as none: it is fetched again.
        let metainfo =
            Metainfo::parse(&bytes).and_then(|metainfo| metainfo.expect(infohash)).ok()?;
        Some((metainfo, bytes))
    });
    Ok(found)
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
) -> Result<(Metainfo, Vec<u8>), Error> {
    if let Some(found) = at_hand(session, request)? {
        return Ok(found);
    }
    // The manifest room lets no request pass without one of the two.
    let Some(infohash) = request.identity.infohash else {
        return Err(Error::new(ErrorKind::Manifest, "neither `infohash` nor `torrent` is given"));
    };
    permission::check(session, request, &format!("the torrent {infohash} is"))?;
    let mut tried = Vec::new();
    for mirror in mirrors {
        let Some((place, mut bytes)) = of_mirror(mirror, &format!("{infohash}.torrent"), client)
        else {
            continue;
        };
        // A mirror may be a store.
        if bytes.as_ref().is_err_and(|why| is_missing(mirror, &place, why))
            && let Some((_, Ok(kept))) =
                of_mirror(mirror, &format!("v1/torrents/{infohash}.torrent"), client)
        {
            bytes = Ok(kept);
        }
        match bytes.and_then(|bytes| checked(infohash, bytes)) {
            Ok(found) => return Ok(found),
            Err(why) => tried.push(format!("{place}: {why}")),
        }
    }
    let allowed = request.sources.and(session.settings.sources).catalogue;
    if let Some(client) = client.filter(|_| allowed) {
        let url = format!("{}/download/{infohash}.torrent", session.settings.catalogue);
        match fetch(client, &url).and_then(|bytes| checked(infohash, bytes)) {
            Ok(found) => return Ok(found),
            Err(why) => tried.push(format!("{url}: {why}")),
        }
    }
    Err(not_found(session, request, infohash, tried, allowed))
}

/// A `.torrent` in a mirror, and where that is; `None` where it may not be asked.
fn of_mirror(
    mirror: &Mirror,
    name: &str,
    client: Option<&Client>,
) -> Option<(String, Result<Vec<u8>, String>)> {
    match mirror {
        Mirror::Directory(directory) => {
            let path = directory.join(name);
            Some((path.display().to_string(), read_torrent(&path)))
        }
        Mirror::Url(url) => {
            let url = format!("{url}/{name}");
            let bytes = fetch(client?, &url);
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
    catalogue_allowed: bool,
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
    if !catalogue_allowed {
        let by = match session.settings.sources.catalogue {
            true => "`sources` in the manifest".to_owned(),
            false => session.settings.configured.place_of("SOURCES"),
        };
        error = error
            .why(format!("left out by {by}: the catalogue"))
            .help(format!("to use it, add `catalogue` to {by}"));
    }
    error = advise(error, tried.iter());
    // The catalogue is asked last.
    error = match tried.last() {
        Some(said) if said.ends_with(&status_text(404)) => {
            error.help("check the infohash at the catalogue")
        }
        _ if !catalogue_allowed => error,
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

/// Gets a `.torrent`, again after a pause where the server is busy or does not answer, within the time that the
/// user waits without data.
fn fetch(client: &Client, url: &str) -> Result<Vec<u8>, String> {
    let timing = client.timing();
    let begun = Instant::now();
    let mut pause = timing.back_off;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (why, wait) = match client.fetch(url, MAX_TORRENT_BYTES as u64, timing.give_up) {
            Ok(reply) if reply.status == 200 => return Ok(reply.body),
            Ok(reply) if matches!(reply.status, 408 | 429 | 500..=599) => {
                (status_text(reply.status), reply.retry_after.unwrap_or(pause).max(pause))
            }
            Ok(reply) => return Err(status_text(reply.status)),
            Err(why) => (why.to_string(), pause),
        };
        if attempts >= 4 || begun.elapsed() + wait >= timing.give_up {
            return Err(why);
        }
        std::thread::sleep(wait);
        pause *= 2;
    }
}
