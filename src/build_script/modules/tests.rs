use std::collections::HashSet;

use proptest::prelude::*;

use super::text::{block, code_span, literal, number};
use super::*;

fn module(name: &str, is_directory: bool, files: Files) -> Module {
    Module {
        name: name.to_owned(),
        variable: name.to_uppercase().replace('-', "_"),
        infohash: Infohash::from_bytes([0xab; 20]),
        path: "/s/data/files/root".to_owned(),
        stamp: "/s/data/stamp".to_owned(),
        torrent_name: Some("root".to_owned()),
        is_unpacked: false,
        is_directory,
        files,
        license: None,
        comment: None,
    }
}

fn listed(files: &[(&str, u64)]) -> Files {
    Files::Listed(files.iter().map(|(path, length)| ((*path).to_owned(), *length)).collect())
}

/// If this changes, increment `VERSION`. Otherwise the file of an earlier version is kept.
#[test]
fn a_module_is_written_so() {
    let digits = Module {
        license: Some("CC-BY-4.0\n (see README)".to_owned()),
        comment: Some("By \"them\".".to_owned()),
        ..module("mnist-small", true, listed(&[("train/a.gz", 57_523), ("b", 1)]))
    };
    let expected = r#"
#[doc = "The dataset `mnist-small`: 2 files in `root`, 56.2 KiB."]
#[doc = ""]
#[doc = "License, according to the torrent: `CC-BY-4.0 (see README)`."]
#[doc = ""]
#[doc = "Comment in the torrent:"]
#[doc = ""]
#[doc = "```text\nBy \"them\".\n```"]
#[doc = ""]
#[doc = "`cargo academictorrents cite mnist-small` prints a citation."]
#[allow(dead_code, non_snake_case, unreachable_pub)]
#[allow(clippy::restriction, clippy::module_inception, clippy::module_name_repetitions)]
pub mod mnist_small {
    /// The path of the directory with the dataset's files.
    pub const PATH: &str = "/s/data/files/root";

    /// The torrent's infohash: 40 hexadecimal digits.
    pub const INFOHASH: &str = "abababababababababababababababababababab";

    /// The value of `ACADEMICTORRENTS_PATH_MNIST_SMALL` at run time, or else `PATH`.
    #[must_use]
    pub fn path() -> ::std::path::PathBuf {
        match ::std::env::var_os("ACADEMICTORRENTS_PATH_MNIST_SMALL") {
            Some(path) if !path.is_empty() => ::std::path::PathBuf::from(path),
            _ => ::std::path::PathBuf::from(PATH),
        }
    }

    /// Path below `PATH` and length in bytes of each file, in the torrent's order.
    pub const FILES: &[(&str, u64)] = &[
        ("train/a.gz", 57_523),
        ("b", 1),
    ];

    /// The paths in `FILES` as constants, for `path().join(…)`.
    pub mod file {
        #[doc = "The file `train/a.gz`, 56.2 KiB."]
        pub const TRAIN_A_GZ: &str = "train/a.gz";
        #[doc = "The file `b`, 1 B."]
        pub const B: &str = "b";
    }
}
"#;
    assert_eq!((rust(&[digits]).as_str(), VERSION), (expected, 3));
}

#[test]
fn the_file_follows_what_the_infohash_does_not_cover() {
    let out_dir = tempfile::tempdir().unwrap();
    let torrent = out_dir.path().join("a.torrent");
    let mut built = crate::build_script::tests::dataset("a", "/s/data/files/a", true);
    built.request.identity.torrent = Some(torrent.clone());
    let of = |texts: &str| format!("d{texts}4:infod6:lengthi1e4:name1:aee");
    built.dataset.provided.infohash = Metainfo::infohash_of(of("").as_bytes()).unwrap();
    let datasets = Datasets {
        manifest: "/p/Cargo.toml".into(),
        config: Vec::new(),
        names: vec!["a".to_owned()],
        list: vec![built],
    };
    let written = || {
        write(out_dir.path(), &datasets).unwrap();
        let text = std::fs::read_to_string(out_dir.path().join(FILE_NAME)).unwrap();
        ["First words", "Other words", "CC-BY-4.0"].map(|part| text.contains(part))
    };
    assert_eq!(written(), [false; 3]); // it cannot be read yet
    for (texts, expected) in [
        ("7:comment11:First words", [true, false, false]),
        ("7:comment11:Other words", [false, true, false]),
        ("7:comment11:Other words7:license9:CC-BY-4.0", [false, true, true]),
        ("", [false; 3]),
    ] {
        std::fs::write(&torrent, of(texts)).unwrap();
        assert_eq!(written(), expected, "{texts}");
    }
}

/// Many torrents have a BibTeX entry as comment.
#[test]
fn a_comment_that_is_a_citation_is_called_so() {
    let text = |comment: &str| {
        let comment = Some(comment.to_owned());
        rust(&[Module { comment, ..module("a", false, Files::Unknown) }])
    };
    let cited = text("\n@article{x, title={y}}");
    assert!(cited.contains("Citation:") && !cited.contains("academictorrents cite"), "{cited}");
    assert!(!text("by @me").contains("Citation:"));
}

#[test]
fn what_a_module_has_depends_on_how_many_files_there_are() {
    let parts = ["pub const FILES", "pub mod file", "pub fn files"];
    let has = |is_directory, files: Files| {
        let text = rust(&[module("a", is_directory, files)]);
        parts.map(|part| text.contains(part))
    };
    let many = |count| Files::Listed((0..count).map(|n| (format!("f{n}"), n)).collect());
    assert_eq!(has(true, many(100)), [true, true, false]);
    assert_eq!(has(true, many(101)), [true, false, false]);
    // A single file is at `path()` itself.
    assert_eq!(has(false, many(1)), [true, false, false]);
    assert_eq!(has(true, Files::Stamped { count: 10_001, bytes: 9 }), [false, false, true]);
    // Code compiled by docs.rs may use either.
    assert_eq!(has(true, Files::Unknown), [true, false, true]);
}

#[test]
fn files_are_listed_up_to_a_limit_and_where_their_names_are_text() {
    let paths =
        |count: u64| (0..count).map(|n| (PathBuf::from(format!("root/d/{n}")), n)).collect();
    let of = |files: Vec<_>| Files::of(&FirstFiles::of(files.into_iter()), true);
    assert!(matches!(of(paths(0)), Files::Unknown));
    assert!(matches!(&of(paths(2)), Files::Listed(files) if files[1] == ("d/1".to_owned(), 1)));
    assert!(matches!(of(paths(10_000)), Files::Listed(files) if files.len() == 10_000));
    assert!(matches!(of(paths(10_001)), Files::Stamped { count: 10_001, bytes: 50_005_000 }));
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"root/\xff"));
        assert!(matches!(of(vec![(odd, 7)]), Files::Stamped { count: 1, bytes: 7 }));
    }
    let single = FirstFiles::of([(PathBuf::from("a.gz"), 7)].into_iter());
    let single = Files::of(&single, false);
    assert!(matches!(single, Files::Listed(files) if files == [("a.gz".to_owned(), 7)]));
}

#[test]
fn modules_have_the_names_of_datasets() {
    for (names, expected) in [
        (["mnist-small", "a--b", "x1"], ["mnist_small", "a__b", "x1"]),
        (["type", "gen", "union"], ["r#type", "r#gen", "union"]),
        // The first of colliding names keeps it.
        (["self", "self_", "super"], ["self_", "self__2", "super_"]),
        (["crate", "datasets", "Self"], ["crate_", "datasets", "self_"]),
        (["", "_", "1"], ["dataset_", "dataset__", "dataset_1"]),
        (["type", "Type", "a\n"], ["r#type", "type_2", "a_"]),
        (["é", "u00e9", "ue9"], ["ue9", "u00e9", "ue9_2"]),
    ] {
        assert_eq!(identifiers::modules(names), expected);
    }
}

#[test]
fn constants_have_the_names_of_files() {
    let paths = [
        "train/labels.csv",
        "train-labels.csv",
        "TRAIN_LABELS_CSV_2",
        "2024.csv",
        "_",
        "数",
        "café.txt",
        "..a",
    ];
    assert_eq!(
        identifiers::constants(paths),
        [
            "TRAIN_LABELS_CSV",
            "TRAIN_LABELS_CSV_3",
            "TRAIN_LABELS_CSV_2",
            "FILE_2024_CSV",
            "FILE",
            "U6570",
            "CAFUE9_TXT",
            "A"
        ]
    );
}

/// Whether rustc accepts this as an identifier in every edition.
fn is_identifier(name: &str) -> bool {
    let bare = name.strip_prefix("r#").unwrap_or(name);
    let mut chars = bare.chars();
    chars.next().is_some_and(|first| first == '_' || first.is_ascii_alphabetic())
        && chars.all(|c| c == '_' || c.is_ascii_alphanumeric())
        && bare != "_"
        && !["crate", "self", "super", "Self"].contains(&bare)
        && (name != bare || !keywords().contains(&bare))
}

/// The keywords of all editions, from the Reference.
fn keywords() -> Vec<&'static str> {
    "as break const continue crate else enum extern false fn for if impl in let loop match mod move mut pub ref return \
     self Self static struct super trait true type unsafe use where while async await dyn abstract become box do final \
     macro override priv typeof unsized virtual yield try gen"
        .split(' ')
        .collect()
}

fn names() -> impl Strategy<Value = Vec<String>> {
    let keyword = proptest::sample::select(keywords()).prop_map(str::to_owned);
    let bytes = proptest::collection::vec(any::<u8>(), 0..6);
    let name = prop_oneof![
        any::<String>(),
        keyword,
        "[a-c_/ .-]{0,3}",
        "[a-z][a-z0-9_-]{0,4}",
        "a(_[23]){0,2}",
        bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ];
    proptest::collection::vec(name, 0..40)
}

fn check_identifiers(found: &[String], names: &[String]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), names.len());
    for name in found {
        prop_assert!(is_identifier(name), "{}", name);
    }
    // `r#a` and `a` are the same identifier.
    let bare = |name: &String| name.strip_prefix("r#").unwrap_or(name).to_owned();
    let distinct: HashSet<_> = found.iter().map(bare).collect();
    prop_assert_eq!(distinct.len(), names.len());
    Ok(())
}

proptest! {
    #[test]
    fn any_names_give_valid_and_distinct_identifiers(names in names()) {
        let strs = || names.iter().map(String::as_str);
        check_identifiers(&identifiers::modules(strs()), &names)?;
        let constants = identifiers::constants(strs());
        check_identifiers(&constants, &names)?;
        for constant in constants {
            prop_assert!(!constant.contains(char::is_lowercase));
        }
    }

    #[test]
    fn no_comment_ends_its_block(comment in "([a`\n\r\t \u{202e}#<]|```\n){0,40}") {
        let Some(block) = block(&comment) else { return Ok(()) };
        let (fence, rest) = block.split_once("text\n").unwrap();
        let inside = rest.strip_suffix(fence).unwrap();
        prop_assert!(!inside.contains(fence));
        prop_assert!(!inside.contains(['\r', '\t', '\u{202e}']), "hidden");
    }

    #[test]
    fn no_name_ends_its_code(name in "[a` \n\u{202e}]{1,20}") {
        let span = code_span(&name);
        let fence = span.len() - span.trim_start_matches('`').len();
        let inside = &span[fence..span.len() - fence];
        prop_assert!(!inside.contains(&"`".repeat(fence)) && !inside.contains('\n'), "{}", span);
    }

    #[test]
    fn a_literal_is_printable_ascii_or_shown(text in any::<String>()) {
        let literal = literal(&text);
        prop_assert!(!literal.contains(|c: char| c.is_control()), "{}", literal);
        let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        let unescaped = inner.replace("\\\\", "").replace("\\\"", "");
        prop_assert!(!unescaped.contains('"') && !unescaped.ends_with('\\'), "{}", literal);
    }
}

#[test]
fn text_of_torrents_is_shown_as_it_is_or_not_at_all() {
    assert_eq!(code_span("a b"), "`a b`");
    assert_eq!(code_span("`a``b"), "``` `a``b ```");
    assert_eq!(code_span("a\n\u{202e}b"), "`a\u{fffd}\u{fffd}b`");
    assert_eq!(block(" \n\u{200b}\t"), None);
    assert_eq!(block("a\r\n  b").unwrap(), "```text\na\n  b\n```");
    assert_eq!(block("```rust\npanic!()\n```").unwrap(), "````text\n```rust\npanic!()\n```\n````");
    let long = block(&"é".repeat(3_000)).unwrap();
    assert_eq!(long.matches('é').count(), 2_000);
    assert!(long.ends_with("é…\n```"));
    assert_eq!(literal("a\"\u{202e}\u{2066}\n"), r#""a\"\u{202e}\u{2066}\n""#);
    let numbers = [0, 999, 1_000, 57_523, u64::MAX].map(number);
    assert_eq!(numbers, ["0", "999", "1_000", "57_523", "18_446_744_073_709_551_615"]);
}
