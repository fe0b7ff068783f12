//! The metainfo that lies on this machine: vendored, in a store, beside a copy.

use std::path::Path;

use super::{Located, Session};
use crate::address::NamedBy;
use crate::error::{Error, ErrorKind};
use crate::manifest::Request;
use crate::net::SourceError;
use crate::origin::TorrentOrigin;
use crate::storage::{LFS_POINTER, Store};
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::{MAX_TORRENT_BYTES, Metainfo, not_declared};

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
    let failed = |what: &str| {
        Error::new(ErrorKind::Metainfo, format!("the {what} {} cannot be read", path.display()))
    };
    read_torrent(path).map_err(|why| match request.origin.is_declared() {
        _ if why == SourceError::LfsPointer => failed("torrent").why(why.to_string()).help("git lfs pull"),
        true => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            failed("vendored torrent")
                .why(why.to_string())
                .help("`torrent` is relative to the manifest")
                .help(format!(
                    "the package that is published must hold it: where [package] has `include`, add {name:?};\n\
                     where it has `exclude`, let that not cover it"
                ))
        }
        false => failed("torrent").why(why.to_string()).help("give the path of a .torrent, or an infohash"),
    })
}

fn of_vendored(error: Error, path: &Path) -> Error {
    error.why(format!("the torrent is {}", path.display()))
}

pub fn read_torrent(path: &Path) -> Result<Vec<u8>, SourceError> {
    let failed = |why: std::io::Error| SourceError::Other(why.to_string());
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_TORRENT_BYTES as u64 {
        return Err(SourceError::TooLargeTorrent(bytes));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    if bytes.starts_with(LFS_POINTER) { Err(SourceError::LfsPointer) } else { Ok(bytes) }
}

/// The metainfo that lies on this machine without looking anything up: vendored, or in a store.
///
/// # Errors
/// [`ErrorKind::Metainfo`] for a vendored torrent that cannot be used or is not the declared one.
pub fn at_hand(session: &Session<'_>, request: &Request) -> Result<Option<Located>, Error> {
    if let Some(path) = &request.identity.torrent {
        let bytes = vendored(request, path)?;
        let metainfo = Metainfo::parse(&bytes)
            .and_then(|metainfo| match request.identity.infohash {
                Some(declared) => metainfo.expect(declared),
                None => Ok(metainfo),
            })
            .map_err(|error| of_vendored(error, path))?;
        let origin = TorrentOrigin::Named(request.origin.named_by());
        return Ok(Some(Located::new(metainfo.with_origin(origin), bytes)));
    }
    let Some(infohash) = request.identity.infohash else { return Ok(None) };
    let stores = [session.target(request).workplace(), session.shared];
    let of_store = |store: &Store| {
        let bytes = store.torrent(infohash)?;
        Some((store.torrent_origin(infohash, &bytes), bytes))
    };
    let kept = stores.iter().filter_map(|store| of_store(store));
    // at-python kept it beside the data.
    let elsewhere = session.settings.load_path.iter().flat_map(|directory| {
        let beside = read_torrent(&directory.join(format!("{infohash}.torrent"))).ok();
        [
            of_store(&Store::at(directory)),
            beside.map(|bytes| (TorrentOrigin::Named(NamedBy::User), bytes)),
        ]
    });
    let found = kept.chain(elsewhere.flatten()).find_map(|(origin, bytes)| {
        // A damaged copy in the store is as good as none: it is fetched again.
        let metainfo =
            Metainfo::parse(&bytes).and_then(|metainfo| metainfo.expect(infohash)).ok()?;
        Some(Located::new(metainfo.with_origin(origin), bytes))
    });
    Ok(found)
}
