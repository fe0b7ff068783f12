//! Writes files of a user's project for the command line: all of them, or none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::error::{Error, ErrorKind};
use crate::plan::Layout;
use crate::storage::files::LayoutFiles;
use crate::storage::parallel::DiskWork;
use crate::storage::{check, folded_names, fs};
use crate::torrent::metainfo::Metainfo;
use crate::torrent::pieces::PieceSet;

/// A file as it should become.
#[derive(Clone, Debug)]
pub struct ProjectFile {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// The content that it must have until then; `None` if it must not exist.
    pub before: Option<Vec<u8>>,
}

/// Writes files into a user's directory, which is created if necessary; each as
/// [`fs::atomic_write`] does.
///
/// # Errors
/// [`crate::ErrorKind::Disk`].
pub fn write_files<'a>(
    directory: &Path,
    files: impl Iterator<Item = (PathBuf, &'a [u8])>,
) -> Result<Vec<PathBuf>, Error> {
    let help = "choose a directory that you can write to";
    std::fs::create_dir_all(directory)
        .map_err(|why| Error::disk("create the directory", directory, &why).help(help))?;
    let write = |(path, bytes): (PathBuf, &[u8])| {
        fs::atomic_write(&path, bytes).map_err(|error| error.help(help))?;
        Ok(path)
    };
    files.map(write).collect()
}

/// Writes files in order. If one fails, it and those before it are restored.
///
/// # Errors
/// [`ErrorKind::Disk`], also if a file does not have its expected content.
pub fn write_all(files: &[ProjectFile]) -> Result<(), Error> {
    write_each(files, &|file| write(file, &file.bytes))
}

fn write_each(
    files: &[ProjectFile],
    write: &dyn Fn(&ProjectFile) -> Result<(), Error>,
) -> Result<(), Error> {
    for file in files {
        if content(&file.path)? != file.before {
            return Err(Error::new(
                ErrorKind::Disk,
                format!("{} was changed in the meantime", file.path.display()),
            )
            .why("nothing was written")
            .help("run the command again"));
        }
    }
    let mut made = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let directory = file.path.parent().filter(|it| !it.as_os_str().is_empty());
        let written = directory
            .map_or(Ok(()), |it| make_directories(it, &mut made))
            .and_then(|()| write(file));
        if let Err(error) = written {
            // Another process may have changed the files after it.
            let changed = undo(&files[..=index], &made);
            return Err(match changed.is_empty() {
                true => error.why("nothing was changed"),
                false => changed.iter().fold(error, |error, path| {
                    error.why(format!("{} was changed, and could not be restored", path.display()))
                }),
            });
        }
    }
    Ok(())
}

/// Returns a file's content; `None` if it does not exist.
fn content(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(Error::disk("read", path, &why)),
    }
}

/// Restores these files, even the one that failed: an error after its rename leaves the new content.
/// Returns the paths that are not as they were before.
fn undo<'a>(files: &'a [ProjectFile], made: &'a [PathBuf]) -> Vec<&'a Path> {
    let is_restored = |file: &ProjectFile| content(&file.path).is_ok_and(|it| it == file.before);
    // Errors are ignored: the first one is reported.
    for file in files.iter().filter(|file| !is_restored(file)) {
        let _ = match &file.before {
            Some(before) => write(file, before),
            None => crate::storage::remove_if_there(&file.path),
        };
    }
    for directory in made.iter().rev() {
        let _ = std::fs::remove_dir(directory);
    }
    let changed = files.iter().filter(|file| !is_restored(file)).map(|file| &*file.path);
    changed.chain(made.iter().map(PathBuf::as_path).filter(|path| path.is_dir())).collect()
}

fn make_directories(directory: &Path, made: &mut Vec<PathBuf>) -> Result<(), Error> {
    let missing: Vec<_> = directory.ancestors().take_while(|it| !it.is_dir()).collect();
    for directory in missing.into_iter().rev() {
        std::fs::create_dir(directory)
            .map_err(|why| Error::disk("create the directory", directory, &why))?;
        made.push(directory.to_owned());
    }
    Ok(())
}

/// Writes through a symbolic link to its target, and keeps the file's permissions.
fn write(file: &ProjectFile, bytes: &[u8]) -> Result<(), Error> {
    let Ok(target) = file.path.canonicalize() else { return fs::atomic_write(&file.path, bytes) };
    let permissions =
        std::fs::metadata(&target).map_err(|why| Error::disk("read", &target, &why))?.permissions();
    if permissions.readonly() {
        let why = std::io::ErrorKind::PermissionDenied.into();
        return Err(Error::disk("write", &target, &why).why("it is read-only"));
    }
    fs::atomic_write_with(&target, bytes, |made| made.set_permissions(permissions))
}

/// Makes `directory` hold the files of a layout, which are complete below `from`, by hard link or
/// copy, and hashes these pieces there. Right files stay. Returns the number of files and links
/// written. `may_link`: the files are a store's own, and read-only.
///
/// # Errors
/// [`ErrorKind::Disk`]; [`ErrorKind::Verification`] if the result does not match the torrent.
pub fn mirror(
    (from, may_link): (&crate::storage::Site, bool),
    directory: &Path,
    metainfo: &Metainfo,
    layout: &Arc<Layout>,
    pieces: &PieceSet,
) -> Result<usize, Error> {
    let wanted: Vec<_> = pieces.iter().collect();
    let is_right = || {
        let files = LayoutFiles::for_reading(Arc::clone(layout), directory.into());
        let counted = AtomicU64::new(0);
        let right = check::hash_pieces(&files, metainfo, &wanted, DiskWork::counting(&counted));
        right.is_ok_and(|right| right.len() as usize == wanted.len())
    };
    std::fs::create_dir_all(directory)
        .map_err(|why| Error::disk("create the directory", directory, &why))?;
    let mut new = 0;
    for again in [false, true] {
        for file in layout.files() {
            let (source, target) = (from.path(&file.path()), directory.join(file.path()));
            let there = std::fs::symlink_metadata(&target);
            let is_there = there.as_ref().is_ok_and(|it| it.is_file() && it.len() == file.length());
            if is_there && !again {
                continue;
            }
            if there.is_ok() {
                crate::storage::remove_if_there(&target)?;
            }
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent)
                    .map_err(|why| Error::disk("create the directory", parent, &why))?;
            }
            let done = match may_link {
                true => fs::link_or_copy(&source, &target, directory),
                false => {
                    fs::copy(&source, &target, fs::CopyMode::ReadOnly { is_ours: false }, directory)
                }
            };
            done.map_err(|why| Error::disk("write", &target, &why))?;
            new += 1;
        }
        for (path, link) in layout.links() {
            let target = directory.join(&path);
            if !crate::storage::links::is_right(&directory.into(), &path, link) {
                let parent = target.parent().map_or(Ok(()), std::fs::create_dir_all);
                let made =
                    parent.and_then(|()| crate::storage::links::replace(&link.text, &target));
                made.map_err(|why| Error::disk("create the symbolic link", &target, &why))?;
                new += 1;
            }
        }
        folded_names::check(&directory.into(), layout)?;
        if is_right() {
            return Ok(new);
        }
    }
    Err(Error::new(
        ErrorKind::Verification,
        format!("{} does not match the torrent", directory.display()),
    )
    .help("cargo academictorrents verify --repair"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: PathBuf, before: Option<&str>) -> ProjectFile {
        let before = before.map(|text| text.as_bytes().to_vec());
        ProjectFile { path, bytes: b"new".to_vec(), before }
    }

    #[test]
    fn where_one_file_fails_those_before_it_are_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let at = |below: &str| directory.path().join(below);
        std::fs::write(at("old"), "old").unwrap();
        std::fs::write(at("plain"), "").unwrap();
        let mut files = vec![file(at("a/b/made"), None), file(at("old"), Some("old"))];
        fs::set_read_only(&at("plain"), true).unwrap();
        files.push(file(at("plain"), Some("")));
        let error = write_all(&files).unwrap_err().to_string();
        assert!(error.ends_with("\n  nothing was changed"), "{error}");
        assert_eq!(std::fs::read(at("old")).unwrap(), b"old");
        assert!(!at("a").exists());
        files.pop();
        write_all(&files).unwrap();
        assert_eq!(std::fs::read(at("old")).unwrap(), b"new");
        assert_eq!(std::fs::read(at("a/b/made")).unwrap(), b"new");
    }

    #[test]
    fn a_file_whose_error_followed_its_rename_is_restored_too() {
        let directory = tempfile::tempdir().unwrap();
        let at = |below: &str| directory.path().join(below);
        std::fs::write(at("old"), "old").unwrap();
        let fails_late = |file: &ProjectFile| {
            write(file, &file.bytes)?;
            Err(Error::new(ErrorKind::Disk, "the directory could not be synced"))
        };
        for files in [[file(at("old"), Some("old"))], [file(at("a/new"), None)]] {
            let error = write_each(&files, &fails_late).unwrap_err().to_string();
            assert!(error.ends_with("\n  nothing was changed"), "{error}");
        }
        assert_eq!(std::fs::read(at("old")).unwrap(), b"old");
        assert!(!at("a").exists());
        // What cannot be restored is named.
        let fails_for_good = |file: &ProjectFile| {
            std::fs::remove_file(&file.path).unwrap();
            std::fs::create_dir_all(file.path.join("taken")).unwrap();
            Err(Error::new(ErrorKind::Disk, "the file could not be written"))
        };
        let files = [file(at("old"), Some("old"))];
        let error = write_each(&files, &fails_for_good).unwrap_err().to_string();
        assert!(error.contains("old was changed, and could not be restored"), "{error}");
        assert!(!error.contains("nothing was changed"), "{error}");
    }

    #[test]
    fn a_file_that_was_not_reached_is_not_restored() {
        let directory = tempfile::tempdir().unwrap();
        let at = |below: &str| directory.path().join(below);
        std::fs::write(at("old"), "old").unwrap();
        // An editor saves the other files meanwhile.
        let fails = |_: &ProjectFile| {
            std::fs::write(at("old"), "theirs").unwrap();
            std::fs::write(at("new"), "theirs").unwrap();
            Err(Error::new(ErrorKind::Disk, "the file could not be written"))
        };
        let files = [file(at("first"), None), file(at("old"), Some("old")), file(at("new"), None)];
        let error = write_each(&files, &fails).unwrap_err().to_string();
        assert!(error.ends_with("\n  nothing was changed"), "{error}");
        for name in ["old", "new"] {
            assert_eq!(std::fs::read(at(name)).unwrap(), b"theirs", "{name}");
        }
    }

    #[test]
    fn what_someone_else_has_changed_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let at = |below: &str| directory.path().join(below);
        std::fs::write(at("theirs"), "theirs").unwrap();
        for before in [None, Some("ours")] {
            let files = [file(at("made"), None), file(at("theirs"), before)];
            let error = write_all(&files).unwrap_err().to_string();
            assert!(error.contains("was changed in the meantime"), "{error}");
            assert!(!at("made").exists());
        }
        assert_eq!(std::fs::read(at("theirs")).unwrap(), b"theirs");
    }
}
