//! Torrents that a command looks up to show them or write them to a package.

use academictorrents::engine::counters::Counters;
use academictorrents::engine::plan::{self, Selection};
use academictorrents::engine::size;
use academictorrents::engine::torrent::{Metainfo, Shareable, TorrentFile};
use academictorrents::engine::url::Url;
use academictorrents::engine::{self, Resolved};
use academictorrents::{Error, ErrorKind};

use crate::app::App;
use crate::dataset_spec::DatasetSpec;

/// How many URLs with passkeys a message names.
const SHOWN_URLS: usize = 5;

impl App {
    /// Looks a torrent up like a download (vendored file, store, mirrors, catalog, peers), and
    /// keeps it in the store.
    ///
    /// # Errors
    /// [`ErrorKind::Metainfo`], [`ErrorKind::Network`] or [`ErrorKind::Offline`], with the result
    /// of each place; [`ErrorKind::Manifest`] for a glob that matches no file.
    pub fn look_up(&self, dataset: &DatasetSpec) -> Result<Resolved, Error> {
        let counters = Counters::default();
        let mut resolved = engine::resolve(&self.session(&counters), &dataset.request, None)
            .map_err(|error| dataset.named(error))?;
        // No download follows, and many clients accept only one connection per host.
        resolved.peers = Default::default();
        // If the store is not writable, the torrent is still known.
        let kept = self.store.create();
        let _ = kept.and_then(|()| self.store.keep_torrent(&resolved.metainfo, &resolved.bytes));
        Ok(resolved)
    }
}

impl App {
    /// Returns the dataset's current `.torrent` from the catalog.
    ///
    /// # Errors
    /// [`ErrorKind::Network`] or [`ErrorKind::Offline`]; [`ErrorKind::Manifest`] for a glob that matches no file.
    pub fn newest(&self, dataset: &DatasetSpec, known: &Resolved) -> Result<Resolved, Error> {
        let counters = Counters::default();
        engine::newest(&self.session(&counters), known.metainfo.infohash)
            .and_then(|located| located.select(&dataset.request))
            .map_err(|error| dataset.named(error))
    }
}

/// Returns the torrent's files without padding.
pub fn files(metainfo: &Metainfo) -> impl Iterator<Item = &TorrentFile> {
    metainfo.files.iter().filter(|file| file.is_listed())
}

/// Returns the size of all files.
pub fn size_bytes(metainfo: &Metainfo) -> u64 {
    files(metainfo).map(|file| file.length).sum()
}

/// Returns the selected files, in the torrent's order.
pub fn selected(torrent: &Resolved) -> impl Iterator<Item = &TorrentFile> {
    let files = torrent.selection.files().iter();
    files.filter_map(|it| torrent.metainfo.files.get(*it as usize))
}

/// Returns which other platforms cannot build the dataset and why, one line each.
pub fn unsupported(metainfo: &Metainfo, selection: &Selection) -> Vec<String> {
    let unsupported = plan::unsupported(metainfo, selection);
    let same = |a: &(_, String), b: &(_, String)| a.1 == b.1;
    let said: Vec<_> =
        unsupported.iter().map(|(on, why)| (on.to_string(), why.to_string())).collect();
    let groups = said.chunk_by(same).filter_map(|group| {
        let platforms: Vec<_> = group.iter().map(|(on, _)| on.as_str()).collect();
        Some(format!("a build on {} fails: {}", platforms.join(", "), group.first()?.1))
    });
    groups.collect()
}

/// Returns a note if more must be downloaded than is selected.
pub fn size_note(torrent: &Resolved) -> Option<String> {
    let needed = torrent.layout().needed_bytes();
    let selected: u64 = selected(torrent).map(|file| file.length).sum();
    plan::of_other_files(needed, needed.saturating_sub(selected))?;
    Some(format!("{} to download, as pieces are downloaded whole", size::display(needed)))
}

/// Returns what a build counts towards `max-size`: bytes, with an allowance for files and
/// directories.
pub fn counted_bytes(torrent: &Resolved) -> u64 {
    plan::counted_bytes(torrent.layout().needed_bytes(), torrent.layout().entries)
}

/// Returns the `.torrent` without the passkeys that a site wrote into its URLs for the user who
/// downloaded it, and a note on what was removed. With `keep`, returns it unchanged.
///
/// # Errors
/// [`ErrorKind::Metainfo`] if a passkey cannot be removed, or the torrent does not work without it.
pub fn shareable(torrent: &Resolved, keep: bool) -> Result<(Vec<u8>, Option<String>), Error> {
    let Shareable { bytes, removed, fixed } = Metainfo::without_passkeys(&torrent.bytes)?;
    if keep || (removed.is_empty() && fixed.is_empty()) {
        return Ok((torrent.bytes.clone(), None));
    }
    let metainfo = &torrent.metainfo;
    let what = format!("the .torrent of {} contains a personal passkey", metainfo.infohash);
    let note = without(metainfo, &removed, &fixed, what).map_err(|error| {
        error.help("download the .torrent without logging in, and declare it by `torrent`").help(
            "or pass --keep-passkey: anyone who has the file can then use the tracker in your name",
        )
    })?;
    Ok((bytes, Some(note)))
}

/// Returns the note on passkeys `removed` from URLs, unless others are `fixed` in their URLs.
/// `what` names what contains them.
///
/// # Errors
/// [`ErrorKind::Metainfo`], with the reason why removal is impossible, and the URLs.
pub fn without(
    metainfo: &Metainfo,
    removed: &[Url],
    fixed: &[Url],
    what: String,
) -> Result<String, Error> {
    let error = |why: &str, urls: &[Url]| {
        let error = Error::new(ErrorKind::Metainfo, what).why(why);
        Err(some_of(urls).into_iter().fold(error, Error::why))
    };
    if !fixed.is_empty() {
        return error("it is part of the path or login of a URL and cannot be removed:", fixed);
    }
    if metainfo.private {
        return error("the torrent is private and does not work without it:", removed);
    }
    Ok(format!("removed a personal passkey from {}", some_of(removed).join(", ")))
}

/// Returns the first URLs, masked, and how many there are more: a torrent may have millions.
pub fn some_of(urls: &[Url]) -> Vec<String> {
    let mut shown: Vec<_> = urls.iter().take(SHOWN_URLS).map(ToString::to_string).collect();
    if urls.len() > SHOWN_URLS {
        shown.push(format!("and {} more", urls.len() - SHOWN_URLS));
    }
    shown
}
