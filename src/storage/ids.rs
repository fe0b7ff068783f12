//! The names of directories in a store: `<infohash>` for a whole torrent, `<infohash>-<digest>` for
//! a selection of its files, and either with `+<digest>` for the tree of its unpacked archives.

use std::path::Path;

use super::Store;
use crate::torrent::infohash::Infohash;

/// Whether an id is that of a tree of unpacked archives.
pub fn is_tree(id: &str) -> bool {
    id.contains('+')
}

/// Returns the infohash of an id; `None` if the text is not an id.
pub fn infohash_in(id: &str) -> Option<Infohash> {
    let (dataset, tree) = id.split_once('+').map_or((id, None), |(a, b)| (a, Some(b)));
    let (infohash, selection) =
        dataset.split_once('-').map_or((dataset, None), |(a, b)| (a, Some(b)));
    let is_hex = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_digest = |part: Option<&str>| part.is_none_or(|digest| is_hex(digest, 16));
    let is_one = is_hex(infohash, 40) && is_digest(selection) && is_digest(tree);
    is_one.then(|| infohash.parse().ok()).flatten()
}

impl Store {
    /// Returns the ids of the torrent's selections that have a directory in `data`, complete or
    /// not. Trees are left out: their paths are those of the archives' members, whose bytes the
    /// torrent does not describe.
    pub fn selections(&self, infohash: Infohash) -> Vec<String> {
        selections_in(&self.root.join("data"), infohash)
    }

    /// Returns the ids of the torrent's selections and trees that have a directory in `data`.
    pub(super) fn selections_and_trees(&self, infohash: Infohash) -> Vec<String> {
        ids_in(&self.root.join("data"), infohash)
    }

    /// Returns the ids of the torrent's partial selections.
    pub(super) fn partial_selections(&self, infohash: Infohash) -> Vec<String> {
        selections_in(&self.root.join("partial"), infohash)
    }
}

fn selections_in(directory: &Path, infohash: Infohash) -> Vec<String> {
    let mut ids = ids_in(directory, infohash);
    ids.retain(|id| !is_tree(id));
    ids
}

/// Returns the ids of a torrent's selections and trees that have a directory below this one,
/// sorted.
fn ids_in(directory: &Path, infohash: Infohash) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut ids: Vec<String> = entries
        // The target of a symbolic link is not the store's.
        .filter_map(|entry| entry.ok().filter(|it| it.file_type().is_ok_and(|it| it.is_dir())))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| infohash_in(name) == Some(infohash))
        .collect();
    ids.sort();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFOHASH: &str = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";

    fn ids<const N: usize>(ends: [&str; N]) -> [String; N] {
        ends.map(|end| format!("{INFOHASH}{}", end.replace('D', "0123456789abcdef")))
    }

    #[test]
    fn an_id_names_a_torrent_a_selection_or_a_tree_of_either() {
        for id in ids(["", "-D", "+D", "-D+D"]) {
            assert!(infohash_in(&id).is_some() && is_tree(&id) == id.contains('+'), "{id}");
        }
        for id in ids(["+", "+D-D", "+D+D", "-", "D", "+d", "/D", "+../x"]) {
            assert!(infohash_in(&id).is_none(), "{id}");
        }
    }

    #[test]
    fn a_tree_is_not_a_selection_whether_of_a_torrent_or_of_a_selection() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::at(directory.path());
        let infohash: Infohash = INFOHASH.parse().unwrap();
        let other = format!("{}0", &INFOHASH[..39]);
        for id in ids(["", "-D", "+D", "-D+D", "-D.tmp"]).into_iter().chain([other]) {
            for area in ["data", "partial"] {
                std::fs::create_dir_all(store.root().join(area).join(&id)).unwrap();
            }
        }
        assert_eq!(store.selections(infohash), ids(["", "-D"]));
        assert_eq!(store.partial_selections(infohash), ids(["", "-D"]));
    }
}
