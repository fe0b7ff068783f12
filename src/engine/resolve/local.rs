//! Finding the `.torrent` on this machine: vendored, in a store, or next to a copy.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Located, Session};
use crate::address::NamedBy;
use crate::error::{Error, ErrorKind};
use crate::manifest::Request;
use crate::origin::TorrentOrigin;
use crate::storage::{IS_LFS_POINTER, LFS_POINTER, Store, directory_fault};
use crate::suggest::nearest;
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::{MAX_TORRENT_BYTES, Metainfo, not_declared};

/// The infohash of a request. For a vendored torrent, only the infohash is computed, which keeps
/// builds with complete data fast.
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
        _ if why == TorrentFault::LfsPointer => failed("torrent").why(why.to_string()).help("git lfs pull"),
        true => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let error = failed("vendored torrent").why(why.to_string());
            match similar(request, path) {
                Some(similar) => error.help(format!("did you mean {similar:?}?")),
                None => error.help("`torrent` is relative to the manifest").help(format!(
                    "the published package must contain it: if [package] has `include`, add {name:?};\n\
                     if it has `exclude`, make sure that it does not cover the file"
                )),
            }
        }
        false => failed("torrent").why(why.to_string()).help("use the path of a .torrent, or an infohash"),
    })
}

/// The `.torrent` whose name is most similar to that of `path`, in the same directory or in
/// `datasets`, relative to the manifest.
fn similar(request: &Request, path: &Path) -> Option<String> {
    let package = request.origin.manifest()?.0.parent()?;
    let stem = |path: &Path| Some(path.file_stem()?.to_str()?.to_owned());
    let in_directory = |directory: &Path| {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|it| it.extension().is_some_and(|it| it == "torrent"))
    };
    let mut files: Vec<PathBuf> = in_directory(path.parent()?).collect();
    files.extend(in_directory(&package.join("datasets")));
    files.sort();
    let stems: Vec<String> = files.iter().filter_map(|file| stem(file)).collect();
    let nearest = nearest(&stem(path)?, stems.iter().map(String::as_str))?;
    let file = files.iter().find(|file| stem(file).as_deref() == Some(nearest))?;
    let below: Option<Vec<&str>> =
        file.strip_prefix(package).ok()?.iter().map(|component| component.to_str()).collect();
    Some(below?.join("/"))
}

fn of_vendored(error: Error, path: &Path) -> Error {
    error.why(format!("the torrent is {}", path.display()))
}

/// Why a file cannot be used as a `.torrent`. The text continues a message that begins with its
/// path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TorrentFault {
    LfsPointer,
    TooLarge(u64),
    /// In the operating system's words.
    Unreadable(String),
    /// The directory that should contain the file has a fault.
    Directory(String),
    #[cfg(not(feature = "fetch"))]
    Unusable(String),
}

impl fmt::Display for TorrentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TorrentFault::LfsPointer => f.write_str(IS_LFS_POINTER),
            TorrentFault::TooLarge(bytes) => {
                write!(f, "{bytes} bytes is too large for a .torrent")
            }
            TorrentFault::Unreadable(why) | TorrentFault::Directory(why) => f.write_str(why),
            #[cfg(not(feature = "fetch"))]
            TorrentFault::Unusable(why) => f.write_str(why),
        }
    }
}

#[cfg(feature = "fetch")]
impl From<TorrentFault> for crate::net::SourceError {
    fn from(fault: TorrentFault) -> crate::net::SourceError {
        crate::net::SourceError::Other(fault.to_string())
    }
}

/// Reads a `.torrent` file, without parsing it.
///
/// # Errors
/// The file is missing or unreadable, too large, or a Git LFS pointer.
pub fn read_torrent(path: &Path) -> Result<Vec<u8>, TorrentFault> {
    let failed = |why: std::io::Error| TorrentFault::Unreadable(why.to_string());
    // Reading a pipe would block, and a device or a file that grows has no end.
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_file() && !found.is_dir() {
        return Err(TorrentFault::Unreadable("it is not a regular file".to_owned()));
    }
    let most = MAX_TORRENT_BYTES as u64;
    if found.len() > most {
        return Err(TorrentFault::TooLarge(found.len()));
    }
    let mut bytes = Vec::with_capacity(found.len() as usize + 1); // one read, and one to find the end
    let file = File::open(path).map_err(failed)?;
    let length = file.take(most + 1).read_to_end(&mut bytes).map_err(failed)? as u64;
    if length > most {
        return Err(TorrentFault::TooLarge(length));
    }
    if bytes.starts_with(LFS_POINTER) { Err(TorrentFault::LfsPointer) } else { Ok(bytes) }
}

/// The `.torrent` in a mirror directory, which may be a store; and the path at which it is or
/// should be.
pub fn in_mirror(directory: &Path, infohash: Infohash) -> (PathBuf, Result<Vec<u8>, TorrentFault>) {
    if let Some(fault) = directory_fault(directory) {
        return (directory.to_owned(), Err(TorrentFault::Directory(fault)));
    }
    let name = format!("{infohash}.torrent");
    let (path, kept) = (directory.join(&name), directory.join("v1/torrents").join(&name));
    match read_torrent(&path) {
        Err(_) if !path.exists() && kept.exists() => {
            let bytes = read_torrent(&kept);
            (kept, bytes)
        }
        bytes => (path, bytes),
    }
}

/// Finds the `.torrent` on this machine: vendored, in a store, or in `LOAD_PATH`.
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
    // at-python stored the `.torrent` next to the data.
    let elsewhere = session.settings.load_path.iter().flat_map(|directory| {
        let beside = read_torrent(&directory.join(format!("{infohash}.torrent"))).ok();
        [
            of_store(&Store::at(directory)),
            beside.map(|bytes| (TorrentOrigin::Named(NamedBy::User), bytes)),
        ]
    });
    let found = kept.chain(elsewhere.flatten()).find_map(|(origin, bytes)| {
        // A damaged `.torrent` in a store is treated as missing, and is downloaded again.
        let metainfo =
            Metainfo::parse(&bytes).and_then(|metainfo| metainfo.expect(infohash)).ok()?;
        Some(Located::new(metainfo.with_origin(origin), bytes))
    });
    Ok(found)
}
