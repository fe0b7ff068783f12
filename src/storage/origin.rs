//! The stored `.torrent`s, and whether the user vouches for the hosts that each one names, so that
//! a later build decides as the first one did.
//!
//! `<infohash>.origin` exists beside a `.torrent` from the user and contains that file's SHA-1, so
//! it does not apply to other bytes stored there later. If it is missing or unreadable, the hosts
//! count as named by a stranger.

use std::path::PathBuf;

use super::{Store, fs, remove_if_there};
use crate::address::NamedBy;
use crate::error::Error;
use crate::hash::Sha1;
use crate::origin::TorrentOrigin;
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::Metainfo;

/// Limit for the origin file's size; a longer one is ignored.
const MAX_ORIGIN_BYTES: u64 = 100;

impl Store {
    /// Stores a `.torrent` whose infohash was checked, and whether the user vouches for it. Writes
    /// nothing if both are stored already.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn keep_torrent(&self, metainfo: &Metainfo, bytes: &[u8]) -> Result<(), Error> {
        let infohash = metainfo.infohash;
        let is_new = self.torrent(infohash).as_deref() != Some(bytes);
        if is_new {
            self.keep(&self.torrent_path(infohash), bytes)?;
        }
        if metainfo.origin.named_by() != NamedBy::UserTorrent {
            // The same bytes stay vouched for.
            return if is_new { remove_if_there(&self.origin_path(infohash)) } else { Ok(()) };
        }
        if is_new || self.torrent_origin(infohash, bytes) != TorrentOrigin::KeptOfUser {
            self.keep(&self.origin_path(infohash), user_says(bytes).as_bytes())?;
        }
        Ok(())
    }

    /// Replaces the stored `.torrent` with a newer one of the same infohash, whose sources work. A
    /// `.torrent` that the user vouched for stays unless the newer one is vouched for too: its
    /// sources may be on hosts that only the user may name.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub fn replace_torrent(&self, newer: &Metainfo, bytes: &[u8]) -> Result<(), Error> {
        let infohash = newer.infohash;
        let is_vouched_for = newer.origin.named_by() == NamedBy::UserTorrent;
        let of_user =
            |kept: Vec<u8>| self.torrent_origin(infohash, &kept) == TorrentOrigin::KeptOfUser;
        if !is_vouched_for && self.torrent(infohash).is_some_and(of_user) {
            return Ok(());
        }
        self.keep_torrent(newer, bytes)
    }

    /// Returns the infohashes of the stored `.torrent`s.
    #[cfg(feature = "seed")]
    pub fn torrents(&self) -> Vec<Infohash> {
        let entries = std::fs::read_dir(self.root.join("torrents")).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| name.strip_suffix(".torrent")?.parse().ok()).collect()
    }

    /// Returns where the stored `.torrent` with these bytes came from.
    pub fn torrent_origin(&self, infohash: Infohash, bytes: &[u8]) -> TorrentOrigin {
        match fs::read(&self.origin_path(infohash), MAX_ORIGIN_BYTES) {
            Ok(says) if says == user_says(bytes).as_bytes() => TorrentOrigin::KeptOfUser,
            _ => TorrentOrigin::Unknown,
        }
    }

    /// Removes the stored `.torrent`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`].
    pub(super) fn remove_torrent(&self, infohash: Infohash) -> Result<(), Error> {
        remove_if_there(&self.origin_path(infohash))?;
        remove_if_there(&self.torrent_path(infohash))
    }

    fn origin_path(&self, infohash: Infohash) -> PathBuf {
        self.torrent_path(infohash).with_extension("origin")
    }
}

fn user_says(bytes: &[u8]) -> String {
    format!("user {}\n", Infohash::from_bytes(Sha1::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_vouches_for_a_torrent_is_kept_with_its_bytes() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::at(root.path());
        store.create().unwrap();
        let torrent = |tracker: &str| {
            let pieces = "x".repeat(20);
            let info = format!("d6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces20:{pieces}e");
            format!("d8:announce{}:{tracker}4:info{info}e", tracker.len()).into_bytes()
        };
        let (a, b) = (torrent("http://a"), torrent("http://b"));
        let infohash = Metainfo::parse(&a).unwrap().infohash;
        let keep = |bytes: &[u8], origin| {
            let metainfo = Metainfo::parse(bytes).unwrap().with_origin(origin);
            store.keep_torrent(&metainfo, bytes).unwrap();
            let kept = store.torrent(infohash).unwrap();
            assert_eq!(kept, bytes);
            store.torrent_origin(infohash, &kept)
        };
        assert_eq!(keep(&a, TorrentOrigin::Catalogue(NamedBy::Catalog)), TorrentOrigin::Unknown);
        assert_eq!(keep(&a, TorrentOrigin::Named(NamedBy::User)), TorrentOrigin::KeptOfUser);
        assert_eq!(keep(&a, TorrentOrigin::Named(NamedBy::Dependency)), TorrentOrigin::KeptOfUser);
        // Another `.torrent` with the same infohash, as catalogs provide.
        assert_eq!(keep(&b, TorrentOrigin::Named(NamedBy::Dependency)), TorrentOrigin::Unknown);
        assert_eq!(keep(&a, TorrentOrigin::Named(NamedBy::User)), TorrentOrigin::KeptOfUser);
        let origin = store.origin_path(infohash);
        for odd in ["", "user", "user 0000000000000000000000000000000000000000\n", "dir"] {
            if odd == "dir" {
                std::fs::remove_file(&origin).unwrap();
                std::fs::create_dir(&origin).unwrap();
            } else {
                std::fs::write(&origin, odd).unwrap();
            }
            assert_eq!(store.torrent_origin(infohash, &a), TorrentOrigin::Unknown, "{odd}");
        }
        std::fs::remove_dir(&origin).unwrap();
        assert_eq!(store.torrent_origin(infohash, &a), TorrentOrigin::Unknown);
        let replaced = |by: &[u8], origin| {
            let metainfo = Metainfo::parse(by).unwrap().with_origin(origin);
            store.replace_torrent(&metainfo, by).unwrap();
            let kept = store.torrent(infohash).unwrap();
            (kept == by, store.torrent_origin(infohash, &kept))
        };
        let (catalog, users) =
            (TorrentOrigin::Catalogue(NamedBy::Catalog), TorrentOrigin::Catalogue(NamedBy::User));
        assert_eq!(replaced(&b, catalog), (true, TorrentOrigin::Unknown));
        assert_eq!(replaced(&a, users), (true, TorrentOrigin::KeptOfUser));
        assert_eq!(replaced(&b, catalog), (false, TorrentOrigin::KeptOfUser));
        assert_eq!(replaced(&b, users), (true, TorrentOrigin::KeptOfUser));
        store.remove_torrent(infohash).unwrap();
        assert_eq!(store.torrent(infohash), None);
    }
}
