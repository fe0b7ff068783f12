//! The metainfo that lies on this machine: vendored, in a store, beside a copy.

use std::path::Path;

use super::Session;
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::manifest::Request;
use crate::metainfo::{MAX_TORRENT_BYTES, Metainfo, not_declared};
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

pub fn read_torrent(path: &Path) -> Result<Vec<u8>, String> {
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
