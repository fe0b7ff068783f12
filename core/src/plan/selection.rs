//! Which files of a torrent are downloaded: resolves `files`, and the file numbers of a magnet
//! link.

use std::collections::HashSet;

use super::links::{self, SelectedLink};
use crate::error::{Error, ErrorKind, printable};
use crate::hash::{Sha1, hex};
use crate::manifest::{FileGlob, is_meant};
use crate::torrent::metainfo::{
    Components, FileKind, Metainfo, OddPath, Platform, TorrentFile, check_storable, storable_name,
};

/// The selected files, by index, in the torrent's order. Includes symbolic links, but not pad
/// files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    files: Vec<u32>,
    folders: Vec<u32>,
    id: String,
    links: Vec<SelectedLink>,
    /// The number of directories that contain the files, or are created empty.
    directories: u64,
}

impl Selection {
    /// Resolves globs, or the numbers of a magnet link's `so=` (BEP 53), first and last of each
    /// range. If both are empty, selects all files.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for a glob that matches no file, for a number without a file, and if
    /// both are given; [`ErrorKind::Metainfo`] if this platform cannot store the selected files
    /// together.
    pub fn of(
        metainfo: &Metainfo,
        globs: &[FileGlob],
        numbers: &[(u32, u32)],
    ) -> Result<Selection, Error> {
        check_numbers(metainfo, globs, numbers)?;
        let data_files = || metainfo.files.iter().enumerate().filter(|(_, file)| file.is_listed());
        let mut used = vec![false; globs.len()];
        let files: Vec<u32> = data_files()
            .filter(|(index, file)| {
                if globs.is_empty() {
                    let is_in = |&(first, last): &(u32, u32)| {
                        (first as usize..=last as usize).contains(index)
                    };
                    return numbers.is_empty() || numbers.iter().any(is_in);
                }
                let path = metainfo.display_path(file);
                for (glob, used) in globs.iter().zip(&mut used) {
                    *used |= glob.covers(&path);
                }
                is_meant(globs, &path)
            })
            .map(|(index, _)| index as u32) // a torrent of 64 MiB has fewer than 2^32 files
            .collect();
        if let Some((glob, _)) = globs.iter().zip(&used).find(|(_, used)| !**used) {
            let shown = |file| printable(&metainfo.display_path(file));
            let examples: Vec<_> = data_files().take(5).map(|(_, file)| shown(file)).collect();
            let what = format!("`files`: the glob `{glob}` matches no file of the torrent");
            let error = Error::new(ErrorKind::Manifest, what).why(match data_files().count() {
                1 => format!("the torrent has 1 file: {}", examples.join(", ")),
                files => {
                    format!("the torrent has {files} files, among them: {}", examples.join(", "))
                }
            });
            let covers = |glob: &FileGlob, file| glob.covers(&metainfo.display_path(file));
            let mut below = glob.below(&metainfo.root_names()).into_iter();
            let meant = below.find(|glob| data_files().any(|(_, file)| covers(glob, file)));
            let error = match glob.has_comma() {
                true => error.help("a comma is part of a glob: make each glob an item of the list, or repeat `--files`"),
                false => error,
            };
            return Err(error.did_you_mean(meant).help("globs match paths below the torrent's own directory; `*` does not match `/`, `**` does"));
        }
        if files.is_empty() && !numbers.is_empty() {
            let what = "the magnet link's `so=` selects only pad files, which contain no data";
            return Err(Error::new(ErrorKind::Manifest, what));
        }
        if files.iter().all(|index| metainfo.files[*index as usize].is_link()) {
            let what = "nothing to download: no regular file of the torrent is selected";
            let error = Error::new(ErrorKind::Metainfo, what);
            let why = "symbolic links contain no data: also select the files that they lead to";
            return Err(if files.is_empty() { error } else { error.why(why) });
        }
        let all_folders = folders(metainfo, &[], &[]);
        let folders = folders(metainfo, globs, numbers);
        let directories = check(metainfo, &files, &folders, Platform::HERE)
            .map_err(|why| cannot_be_stored(metainfo, &files, why))?;
        check_alone(metainfo, &files, numbers)?;
        let links = links::resolve(metainfo, &files)?;
        let has_all = files.len() == data_files().count() && folders.len() == all_folders.len();
        let is_whole = has_all && !metainfo.is_renamed();
        let id = if is_whole {
            metainfo.infohash.to_string()
        } else {
            format!("{}-{}", metainfo.infohash, digest(metainfo, &files, &folders))
        };
        let directories = directories + u64::from(metainfo.multi);
        Ok(Selection { files, folders, id, links, directories })
    }

    /// All files except links, whatever their names: for reading only, so that the names need not
    /// suit this platform.
    pub fn all(metainfo: &Metainfo) -> Selection {
        let data_files = (0..).zip(metainfo.files.iter());
        let data_files = data_files.filter(|(_, file)| file.is_listed() && !file.is_link());
        let files = data_files.map(|(index, _)| index).collect();
        Selection {
            files,
            id: metainfo.infohash.to_string(),
            folders: Vec::new(),
            links: Vec::new(),
            directories: 0,
        }
    }

    /// Indices into [`Metainfo::files`].
    pub fn files(&self) -> &[u32] {
        &self.files
    }

    /// Indices of the selected directories that have an entry in the torrent. They are created even
    /// if empty.
    pub fn folders(&self) -> &[u32] {
        &self.folders
    }

    /// The symbolic links among the files.
    pub fn links(&self) -> &[SelectedLink] {
        &self.links
    }

    /// The number of files and directories to create. Each uses space in a file system, whatever
    /// its length.
    pub fn entries(&self) -> u64 {
        self.files.len() as u64 + self.directories
    }

    /// The store's name for this torrent and selection: the infohash, with a digest of the paths
    /// unless everything is selected. Globs that select the same paths result in the same ID.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The directories with an entry in the torrent that the globs select. File numbers select none.
fn folders(metainfo: &Metainfo, globs: &[FileGlob], numbers: &[(u32, u32)]) -> Vec<u32> {
    let folders = (0..).zip(metainfo.files.iter());
    let folders =
        folders.filter(|(_, file)| file.kind == FileKind::Directory && numbers.is_empty());
    let is_meant = |file: &TorrentFile| is_meant(globs, &metainfo.display_path(file));
    folders.filter(|(_, file)| is_meant(file)).map(|(index, _)| index).collect()
}

/// Checks that a platform can store the selected files and directories, and counts the directories
/// below the torrent's own.
fn check(
    metainfo: &Metainfo,
    files: &[u32],
    folders: &[u32],
    on: Platform,
) -> Result<u64, OddPath> {
    let path = |index: &u32| metainfo.components(&metainfo.files[*index as usize]);
    // A directory is checked as if it contained a file.
    let child = Components::encode(&[b""]);
    let made: HashSet<_> = folders.iter().map(|it| [path(it).encoded(), &child].concat()).collect();
    let paths = files.iter().map(path).chain(made.iter().map(|it| Components::of(it)));
    let below = check_storable(paths.collect(), on)?;
    metainfo.check_stored_name(on).map(|()| below)
}

fn cannot_be_stored(metainfo: &Metainfo, files: &[u32], why: OddPath) -> Error {
    let error = Error::new(ErrorKind::Metainfo, "the torrent's files cannot be stored here");
    if metainfo.check_stored_name(Platform::HERE).is_err() {
        let name = storable_name(&metainfo.name);
        return error
            .why(why.to_string().replacen("its path", "its own name", 1))
            .help(format!("store it under another name: rename = {name:?}"));
    }
    let path = |index: &&u32| &metainfo.files[**index as usize];
    let odd = files.iter().find(|index| why.is_of(metainfo.components(path(index))));
    let glob = odd.map(|index| {
        let file = metainfo.display_path(path(&index));
        match why.directory(metainfo.components(path(&index))) {
            // Other files may be below it.
            Some(depth) => {
                let above: Vec<&str> = file.split('/').take(depth).collect();
                FileGlob::excluding(&above.join("/")) + "/**"
            }
            None => FileGlob::excluding(&file),
        }
    });
    let glob = glob
        .filter(|glob| glob.chars().all(|c| !c.is_control() && c != char::REPLACEMENT_CHARACTER));
    error.why(why.to_string()).help(match glob {
        Some(glob) if glob.ends_with("/**") => {
            format!("leave the directory out: add {glob:?} to `files`")
        }
        Some(glob) => format!("leave the file out: add {glob:?} to `files`"),
        None => "leave the file out: `files` takes globs of the files that you need".to_owned(),
    })
}

/// The platforms that cannot store these files, each with the first unsupported path.
#[cfg(feature = "engine")]
pub fn unsupported(metainfo: &Metainfo, selection: &Selection) -> Vec<(Platform, OddPath)> {
    let all = [Platform::Windows, Platform::MacOs, Platform::Linux].into_iter();
    let odd = |on| Some((on, check(metainfo, &selection.files, &selection.folders, on).err()?));
    all.filter_map(odd).collect()
}

/// Rejects a selection of one of several files with the same path. The ID, a digest of paths, would
/// not distinguish them.
fn check_alone(metainfo: &Metainfo, files: &[u32], numbers: &[(u32, u32)]) -> Result<(), Error> {
    if numbers.is_empty() {
        return Ok(());
    }
    let path = |index: u32| {
        let file = metainfo.files.get(index as usize);
        file.map(|file| metainfo.components(file).collect::<Vec<_>>())
    };
    let selected: HashSet<_> = files.iter().map(|index| path(*index)).collect();
    let mut others = (0..metainfo.files.len() as u32).filter(|index| {
        let file = metainfo.files.get(*index as usize);
        file.is_some_and(TorrentFile::is_listed) && files.binary_search(index).is_err()
    });
    match others.find(|index| selected.contains(&path(*index))) {
        None => Ok(()),
        Some(index) => Err(Error::new(
            ErrorKind::Metainfo,
            "the magnet link's `so=` selects one of several files with the same path",
        )
        .why(format!("file {index} of the torrent has the path of a selected file"))),
    }
}

/// Checks that a magnet link's numbers exist. They count all files, including pad files.
fn check_numbers(
    metainfo: &Metainfo,
    globs: &[FileGlob],
    numbers: &[(u32, u32)],
) -> Result<(), Error> {
    let odd = |what: String| Err(Error::new(ErrorKind::Manifest, what));
    if numbers.is_empty() {
        return Ok(());
    }
    if !globs.is_empty() {
        let what = "both `files` and the magnet link's `so=` select files".to_owned();
        return odd(what).map_err(|error| error.help("remove one of the two"));
    }
    let count = metainfo.files.len();
    if let Some((_, last)) = numbers.iter().find(|(_, last)| *last as usize >= count) {
        let files = if count == 1 {
            "1 file, number 0".to_owned()
        } else {
            format!("{count} files, numbers 0 to {}", count - 1)
        };
        return odd(format!("the magnet link's `so=` selects file {last}, which does not exist"))
            .map_err(|error| error.why(format!("the torrent has {files}")));
    }
    Ok(())
}

fn digest(metainfo: &Metainfo, files: &[u32], folders: &[u32]) -> String {
    let mut sha1 = Sha1::new();
    for index in files.iter().chain(folders) {
        sha1.update(&metainfo.named_path(&metainfo.files[*index as usize]));
        sha1.update(b"\0");
    }
    if metainfo.is_renamed() {
        // Paths are not empty, so an empty one separates the paths from the name.
        sha1.update(b"\0");
        sha1.update(metainfo.stored_name());
    }
    hex(&sha1.finish()[..8])
}
