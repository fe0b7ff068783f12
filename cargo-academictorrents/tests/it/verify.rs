//! `cargo academictorrents verify`.

use std::path::Path;

use crate::cli_fixture::{CliFixture, Page};
use crate::support::files::damage_unseen;
use crate::support::files::{PIECE, inode, remove, remove_tree, set_writable};
use crate::swarm::{Dataset, WebSeed, random_bytes};

/// A CLI without progress output, which depends on the machine's speed.
fn cli() -> CliFixture {
    CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off")
}

/// Files of three and a half pieces each, so that neighbors share a piece.
fn tree() -> Dataset {
    let file = |seed| random_bytes(seed, 7 * PIECE / 2);
    Dataset::multi("tree", [("a", file(1)), ("d/b", file(2)), ("d/c", file(3)), ("e", file(4))])
}

fn writable(path: &Path) -> std::fs::File {
    set_writable(path);
    std::fs::File::options().write(true).open(path).unwrap()
}

fn vendor(cli: &CliFixture, name: &str, dataset: &Dataset) -> WebSeed {
    let seed = WebSeed::serving(dataset);
    cli.write(name, dataset.clone().url_list([seed.url()]).torrent());
    seed
}

#[test]
fn a_flipped_byte_is_found_named_and_repaired_by_one_piece() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 10 * PIECE));
    let cli = cli();
    let seed = vendor(&cli, "data.torrent", &dataset);
    cli.declare("mnist = { torrent = \"data.torrent\" }");
    let mut page = Page::new("verify");
    page.show(&cli, &["verify"]);
    cli.ok(&["fetch"]);
    let path = cli.ok(&["path", "mnist"]);
    let path = Path::new(path.trim_end());
    page.show(&cli, &["verify"]);
    damage_unseen(path, 3 * PIECE as u64 + 7);
    damage_unseen(path, 4 * PIECE as u64);
    // Only hashing detects the damage.
    cli.ok(&["path", "mnist"]);
    let (damaged, before) = (std::fs::read(path).unwrap(), inode(path));
    page.show(&cli, &["verify"]);
    assert!(damaged == std::fs::read(path).unwrap() && inode(path) == before);
    // After `verify`, the dataset no longer counts as complete.
    assert_eq!(cli.run(&["path", "mnist"]).status, Some(1));
    page.show(&cli, &["verify", "--json"]);
    let fetched = seed.bytes_served();
    page.show(&cli, &["verify", "--repair"]);
    assert_eq!(seed.bytes_served() - fetched, 2 * PIECE as u64);
    dataset.assert_at(path);
    assert_ne!(inode(path), before, "others may have links to the old file");
    page.show(&cli, &["verify", "mnist"]);
    page.show(&cli, &["verify", "--stored"]);
    page.show(&cli, &["verify", "minst"]);
    page.show(&cli, &["verify", "--into", "here"]);
    page.compare();
}

#[test]
fn a_dataset_whose_files_were_all_deleted_no_longer_counts_as_complete() {
    let single = Dataset::single("data.bin", random_bytes(1, 3 * PIECE));
    for (dataset, elsewhere) in [(&single, false), (&tree(), false), (&single, true)] {
        let mut cli = cli();
        let _seed = vendor(&cli, "data.torrent", dataset);
        cli.declare("mnist = { torrent = \"data.torrent\" }");
        cli.ok(&["fetch"]);
        let path = cli.ok(&["path", "mnist"]);
        let path = Path::new(path.trim_end());
        let stamp = path.parent().unwrap().with_file_name("stamp");
        if elsewhere {
            let copies = cli.path("copies");
            dataset.write_to(&copies);
            cli = cli.env("ACADEMICTORRENTS_LOAD_PATH", copies.display());
        }
        if path.is_dir() {
            remove_tree(path)
        } else {
            remove(path)
        }
        let run = cli.run(&["verify", "mnist"]);
        assert!(!stamp.exists(), "Cargo would not run the build script again");
        assert_eq!(run.status, Some(if elsewhere { 0 } else { 1 }), "{}", run.stderr);
        let said = match elsewhere {
            true => "`mnist` is missing from the store and no longer counts as complete there",
            false => "`mnist` no longer counts as complete",
        };
        assert!(run.stderr.contains(said), "{}", run.stderr);
        cli.ok(&["fetch"]);
        assert!(elsewhere || stamp.exists());
        cli.ok(&["verify"]);
    }
}

#[test]
#[cfg(unix)]
fn a_dataset_whose_directory_cannot_be_read_keeps_its_stamp() {
    let dataset = tree();
    let cli = cli();
    let _seed = vendor(&cli, "data.torrent", &dataset);
    cli.declare("mnist = { torrent = \"data.torrent\" }");
    cli.ok(&["fetch"]);
    let path = cli.ok(&["path", "mnist"]);
    let files = Path::new(path.trim_end()).parent().unwrap();
    let (aside, stamp) = (files.with_file_name("aside"), files.with_file_name("stamp"));
    std::fs::rename(files, &aside).unwrap();
    // Not even root can read it.
    std::os::unix::fs::symlink(files, files).unwrap();
    let run = cli.run(&["verify", "mnist"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(run.stdout.starts_with("mnist  failed"), "{}", run.stdout);
    assert!(run.stderr.contains("symbolic links") && stamp.exists(), "{}", run.stderr);
    std::fs::remove_file(files).unwrap();
    std::fs::rename(&aside, files).unwrap();
    assert_eq!(cli.ok(&["path", "mnist"]), path);
}

/// The repair of one copy does not report another.
#[test]
#[cfg(target_os = "linux")]
fn a_damaged_selection_in_a_read_only_store_is_not_repaired() {
    let dataset =
        Dataset::multi("set", [("a", random_bytes(1, 2 * PIECE)), ("b", random_bytes(2, PIECE))]);
    let cli = cli();
    let _seed = vendor(&cli, "data.torrent", &dataset);
    for files in [", files = [\"a\"]", "", ", files = [\"a\"]"] {
        cli.declare(&format!("s = {{ torrent = \"data.torrent\"{files} }}"));
        cli.ok(&["fetch"]);
    }
    let path = cli.ok(&["path", "s"]);
    // The whole dataset may have a link to the file.
    let file = Path::new(path.trim_end()).join("a");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[7] ^= 1;
    remove(&file);
    std::fs::write(&file, bytes).unwrap();
    let locks = cli.store().join("v1/locks");
    std::fs::remove_dir_all(&locks).unwrap();
    // Not even root can create files there.
    std::os::unix::fs::symlink("/sys", &locks).unwrap();
    let run = cli.run(&["verify", "s", "--repair", "--offline"]);
    assert_eq!(run.status, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("s  damaged "), "{}", run.stdout);
    assert!(run.stderr.contains("the store is read-only"), "{}", run.stderr);
}

#[test]
fn a_dataset_that_no_package_requires_may_be_missing_but_not_damaged() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 3 * PIECE));
    let cli = cli();
    let seed = WebSeed::serving(&dataset);
    cli.write("Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\"]\nresolver = \"2\"\n");
    cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    let declare_with = |member: &str, optional: bool, more: &str| {
        let manifest = format!(
            "[package]\nname = \"{member}\"\nversion = \"0.1.0\"\n[features]\nextra = []\n\
             [package.metadata.academictorrents]\n\
             mnist = {{ infohash = \"{}\", optional = {optional}{more} }}\n",
            dataset.infohash_hex()
        );
        cli.write(&format!("{member}/Cargo.toml"), manifest);
        cli.write(&format!("{member}/src/lib.rs"), "");
    };
    let declare = |member: &str, optional: bool| declare_with(member, optional, "");
    let check = |status: i32, word: &str| {
        for arguments in [&["verify"][..], &["verify", "mnist"]] {
            let run = cli.run(arguments);
            assert_eq!(run.status, Some(status), "{arguments:?}: {}{}", run.stdout, run.stderr);
            assert!(run.stdout.contains(word), "{arguments:?}: {}", run.stdout);
        }
    };
    for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
        declare("a", a);
        declare("b", b);
        check(if a && b { 0 } else { 1 }, "missing");
    }
    // Builds do not use the declaration that requires it.
    declare_with("a", false, ", required-features = [\"extra\"]");
    declare("b", true);
    check(0, "missing");
    declare("a", true);
    declare("b", true);
    let path = cli.ok(&["get", "data.torrent"]);
    check(0, "ok");
    damage_unseen(Path::new(path.trim_end()), 7);
    check(1, "damaged");
}

#[test]
fn files_that_are_missing_cut_short_too_long_or_strange_are_named() {
    let (dataset, cli) = (tree(), cli());
    let seed = vendor(&cli, "tree.torrent", &dataset);
    let root = cli.ok(&["get", "tree.torrent"]);
    let root = Path::new(root.trim_end());
    let mut page = Page::new("verify-files");
    page.show(&cli, &["verify", "tree.torrent"]);
    // The damaged byte is in a piece that spans two files.
    damage_unseen(&root.join("d/b"), 100);
    page.show(&cli, &["verify", "tree.torrent"]);
    remove(&root.join("a"));
    writable(&root.join("d/c")).set_len(PIECE as u64 + 9).unwrap();
    writable(&root.join("e")).set_len(4 * PIECE as u64).unwrap();
    std::fs::write(root.join("d/notes"), "mine").unwrap();
    page.show(&cli, &["verify", "tree.torrent"]);
    page.show(&cli, &["verify", "tree.torrent", "--json"]);
    let fetched = seed.bytes_served();
    page.show(&cli, &["verify", "tree.torrent", "--repair"]);
    page.show(&cli, &["verify", "tree.torrent"]);
    page.compare();
    dataset.assert_at(root);
    // Two pieces of `d/b` are intact and one of `d/c`. So are those of `e`, which is too long,
    // except the one that begins in `d/c`.
    let right = (2 + 3) * PIECE as u64;
    assert!(seed.bytes_served() - fetched <= 14 * PIECE as u64 - right);
}

#[test]
fn what_shares_its_files_with_a_damaged_selection_is_no_longer_complete() {
    let (dataset, cli) = (tree(), cli());
    let seed = vendor(&cli, "tree.torrent", &dataset);
    cli.declare(
        "whole = { torrent = \"tree.torrent\" }\npart = { torrent = \"tree.torrent\", files = [\"a\", \"e\"] }",
    );
    cli.ok(&["fetch"]);
    let path = |name| Path::new(cli.ok(&["path", name]).trim_end()).to_owned();
    let (whole, part) = (path("whole"), path("part"));
    assert_eq!(inode(&whole.join("a")), inode(&part.join("a")));
    damage_unseen(&part.join("a"), 5);
    let mut page = Page::new("verify-links");
    page.show(&cli, &["verify", "part"]);
    assert_eq!(cli.run(&["path", "whole"]).status, Some(1));
    page.show(&cli, &["verify"]);
    let fetched = seed.bytes_served();
    page.show(&cli, &["verify", "--repair"]);
    // The damaged piece is fetched once: the other selection copies it from the one that was
    // repaired first, and hashes it.
    assert_eq!(seed.bytes_served() - fetched, PIECE as u64);
    page.show(&cli, &["verify", "--stored"]);
    dataset.assert_at(&whole);
    page.compare();
    // A piece that the selection has only in part is checked by the digest in its stamp.
    damage_unseen(&part.join("e"), 5);
    let run = cli.run(&["verify", "part"]);
    assert!(run.stdout.contains("e: damaged: bytes 0 to 16383"), "{}", run.stdout);
    let fetched = seed.bytes_served();
    let run = cli.run(&["verify", "part"]);
    assert!(run.stdout.contains("e: damaged: bytes 0 to 16383"), "{}", run.stdout);
    assert!(!run.stdout.contains("a:"), "{}", run.stdout);
    cli.ok(&["verify", "part", "--repair"]);
    assert_eq!(seed.bytes_served() - fetched, PIECE as u64);
    // The other selection has a hard link to that file.
    assert_eq!(cli.run(&["path", "whole"]).status, Some(1));
    cli.ok(&["verify", "--repair"]);
    cli.ok(&["verify"]);
    dataset.assert_at(&whole);
}

#[test]
fn a_directory_that_get_filled_is_verified_and_repaired_where_it_is() {
    let (dataset, cli) = (tree(), cli());
    let seed = vendor(&cli, "tree.torrent", &dataset);
    cli.ok(&["get", "tree.torrent", "--into", "here"]);
    let root = cli.path("here/tree");
    damage_unseen(&root.join("d/c"), 60_000);
    std::fs::write(root.join("notes"), "mine").unwrap();
    let mut page = Page::new("verify-into");
    page.show(&cli, &["verify", "tree.torrent", "--into", "here"]);
    let fetched = seed.bytes_served();
    page.show(&cli, &["verify", "tree.torrent", "--into", "here", "--repair"]);
    assert_eq!(seed.bytes_served() - fetched, PIECE as u64);
    page.show(&cli, &["verify", "tree.torrent", "--into", "here"]);
    page.show(&cli, &["verify", "tree.torrent", "--into", "elsewhere"]);
    page.compare();
    dataset.assert_at(&root);
}

#[test]
fn pins_are_verified_too_and_a_copy_that_a_variable_names() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 3 * PIECE));
    let cli = cli();
    dataset.write_to(&cli.path(""));
    let copy = cli.path("data.bin");
    let cli = cli.env("ACADEMICTORRENTS_PATH_COPY", copy.display());
    let _seed = vendor(&cli, "data.torrent", &dataset);
    let declare = |pins| {
        cli.declare(&format!(
            "pinned = {{ torrent = \"data.torrent\"{pins} }}\ncopy = {{ torrent = \"data.torrent\" }}"
        ));
    };
    declare("");
    cli.ok(&["fetch"]);
    declare(&format!(", sha256 = {{ \"data.bin\" = \"{}\" }}", "ab".repeat(32)));
    let mut page = Page::new("verify-pins");
    page.show(&cli, &["verify", "pinned"]);
    page.show(&cli, &["verify", "pinned", "--repair"]);
    page.show(&cli, &["verify", "copy"]);
    damage_unseen(&copy, 1);
    let run = page.show(&cli, &["verify", "copy", "--repair"]);
    assert_eq!(run.status, Some(1));
    page.compare();
    assert_eq!(cli.run(&["path", "copy"]).status, Some(1));
}
