//! What a torrent may replace in a user's directory.

use super::*;

#[test]
fn a_planted_stamp_is_not_believed_in_a_directory_of_the_users() {
    let fixture = Fixture::new().in_directory();
    let (id, layout) = fixture.selected(&[]);
    let stamp = fixture.store.stamp_path(&id);
    std::fs::create_dir_all(stamp.parent().unwrap()).unwrap();
    for (path, length) in FILES {
        let path = fixture.file(&id, path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![7; length]).unwrap();
    }
    let paths = layout.files().map(|file| file.path());
    let valid = Stamp::of(&fixture.target().files_path(&id).into(), paths).unwrap();
    let mut fits = Vec::new();
    valid.encode(&mut fits).unwrap();
    for text in [b"academictorrents stamp 1\nend\n".to_vec(), fits] {
        std::fs::write(&stamp, &text).unwrap();
        assert!(Stamp::read(&stamp).is_some());
        assert!(fixture.target().present(&id).is_none());
        assert!(fixture.target().last_stamp(&id).is_none());
    }
}

#[test]
fn in_the_store_a_stamp_without_files_is_not_believed() {
    let fixture = Fixture::new();
    let id = fixture.provide(&[]);
    std::fs::write(fixture.store.stamp_path(&id), "academictorrents stamp 1\nend\n").unwrap();
    assert!(fixture.target().present(&id).is_none());
}

/// With pieces of ten bytes a few are right by chance, or by choice.
#[test]
fn right_pieces_that_are_tiny_do_not_make_a_file_the_datasets() {
    let fixture =
        Fixture::of([("a", 40_000)].into_iter(), (0..40_000).map(|at| at as u8).collect());
    let fixture = fixture.in_directory();
    let (id, layout) = fixture.selected(&[]);
    let path = fixture.file(&id, "a");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    for (right, length) in [(10, 40_000), (10, 50_000), (10, 100), (39_990, 40_000)] {
        let mut mine = vec![7; length];
        let right = right.min(length);
        mine[..right].copy_from_slice(&fixture.bytes[..right]);
        std::fs::write(&path, &mine).unwrap();
        let existing = fixture.in_place(&id, &layout);
        assert!(!existing.as_ref().unwrap().pieces().is_empty());
        let opened = Partial::open(
            fixture.target(),
            &id,
            &fixture.metainfo,
            &layout,
            existing.as_ref(),
            false,
        );
        let text = opened.err().map(|error| error.to_string()).unwrap_or_default();
        let text = text.replace('\\', "/");
        assert!(text.contains("tree/a has different content"), "{right} {length}: {text}");
        assert!(std::fs::read(&path).unwrap() == mine);
    }
}
