//! Creates a mirror of the data, for `--data`.

use std::path::Path;

use academictorrents::Error;
use academictorrents::engine::Resolved;
use academictorrents::engine::manifest::FileGlob;
use academictorrents::engine::storage::{self, Site};
use academictorrents::engine::torrent::{Metainfo, TorrentFile};

use crate::app::App;
use crate::dataset_spec::DatasetSpec;
use crate::torrent::{files, shareable};

/// Adds a dataset to the mirror in `directory`, in the layout that the manifest key `mirrors`
/// expects: `<infohash>.torrent`, and `<infohash>/<the torrent's own layout>`. Includes whole files
/// that share a piece with a selected one. Missing data is fetched first. Returns whether something
/// was new, and a note for the user.
///
/// # Errors
/// Those of a download; [`academictorrents::ErrorKind::Disk`] and
/// [`academictorrents::ErrorKind::Verification`] for the mirror.
pub(super) fn mirror(
    app: &App,
    dataset: &DatasetSpec,
    directory: &Path,
    keep_passkey: bool,
) -> Result<(bool, Option<String>), Error> {
    // A mirror has the torrent's own files under their own names.
    let mut dataset = dataset.clone();
    dataset.request.unpack = None;
    let mut whole = dataset.clone();
    whole.request.rename = None;
    let torrent = app.look_up(&whole)?;
    let (bytes, note) = shareable(&torrent, keep_passkey)?;
    let (metainfo, selected) = (&torrent.metainfo, torrent.selection.files());
    let pieces = torrent.layout().needed();
    // A piece can only be checked if all of it is there.
    let shares = |file: &TorrentFile| {
        metainfo.geometry.pieces(file.range()).any(|piece| pieces.contains(piece))
    };
    let is_wanted = |(at, file): &(usize, &TorrentFile)| {
        file.is_listed() && (selected.binary_search(&(*at as u32)).is_ok() || shares(file))
    };
    let wider = metainfo.files.iter().enumerate().filter(is_wanted);
    let wider: Vec<String> =
        wider.map(|(_, file)| FileGlob::escape(&metainfo.display_path(file))).collect();
    let mut path = app.provide(&dataset)?;
    if wider.len() > selected.len() {
        whole.request.files.clear();
        if let Some(magnet) = &mut whole.request.identity.magnet {
            magnet.files.clear();
        }
        if wider.len() < files(metainfo).count() {
            whole = whole.selecting(&wider)?;
        }
        // The pins belong to the selected files, and were checked with those.
        whole.request.sha256.clear();
        path = app.provide(&whole)?;
    }
    let wider = Resolved::of(Metainfo::clone(metainfo), &whole.request)?;
    let infohash = metainfo.infohash.to_string();
    let site = (&Site::At(path.clone()), path.starts_with(&app.directory));
    let new = storage::mirror(site, &directory.join(&infohash), metainfo, wider.layout(), &pieces)?;
    let torrent_path = directory.join(format!("{infohash}.torrent"));
    let before = std::fs::read(&torrent_path).ok();
    // An existing file is kept, because it may have other trackers, unless a passkey is to be
    // removed from it.
    let is_clean = |it: &[u8]| {
        Metainfo::without_passkeys(it).is_ok_and(|it| it.removed.is_empty() && it.fixed.is_empty())
    };
    let stays = |it: &[u8]| {
        Metainfo::infohash_of(it).ok() == Some(metainfo.infohash) && (keep_passkey || is_clean(it))
    };
    if before.as_deref().is_some_and(stays) {
        return Ok((new > 0, None));
    }
    let written = storage::ProjectFile { path: torrent_path, bytes, before };
    storage::write_all(&[written]).map(|()| (true, note))
}
