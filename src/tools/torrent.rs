//! What a torrent says, looked up for a verb that shows it or writes it down.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Asked, Desk};
use crate::counters::Counters;
use crate::download;
use crate::error::{Error, printable};
use crate::infohash::Infohash;
use crate::manifest::{CallOptions, Identity, Request, StoreKind};
use crate::metainfo::Metainfo;
use crate::plan::{self, Layout};
use crate::store::{self, Site};

/// A torrent, and which of its files are asked for.
#[derive(Debug)]
pub struct Torrent {
    pub(super) metainfo: Metainfo,
    pub(super) bytes: Vec<u8>,
    pub(super) selected: Vec<u32>,
    pub(super) layout: Layout,
}

/// A file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorrentFile {
    /// Below the torrent's own directory, with `/`; of a single file its name.
    pub path: String,
    pub length_bytes: u64,
}

impl Torrent {
    #[must_use]
    pub fn infohash(&self) -> Infohash {
        self.metainfo.infohash
    }

    /// The torrent's name, printable.
    #[must_use]
    pub fn name(&self) -> String {
        printable(&String::from_utf8_lossy(&self.metainfo.name))
    }

    /// Of all its files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.metainfo.files.iter().filter(|file| !file.pad).map(|file| file.length).sum()
    }

    #[must_use]
    pub fn file_count(&self) -> usize {
        self.metainfo.files.iter().filter(|file| !file.pad).count()
    }

    /// The files that are asked for, in the torrent's order.
    #[must_use]
    pub fn selected(&self) -> Vec<TorrentFile> {
        let files = self.selected.iter().filter_map(|it| self.metainfo.files.get(*it as usize));
        files
            .map(|file| TorrentFile {
                path: self.metainfo.display_path(file),
                length_bytes: file.length,
            })
            .collect()
    }

    /// What has to be fetched for these files: whole pieces.
    #[must_use]
    pub fn needed_bytes(&self) -> u64 {
        self.layout.needed_bytes()
    }

    #[must_use]
    pub fn web_seeds(&self) -> &[String] {
        &self.metainfo.web_seeds
    }

    #[must_use]
    pub fn trackers(&self) -> Vec<String> {
        self.metainfo.trackers.iter().flatten().filter(|url| !url.is_empty()).cloned().collect()
    }
}

impl Asked {
    /// The same, of which only files are asked for that one of these globs covers; none of them changes nothing.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Manifest`] for what is no glob.
    pub fn selecting(mut self, globs: &[String]) -> Result<Asked, Error> {
        if !globs.is_empty() {
            let options = CallOptions { files: globs.to_vec(), ..CallOptions::default() };
            let call = Request::of_call("", Identity::default(), StoreKind::Shared, &options);
            self.request.files =
                call.map_err(|error| error.instead("`--files` cannot be used"))?.files;
        }
        Ok(self)
    }
}

impl Desk {
    /// Looks a torrent up as a download would: vendored, in the store, at mirrors, the catalogue, peers. It is kept in the store.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Metainfo`], [`crate::ErrorKind::Network`] or [`crate::ErrorKind::Offline`], with what each place said;
    /// [`crate::ErrorKind::Manifest`] for a glob that covers no file.
    pub fn look_up(&self, dataset: &Asked) -> Result<Torrent, Error> {
        let counters = Counters::default();
        let (metainfo, bytes) = download::look_up(&self.session(&counters), &dataset.request)?;
        let selection = plan::selection(&metainfo, &dataset.request)?;
        let layout = Layout::new(&metainfo, &selection);
        Ok(Torrent { selected: selection.files().to_vec(), layout, metainfo, bytes })
    }

    /// The SHA-256 of each file that is asked for, by its path, in hexadecimal: of data that was provided at `path`.
    pub(super) fn digests(
        &self,
        torrent: &Torrent,
        path: &Path,
    ) -> Result<Vec<(String, String)>, Error> {
        let site = Site::At(path.to_owned());
        let digests = store::digests(&site, &torrent.metainfo, &torrent.selected)?;
        let hex = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(digests.into_iter().map(|(file, digest)| (file, hex(digest))).collect())
    }

    pub(super) fn provide_one(&self, dataset: &Asked) -> Result<PathBuf, Error> {
        let provided = self.provide(&[dataset]).into_iter().next();
        provided.unwrap_or_else(|| Ok(PathBuf::new()))
    }

    /// Makes `directory` a mirror of what is asked for, as `mirrors` of a manifest takes one: `<infohash>.torrent`, and
    /// `<infohash>/<the torrent's own layout>`, each file whole that shares a piece with one that is asked for. What is not here is
    /// fetched first. True where something was new.
    ///
    /// # Errors
    /// As for a download; [`crate::ErrorKind::Disk`] and [`crate::ErrorKind::Verification`] of the mirror.
    pub fn mirror(&self, dataset: &Asked, directory: &Path) -> Result<bool, Error> {
        let torrent = self.look_up(dataset)?;
        let metainfo = &torrent.metainfo;
        let pieces = torrent.layout.needed();
        // A piece can be checked by who has all of it.
        let shares = |file: &crate::metainfo::TorrentFile| {
            metainfo.geometry.pieces(file.range()).any(|piece| pieces.contains(piece))
        };
        let wider: Vec<String> = metainfo
            .files
            .iter()
            .enumerate()
            .filter(|(at, file)| {
                !file.pad && (torrent.selected.binary_search(&(*at as u32)).is_ok() || shares(file))
            })
            .map(|(_, file)| glob::Pattern::escape(&metainfo.display_path(file)))
            .collect();
        let mut path = self.provide_one(dataset)?;
        let mut whole = dataset.clone();
        if wider.len() > torrent.selected.len() {
            whole.request.files.clear();
            if let Some(magnet) = &mut whole.request.identity.magnet {
                magnet.files.clear();
            }
            if wider.len() < torrent.file_count() {
                whole = whole.selecting(&wider)?;
            }
            // They are of what is asked for, and were checked with that.
            whole.request.sha256.clear();
            path = self.provide_one(&whole)?;
        }
        let selection = plan::selection(metainfo, &whole.request)?;
        let layout = Arc::new(Layout::new(metainfo, &selection));
        let infohash = metainfo.infohash.to_string();
        let site = (&Site::At(path.clone()), path.starts_with(&self.directory));
        let new = store::mirror(site, &directory.join(&infohash), metainfo, &layout, &pieces)?;
        let torrent_path = directory.join(format!("{infohash}.torrent"));
        let before = std::fs::read(&torrent_path).ok();
        if before
            .as_deref()
            .is_some_and(|it| Metainfo::infohash_of(it).ok() == Some(metainfo.infohash))
        {
            return Ok(new > 0);
        }
        let written = store::Written { path: torrent_path, bytes: torrent.bytes, before };
        store::write_all(&[written]).map(|()| true)
    }
}
