//! `cargo academictorrents list`.

use crate::cli_fixture::{CliFixture, Page};
use crate::states::{begun, complete, kept, used};
use crate::swarm::{Dataset, random_bytes};

fn whole() -> Dataset {
    Dataset::single("whole.bin", random_bytes(1, 300_000))
}

#[test]
fn list_shows_what_is_declared_and_what_else_is_in_the_store() {
    let cli = CliFixture::new();
    let half =
        Dataset::multi("half", [("a", random_bytes(2, 100_000)), ("b", random_bytes(3, 200_000))]);
    let orphan = Dataset::single("old name.bin", random_bytes(4, 1_500_000));
    let mut page = Page::new("list");
    // No crate and no store.
    page.show(&cli, &["list"]);
    cli.declare(&format!(
        "whole = \"{}\"\nhalf = {{ infohash = \"{}\", store = \"out-dir\" }}\n\
         test-data = {{ infohash = \"{}\", required-features = [\"extra\"] }}\n",
        whole().infohash_hex(),
        half.infohash_hex(),
        "5".repeat(40),
    ));
    page.show(&cli, &["list"]);
    complete(&cli, &whole());
    kept(&cli, &half);
    begun(&cli, &half.infohash_hex(), 0..4);
    complete(&cli, &orphan);
    begun(&cli, &"6".repeat(40), 0..4);
    used(&cli, "gone/Cargo.toml", &[&orphan.infohash_hex()], 0);
    page.show(&cli, &["list"]);
    page.show(&cli, &["list", "--orphans"]);
    page.show(&cli, &["list", "--no-orphans", "--features", "extra"]);
    page.compare();
}

#[test]
fn list_in_json_has_every_field_of_each_dataset() {
    let cli = CliFixture::new();
    cli.declare(&format!("whole = \"{}\"", whole().infohash_hex()));
    complete(&cli, &whole());
    begun(&cli, &"6".repeat(40), 0..4);
    let mut page = Page::new("list-json");
    page.show(&cli, &["list", "--json", "--no-orphans"]);
    page.compare();
    // The last use is a time, so no page can show it.
    let all: serde_json::Value = serde_json::from_str(&cli.ok(&["list", "--json"])).unwrap();
    let orphan = &all["orphans"][0];
    assert_eq!(all["orphans"].as_array().unwrap().len(), 1);
    assert_eq!((&orphan["id"], &orphan["state"]), (&"6".repeat(40).into(), &"partial".into()));
    assert_eq!((&orphan["use"], &orphan["torrent_name"]), (&"unknown".into(), &().into()));
    assert!(orphan["last_use_unix_seconds"].as_u64().unwrap() > 1_700_000_000);
}

#[test]
fn copies_that_the_environment_names_and_torrents_that_cannot_be_used_are_told() {
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join("renamed"), &**whole().stream()).unwrap();
    let variable = copy.path().join("renamed");
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PATH_WHOLE", variable.to_str().unwrap());
    cli.write("whole.torrent", whole().torrent());
    cli.declare("whole.torrent = \"whole.torrent\"");
    cli.ok(&["fetch"]);
    let printed = cli.ok(&["list"]);
    assert!(printed.contains("complete, from PATH_WHOLE"), "{printed}");
    assert!(printed.contains(variable.to_str().unwrap()), "{printed}");
    let whole = whole().infohash_hex();
    assert!(!printed.contains("not declared here"), "its torrent is no orphan: {printed}");
    let mut page = Page::new("list-wrong");
    cli.write("whole.torrent", b"no torrent");
    page.show(&cli, &["list", "--no-orphans"]);
    page.compare();
    // A torrent's name can contain anything, but must not move the cursor.
    let odd = Dataset::single("old\u{1b}[31m\u{202e}.bin", random_bytes(4, 100_000));
    kept(&cli, &odd);
    let printed = cli.run(&["list", "--orphans"]).stdout;
    assert!(printed.contains(r"old\u{1b}[31m\u{202e}.bin"), "{printed}");
    assert!(printed.contains(&whole) && !printed.contains('\u{1b}'), "{printed}");
}

#[test]
fn what_is_unchecked_comes_with_what_to_do() {
    let cli = CliFixture::new();
    cli.declare(&format!("whole = \"{}\"", whole().infohash_hex()));
    complete(&cli, &whole());
    let hint = "help: the next build hashes unchecked datasets; to hash them now: cargo academictorrents verify --repair\n";
    assert!(!cli.run(&["list"]).stderr.contains(hint));
    std::fs::remove_file(cli.path(&format!("store/v1/data/{}/stamp", whole().infohash_hex())))
        .unwrap();
    let run = cli.run(&["list"]);
    assert!(run.stdout.contains("293.0 KiB  unchecked"), "{}", run.stdout);
    assert!(run.stderr.contains(hint), "{}", run.stderr);
    assert_eq!(cli.run(&["verify", "--repair"]).status, Some(0));
    assert!(cli.ok(&["list"]).contains("complete"));
}

/// A script would mistake a truncated list for the whole.
#[test]
#[cfg(target_os = "linux")]
fn a_result_that_cannot_be_written_is_a_failure() {
    let cli = CliFixture::new();
    complete(&cli, &whole());
    for arguments in [&["list"][..], &["list", "--json"]] {
        let full = std::fs::File::create("/dev/full").unwrap();
        let run = cli.command(arguments).stdout(full).output().unwrap();
        let talk = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1), "{talk}");
        assert!(talk.contains("error: the result could not be written to stdout\n"), "{talk}");
    }
}
