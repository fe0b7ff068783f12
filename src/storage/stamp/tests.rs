use super::*;

#[test]
fn a_stamp_is_read_as_it_was_written() {
    let paths = ["root/a b%.txt", "root/line\nbreak", "root/é", "roots", "root/", "x/root/a"];
    let mut files = StampedFiles::default();
    for (length, path) in (7..).zip(paths) {
        files.push(Path::new(path), length, u128::from(u64::MAX) + 1);
    }
    let stamp = Stamp {
        place: Some("/a b/c%\n".into()),
        files,
        digests: vec![[9; 32]; 6],
        links: vec![("root/a link".into(), "../a b%20.txt".into())],
        fragments: vec![(3, [9; 20])],
        pins: vec![("a b\n".to_owned(), [0xa7; 32])],
    };
    let mut text = Vec::new();
    stamp.encode(&mut text).unwrap();
    assert_eq!(Stamp::parse(&mut &text[..]), Some(stamp.clone()));
    // On every platform, since other systems may read the same store.
    let line = format!("\nfile 7 {} root/a b%25.txt\n", u128::from(u64::MAX) + 1);
    assert!(String::from_utf8_lossy(&text).contains(&line), "{}", text.escape_ascii());
    assert_eq!(stamp.name(), Some(PathBuf::from("root")));
    assert!(stamp.files().eq(paths.map(PathBuf::from).into_iter().zip(7..)));
    for cut in 0..text.len() {
        assert_eq!(Stamp::parse(&mut &text[..cut]), None, "cut at {cut}");
    }
    let more = [&text[..], b"file 7 7 root/b\nend\n"].concat();
    assert_eq!(Stamp::parse(&mut &more[..]), None);
    let long = format!("{}\nfile 7 7 {}\nend\n", Stamp::HEADER, "x".repeat(1 << 16));
    assert_eq!(Stamp::parse(&mut long.as_bytes()), None);
}

#[test]
fn a_stamp_that_names_files_elsewhere_is_not_read() {
    for (path, is_read) in [
        ("root/a", true),
        ("root/..a", true),
        ("", false),
        ("/etc/passwd", false),
        ("/", false),
        ("..", false),
        ("../a", false),
        ("root/../../a", false),
        ("root/..", false),
        ("root/%2e%2e/a", false),
        ("%2Fetc/passwd", false),
        ("./a", false),
    ] {
        for line in [format!("file 1 2 {path}"), format!("link ../b {path}")] {
            let text = format!("{}\n{line}\nend\n", Stamp::HEADER);
            assert_eq!(Stamp::parse(&mut text.as_bytes()).is_some(), is_read, "{line}");
        }
    }
}

#[test]
fn a_changed_file_no_longer_matches_and_the_stamp_is_backdated() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), "abc").unwrap();
    let stamp = Stamp::of(&directory.path().into(), [PathBuf::from("a")].into_iter()).unwrap();
    assert!(stamp.matches(&directory.path().into()));
    let path = directory.path().join("stamp");
    stamp.write(&path).unwrap();
    assert_eq!(Stamp::read(&path).as_ref(), Some(&stamp));
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(modified.duration_since(UNIX_EPOCH).unwrap().as_secs(), BACKDATED);
    std::fs::write(directory.path().join("a"), "abcd").unwrap();
    assert!(!stamp.matches(&directory.path().into()));
    std::fs::remove_file(directory.path().join("a")).unwrap();
    assert!(!stamp.matches(&directory.path().into()));
}
#[test]
fn a_time_that_lost_its_fraction_of_a_second_still_matches_and_no_other_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    std::fs::write(&path, "abc").unwrap();
    let set = |nanos: u64| {
        let time = UNIX_EPOCH + Duration::from_nanos(nanos);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    let second = 1_700_000_000_000_000_000;
    let check = |stamped: u64, found: u64, expected: bool| {
        set(stamped);
        let site: Site = directory.path().into();
        let stamp = Stamp::of(&site, [PathBuf::from("a")].into_iter()).unwrap();
        set(found);
        assert_eq!(stamp.matches(&site), expected, "{stamped} {found}");
    };
    // Windows counts in steps of 100 ns.
    check(second + 999_999_900, second, true);
    check(second + 999_999_900, second + 1_000_000_000, false);
    check(second + 999_999_900, second + 999_999_000, false);
    check(second + 999_999_900, second + 999_000_000, false);
    check(second, second + 100, false);
    check(second + 100, second - 1_000_000_000, false);
}

#[test]
fn a_stamp_without_files_never_matches() {
    let directory = tempfile::tempdir().unwrap();
    let planted = Stamp::parse(&mut &b"academictorrents stamp 1\nend\n"[..]).unwrap();
    assert!(!planted.matches(&directory.path().into()));
}
