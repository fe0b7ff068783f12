//! What a selection gets from other selections of the same torrent. Pieces 1 and 2 of four have
//! bytes of `d/b` and of a neighbor: of `a` before it, and of `c` after it.

use super::*;

/// Opens and publishes a selection that needs no source.
#[track_caller]
fn served(fixture: &Fixture, globs: &[&str]) {
    let (id, layout) = fixture.selected(globs);
    let (partial, verified) = fixture.open(globs);
    assert_eq!(verified, layout.needed(), "{globs:?}");
    partial.publish(&Pins::new()).unwrap();
    fixture.check(&id, globs);
    // Its stamp allows another check.
    let existing = fixture.in_place(&id, &layout).unwrap();
    assert!(existing.is_complete(), "{globs:?}");
}

#[test]
fn a_selection_of_what_is_there_needs_nothing_from_anyone() {
    let all: &[&str] = &["a", "d/b", "empty", "c"];
    for (there, wanted) in [
        (&[all][..], &["d/b"][..]),
        (&[all], &["a"]),
        (&[all], &["a", "c"]),
        (&[all], &["c", "empty"]),
        // No selection has the rest of the edges; the stamp has digests of the kept parts.
        (&[&["a", "d/b"]], &["d/b"]),
        (&[&["a", "d/b"]], &["a"]),
        (&[&["d/b", "c"]], &["d/b"]),
        // Another selection has the rest.
        (&[&["d/b"], &["a"], &["c"]], &["d/b", "a"]),
        (&[&["a", "c"], &["d/b"]], &["a", "d/b", "c", "empty"]),
    ] {
        let fixture = Fixture::new();
        there.iter().for_each(|globs| drop(fixture.provide(globs)));
        served(&fixture, wanted);
    }
}

#[test]
fn what_another_selection_has_is_used_and_the_rest_is_fetched() {
    let fixture = Fixture::new();
    fixture.provide(&["a"]);
    // The bytes of `d/b` in piece 1 are missing.
    assert_eq!(fixture.open(&["a", "d/b"]).1, set(&[0]));
    let fixture = Fixture::new();
    fixture.provide(&["c"]);
    assert_eq!(fixture.open(&["d/b"]).1, set(&[]));
}

#[test]
fn a_download_that_began_before_the_whole_dataset_was_there_needs_nothing_either() {
    let fixture = Fixture::new();
    let (partial, _) = fixture.open(&["d/b"]);
    fixture.bring(&partial, 1);
    drop(partial);
    fixture.provide(&["a", "c"]);
    assert_eq!(fixture.open(&["d/b"]).1, set(&[1]));
    fixture.provide(&[]);
    // A process that was killed after it linked all files.
    drop(fixture.open(&["d/b"]));
    served(&fixture, &["d/b"]);
}

/// Changes one byte of a file, whose stamp stays valid.
pub fn damage(fixture: &Fixture, id: &str, path: &str, at: usize) {
    let path = fixture.file(id, path);
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::set_read_only(&path, false).unwrap();
    std::fs::write(&path, bytes).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    fs::set_read_only(&path, true).unwrap();
}

#[test]
fn an_edge_that_is_damaged_is_found_and_neither_selection_is_called_complete_with_it() {
    for (there, path, at) in [
        (&[][..], "d/b", 11), // the kept part of piece 2
        (&[], "c", 0),        // the rest of piece 2
        (&[], "a", 13),       // the rest of piece 1
        (&["a", "d/b"], "d/b", 11),
        (&["a", "d/b"], "a", 13),
    ] {
        let fixture = Fixture::new();
        let other = fixture.provide(there);
        damage(&fixture, &other, path, at);
        assert!(fixture.store.present(&other).is_some());
        let (partial, verified) = fixture.open(&["d/b"]);
        assert_eq!(verified, set(&[]), "{path}");
        assert!(fixture.store.present(&other).is_none(), "{path}");
        drop(partial);
        let id = fixture.provide(&["d/b"]);
        fixture.check(&id, &["d/b"]);
        let id = fixture.provide(&[]);
        fixture.check(&id, &["a", "d/b", "empty", "c"]);
    }
}
