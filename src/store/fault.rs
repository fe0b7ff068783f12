//! What is wrong with data that is there, for a message.

use std::io;

use super::Site;
use super::files::LayoutFiles;
use crate::metainfo::Metainfo;
use crate::pieces::PieceSet;
use crate::plan::{Layout, Place};

/// What is wrong first: a file that is not as the torrent says, else a piece that is not among the `right` ones. `files` are
/// those of the pieces, of which `layout` holds the selected ones.
pub(super) fn first(
    site: &Site,
    files: &LayoutFiles,
    layout: &Layout,
    metainfo: &Metainfo,
    right: &PieceSet,
) -> String {
    for file in layout.files() {
        let path = site.path(&file.path);
        let shown = path.display();
        match std::fs::metadata(&path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return format!("{shown} is not there");
            }
            Err(why) => return format!("{shown}: {why}"),
            Ok(found) if !found.is_file() => return format!("{shown} is not a file"),
            Ok(found) if found.len() != file.length() => {
                return format!(
                    "{shown} has {} bytes, and the torrent's has {}",
                    found.len(),
                    file.length()
                );
            }
            Ok(_) => {
                if let Err(why) = std::fs::File::open(&path) {
                    return format!("{shown} cannot be read: {why}");
                }
            }
        }
    }
    let Some(piece) = layout.needed().iter().find(|piece| !right.contains(*piece)) else {
        return "it changed while it was being looked at".to_owned();
    };
    let (mut first, mut missing) = (None, None);
    for part in files.layout().segments(layout.geometry().range(piece)) {
        if matches!(part.place, Place::Scratch { .. }) {
            continue;
        }
        let Some(file) = metainfo.files.get(part.torrent_file as usize) else { continue };
        let path = site.path(&metainfo.layout_path(file));
        if !file.pad && !path.is_file() {
            missing.get_or_insert_with(|| path.clone());
        }
        first.get_or_insert((path, part.file_offset));
    }
    match (missing, first) {
        (Some(path), _) => format!(
            "piece {piece} cannot be checked: {}, which holds a part of it, is not there",
            path.display()
        ),
        (None, Some((path, offset))) => format!(
            "piece {piece}, from byte {offset} of {}, does not have the SHA-1 that the torrent gives",
            path.display()
        ),
        (None, None) => format!("piece {piece} is wrong"),
    }
}
