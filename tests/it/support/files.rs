//! Files that are damaged, compared and copied.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A piece of the datasets that tests make.
pub const PIECE: usize = 32 << 10;

pub fn flip(path: &Path, offset: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[!byte[0]], offset).unwrap();
}

pub fn inode(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).unwrap().ino()
}

/// Flips a bit, and lets no `stat` tell.
pub fn damage_unseen(path: &Path, offset: u64) {
    let before = std::fs::metadata(path).unwrap();
    let mut permissions = before.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(path, permissions).unwrap();
    flip(path, offset);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    std::fs::set_permissions(path, before.permissions()).unwrap();
}

/// Copies a tree, and links as they are.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, kind) = entry.map(|it| (it.path(), it.file_type().unwrap())).unwrap();
        let to = to.join(from.file_name().unwrap());
        if kind.is_dir() {
            copy(&from, &to);
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from).unwrap(), to).unwrap();
        } else {
            fs::copy(&from, to).unwrap();
        }
    }
}
