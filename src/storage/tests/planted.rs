//! Entries that somebody who can write to the store or to the user's directory plants where a
//! dataset is being fetched or copied.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::*;

/// Another user's directory: files with the names of the torrent's, and others.
fn outside(fixture: &Fixture) -> PathBuf {
    let outside = fixture.directory.path().join("outside");
    std::fs::create_dir_all(outside.join("d")).unwrap();
    for path in ["a", "b", "d/b", "d/precious", "precious"] {
        std::fs::write(outside.join(path), path).unwrap();
    }
    outside
}

/// Everything below a directory.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(contents(&entry.path())),
            false => found.push((entry.path(), std::fs::read(entry.path()).unwrap())),
        }
    }
    found.sort();
    found
}

/// Makes a test that hangs fail.
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, heard) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    match heard.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it waits for a pipe"),
        _ => worker.join().unwrap(),
    }
}

fn make_pipe(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Final path of a file of the whole dataset.
fn published(fixture: &Fixture, path: &str) -> PathBuf {
    let below = Path::new("tree").join(path);
    fixture.target().files_path(&fixture.selected(&[]).0).join(below)
}

fn check_published(fixture: &Fixture) {
    let mut at = 0;
    for (path, length) in FILES {
        let published = published(fixture, path);
        assert!(fs::file_at(&published).is_some(), "{path}");
        assert_eq!(std::fs::read(published).unwrap(), fixture.bytes[at..at + length], "{path}");
        at += length;
    }
}

fn fixtures() -> [Fixture; 2] {
    [Fixture::new(), Fixture::new().in_directory()]
}

#[test]
fn a_linked_directory_in_the_workplace_goes_and_nothing_behind_it_is_touched() {
    for link in ["tree", "tree/d"] {
        for is_resumed in [false, true] {
            for fixture in fixtures() {
                let said = format!("{link} {is_resumed} {:?}", fixture.home);
                let outside = outside(&fixture);
                let before = contents(&outside);
                let id = fixture.selected(&[]).0;
                let path = fixture.store.partial_path(&id).join("files").join(link);
                if is_resumed {
                    let (partial, _) = fixture.open(&[]);
                    (0..3).for_each(|piece| fixture.bring(&partial, piece));
                    drop(partial);
                    std::fs::remove_dir_all(&path).unwrap();
                }
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                symlink(&outside, &path).unwrap();
                fixture.provide(&[]);
                assert_eq!(contents(&outside), before, "{said}");
                check_published(&fixture);
            }
        }
    }
}

#[test]
fn a_linked_directory_that_appears_later_is_neither_listed_nor_cleaned_up() {
    for link in ["tree", "tree/d"] {
        for fixture in fixtures() {
            let outside = outside(&fixture);
            let id = fixture.selected(&[]).0;
            let path = fixture.store.partial_path(&id).join("files").join(link);
            let (partial, _) = fixture.open(&[]);
            (0..4).for_each(|piece| fixture.bring(&partial, piece));
            std::fs::rename(&path, outside.join("moved")).unwrap();
            symlink(outside.join("moved"), &path).unwrap();
            std::fs::write(outside.join("moved/precious"), "precious").unwrap();
            // An entry with the name is enough.
            for name in ["a", "b", "c", "d", "empty"] {
                let _ = std::fs::File::options().append(true).create(true).open(path.join(name));
            }
            let before = contents(&outside);
            let error = partial.publish(&Pins::new()).unwrap_err().to_string();
            assert!(error.contains("is a symbolic link where a directory is expected"), "{error}");
            assert_eq!(contents(&outside), before, "{link}");
        }
    }
}

#[test]
fn a_pipe_in_the_workplace_is_never_waited_for() {
    // The existing dataset is reused; its last byte is damaged.
    for name in ["a", "d/b", "c", "empty"] {
        for fixture in fixtures() {
            in_time(move || {
                let id = fixture.provide(&[]);
                let path = published(&fixture, "c");
                fs::set_read_only(&path, false).unwrap();
                let mut bytes = std::fs::read(&path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                if fixture.home.is_none() {
                    std::fs::write(&path, bytes).unwrap();
                } else {
                    // In a user's directory a small damaged file counts as foreign.
                    std::fs::remove_file(&path).unwrap();
                }
                let workplace = fixture.store.partial_path(&id).join("files/tree");
                make_pipe(&workplace.join(name));
                fixture.target().create().unwrap();
                fixture.provide(&[]);
                check_published(&fixture);
            });
        }
    }
}

#[test]
fn a_file_that_becomes_a_pipe_or_a_link_is_not_read() {
    for fixture in fixtures() {
        in_time(move || {
            let (partial, _) = fixture.open(&[]);
            (0..4).for_each(|piece| fixture.bring(&partial, piece));
            partial.files.close();
            let tree = fixture.store.partial_path(&fixture.selected(&[]).0).join("files/tree");
            std::fs::remove_file(tree.join("a")).unwrap();
            make_pipe(&tree.join("a"));
            let right = fixture.directory.path().join("right");
            std::fs::rename(tree.join("c"), &right).unwrap();
            symlink(&right, tree.join("c")).unwrap();
            let found = Mutex::new(Vec::new());
            partial.check(&[0, 1, 2, 3], &|| true, &|piece, is_right| {
                found.lock().push((piece, is_right));
            });
            assert!(found.into_inner().iter().all(|(_, is_right)| !is_right));
        });
    }
}

#[test]
fn a_stamp_of_another_store_that_is_not_of_this_dataset_is_not_believed() {
    type Change = fn(&Fixture, &mut String);
    let changes: [(&str, Change); 5] = [
        ("absolute", |fixture, text| {
            let victim = fixture.directory.path().join("outside/precious");
            *text = text.replace("end\n", &(line(&victim, &victim) + "end\n"));
        }),
        ("above", |fixture, text| {
            let victim = fixture.directory.path().join("outside/precious");
            // From `v1/data/<id>/files`.
            let path = Path::new("../../../../outside/precious");
            *text = text.replace("end\n", &(line(&victim, path) + "end\n"));
        }),
        ("one more", |fixture, text| {
            let id = fixture.selected(&[]).0;
            let more = fixture.file(&id, "more");
            std::fs::write(&more, "more").unwrap();
            *text = text.replace("end\n", &(line(&more, Path::new("tree/more")) + "end\n"));
        }),
        ("one fewer", |_, text| {
            let is_kept = |line: &&str| !line.ends_with("tree/c");
            *text = text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
        }),
        ("another length", |fixture, text| {
            let path = fixture.file(&fixture.selected(&[]).0, "c");
            fs::set_read_only(&path, false).unwrap();
            std::fs::write(&path, "c").unwrap();
            let others = text.lines().filter(|line| !line.ends_with("tree/c"));
            *text = others.map(|line| format!("{line}\n")).collect();
            *text = text.replace("end\n", &(line(&path, Path::new("tree/c")) + "end\n"));
        }),
    ];
    for (what, change) in changes {
        let fixture = Fixture::new();
        let id = fixture.provide(&[]);
        let outside = outside(&fixture);
        let before = contents(&outside);
        let stamp = fixture.store.stamp_path(&id);
        let mut text = std::fs::read_to_string(&stamp).unwrap();
        change(&fixture, &mut text);
        std::fs::remove_file(&stamp).unwrap();
        std::fs::write(&stamp, text).unwrap();
        let other = Store::at(&fixture.directory.path().join("other"));
        let layout = fixture.selected(&[]).1;
        let copied =
            other.copy_from(&fixture.store, &id, (&fixture.metainfo, &layout), &Pins::new());
        assert_eq!(copied.unwrap(), None, "{what}");
        assert_eq!(contents(&outside), before, "{what}");
        assert!(other.present(&id).is_none(), "{what}");
        let left = std::fs::read_dir(other.data_path(&id)).into_iter().flatten().count();
        assert_eq!(left, 0, "{what}");
    }
}

/// Returns a stamp's line that matches this file, under a given path.
fn line(file: &Path, path: &Path) -> String {
    let found = std::fs::metadata(file).unwrap();
    let modified = found.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("file {} {} {}\n", found.len(), modified.as_nanos(), path.display())
}

#[test]
fn a_link_in_another_store_that_is_not_of_the_torrent_is_not_copied() {
    let fixture = Fixture::new();
    let id = fixture.provide(&[]);
    let outside = outside(&fixture);
    let before = contents(&outside);
    for link in ["more", "d/more"] {
        symlink(&outside, fixture.file(&id, link)).unwrap();
    }
    symlink(&outside, fixture.store.files_path(&id).join("more")).unwrap();
    let other = Store::at(&fixture.directory.path().join("other"));
    let what = (&*fixture.metainfo, &*fixture.selected(&[]).1);
    assert_eq!(other.copy_from(&fixture.store, &id, what, &Pins::new()).unwrap(), Some(()));
    assert_eq!(contents(&outside), before);
    let files = contents(&other.files_path(&id));
    assert_eq!(files.len(), FILES.len());
    assert!(files.iter().all(|(path, _)| fs::file_at(path).is_some()));
}
