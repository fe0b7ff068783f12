//! Names that a file system treats as the same: no file is lost without an error that names both.

use super::*;
use crate::storage::site::folding;

/// A torrent of these files, of 10 bytes each, in pieces of 10; the bytes differ between files.
fn fixture(paths: &[&str]) -> Fixture {
    let files = paths.iter().filter(|path| !path.contains(" -> ")).count();
    let bytes: Vec<u8> = (0..files * 10).map(|at| at as u8).collect();
    Fixture::of(paths.iter().map(|path| (*path, 10)), bytes)
}

fn fetch(fixture: &Fixture) -> Result<String, Error> {
    let (id, layout) = fixture.selected(&[]);
    let existing = fixture.in_place(&id, &layout);
    let (partial, here) =
        Partial::open(fixture.target(), &id, &fixture.metainfo, &layout, existing.as_ref(), false)?;
    for piece in layout.needed().iter().filter(|piece| !here.verified.contains(*piece)) {
        let range = fixture.metainfo.geometry.range(piece);
        // As peers send it: in parts, which add up to the piece.
        let bytes = &fixture.bytes[range.start as usize..range.end as usize];
        partial.write(range.start, &bytes[..3])?;
        partial.write(range.start + 3, &bytes[3..])?;
        partial.verified(piece)?;
    }
    partial.publish(&Pins::new())?;
    Ok(id)
}

fn compose(name: &str) -> String {
    name.replace("e\u{301}", "é").replace('\u{200d}', "")
}

/// Approximates how APFS and NTFS ignore case.
fn case(name: &str) -> String {
    name.replace('ß', "ss")
        .replace('ς', "σ")
        .replace('\u{212a}', "k")
        .replace('İ', "i")
        .to_uppercase()
        .to_lowercase()
}

/// A short name of Windows, which is another name for the same file.
fn short(name: &str) -> String {
    let name = name.trim_end_matches(['.', ' ']);
    if name == "LONGNA~1" { "long name.txt".to_owned() } else { name.to_owned() }
}

fn none(name: &str) -> String {
    name.to_owned()
}

/// Whether the tests' own file system distinguishes the names. Windows' and macOS' do not if only
/// the case differs.
fn tells_apart(directory: &Path, names: [&str; 2]) -> bool {
    let probe = directory.join("probe");
    let [first, second] = names.map(|name| probe.join(name));
    std::fs::create_dir_all(&first).unwrap();
    let apart = std::fs::symlink_metadata(&second).is_err();
    std::fs::remove_dir_all(&probe).unwrap();
    apart
}

#[test]
fn files_that_a_file_system_takes_for_one_are_an_error_that_names_both_and_none_is_published() {
    let check = |fold: fn(&str) -> String, paths: &[&str], same: [&str; 2]| {
        for is_directory in [false, true] {
            let fixture = fixture(paths);
            let fixture = if is_directory { fixture.in_directory() } else { fixture };
            folding::below(fixture.directory.path(), fold);
            let error = fetch(&fixture).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Disk);
            let error = error.to_string().replace('\\', "/");
            let named = same.iter().all(|path| error.contains(&format!("`tree/{path}`")));
            assert!(named && error.contains("cannot store both"), "{paths:?}: {error}");
            // Again, with the data that the first attempt left.
            assert!(fetch(&fixture).is_err());
            let id = fixture.selected(&[]).0;
            assert!(fixture.target().present(&id).is_none());
            // The same files are stored if their names are distinguished.
            let fixture = self::fixture(paths);
            if !tells_apart(fixture.directory.path(), same) {
                continue;
            }
            folding::below(fixture.directory.path(), none);
            let id = fetch(&fixture).unwrap();
            for (index, path) in paths.iter().enumerate() {
                let found = std::fs::read(fixture.file(&id, path)).unwrap();
                assert_eq!(found, fixture.bytes[index * 10..][..10], "{path}");
            }
        }
    };
    check(case, &["ReadMe.txt", "readme.txt"], ["ReadMe.txt", "readme.txt"]);
    check(case, &["a", "ΣΑΣ", "b", "σας"], ["ΣΑΣ", "σας"]);
    check(case, &["straße", "STRASSE"], ["straße", "STRASSE"]);
    check(case, &["\u{212a}", "k"], ["\u{212a}", "k"]);
    check(case, &["İ", "i"], ["İ", "i"]);
    check(compose, &["caf\u{e9}", "cafe\u{301}"], ["caf\u{e9}", "cafe\u{301}"]);
    check(compose, &["ab", "a\u{200d}b"], ["ab", "a\u{200d}b"]);
    check(short, &["long name.txt", "LONGNA~1"], ["long name.txt", "LONGNA~1"]);
    // Directories.
    check(case, &["Data/a", "data/b"], ["Data", "data"]);
    check(case, &["Data/a", "x/b", "data/a"], ["Data/a", "data/a"]);
    // A file and a directory.
    check(case, &["Data", "data/b"], ["Data", "data"]);
    check(case, &["data/b", "Data"], ["data", "Data"]);
}

#[test]
fn a_file_system_that_lists_names_in_another_form_than_they_were_created_with_loses_nothing() {
    let fixture = fixture(&["cafe\u{301}", "th\u{e9}/a", "x"]);
    folding::below(fixture.directory.path(), compose);
    let id = fetch(&fixture).unwrap();
    assert!(fixture.target().present(&id).is_some());
    for (index, path) in ["café", "thé/a", "x"].iter().enumerate() {
        let found = std::fs::read(fixture.file(&id, path)).unwrap();
        assert_eq!(found, fixture.bytes[index * 10..][..10], "{path}");
    }
}

#[test]
fn hard_links_are_files_of_their_own_and_what_is_not_of_the_torrent_is_not_published() {
    let fixture = Fixture::of([("a", 10), ("b", 10)].into_iter(), [[7; 10], [7; 10]].concat());
    let (id, _) = fixture.selected(&[]);
    let files = fixture.store.partial_path(&id).join("files");
    std::fs::create_dir_all(files.join("tree/.stray")).unwrap();
    std::fs::write(files.join("tree/a"), [7; 10]).unwrap();
    std::fs::hard_link(files.join("tree/a"), files.join("tree/b")).unwrap();
    std::fs::write(files.join("tree/.stray/file"), "").unwrap();
    std::fs::write(files.join("stray"), "").unwrap();
    fetch(&fixture).unwrap();
    let published = crate::storage::folded_names::check_all(
        &fixture.target().files_path(&id).into(),
        &fixture.selected(&[]).1,
        &|_| true,
    );
    published.unwrap();
    assert!(!fixture.target().files_path(&id).join("stray").exists());
    assert!(!fixture.target().files_path(&id).join("tree/.stray").exists());
}

#[test]
fn in_a_directory_of_the_users_a_file_that_is_right_is_not_replaced_by_another_of_the_torrent() {
    let fixture = fixture(&["readme", "ReadMe"]).in_directory();
    let home = fixture.directory.path().join("home/tree");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("readme"), &fixture.bytes[..10]).unwrap();
    std::fs::write(home.join("theirs"), "theirs").unwrap();
    folding::below(fixture.directory.path(), case);
    let error = fetch(&fixture).unwrap_err().to_string().replace('\\', "/");
    assert!(error.contains("`tree/readme`") && error.contains("`tree/ReadMe`"), "{error}");
    assert_eq!(std::fs::read(home.join("readme")).unwrap(), fixture.bytes[..10]);
    assert_eq!(std::fs::read(home.join("theirs")).unwrap(), b"theirs");
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_takes_the_place_of_no_file_and_of_no_other_link() {
    let sets: [(&[&str], [&str; 2]); 3] = [
        (&["a", "b", "A -> b"], ["a", "A"]),
        (&["A -> b", "a", "b"], ["a", "A"]),
        (&["b", "l -> b", "L -> b"], ["l", "L"]),
    ];
    for (paths, same) in sets {
        let fixture = fixture(paths);
        folding::below(fixture.directory.path(), case);
        for _ in 0..2 {
            let error = fetch(&fixture).unwrap_err().to_string();
            let named = same.iter().all(|path| error.contains(&format!("`tree/{path}`")));
            assert!(named && error.contains("cannot store both"), "{paths:?}: {error}");
            let id = fixture.selected(&[]).0;
            assert!(fixture.target().present(&id).is_none());
            let files = fixture.store.partial_path(&id).join("files/tree");
            for name in ["a", "b"].iter().filter(|name| paths.contains(name)) {
                assert!(fs::file_at(&files.join(name)).is_some(), "{paths:?}: {name}");
            }
        }
        let fixture = self::fixture(paths);
        folding::below(fixture.directory.path(), none);
        let id = fetch(&fixture).unwrap();
        let link = fixture.target().files_path(&id).join("tree").join(same[1]);
        assert_eq!(std::fs::read_link(link).unwrap(), Path::new("b"));
    }
}
