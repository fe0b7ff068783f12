//! Who else can write to a store, and who owns it. Stamps are trusted, so whoever can write to the
//! store decides what builds use.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Store;

/// The top-level directories of a store to which other users have access.
#[derive(Debug, Default)]
pub struct Access {
    /// Directories that any user can write to.
    pub open: Vec<PathBuf>,
    /// Other users, and the directories that they own. Root is not counted.
    pub owners: Vec<(String, PathBuf)>,
    /// Groups whose members can write to a directory.
    pub groups: BTreeSet<String>,
    /// Whether a group is meant to share them: new entries belong to the group (setgid).
    pub is_shared: bool,
}

#[cfg(unix)]
impl Store {
    /// Examines the store's directory, `v1`, and the directories directly below it.
    pub fn access(&self) -> Access {
        use std::os::unix::fs::MetadataExt as _;
        const SETGID: u32 = 0o2000;
        const STICKY: u32 = 0o1000;
        let mut access = Access::default();
        let below = std::fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut below: Vec<PathBuf> = below.map(|entry| entry.path()).collect();
        below.sort();
        let above = self.root.parent().map(PathBuf::from).into_iter();
        for path in above.chain([self.root.clone()]).chain(below) {
            let links = std::fs::symlink_metadata(&path).into_iter();
            let Ok(found) = std::fs::metadata(&path) else { continue };
            // Files need no check: their content is verified, or has no influence on the data.
            if !found.is_dir() {
                continue;
            }
            let mode = found.mode();
            // In a sticky directory nobody else can replace `v1`. Below `v1` even new entries
            // matter.
            let is_sticky = mode & STICKY != 0 && path.join("v1") == self.root;
            if mode & 0o002 != 0 && !is_sticky {
                access.open.push(path.clone());
            }
            if mode & 0o020 != 0 {
                access.groups.insert(name("/etc/group", found.gid()));
                access.is_shared |= mode & SETGID != 0;
            }
            let mut all = links.chain([found]);
            let stranger = all.find(|it| super::fs::is_of_a_stranger(&path, it));
            let owner = stranger.map(|it| name("/etc/passwd", it.uid()));
            access.owners.extend(owner.map(|owner| (owner, path)));
        }
        access
    }
}

/// This platform has access control lists instead.
#[cfg(not(unix))]
impl Store {
    pub fn access(&self) -> Access {
        Access::default()
    }
}

/// Returns the name of a user or group, or its number if it is not in `file`.
#[cfg(unix)]
fn name(file: &str, id: u32) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    name_in(&text, id).unwrap_or_else(|| id.to_string())
}

#[cfg(unix)]
fn name_in(text: &str, id: u32) -> Option<String> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    };
    text.lines().find_map(entry).filter(|name| !name.is_empty())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
    use std::path::Path;

    use super::*;

    #[test]
    fn names_are_read_as_passwd_and_group_have_them() {
        let text = "root:x:0:\nodd\n::5:\ndata:x:1234:a,b\n";
        assert_eq!(name_in(text, 1234).as_deref(), Some("data"));
        assert_eq!(name_in(text, 0).as_deref(), Some("root"));
        assert_eq!((name_in(text, 5), name_in(text, 7), name_in("", 0)), (None, None, None));
    }

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn whoever_else_can_write_to_a_store_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let top = directory.path().join("store");
        let store = Store::at(&top);
        store.create().unwrap();
        let all = ["", "v1", "v1/data", "v1/locks", "v1/partial", "v1/torrents"];
        let path = |below: &str| top.join(below).components().collect::<PathBuf>();
        let reset = || all.iter().for_each(|below| set(&path(below), 0o755));
        reset();
        let access = store.access();
        assert!(access.open.is_empty() && access.owners.is_empty() && access.groups.is_empty());
        for below in all {
            for (mode, is_open) in [(0o757, true), (0o1777, !below.is_empty()), (0o755, false)] {
                set(&path(below), mode);
                let open = if is_open { vec![path(below)] } else { Vec::new() };
                assert_eq!(store.access().open, open, "{below:?} {mode:o}");
            }
            set(&path(below), 0o775);
            let access = store.access();
            assert!(access.groups.len() == 1 && !access.is_shared, "{below:?} {access:?}");
            set(&path(below), 0o2775);
            assert!(store.access().is_shared, "{below:?}");
            reset();
        }
        // The content of a dataset is not examined.
        std::fs::create_dir(path("v1/data/a")).unwrap();
        set(&path("v1/data/a"), 0o777);
        assert!(store.access().open.is_empty());
        if chown(path("v1/data"), Some(12_345), None).is_err() {
            eprintln!("not tested without the superuser's rights: directories of other users");
            return;
        }
        assert_eq!(store.access().owners, [("12345".to_owned(), path("v1/data"))]);
        chown(path("v1/data"), Some(0), None).unwrap();
        // Both the link's owner and the target's owner count.
        std::fs::remove_dir_all(path("v1/data")).unwrap();
        symlink(directory.path(), path("v1/data")).unwrap();
        lchown(path("v1/data"), Some(12_345), None).unwrap();
        assert_eq!(store.access().owners, [("12345".to_owned(), path("v1/data"))]);
    }
}
