//! Other entries in place of the store's own files: nothing is read or written through them,
//! nothing blocks on them, and they are removed, or the error says what to remove.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::*;

const VICTIM: &[u8] = b"somebody else's file";

/// A file that the store keeps, and a function that writes it.
struct Kept {
    name: &'static str,
    path: PathBuf,
    write: fn(&Fixture) -> Result<(), Error>,
}

fn kept(fixture: &Fixture) -> Vec<Kept> {
    let store = &fixture.store;
    let (id, _) = fixture.selected(&["d/b"]);
    let root = |below: &str| store.root().join(below);
    let site = Site::In(fixture.directory.path().join("copies"));
    let manifest = b"/m/Cargo.toml";
    let partial = store.partial_path(&id);
    let mut kept = vec![
        Kept {
            name: "lock",
            path: store.lock_path(fixture.metainfo.infohash),
            write: |it| it.store.try_lock(it.metainfo.infohash).map(|lock| drop(lock.unwrap())),
        },
        Kept {
            name: "torrent",
            path: store.torrent_path(fixture.metainfo.infohash),
            write: |it| it.store.keep_torrent(&it.metainfo, b"torrent"),
        },
        Kept {
            name: "root",
            path: store.roots_path().join(digest_name(manifest)),
            write: |it| {
                let ids = it.selected(&[]).0;
                let mut ids = [ids.as_str()].into_iter();
                it.store.note_root(Path::new("/m/Cargo.toml"), &mut ids, SystemTime::now())
            },
        },
        Kept { name: "tag", path: root("CACHEDIR.TAG"), write: |it| it.store.create() },
        Kept {
            name: "elsewhere",
            path: store.elsewhere_path(&fixture.selected(&[]).0, &site),
            write: |it| {
                let copy = found(it, &Site::In(copy_of(it)), &[]);
                copy.stamp_elsewhere(&it.store, &it.selected(&[]).0, &Pins::new()).map(drop)
            },
        },
    ];
    // One download; each of its files may be planted.
    for (name, path) in [
        ("record", store.record_path(&id)),
        ("scratch", partial.join("scratch")),
        ("partial file", partial.join("files/tree/d/b")),
        ("stamp", store.stamp_path(&id)),
    ] {
        kept.push(Kept { name, path, write: |it| provide(it, &["d/b"]) });
    }
    #[cfg(feature = "engine")]
    kept.push(Kept {
        name: "catalogue",
        path: root("catalogue").join(digest_name(b"https://a.example")).join("database.xml"),
        write: |it| {
            it.store.keep_document(&"https://a.example".into(), "database.xml", &[], b"<rss/>")
        },
    });
    kept
}

/// Does the same as [`Fixture::provide`], but returns errors.
fn provide(fixture: &Fixture, globs: &[&str]) -> Result<(), Error> {
    let (id, layout) = fixture.selected(globs);
    let (target, metainfo, hashed) = (fixture.target(), &fixture.metainfo, AtomicU64::new(0));
    let existing =
        LocalCopy::in_place(target, &id, metainfo, &layout, DiskWork::counting(&hashed)).unwrap();
    let (partial, here) = Partial::open(target, &id, metainfo, &layout, existing.as_ref(), false)?;
    for piece in layout.needed().iter().filter(|piece| !here.verified.contains(*piece)) {
        let range = metainfo.geometry.range(piece);
        partial.write(range.start, &fixture.bytes[range.start as usize..range.end as usize])?;
        partial.verified(piece)?;
    }
    partial.publish(&Pins::new())?;
    let mut expected = fixture.bytes[14..26].to_vec();
    if globs.is_empty() {
        expected.clone_from(&fixture.bytes);
    } else {
        assert_eq!(std::fs::read(fixture.file(&id, "d/b")).unwrap(), expected);
    }
    assert!(target.present(&id).is_some());
    Ok(())
}

/// Entries that may be there, and whether they can be removed without loss.
const OBSTACLES: [(&str, bool); 6] = [
    ("link", true),
    ("dangling link", true),
    ("link to a directory", true),
    ("empty directory", true),
    ("directory", false),
    ("pipe", true),
];

fn plant(what: &str, path: &Path, outside: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    if std::fs::symlink_metadata(path).is_ok() {
        std::fs::remove_file(path).unwrap();
    }
    match what {
        "link" => symlink(outside.join("victim"), path).unwrap(),
        "dangling link" => symlink(outside.join("none"), path).unwrap(),
        "link to a directory" => symlink(outside, path).unwrap(),
        "pipe" => {
            let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        }
        _ => std::fs::create_dir(path).unwrap(),
    }
    if what == "directory" {
        std::fs::write(path.join("a"), "a").unwrap();
    }
}

#[test]
fn what_lies_in_the_place_of_a_file_goes_or_is_named_and_nothing_is_written_through_it() {
    let kinds = kept(&Fixture::new()).len();
    for (obstacle, can_go) in OBSTACLES {
        let fixture = Fixture::new();
        for index in 0..kinds {
            let outside = tempfile::tempdir().unwrap();
            let victim = outside.path().join("victim");
            std::fs::write(&victim, VICTIM).unwrap();
            std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o640)).unwrap();
            let Kept { name, path, write } = kept(&fixture).swap_remove(index);
            plant(obstacle, &path, outside.path());
            let result = write(&fixture);
            let said = format!("{name}, {obstacle}: {result:?}");
            if let Err(error) = &result {
                let error = error.to_string();
                let words = ["is expected: remove it", path.to_str().unwrap()];
                assert!(words.iter().all(|it| error.contains(it)), "{said}");
            }
            // A pipe is removed only if a file replaces it in one step.
            assert!(result.is_ok() || !can_go || obstacle == "pipe", "{said}");
            let there = std::fs::symlink_metadata(&path);
            assert!(result.is_err() || there.is_err() || there.unwrap().is_file(), "{said}");
            assert_eq!(std::fs::read(&victim).unwrap(), VICTIM, "{said}");
            let mode = std::fs::metadata(&victim).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o640, "{said}");
            assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1, "{said}");
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else if result.is_err() {
                std::fs::remove_file(path).unwrap();
            }
            for below in ["data", "partial"] {
                std::fs::remove_dir_all(fixture.store.root().join(below)).unwrap();
            }
            fixture.store.create().unwrap();
        }
    }
}

#[test]
fn names_of_temporary_files_cannot_be_guessed_and_are_never_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    let names: std::collections::HashSet<_> = (0..1000).map(|_| fs::beside(&path)).collect();
    assert_eq!(names.len(), 1000);
    // The process id is not part of the name: processes of several containers may have the same one.
    let process = std::process::id().to_string();
    let name = fs::beside(&path).file_name().unwrap().to_str().unwrap().to_owned();
    assert!(!name.contains(&format!("-{process}-")), "{name}");
    symlink(directory.path().join("none"), &path).unwrap();
    let error = fs::create_new(&path).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
}

#[test]
fn a_link_to_a_right_copy_is_neither_sealed_nor_stamped_and_no_directory_of_a_dataset_is_a_link() {
    let links = [
        "data/ID",
        "data/ID/files",
        "data/ID/files/tree/d",
        "data/ID/files/tree/d/b",
        "partial/ID",
        "partial/ID/files",
    ];
    for link in links {
        let fixture = Fixture::new();
        let outside = tempfile::tempdir_in(fixture.directory.path()).unwrap();
        let id = fixture.selected(&[]).0;
        // A right copy, in the form that the link expects.
        let right = copy_of(&fixture);
        let target = match link {
            "data/ID" | "partial/ID" => {
                std::fs::rename(&right, outside.path().join("files")).unwrap();
                outside.path().to_owned()
            }
            link => {
                let below = link.split_once("/files").unwrap().1.trim_start_matches('/');
                right.join(below)
            }
        };
        let path = fixture.store.root().join(link.replace("ID", &id));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(&target, &path).unwrap();
        let before = modes(&target);
        let result = provide(&fixture, &[]);
        assert_eq!(modes(&target), before, "{link}: {result:?}");
        match result {
            Ok(()) => {
                assert!(fs::is_below(&fixture.store.root().join("data"), &fixture.file(&id, "d")));
                assert!(fs::file_at(&fixture.file(&id, "d/b")).is_some(), "{link}");
            }
            Err(error) => assert!(error.to_string().contains("remove it"), "{link}: {error}"),
        }
    }
}

/// Everything below a path, with permissions.
fn modes(path: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = vec![(path.to_owned(), std::fs::metadata(path).unwrap().permissions().mode())];
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        found.extend(modes(&entry.path()));
    }
    found.sort();
    found
}

#[test]
fn our_own_links_at_the_top_of_a_store_are_followed_and_those_of_strangers_are_not() {
    for link in ["", "v1", "v1/data", "v1/partial", "v1/torrents", "v1/locks"] {
        let (fixture, disk) = (Fixture::new(), tempfile::tempdir().unwrap());
        let path: PathBuf =
            fixture.directory.path().join("store").join(link).components().collect();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(disk.path(), &path).unwrap();
        let fixture =
            Fixture { store: Store::at(&fixture.directory.path().join("store")), ..fixture };
        fixture.store.create().unwrap();
        provide(&fixture, &[]).unwrap();
        // Only root can create a link that belongs to another user.
        if std::os::unix::fs::lchown(&path, Some(12_345), None).is_ok() {
            let error = fixture.store.create().unwrap_err().to_string();
            assert!(error.contains("symbolic link of another user (12345)"), "{link}: {error}");
            // `gc` and `remove` take the lock without creating anything.
            let error = fixture.store.try_lock(fixture.metainfo.infohash).unwrap_err().to_string();
            assert!(error.contains("symbolic link of another user (12345)"), "{link}: {error}");
        } else {
            eprintln!("not tested without the superuser's rights: links of other users");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn only_where_nothing_can_be_written_a_store_is_read_only() {
    let fixture = Fixture::new();
    let (store, infohash) = (&fixture.store, fixture.metainfo.infohash);
    let locks = store.locks_path();
    let error = || {
        let error = store.create().and_then(|()| store.try_lock(infohash).map(drop)).unwrap_err();
        assert!(!store.is_read_only(infohash), "nothing is there to tell");
        (error.is_read_only(), error.to_string())
    };
    store.create().unwrap();
    std::fs::remove_dir(&locks).unwrap();
    // Not even root can create files there.
    symlink("/sys", &locks).unwrap();
    let (is_read_only, text) = error();
    assert!(is_read_only && text.contains("the store is read-only"), "{text}");
    let check = |why: &str| {
        let (is_read_only, text) = error();
        assert!(!is_read_only && text.contains(why) && !text.contains("read-only"), "{text}");
    };
    std::fs::remove_file(&locks).unwrap();
    symlink("nowhere/locks", &locks).unwrap();
    check("locks is a symbolic link to a directory that does not exist");
    std::fs::remove_file(&locks).unwrap();
    symlink(&locks, &locks).unwrap();
    check("(os error 40)"); // ELOOP: whether there is a directory cannot be known
    std::fs::remove_file(&locks).unwrap();
    std::fs::write(&locks, "").unwrap();
    check("locks is not a directory");
    std::fs::remove_file(&locks).unwrap();
    std::fs::create_dir_all(store.lock_path(infohash).join("full")).unwrap();
    check(".lock is a directory where a file is expected: remove it");
    // A link into a directory that we may not search seems to lead nowhere.
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    let why = |kind: std::io::ErrorKind| fs::obstacle_above(&store.tag_path(), kind.into());
    assert_eq!(why(PermissionDenied).kind(), PermissionDenied);
    assert!(why(NotFound).to_string().ends_with("CACHEDIR.TAG is not a directory"));
}

/// Moves an entry elsewhere, and puts a symbolic link in its place. Length and time stay the same.
fn replace_by_link(path: &Path, elsewhere: &Path) {
    std::fs::rename(path, elsewhere).unwrap();
    symlink(elsewhere, path).unwrap();
}

#[test]
fn a_stamp_is_not_believed_where_a_symbolic_link_leads_to_the_data() {
    for link in ["", "files", "files/tree", "files/tree/d", "files/tree/a", "files/tree/empty"] {
        let fixture = Fixture::new();
        let id = fixture.provide(&[]);
        let stamp = fixture.store.present(&id).unwrap();
        let path: PathBuf = fixture.store.data_path(&id).join(link).components().collect();
        let elsewhere = fixture.directory.path().join("elsewhere");
        replace_by_link(&path, &elsewhere);
        assert!(fixture.store.present(&id).is_none(), "{link:?}");
        #[cfg(feature = "engine")]
        {
            use crate::storage::inventory::{EntryState, StoreEntry};
            let scan = fixture.store.scan(SystemTime::now());
            let is_complete = |it: &StoreEntry| matches!(it.state, EntryState::Complete { .. });
            assert!(!scan.entries.iter().any(is_complete), "{link:?}");
            assert_eq!(scan.obstructed, if link.is_empty() { vec![id.clone()] } else { vec![] });
        }
        // A copy that is only read may consist of links.
        let copy: Site = fixture.store.files_path(&id).into();
        assert!(stamp.matches(&copy), "{link:?}");
        let layout = fixture.selected(&[]).1;
        let opened = Partial::open(fixture.target(), &id, &fixture.metainfo, &layout, None, false);
        assert_eq!(opened.is_err(), link.is_empty(), "before the download: {link:?}");
        let again = provide(&fixture, &[]);
        assert_eq!(fixture.store.present(&id).is_some(), again.is_ok(), "{link:?}");
        let error = again.err().map(|error| error.to_string());
        assert!(error.is_none_or(|it| it.contains("remove it")), "{link:?}");
        assert!(elsewhere.exists(), "{link:?}");
    }
}

#[test]
fn a_stamp_is_believed_where_our_own_link_leads_to_a_larger_disk() {
    let fixture = Fixture::new();
    let id = fixture.provide(&[]);
    let elsewhere = fixture.directory.path().join("elsewhere");
    replace_by_link(&fixture.store.root().join("data"), &elsewhere);
    fixture.check(&id, &["a", "d/b", "empty", "c"]);
}

#[cfg(feature = "engine")]
#[test]
fn a_link_in_the_place_of_a_dataset_is_neither_listed_nor_removed() {
    let fixture = Fixture::new();
    let id = fixture.provide(&[]);
    let store = &fixture.store;
    std::fs::write(store.data_path(&id).join(".tmp-1"), "").unwrap();
    let scan = || store.scan(SystemTime::now());
    let before = scan().entries;
    assert_eq!((before.len(), scan().leftovers.len()), (1, 1));
    let elsewhere = fixture.directory.path().join("elsewhere");
    replace_by_link(&store.data_path(&id), &elsewhere);
    // `list` and `gc` use this scan.
    assert!(scan().entries.is_empty());
    assert!(scan().leftovers.is_empty());
    // Replaced after the scan.
    let error = store.remove(&before[0]).unwrap_err().to_string();
    assert!(error.contains("is a symbolic link where a directory is expected"), "{error}");
    let partial = store.partial_path(&id);
    symlink(&elsewhere, &partial).unwrap();
    assert!(scan().entries.is_empty());
    assert!(scan().leftovers.is_empty());
    for name in ["stamp", ".tmp-1", "files/tree/a"] {
        assert!(elsewhere.join(name).exists(), "{name}");
    }
}
