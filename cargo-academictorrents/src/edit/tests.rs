//! Styles of manifests, and what is added to each.

use proptest::prelude::*;

use super::*;

const HASH: &str = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";

fn entry() -> ManifestEntry {
    ManifestEntry { keys: vec![("infohash", text(HASH))], pins: Vec::new() }
}

/// Checks the text that is added, which must be contiguous.
#[track_caller]
fn check(manifest: &str, added: &str) {
    let added = added.replace("HASH", HASH);
    let changed = super::add(manifest, &SECTION, "new", &entry()).unwrap();
    let at = (0..=manifest.len()).find(|at| {
        manifest.is_char_boundary(*at)
            && changed == [&manifest[..*at], &added, &manifest[*at..]].concat()
    });
    assert!(at.is_some(), "{manifest}\n--- became ---\n{changed}");
}

#[test]
fn a_dataset_goes_to_the_end_of_the_section_in_its_style() {
    let header = "[package.metadata.academictorrents]\n";
    check("", &format!("{header}new = \"HASH\"\n"));
    check("[package]\nname = \"a\"\n", &format!("\n{header}new = \"HASH\"\n"));
    check("[package]\nname = \"a\"", &format!("\n\n{header}new = \"HASH\"\n"));
    check(&format!("{header}# none yet\n\n[features]\n"), "new = \"HASH\"\n");
    check(&format!("{header}old = \"x\" # why\n\n# end\n[features]\n"), "new = \"HASH\"\n");
    check(&format!("{header}  old = \"x\"\n"), "  new = \"HASH\"\n");
    check(&format!("{header}old = \"x\""), "\nnew = \"HASH\"\n");
    check(
        &format!(
            "{header}old = \"x\"\n{}",
            "[package.metadata.academictorrents.b]\ninfohash = \"y\"\n"
        ),
        "new = \"HASH\"\n",
    );
    check(
        "[package]\r\nname = \"a\"\r\n",
        "\r\n[package.metadata.academictorrents]\r\nnew = \"HASH\"\r\n",
    );
    check(
        "[package.metadata.academictorrents.b]\ninfohash = \"y\" # b\n\n[features]\n",
        "\n[package.metadata.academictorrents.new]\ninfohash = \"HASH\"\n",
    );
    check(
        "[package]\nmetadata.academictorrents.b = \"y\"\nname = \"a\"\n",
        "metadata.academictorrents.new = \"HASH\"\n",
    );
    check(
        "package.name = \"a\"\npackage.metadata.academictorrents.b.infohash = \"y\"\n[features]\n",
        "package.metadata.academictorrents.new = \"HASH\"\n",
    );
    check("[package.metadata]\nacademictorrents = { b = \"y\" } # one line\n", ", new = \"HASH\"");
    check("[package.metadata]\nacademictorrents = {}\n", " new = \"HASH\" ");
    check(
        "[package]\nmetadata = { docs = { rs = true }, x.y = 1 }\n",
        ", academictorrents.new = \"HASH\"",
    );
    check(
        "package = { name = \"a\", metadata.academictorrents.b = \"y\" }\n",
        ", metadata.academictorrents.new = \"HASH\"",
    );
    check("\u{feff}[package]\nname = \"a\"\n", &format!("\n{header}new = \"HASH\"\n"));
}

#[test]
fn what_is_no_table_is_left_alone() {
    for manifest in
        ["package = 1", "[package]\nmetadata = []", "[[package.metadata]]\na = 1", "[package"]
    {
        assert!(super::add(manifest, &SECTION, "new", &entry()).is_err(), "{manifest}");
    }
}

#[test]
fn several_pins_are_a_table() {
    let mut entry = entry();
    entry.pins =
        ["a/b.bin", "evil\"\n[x]\u{202e}"].map(|it| (it.to_owned(), "00".to_owned())).to_vec();
    let pins = "sha256]\n\"a/b.bin\" = \"00\"\n\"evil\\\"\\u000A[x]\\u202E\" = \"00\"\n";
    let section = "[package.metadata.academictorrents]\nold = \"x\"\n";
    let table = format!(
        "\n[package.metadata.academictorrents.new]\ninfohash = \"{HASH}\"\n\n[package.metadata.academictorrents.new.{pins}"
    );
    assert_eq!(super::add(section, &SECTION, "new", &entry).unwrap(), format!("{section}{table}"));
    let braces = "[package.metadata]\nacademictorrents = { old = \"x\" }\n";
    let changed = super::add(braces, &SECTION, "new", &entry).unwrap();
    assert_eq!(changed.lines().count(), 2, "{changed}");
}

#[test]
fn a_key_is_added_to_a_dataset_and_a_value_replaced() {
    let path = ["package", "metadata", "academictorrents", "b"];
    let set = |text: &str| super::set(text, &path, "torrent", "\"t\"").unwrap();
    assert_eq!(
        set("[package.metadata.academictorrents]\nb = { infohash = \"y\" } # c\n"),
        "[package.metadata.academictorrents]\nb = { infohash = \"y\", torrent = \"t\" } # c\n"
    );
    assert_eq!(
        set("[package.metadata.academictorrents.b]\ninfohash = \"y\"\n"),
        "[package.metadata.academictorrents.b]\ninfohash = \"y\"\ntorrent = \"t\"\n"
    );
    let short = "[package.metadata.academictorrents]\nb = 'y' # c\n";
    assert_eq!(
        super::replace(short, &SECTION, "b", "{ torrent = 't' }").unwrap(),
        "[package.metadata.academictorrents]\nb = { torrent = 't' } # c\n"
    );
    assert!(super::set(short, &path, "torrent", "1").is_err());
}

#[test]
fn an_array_grows_at_its_end() {
    let path = ["package", "metadata", "academictorrents", "b"];
    let check = |array: &str, expected: &str| {
        let of = |array: &str| {
            format!(
                "[package.metadata.academictorrents.b]\r\ntrackers = {array} # c\r\nrename = 'x'\r\n"
            )
        };
        let new = ["u".to_owned(), "v\"".to_owned()];
        let changed = super::append(&of(array), &path, "trackers", &new).unwrap();
        assert_eq!(changed, of(expected));
    };
    check("[]", "[\"u\", \"v\\\"\"]");
    check("['t']", "['t', \"u\", \"v\\\"\"]");
    check(
        "[\r\n  't', # first\r\n  's', # last\r\n]",
        "[\r\n  't', # first\r\n  's', \"u\", \"v\\\"\", # last\r\n]",
    );
    assert!(super::append("a = 1", &[], "a", &["u".to_owned()]).is_err());
}

#[test]
fn strings_are_what_they_were_when_they_are_read() {
    for string in ["", "a \"b\" \\ c", "line\nbreak\ttab\u{7f}\u{9b}\0", "\u{202e}\u{2028}é 数"] {
        let quoted = text(string);
        assert!(!quoted.contains(|c: char| c.is_control() || c == '\u{202e}'), "{quoted:?}");
        let document = format!("a = {quoted}");
        let read = parse(&document).unwrap();
        assert_eq!(read.get("a").and_then(Item::as_str), Some(string));
    }
}

/// Part of a manifest that others wrote: comments, tables, white space.
fn block() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[package]\nname = \"a\" # name\nversion='0.1.0'\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("# a comment with [brackets] = \"and\" quotes\n".to_owned()),
    ]
}

fn section() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(""),
        Just("[package.metadata.academictorrents]\n"),
        Just("[ package . metadata.\"academictorrents\" ] # c\n\n# d\n"),
        Just(
            "[package.metadata.academictorrents]\nold = \"x\"\n\tother={infohash=\"y\",files=[\n\"*\", # all\n]}\n"
        ),
        Just("[package.metadata.academictorrents.old]\ninfohash = \"x\"\n"),
        Just(
            "[package.metadata.academictorrents.old]\nfiles = ['''\na''']\n[package.metadata.academictorrents.old.sha256]\n"
        ),
        Just("[package.metadata]\nacademictorrents={old=\"x\"}\nz = 1\n"),
        Just(
            "[package.metadata]\nacademictorrents.old = \"x\"\nz.a = 1\nacademictorrents.b = \"y\"\n"
        ),
        Just("[package.metadata]\nacademictorrents = { }\n"),
        Just("[package.metadata]\nacademictorrents.old={infohash=\"x\"}"),
        Just("[package.metadata.docs.rs]\nall-features = true\n"),
    ]
}

proptest! {
    #[test]
    fn all_else_stays_byte_for_byte(
        before in proptest::collection::vec(block(), 0..3),
        section in section(),
        after in prop_oneof![Just(""), Just("\n# the end"), Just("[features]\na = []\n\n"), Just("[[bin]]\nname = \"b\"\n")],
        crlf: bool,
        pins in 0_usize..3,
    ) {
        let mut head = before.concat();
        // Only one [package] table is valid.
        if let Some(second) = head.match_indices("[package]").nth(1) {
            head.truncate(second.0);
        }
        let mut manifest = head + section;
        if !manifest.is_empty() && !manifest.ends_with('\n') && !after.is_empty() {
            manifest.push('\n');
        }
        manifest += after;
        if crlf {
            manifest = manifest.replace('\n', "\r\n");
        }
        let mut entry = entry();
        entry.pins = (0..pins).map(|it| (it.to_string(), "00".to_owned())).collect();
        let changed = super::add(&manifest, &SECTION, "new", &entry).unwrap();
        let same_head = changed.bytes().zip(manifest.bytes()).take_while(|(a, b)| a == b).count();
        let rest = manifest.len() - same_head;
        // The new bytes are contiguous, and everything before and after them is unchanged.
        prop_assert!(changed.len() > manifest.len());
        prop_assert_eq!(&changed.as_bytes()[changed.len() - rest..], &manifest.as_bytes()[same_head..]);
        if manifest.contains('\r') {
            prop_assert_eq!(changed.matches('\n').count(), changed.matches("\r\n").count());
        }
        // A second dataset, and a key of another table, can be added too.
        let twice = super::add(&changed, &SECTION, "newer", &entry).unwrap();
        let with = super::set(&twice, &["build-dependencies"], "academictorrents", "\"0.1\"").unwrap();
        prop_assert!(parse(&with).unwrap()["build-dependencies"]["academictorrents"].is_str());
    }
}
