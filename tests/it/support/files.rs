//! Damages, compares and copies files.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The default piece length of the test datasets.
pub const PIECE: usize = 32 << 10;

pub fn flip(path: &Path, offset: u64) {
    let mut file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(&[!byte[0]]).unwrap();
}

/// Identifies a file or directory, whatever the hard link: its inode, or its file index on Windows.
pub fn inode(path: &Path) -> u64 {
    identity(path).0
}

/// The inode and the number of hard links.
#[cfg(unix)]
pub fn identity(path: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    let file = fs::metadata(path).unwrap();
    (file.ino(), file.nlink())
}

/// The file index and the number of hard links.
#[cfg(windows)]
pub fn identity(path: &Path) -> (u64, u64) {
    let file = winapi_util::Handle::from_path_any(path).and_then(winapi_util::file::information);
    let file = file.unwrap();
    (file.file_index(), file.number_of_links())
}

/// Makes a file writable, on Unix for its owner only.
pub fn set_writable(path: &Path) {
    let mut permissions = fs::metadata(path).unwrap().permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    #[cfg(windows)]
    #[expect(
        clippy::permissions_set_readonly_false,
        reason = "this platform has a single read-only attribute"
    )]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions).unwrap();
}

/// Whether a damaged file of the user is repaired in place instead of in a copy. std counts hard
/// links on Unix only.
pub const REPAIRS_IN_PLACE: bool = cfg!(unix);

/// Removes a file, even if it is read-only.
pub fn remove(path: &Path) {
    set_writable(path);
    fs::remove_file(path).unwrap();
}

/// Removes a directory tree, including read-only files.
pub fn remove_tree(path: &Path) {
    for file in super::files_below(path) {
        set_writable(&path.join(file));
    }
    fs::remove_dir_all(path).unwrap();
}

/// Inverts a byte and restores the modification time and permissions, so that `stat` does not show
/// the damage.
pub fn damage_unseen(path: &Path, offset: u64) {
    let before = std::fs::metadata(path).unwrap();
    set_writable(path);
    flip(path, offset);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    std::fs::set_permissions(path, before.permissions()).unwrap();
}

/// Copies a directory tree, and symbolic links as links.
#[cfg(unix)]
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, kind) = entry.map(|it| (it.path(), it.file_type().unwrap())).unwrap();
        let to = to.join(from.file_name().unwrap());
        if kind.is_dir() {
            copy(&from, &to);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from).unwrap(), to).unwrap();
        } else {
            fs::copy(&from, to).unwrap();
        }
    }
}
