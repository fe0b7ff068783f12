//! Symbolic links of a torrent, in all commands.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli_fixture::CliFixture;
use crate::support::files::copy;
use crate::support::links::{assert_at, linked};
use crate::swarm::WebSeed;

/// A CLI with the torrent, declared as `set`, and its web seed.
fn cli() -> (CliFixture, WebSeed) {
    let (cli, dataset) = (CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off"), linked());
    let seed = WebSeed::serving(&dataset);
    cli.write("set.torrent", dataset.url_list([seed.url()]).torrent());
    cli.declare("set = { torrent = \"set.torrent\" }");
    (cli, seed)
}

fn json(cli: &CliFixture, arguments: &[&str]) -> Value {
    serde_json::from_str(&cli.run(arguments).stdout).unwrap()
}

/// Replaces a link.
fn replace(link: &Path, text: &str) {
    fs::remove_file(link).unwrap();
    std::os::unix::fs::symlink(text, link).unwrap();
}

#[test]
fn info_says_where_links_lead() {
    let (cli, _seed) = cli();
    let info = json(&cli, &["info", "set.torrent", "--json"]);
    let files = info["files"].as_array().unwrap().iter();
    let links = files.filter_map(|file| {
        let target = file.get("link_target")?;
        Some((file["path"].clone(), file["size_bytes"].clone(), target.clone()))
    });
    let links: Vec<_> = links.collect();
    let link = |path, target| (json!(path), json!(0), json!(target));
    assert_eq!(links, [link("d/e/latest.csv", "current/train.csv"), link("current", "v1")]);
    let text = cli.ok(&["info", "set.torrent"]);
    assert!(text.contains("current/train.csv"), "{text}");
}

#[test]
fn verify_names_links_that_lead_elsewhere_or_are_gone_and_repair_makes_them_anew() {
    let (cli, seed) = cli();
    cli.ok(&["fetch"]);
    let root = cli.path(cli.ok(&["path", "set"]).trim_end());
    assert_at(&linked(), &root);
    cli.ok(&["verify"]);
    replace(&root.join("d/e/latest.csv"), "../../v1/test.csv");
    fs::remove_file(root.join("current")).unwrap();
    let found = cli.run(&["verify", "--json"]);
    assert_eq!(found.status, Some(1));
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    let faults = found["datasets"][0]["faults"].as_array().unwrap();
    let faults: Vec<_> = faults.iter().map(|it| (&it["file"], &it["kind"])).collect();
    let [latest, current] = [json!("d/e/latest.csv"), json!("current")];
    assert_eq!(faults, [(&latest, &json!("link")), (&current, &json!("missing"))]);
    let served = seed.bytes_served();
    cli.ok(&["verify", "--repair"]);
    assert_at(&linked(), &root);
    assert_eq!(seed.bytes_served(), served);
}

#[test]
fn import_makes_links_whatever_the_copy_has_in_their_place() {
    let put: [&dyn Fn(&Path); 3] =
        [&|_| {}, &|copy| fs::remove_file(copy.join("current")).unwrap(), &|copy| {
            replace(&copy.join("d/e/latest.csv"), "../../v1/test.csv");
            replace(&copy.join("current"), "/etc");
        }];
    let (from, _seed) = cli();
    from.ok(&["fetch"]);
    let root = from.path(from.ok(&["path", "set"]).trim_end());
    for put in put {
        for arguments in [&["import", "copy"][..], &["import", "--hard-link", "copy"]] {
            let (cli, seed) = cli();
            copy(&root, &cli.path("copy"));
            put(&cli.path("copy"));
            let before = fs::read_link(cli.path("copy/d/e/latest.csv")).unwrap();
            cli.ok(arguments);
            assert_at(&linked(), &cli.path(cli.ok(&["path", "set"]).trim_end()));
            assert_eq!(fs::read_link(cli.path("copy/d/e/latest.csv")).unwrap(), before);
            assert_eq!(seed.bytes_served(), 0);
        }
    }
}

#[test]
fn a_mirror_has_the_links_and_builds_take_them_from_it() {
    let (cli, seed) = cli();
    cli.ok(&["vendor", "--data", "mirror"]);
    let mirror = cli.path("mirror").join(linked().infohash_hex()).join("set");
    assert_at(&linked(), &mirror);
    replace(&mirror.join("d/e/latest.csv"), "/etc/passwd");
    cli.ok(&["vendor", "--data", "mirror"]);
    assert_at(&linked(), &mirror);
    let served = seed.bytes_served();
    let other = CliFixture::new()
        .env("ACADEMICTORRENTS_PROGRESS", "off")
        .env("ACADEMICTORRENTS_MIRRORS", cli.path("mirror").display())
        .env("ACADEMICTORRENTS_OFFLINE", "1");
    other.declare(&format!("set = \"{}\"", linked().infohash_hex()));
    other.ok(&["fetch"]);
    assert_at(&linked(), &other.path(other.ok(&["path", "set"]).trim_end()));
    assert_eq!(seed.bytes_served(), served);
}
