//! How the commands treat unpacked datasets.

use std::path::Path;

use crate::cli_fixture::{CliFixture, Page};
use crate::support::files::damage_unseen;
use crate::swarm::{Dataset, WebSeed};

pub fn archive() -> Dataset {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in [("top/a", "one"), ("top/d/b.csv", "1,2")] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    Dataset::single("lab.tar", archive.into_inner().unwrap())
}

#[test]
fn an_unpacked_dataset_is_listed_verified_repaired_and_removed() {
    let dataset = archive();
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    let seed = WebSeed::serving(&dataset);
    cli.write("lab.torrent", dataset.clone().url_list([seed.url()]).torrent());
    cli.declare("lab = { torrent = \"lab.torrent\", unpack = { strip = 1 } }");
    let mut page = Page::new("unpacking");
    page.show(&cli, &["fetch"]);
    let path = cli.ok(&["path", "lab"]);
    let path = Path::new(path.trim_end());
    assert_eq!(std::fs::read(path.join("d/b.csv")).unwrap(), b"1,2");
    let fetched = seed.requests().len();
    page.show(&cli, &["list"]);
    page.show(&cli, &["verify"]);
    damage_unseen(&path.join("a"), 1);
    page.show(&cli, &["verify"]);
    page.show(&cli, &["list"]);
    page.show(&cli, &["verify", "--repair"]);
    assert_eq!(std::fs::read(path.join("a")).unwrap(), b"one");
    damage_unseen(&path.join("a"), 1);
    page.show(&cli, &["verify", "--repair"]);
    assert_eq!(std::fs::read(path.join("a")).unwrap(), b"one");
    assert_eq!(seed.requests().len(), fetched, "the archive was enough");
    page.show(&cli, &["gc", "--dry-run"]);
    // From here on, the project declares only the archive.
    cli.declare("lab = { torrent = \"lab.torrent\" }");
    page.show(&cli, &["list"]);
    page.show(&cli, &["gc"]);
    assert!(!path.exists());
    cli.declare("");
    page.show(&cli, &["gc"]);
    page.compare();
}

/// Without the torrent, the dataset itself cannot be verified.
#[test]
fn a_damaged_tree_is_not_complete_even_if_its_dataset_cannot_be_verified() {
    let (dataset, cli) = (archive(), CliFixture::new());
    let seed = WebSeed::serving(&dataset);
    cli.write("lab.torrent", dataset.clone().url_list([seed.url()]).torrent());
    cli.declare("lab = { torrent = \"lab.torrent\", unpack = true }");
    cli.ok(&["fetch"]);
    let path = cli.ok(&["path", "lab"]);
    let infohash = dataset.infohash_hex();
    cli.declare(&format!("lab = {{ infohash = \"{infohash}\", unpack = true }}"));
    assert_eq!(cli.ok(&["path", "lab"]), path);
    std::fs::remove_file(cli.store().join(format!("v1/torrents/{infohash}.torrent"))).unwrap();
    damage_unseen(&Path::new(path.trim_end()).join("top/a"), 1);
    let run = cli.run(&["--offline", "verify"]);
    assert!(run.status == Some(1) && run.stdout.contains("failed"), "{}", run.stdout);
    assert_eq!(cli.run(&["--offline", "path", "lab"]).status, Some(1));
}

#[test]
fn the_tree_of_a_damaged_dataset_is_not_another() {
    let archive = archive().stream().to_vec();
    let dataset = Dataset::multi("lab", [("README", b"read me".to_vec()), ("lab.tar", archive)]);
    let cli = CliFixture::new();
    let seed = WebSeed::serving(&dataset);
    cli.write("lab.torrent", dataset.clone().url_list([seed.folder_url()]).torrent());
    let lab = "lab = { torrent = \"lab.torrent\", unpack = true }";
    let readme = "readme = { torrent = \"lab.torrent\", files = [\"README\"] }";
    for (datasets, others) in [
        (lab.to_owned(), ""),
        (
            format!("{lab}\n{readme}"),
            ", nor does 1 other selection or unpacked tree that shares its files",
        ),
    ] {
        cli.declare(&datasets);
        cli.ok(&["fetch"]);
        let path = cli.ok(&["path", "lab"]);
        damage_unseen(&Path::new(path.trim_end()).join("README"), 1);
        let stderr = cli.run(&["verify", "lab"]).stderr;
        assert!(
            stderr.contains(&format!("`lab` no longer counts as complete{others}\n")),
            "{stderr}"
        );
        cli.ok(&["verify", "--repair"]);
    }
}

#[test]
fn get_and_add_take_what_is_to_be_unpacked() {
    let dataset = archive();
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    let seed = WebSeed::serving(&dataset);
    cli.write("lab.torrent", dataset.clone().url_list([seed.url()]).torrent());
    cli.declare("");
    let path = cli.ok(&["get", "lab.torrent", "--unpack", "--members", "**/*.csv"]);
    let path = Path::new(path.trim_end());
    assert!(path.join("top/d/b.csv").exists() && !path.join("top/a").exists());
    let into = cli.path("into");
    let path = cli.ok(&[
        "get",
        "lab.torrent",
        "--unpack",
        "--strip",
        "1",
        "--into",
        into.to_str().unwrap(),
    ]);
    assert_eq!(Path::new(path.trim_end()), into.join("lab"));
    assert_eq!(std::fs::read(into.join("lab/a")).unwrap(), b"one");
    assert_ne!(cli.run(&["get", "lab.torrent", "--members", "x"]).status, Some(0));
    let added = cli.ok(&["add", "lab.torrent", "lab", "--dry-run", "--unpack", "--strip", "1"]);
    assert!(added.contains("unpack = { strip = 1 }"), "{added}");
    assert!(added.contains("features = [\"unpack\"]"), "{added}");
}

#[test]
fn what_is_imported_or_vendored_is_unpacked_without_a_network() {
    let dataset = archive();
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    cli.write("lab.torrent", dataset.torrent());
    cli.declare("lab = { torrent = \"lab.torrent\", unpack = { strip = 1 } }");
    let content = dataset.stream().to_vec();
    std::fs::create_dir(cli.path("downloads")).unwrap();
    std::fs::write(cli.path("downloads/lab.tar"), content).unwrap();
    // To identify an archive, `import` needs only its name and hashes.
    let imported = cli.ok(&["import", cli.path("downloads/lab.tar").to_str().unwrap()]);
    assert!(imported.contains("lab"), "{imported}");
    cli.ok(&["--offline", "fetch"]);
    let tree = cli.ok(&["path", "lab"]);
    assert_eq!(std::fs::read(Path::new(tree.trim_end()).join("d/b.csv")).unwrap(), b"1,2");

    // `vendor` copies the archive, so that another machine can unpack it with other options.
    cli.ok(&["vendor", "--data", "data"]);
    let other = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    other.write("lab.torrent", dataset.torrent());
    other.declare("lab = { torrent = \"lab.torrent\", unpack = true }");
    let other = other.env("ACADEMICTORRENTS_MIRRORS", cli.path("data").to_str().unwrap());
    other.ok(&["--offline", "fetch"]);
    let tree = other.ok(&["path", "lab"]);
    assert_eq!(std::fs::read(Path::new(tree.trim_end()).join("top/a")).unwrap(), b"one");
}
