//! Data left by an earlier process is checked and never trusted.

use super::*;
use crate::torrent::geometry::PieceIndex;

/// A name, and a change to the data that an earlier process left.
type Corruption = (&'static str, &'static dyn Fn(&Fixture, &str));

/// The existing files of the workplace, including the scratch file.
fn files(fixture: &Fixture, id: &str) -> Vec<PathBuf> {
    let place = fixture.store.partial_path(id);
    let files = ["files/tree/a", "files/tree/d/b", "files/tree/c", "scratch"];
    files.map(|file| place.join(file)).into_iter().filter(|file| file.exists()).collect()
}

fn each(fixture: &Fixture, id: &str, what: impl Fn(&std::path::Path, Vec<u8>)) {
    for file in files(fixture, id) {
        let bytes = std::fs::read(&file).unwrap();
        let was_read_only = std::fs::metadata(&file).unwrap().permissions().readonly();
        fs::set_read_only(&file, false).unwrap();
        what(&file, bytes);
        if was_read_only && file.exists() {
            fs::set_read_only(&file, true).unwrap();
        }
    }
}

fn record(fixture: &Fixture, id: &str, change: impl Fn(&mut Vec<u8>)) {
    let path = fixture.store.record_path(id);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn indexes(pieces: impl Iterator<Item = PieceIndex>) -> Vec<u8> {
    pieces.flat_map(u32::to_be_bytes).collect()
}

const CORRUPTIONS: &[Corruption] = &[
    ("nothing", &|_, _| {}),
    ("all bytes are zeros, as after a lost disk", &|fixture, id| {
        each(fixture, id, |file, bytes| std::fs::write(file, vec![0; bytes.len()]).unwrap());
    }),
    ("one byte of each file", &|fixture, id| {
        each(fixture, id, |file, mut bytes| {
            bytes[0] ^= 1;
            std::fs::write(file, bytes).unwrap();
        });
    }),
    ("other bytes in files that are read-only now", &|fixture, id| {
        each(fixture, id, |file, bytes| {
            std::fs::write(file, vec![7; bytes.len()]).unwrap();
            fs::set_read_only(file, true).unwrap();
        });
    }),
    ("read-only, and right", &|fixture, id| {
        each(fixture, id, |file, _| fs::set_read_only(file, true).unwrap());
    }),
    ("truncated", &|fixture, id| {
        each(fixture, id, |file, bytes| std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap());
    }),
    ("extended", &|fixture, id| {
        each(fixture, id, |file, bytes| {
            std::fs::write(file, [&bytes[..], b"more"].concat()).unwrap()
        });
    }),
    ("a sparse file instead", &|fixture, id| {
        each(fixture, id, |file, bytes| {
            std::fs::remove_file(file).unwrap();
            std::fs::File::create(file).unwrap().set_len(bytes.len() as u64).unwrap();
        });
    }),
    ("removed", &|fixture, id| {
        each(fixture, id, |file, _| std::fs::remove_file(file).unwrap());
    }),
    ("the first and the last byte of the rest of pieces", &|fixture, id| {
        let scratch = fixture.store.partial_path(id).join("scratch");
        if let Ok(mut bytes) = std::fs::read(&scratch) {
            bytes[0] ^= 1;
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(scratch, bytes).unwrap();
        }
    }),
    ("the record's indexes have a flipped bit", &|fixture, id| {
        record(fixture, id, |bytes| {
            let start = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            bytes[start..].chunks_mut(4).for_each(|index| index[3] ^= 1);
        });
    }),
    ("the record names all pieces", &|fixture, id| {
        record(fixture, id, |bytes| bytes.extend(indexes(0..4)));
    }),
    ("the record is of more pieces", &|fixture, id| {
        record(fixture, id, |bytes| bytes.extend(indexes(0..1000)));
    }),
    ("the record is of version 1", &|fixture, id| {
        let old = format!("academictorrents record 1 some-boot {id}\n").into_bytes();
        record(fixture, id, |bytes| *bytes = [&old[..], &indexes(0..4)].concat());
    }),
    ("the record is nonsense", &|fixture, id| {
        record(fixture, id, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0xFF));
    }),
];

/// Fetches the pieces that are missing according to the hashes, and publishes.
fn go_on(fixture: &Fixture, globs: &[&str]) -> String {
    let (partial, verified) = fixture.open(globs);
    for piece in verified.iter() {
        let range = fixture.metainfo.geometry.range(piece);
        let mut found = vec![0; (range.end - range.start) as usize];
        partial.read(range.start, &mut found).unwrap();
        assert_eq!(found, fixture.bytes[range.start as usize..range.end as usize], "piece {piece}");
    }
    for piece in partial.layout().needed().iter().filter(|piece| !verified.contains(*piece)) {
        fixture.bring(&partial, piece);
    }
    partial.publish(&Pins::new()).unwrap();
    fixture.selected(globs).0
}

#[test]
fn whatever_happens_to_what_was_left_right_bytes_are_published() {
    for (globs, paths, lacks) in
        [(&[][..], &["a", "d/b", "empty", "c"][..], 1), (&["d/b"], &["d/b"], 0)]
    {
        for (what, corrupt) in CORRUPTIONS {
            let fixture = Fixture::new();
            let (partial, _) = fixture.open(globs);
            let needed: Vec<_> = partial.layout().needed().iter().skip(lacks).collect();
            needed.iter().for_each(|piece| fixture.bring(&partial, *piece));
            drop(partial);
            let id = fixture.selected(globs).0;
            corrupt(&fixture, &id);
            eprintln!("{what}, of {globs:?}");
            assert_eq!(go_on(&fixture, globs), id);
            fixture.check(&id, paths);
        }
    }
}

#[test]
fn whatever_happens_to_links_that_were_left_right_bytes_are_published() {
    for (what, corrupt) in CORRUPTIONS {
        let fixture = Fixture::new();
        let other = fixture.provide(&["a", "c"]);
        // Killed after it linked two files.
        drop(fixture.open(&[]));
        let id = fixture.selected(&[]).0;
        let linked = fixture.store.partial_path(&id).join("files/tree/a");
        assert!(std::fs::metadata(&linked).unwrap().permissions().readonly());
        corrupt(&fixture, &id);
        let damaged = fixture.file(&other, "a");
        let before = std::fs::read(&damaged).unwrap();
        eprintln!("{what}");
        go_on(&fixture, &[]);
        fixture.check(&id, &["a", "d/b", "empty", "c"]);
        assert_eq!(
            std::fs::read(&damaged).unwrap(),
            before,
            "{what}: the other selection was written to"
        );
    }
}

#[test]
fn whatever_happens_to_files_that_were_sealed_right_bytes_are_published() {
    for (what, corrupt) in CORRUPTIONS {
        let fixture = Fixture::new();
        let (partial, _) = fixture.open(&[]);
        (0..4).for_each(|piece| fixture.bring(&partial, piece));
        partial.files.finish().unwrap();
        partial.files.sync_and_seal().unwrap();
        drop(partial);
        let id = fixture.selected(&[]).0;
        corrupt(&fixture, &id);
        eprintln!("{what}");
        go_on(&fixture, &[]);
        fixture.check(&id, &["a", "d/b", "empty", "c"]);
    }
}

#[test]
fn what_was_recorded_is_unchecked_until_it_is_hashed() {
    let fixture = Fixture::new();
    let (partial, _) = fixture.open(&[]);
    [1, 3].iter().for_each(|piece| fixture.bring(&partial, *piece));
    drop(partial);
    let (partial, here) = fixture.open_unchecked(&[]);
    assert_eq!((here.verified, here.unchecked), (set(&[]), set(&[1, 3])));
    drop(partial);
    // Killed before hashing: nothing is forgotten.
    assert_eq!(fixture.open_unchecked(&[]).1.unchecked, set(&[1, 3]));
}

#[test]
fn files_of_a_valid_stamp_need_no_hashing_and_are_not_written() {
    let fixture = Fixture::new();
    let other = fixture.provide(&["a", "c"]);
    let (partial, here) = fixture.open_unchecked(&[]);
    assert_eq!((here.verified, here.unchecked), (set(&[0, 3]), set(&[])));
    // Piece 1 also has the end of `a`.
    partial.write(10, &[9; 10]).unwrap();
    fixture.check(&other, &["a", "c"]);
}

#[test]
fn bytes_that_have_no_place_are_an_error() {
    let fixture = Fixture::new();
    let (partial, _) = fixture.open(&["a"]);
    // Piece 2 is not needed; the torrent has 35 bytes.
    for (at, length) in [(20, 5), (15, 10), (30, 10)] {
        let error = partial.write(at, &vec![1; length]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disk, "{at} {length}");
        assert!(partial.read(at, &mut vec![0; length]).is_err(), "{at} {length}");
    }
}

#[test]
fn a_file_that_disappears_while_it_is_fetched_is_an_error() {
    let fixture = Fixture::new();
    let (partial, _) = fixture.open(&[]);
    fixture.bring(&partial, 1);
    partial.files.close();
    let id = fixture.selected(&[]).0;
    std::fs::remove_file(fixture.store.partial_path(&id).join("files/tree/a")).unwrap();
    assert_eq!(partial.write(0, &fixture.bytes[..10]).unwrap_err().kind(), ErrorKind::Disk);
}

/// A write fails or goes to the same file; earlier bytes are kept.
#[test]
fn a_file_that_becomes_read_only_while_it_is_fetched_is_not_lost() {
    let fixture = Fixture::new();
    let (partial, _) = fixture.open(&[]);
    fixture.bring(&partial, 0);
    let id = fixture.selected(&[]).0;
    partial.files.close();
    fs::set_read_only(&fixture.store.partial_path(&id).join("files/tree/a"), true).unwrap();
    match partial.write(10, &fixture.bytes[10..20]) {
        // Root may write to it.
        Ok(()) => {
            let mut found = vec![0; 20];
            partial.read(0, &mut found).unwrap();
            assert_eq!(found, fixture.bytes[..20]);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Disk),
    }
}

/// The record's process may have ended long ago.
#[test]
#[cfg(feature = "seed")]
fn what_was_recorded_is_offered_to_peers_once_it_was_hashed() {
    let fixture = Fixture::new();
    let (partial, _) = fixture.open(&[]);
    [0, 1].iter().for_each(|piece| fixture.bring(&partial, *piece));
    let id = fixture.selected(&[]).0;
    record(&fixture, &id, |bytes| bytes.extend(indexes(2..4)));
    partial.write(0, &[9]).unwrap();
    let offered = Offered::new(&fixture.store, &fixture.metainfo);
    assert_eq!(offered.look(false), Some(set(&[1])));
    assert_eq!(offered.look(true), None);
    // Later pieces are found too, including one that an earlier look found wrong.
    fixture.bring(&partial, 0);
    fixture.bring(&partial, 3);
    assert_eq!(offered.look(true), Some(set(&[0, 1, 3])));
}

#[test]
fn complete_data_that_changes_after_it_was_hashed_is_not_stamped() {
    let fixture = Fixture::new();
    let id = fixture.provide(&[]);
    std::fs::remove_file(fixture.store.stamp_path(&id)).unwrap();
    let (_, layout) = fixture.selected(&[]);
    let look = || fixture.in_place(&id, &layout).unwrap();
    let existing = look();
    let file = fixture.file(&id, "c");
    fs::set_read_only(&file, false).unwrap();
    std::fs::write(&file, [7; 9]).unwrap();
    std::fs::File::open(&file).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let stamp = |it: &LocalCopy| it.stamp(fixture.target(), &id, &Pins::new());
    assert_eq!(stamp(&existing).unwrap_err().kind(), ErrorKind::Disk);
    assert!(fixture.store.present(&id).is_none());
    assert!(!look().is_complete());
}

/// The other name may belong to another user of the store.
#[test]
#[cfg(unix)]
fn a_file_with_another_name_is_not_written_through() {
    let fixture = Fixture::new();
    let (partial, _) = fixture.open(&[]);
    fixture.bring(&partial, 0);
    drop(partial);
    let id = fixture.selected(&[]).0;
    let (file, other) = (fixture.store.partial_path(&id).join("files/tree/a"), "other");
    let other = fixture.directory.path().join(other);
    std::fs::hard_link(&file, &other).unwrap();
    let before = std::fs::read(&other).unwrap();
    go_on(&fixture, &[]);
    fixture.check(&id, &["a", "d/b", "empty", "c"]);
    assert_eq!(std::fs::read(&other).unwrap(), before);
}
