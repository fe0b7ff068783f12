//! Which files of a torrent are wanted: the manifest's `files`, resolved.

use glob::{MatchOptions, Pattern};

use crate::error::{Error, ErrorKind, printable};
use crate::hash::Sha1;
use crate::manifest::Request;
use crate::metainfo::{Metainfo, check_portable};

/// The files to fetch, by index, in the torrent's order, without pad files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    files: Vec<u32>,
    id: String,
}

/// `*` stops at `/`, as in a shell and in `.gitignore`; `**` does not.
const GLOB: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

impl Selection {
    /// Resolves the globs; none of them means all files.
    ///
    /// # Errors
    /// As [`Selection::of`].
    #[cfg(any(test, feature = "bench"))]
    pub fn new(metainfo: &Metainfo, globs: &[Pattern]) -> Result<Selection, Error> {
        Selection::of(metainfo, globs, &[])
    }

    /// Resolves globs, or the numbers of a magnet link's `so=` (BEP 53), first and last of each range; neither means
    /// all files.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for a glob that covers no file, for the number of none, and for both at once;
    /// [`ErrorKind::Metainfo`] where the selected files cannot lie side by side on every platform.
    pub fn of(
        metainfo: &Metainfo,
        globs: &[Pattern],
        numbers: &[(u32, u32)],
    ) -> Result<Selection, Error> {
        check_numbers(metainfo, globs, numbers)?;
        let data_files = || metainfo.files.iter().enumerate().filter(|(_, file)| !file.pad);
        let mut used = vec![false; globs.len()];
        let files: Vec<u32> = data_files()
            .filter(|(index, file)| {
                if globs.is_empty() {
                    let is_in = |&(first, last): &(u32, u32)| {
                        (first as usize..=last as usize).contains(index)
                    };
                    return numbers.is_empty() || numbers.iter().any(is_in);
                }
                let (path, mut wanted) = (metainfo.display_path(file), false);
                for (glob, used) in globs.iter().zip(&mut used) {
                    if glob.matches_with(&path, GLOB) {
                        (wanted, *used) = (true, true);
                    }
                }
                wanted
            })
            .map(|(index, _)| index as u32) // a torrent of 64 MiB has fewer than 2^32 files
            .collect();
        if let Some((glob, _)) = globs.iter().zip(&used).find(|(_, used)| !**used) {
            let shown = |file| printable(&metainfo.display_path(file));
            let examples: Vec<_> = data_files().take(5).map(|(_, file)| shown(file)).collect();
            return Err(Error::new(ErrorKind::Manifest, format!("`files`: the glob `{glob}` covers no file of the torrent"))
                .why(match data_files().count() {
                    1 => format!("the torrent has 1 file: {}", examples.join(", ")),
                    files => format!("the torrent has {files} files, among them: {}", examples.join(", ")),
                })
                .help("globs cover paths below the torrent's own directory; `*` stops at `/`, `**` does not"));
        }
        if files.is_empty() && !numbers.is_empty() {
            let what = "the magnet link's `so=` names pad files alone, which hold nothing";
            return Err(Error::new(ErrorKind::Manifest, what));
        }
        let path = |index: &u32| metainfo.files[*index as usize].path.as_slice();
        check_portable(&mut files.iter().map(path))
            .and_then(|()| check_portable(&mut [[metainfo.name.clone()].as_slice()].into_iter()))
            .map_err(|why| {
                Error::new(
                    ErrorKind::Metainfo,
                    "the torrent's files cannot be stored on every platform",
                )
                .why(why)
                .help("leave the file out: `files` takes globs of the files that you need")
            })?;
        let id = if files.len() == data_files().count() {
            metainfo.infohash.to_string()
        } else {
            format!("{}-{}", metainfo.infohash, digest(metainfo, &files))
        };
        Ok(Selection { files, id })
    }

    /// All files, whatever they are called: for reading, where names need not suit every platform.
    pub fn all(metainfo: &Metainfo) -> Selection {
        let data_files = metainfo.files.iter().enumerate().filter(|(_, file)| !file.pad);
        let files = data_files.map(|(index, _)| index as u32).collect();
        Selection { files, id: metainfo.infohash.to_string() }
    }

    /// Indices into [`Metainfo::files`].
    pub fn files(&self) -> &[u32] {
        &self.files
    }

    /// The store's name for this torrent and selection: the infohash, with a digest of the file list
    /// where that is not all of them. Globs that cover the same files have the same id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The files that a request means.
///
/// # Errors
/// As [`Selection::of`].
pub fn selection(metainfo: &Metainfo, request: &Request) -> Result<Selection, Error> {
    Selection::of(metainfo, &request.files, request.file_numbers())
}

/// A magnet link's numbers count all files, pad files too.
fn check_numbers(
    metainfo: &Metainfo,
    globs: &[Pattern],
    numbers: &[(u32, u32)],
) -> Result<(), Error> {
    let odd = |what: String| Err(Error::new(ErrorKind::Manifest, what));
    if numbers.is_empty() {
        return Ok(());
    }
    if !globs.is_empty() {
        let what = "`files` and the magnet link's `so=` both select files".to_owned();
        return odd(what).map_err(|error| error.help("leave one of the two out"));
    }
    let count = metainfo.files.len();
    if let Some((_, last)) = numbers.iter().find(|(_, last)| *last as usize >= count) {
        let files = if count == 1 {
            "1 file, number 0".to_owned()
        } else {
            format!("{count} files, numbers 0 to {}", count - 1)
        };
        return odd(format!("the magnet link's `so=` names file {last}, which is not there"))
            .map_err(|error| error.why(format!("the torrent has {files}")));
    }
    Ok(())
}

fn digest(metainfo: &Metainfo, files: &[u32]) -> String {
    let mut sha1 = Sha1::new();
    for index in files {
        sha1.update(metainfo.display_path(&metainfo.files[*index as usize]).as_bytes());
        sha1.update(b"\0");
    }
    sha1.finish()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
