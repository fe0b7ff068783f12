//! `cargo academictorrents import`.

use std::fs;
use std::path::Path;

use crate::cli_fixture::{CliFixture, Page};
use crate::swarm::{Dataset, WebSeed, random_bytes};

fn single() -> Dataset {
    Dataset::single("whole.bin", random_bytes(1, 300_000))
}

fn multi() -> Dataset {
    Dataset::multi(
        "tree",
        [
            ("a.bin", random_bytes(2, 100_000)),
            ("sub/b.bin", random_bytes(3, 200_000)),
            ("empty", Vec::new()),
        ],
    )
}

/// A crate that declares both datasets by vendored torrents.
fn cli() -> CliFixture {
    // Without progress lines, which depend on the machine's speed.
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    cli.write("single.torrent", single().torrent());
    cli.write("multi.torrent", multi().torrent());
    cli.declare("single.torrent = \"single.torrent\"\nmulti.torrent = \"multi.torrent\"");
    cli
}

/// Paths, bytes, whether read-only, and modification times.
fn state(directory: &Path) -> Vec<(std::path::PathBuf, Vec<u8>, bool, std::time::SystemTime)> {
    let look = |below| {
        let path = directory.join(&below);
        let file = fs::metadata(&path).unwrap();
        (below, fs::read(&path).unwrap(), file.permissions().readonly(), file.modified().unwrap())
    };
    crate::support::files_below(directory).into_iter().map(look).collect()
}

#[test]
fn outside_of_a_package_the_dataset_has_to_be_named() {
    let run = CliFixture::new().run(&["import", "data"]);
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("specify the dataset with --id"), "{}", run.stderr);
    assert!(!run.stderr.contains("cargo metadata"), "{}", run.stderr);
}

#[test]
fn what_lies_at_a_path_is_found_to_be_the_dataset_and_copied() {
    let cli = cli();
    cli.write("mine/renamed.bin", &**single().stream());
    fs::create_dir(cli.path("mine/data")).unwrap();
    multi().write_to(&cli.path("mine/data"));
    let before = state(&cli.path("mine"));
    let mut page = Page::new("import");
    page.show(&cli, &["import", "mine/renamed.bin", "mine/data"]);
    page.show(&cli, &["import", "mine/data/tree"]);
    page.show(&cli, &["list", "--no-orphans"]);
    page.show(&cli, &["import", "mine/data/tree", "--json"]);
    assert_eq!(state(&cli.path("mine")), before);
    single().assert_at(Path::new(cli.ok(&["path", "single"]).trim_end()));
    multi().assert_at(Path::new(cli.ok(&["path", "multi"]).trim_end()));
    // Files that belong to no dataset, and a path that does not exist.
    cli.write("mine/other.bin", random_bytes(9, 300_000));
    cli.write("mine/small.bin", b"x");
    page.show(&cli, &["import", "mine/other.bin", "mine/small.bin", "mine/nothing"]);
    page.show(&cli, &["import", "--id", "single.torrent", "mine/other.bin"]);
    page.show(&cli, &["import", "--id", "single.torrent", "mine/small.bin", "--json"]);
    page.show(&cli, &["import"]);
    page.compare();
    // The project that declares the datasets is recorded as their user.
    assert_eq!(fs::read_dir(cli.path("store/v1/roots")).unwrap().count(), 1);
}

#[test]
fn a_renamed_root_directory_is_known_by_its_sizes() {
    let cli = cli();
    multi().write_to(&cli.path(""));
    fs::rename(cli.path("tree"), cli.path("renamed")).unwrap();
    cli.ok(&["import", "renamed"]);
    multi().assert_at(Path::new(cli.ok(&["path", "multi"]).trim_end()));
}

#[test]
fn of_a_copy_that_is_partly_right_the_rest_is_fetched() {
    let cli = cli();
    multi().write_to(&cli.path(""));
    let b = cli.path("tree/sub/b.bin");
    let mut bytes = fs::read(&b).unwrap();
    bytes[150_000] ^= 1;
    bytes.truncate(190_000);
    fs::write(&b, &bytes).unwrap();
    fs::remove_file(cli.path("tree/empty")).unwrap();
    let mut page = Page::new("import-partly");
    page.show(&cli, &["import", "tree"]);
    page.show(&cli, &["import", "tree", "--json"]);
    page.show(&cli, &["import", "--id", "multi.torrent", "--hard-link", "tree"]);
    page.show(&cli, &["list", "--no-orphans"]);
    page.compare();
    // With progress, too: what was imported has not failed.
    let run = cli.command(&["import", "tree"]).env("ACADEMICTORRENTS_PROGRESS", "plain").output();
    let said = String::from_utf8(run.unwrap().stderr).unwrap();
    assert!(said.contains("multi is incomplete") && !said.contains("failed"), "{said}");
    assert_eq!(fs::read(&b).unwrap(), bytes);
    assert!(!fs::metadata(&b).unwrap().permissions().readonly());
    // Only the two damaged pieces of 32 KiB are fetched.
    let seed = WebSeed::serving(&multi());
    cli.write("multi.torrent", multi().url_list([seed.url()]).torrent());
    cli.ok(&["get", "multi.torrent"]);
    multi().assert_at(Path::new(cli.ok(&["path", "multi"]).trim_end()));
    assert!(seed.bytes_served() < 3 * (32 << 10), "{}", seed.bytes_served());
}

#[test]
fn two_copies_that_lack_different_parts_make_one_whole() {
    let cli = cli();
    multi().write_to(&cli.path("one"));
    multi().write_to(&cli.path("two"));
    fs::remove_file(cli.path("one/tree/a.bin")).unwrap();
    fs::write(cli.path("two/tree/sub/b.bin"), &random_bytes(3, 200_000)[..100_000]).unwrap();
    let run = cli.run(&["import", "--id", "multi", "one", "two"]);
    // The piece that spans both files is complete only in the second copy.
    assert!(run.stderr.contains("multi is incomplete"), "{}", run.stderr);
    assert!(run.stderr.contains("multi: imported"), "{}", run.stderr);
    multi().assert_at(Path::new(cli.ok(&["path", "multi"]).trim_end()));
}

#[test]
fn both_selections_of_one_torrent_are_brought_and_share_their_bytes() {
    let cli = CliFixture::new();
    cli.write("multi.torrent", multi().torrent());
    cli.declare(
        "all.torrent = \"multi.torrent\"\n\
         b = { torrent = \"multi.torrent\", files = [\"sub/*\"] }",
    );
    multi().write_to(&cli.path(""));
    cli.ok(&["import", "tree"]);
    multi().assert_at(Path::new(cli.ok(&["path", "all"]).trim_end()));
    let b = cli.path(cli.ok(&["path", "b"]).trim_end()).join("sub/b.bin");
    assert_eq!(fs::read(&b).unwrap(), random_bytes(3, 200_000));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let file = fs::metadata(&b).unwrap();
        assert_eq!(file.nlink(), 2);
        let own = fs::metadata(cli.path("tree/sub/b.bin")).unwrap();
        assert!((own.dev(), own.ino()) != (file.dev(), file.ino()));
    }
    // With one file of the torrent, at its own path, the piece that spans into `a.bin` is missing.
    let part = CliFixture::new();
    part.write("multi.torrent", multi().torrent());
    part.declare("b = { torrent = \"multi.torrent\", files = [\"sub/*\"] }");
    part.write("tree/sub/b.bin", random_bytes(3, 200_000));
    let run = part.run(&["import", "tree"]);
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("which contains part of it, does not exist"), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn hard_links_are_made_when_asked_and_become_read_only() {
    use std::os::unix::fs::MetadataExt as _;
    let cli = cli();
    multi().write_to(&cli.path(""));
    fs::rename(cli.path("tree/a.bin"), cli.path("a-lies-here")).unwrap();
    std::os::unix::fs::symlink(cli.path("a-lies-here"), cli.path("tree/a.bin")).unwrap();
    let mut page = Page::new("import-link");
    page.show(&cli, &["import", "--hard-link", "tree"]);
    page.compare();
    let path = cli.path(cli.ok(&["path", "multi"]).trim_end());
    multi().assert_at(&path);
    for (here, there) in [("a-lies-here", "a.bin"), ("tree/sub/b.bin", "sub/b.bin")] {
        let (here, there) = (fs::metadata(cli.path(here)).unwrap(), path.join(there));
        let stored = fs::symlink_metadata(&there).unwrap();
        assert!(stored.is_file());
        assert_eq!((here.dev(), here.ino()), (stored.dev(), stored.ino()), "{}", there.display());
        assert!(here.permissions().readonly());
    }
    // A hard-linked file that the user changes no longer matches the stamp. `get` replaces it in
    // the store and leaves the user's file.
    let b = cli.path("tree/sub/b.bin");
    fs::remove_file(cli.path("tree/a.bin")).unwrap();
    let mut changed = fs::read(&b).unwrap();
    changed[0] ^= 1;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&b, mode).unwrap();
    fs::write(&b, &changed).unwrap();
    let seed = WebSeed::serving(&multi());
    cli.write("multi.torrent", multi().url_list([seed.url()]).torrent());
    let path = cli.ok(&["get", "multi.torrent"]);
    multi().assert_at(Path::new(path.trim_end()));
    assert_eq!(fs::read(&b).unwrap(), changed);
}
