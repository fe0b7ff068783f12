//! A user's files that change while they are imported.

use super::*;
use crate::storage::inventory::Adopted;

/// The dataset at a user's path, hashed and right.
fn found(fixture: &Fixture, globs: &[&str]) -> LocalCopy {
    let place = fixture.directory.path().join("mine");
    let mut at = 0;
    for (path, length) in FILES {
        let file = place.join("tree").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &fixture.bytes[at..at + length]).unwrap();
        at += length;
    }
    let layout = fixture.selected(globs).1;
    let mut found = LocalCopy::look(&place.into(), &fixture.metainfo, &layout, Vec::new());
    found.hash(DiskWork::counting(&AtomicU64::new(0))).unwrap();
    assert!(found.is_complete());
    found
}

fn mine(fixture: &Fixture, path: &str) -> PathBuf {
    fixture.directory.path().join("mine/tree").join(path)
}

/// The next process finds the one recorded piece, and fetches the others.
#[track_caller]
fn goes_on_from_piece_0(fixture: &Fixture) {
    let (partial, verified) = fixture.open(&[]);
    assert_eq!(verified, set(&[0]));
    (1..4).for_each(|piece| fixture.bring(&partial, piece));
    partial.publish(&Pins::new()).unwrap();
    fixture.check(&fixture.selected(&[]).0, &["a", "d/b", "empty", "c"]);
}

#[test]
fn of_a_copy_that_changes_after_it_was_hashed_only_right_pieces_are_recorded() {
    let fixture = Fixture::new();
    let found = found(&fixture, &[]);
    std::fs::write(mine(&fixture, "d/b"), [9; 12]).unwrap();
    std::fs::write(mine(&fixture, "c"), b"short").unwrap();
    let (partial, _) = fixture.open(&[]);
    let wanted = partial.layout().needed();
    let (right, adopted) = partial.adopt_files(&found, &wanted, false, &AtomicU64::new(0)).unwrap();
    assert_eq!((right, adopted), (set(&[0]), Adopted { linked: 0, copied: 3 }));
    drop(partial);
    goes_on_from_piece_0(&fixture);
    assert_eq!(std::fs::read(mine(&fixture, "d/b")).unwrap(), [9; 12]);
}

#[test]
fn a_link_to_what_has_changed_does_not_stay() {
    let fixture = Fixture::new();
    let found = found(&fixture, &[]);
    std::fs::write(mine(&fixture, "c"), [9; 9]).unwrap();
    let permissions = |path: &str| std::fs::metadata(mine(&fixture, path)).unwrap().permissions();
    let before = permissions("c");
    let (partial, _) = fixture.open(&[]);
    let wanted = partial.layout().needed();
    let (right, adopted) = partial.adopt_files(&found, &wanted, true, &AtomicU64::new(0)).unwrap();
    // Piece 2 is in `d/b` and `c`, and piece 1 in `a` and `d/b`.
    assert_eq!((right, adopted), (set(&[0]), Adopted { linked: 1, copied: 0 }));
    drop(partial);
    // Only linked files count as complete.
    goes_on_from_piece_0(&fixture);
    assert_eq!(std::fs::read(mine(&fixture, "c")).unwrap(), [9; 9]);
    // The user can still write to it.
    assert_eq!(permissions("c"), before);
    assert!(permissions("a").readonly());
}

#[test]
fn a_linked_file_that_changes_until_the_end_makes_the_dataset_incomplete() {
    let fixture = Fixture::new();
    let found = found(&fixture, &[]);
    let (partial, _) = fixture.open(&[]);
    let wanted = partial.layout().needed();
    let (right, adopted) = partial.adopt_files(&found, &wanted, true, &AtomicU64::new(0)).unwrap();
    assert_eq!((right, adopted), (wanted, Adopted { linked: 3, copied: 0 }));
    partial.publish(&Pins::new()).unwrap();
    let id = fixture.selected(&[]).0;
    fixture.store.check_linked(&id, &found).unwrap();
    fixture.check(&id, &["a", "d/b", "empty", "c"]);
    fs::set_read_only(&mine(&fixture, "a"), false).unwrap();
    std::fs::write(mine(&fixture, "a"), [9; 15]).unwrap();
    let error = fixture.store.check_linked(&id, &found).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disk);
    assert!(error.to_string().contains("changed while it was being imported"), "{error}");
    assert!(!fixture.store.stamp_path(&id).exists());
}

#[test]
fn of_a_selection_what_it_shares_with_other_files_is_read_where_it_lies() {
    let fixture = Fixture::new();
    for link in [false, true] {
        let found = found(&fixture, &["d/b"]);
        let (partial, verified) = fixture.open(&["d/b"]);
        let mut wanted = partial.layout().needed();
        wanted.remove_all(&verified);
        let (right, _) = partial.adopt_files(&found, &wanted, link, &AtomicU64::new(0)).unwrap();
        assert_eq!(right, wanted);
        partial.publish(&Pins::new()).unwrap();
        let id = fixture.selected(&["d/b"]).0;
        fixture.check(&id, &["d/b"]);
        fs::set_read_only(&mine(&fixture, "d/b"), false).unwrap();
        fs::remove_tree(&fixture.store.data_path(&id)).unwrap();
    }
}

#[test]
fn what_was_begun_is_gone_on_with() {
    let fixture = Fixture::new();
    let (partial, _) = fixture.open(&[]);
    fixture.bring(&partial, 1);
    drop(partial);
    let found = found(&fixture, &[]);
    let (partial, verified) = fixture.open(&[]);
    assert_eq!(verified, set(&[1]));
    let wanted = set(&[0, 2, 3]);
    let (right, adopted) = partial.adopt_files(&found, &wanted, true, &AtomicU64::new(0)).unwrap();
    assert_eq!((right, adopted.linked), (wanted, 1));
    partial.publish(&Pins::new()).unwrap();
    fixture.check(&fixture.selected(&[]).0, &["a", "d/b", "empty", "c"]);
}
