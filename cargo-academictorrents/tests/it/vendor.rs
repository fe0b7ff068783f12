//! `cargo academictorrents vendor`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli_fixture::{CliFixture, Page};
use crate::support::files::{identity, remove};
use crate::support::{build_in, files_below, slashes};
use crate::swarm::http::HttpServer;
use crate::swarm::{Catalogue, Dataset, WebSeed, random_bytes};

/// A dataset whose files share pieces with one another.
fn images() -> Dataset {
    let files = [
        ("train/a.bin", 50_000),
        ("train/b.bin", 20_000),
        ("test/c.bin", 20_000),
        ("test/d.bin", 90_000),
    ];
    let files = files.map(|(path, length)| (path, random_bytes(length as u64, length)));
    Dataset::multi("images", files).piece_length(16 << 10)
}

fn single() -> Dataset {
    Dataset::single("mnist.bin", random_bytes(9, 70_000))
}

fn read(cli: &CliFixture, below: &str) -> String {
    fs::read_to_string(cli.path(below)).unwrap()
}

#[test]
fn vendor_keeps_torrents_in_the_crate_whatever_form_the_entries_have() {
    let (images, single) = (images().announce("http://127.0.0.1:9/a"), single());
    let catalogue = Catalogue::serving(&[&images, &single]);
    let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let (a, b) = (images.infohash_hex(), single.infohash_hex());
    cli.declare(&format!(
        "mnist = \"{b}\" # the digits\nsome = {{ infohash = \"{a}\", files = [\"train/*\"] }}\n\
         link = {{ magnet = \"magnet:?xt=urn:btih:{a}&tr=http://127.0.0.1:9/a&tr=udp://127.0.0.1:9&x.pe=127.0.0.1:9&so=1\" }}\n\
         [package.metadata.academictorrents.table]\n# all of it\ninfohash = \"{a}\""
    ));
    let mut page = Page::new("vendor");
    page.show(&cli, &["vendor", "nobody"]);
    page.show(&cli, &["vendor", "mnist"]);
    page.show(&cli, &["vendor"]);
    let manifest = read(&cli, "Cargo.toml");
    page.show(&cli, &["vendor"]);
    page.show(&cli, &["vendor", "table", "--json"]);
    page.compare();
    assert_eq!(read(&cli, "Cargo.toml"), manifest);
    for name in ["mnist", "some", "link", "table"] {
        let expected = if name == "mnist" { single.torrent() } else { images.torrent() };
        assert_eq!(fs::read(cli.path(&format!("datasets/{name}.torrent"))).unwrap(), expected);
    }
    // A build that has the data from elsewhere requests no torrents.
    let mirror = CliFixture::new();
    images.write_to(&mirror.path("m"));
    single.write_to(&mirror.path("m"));
    let build = build_in(&cli.path("")).env("ACADEMICTORRENTS_STORE", cli.path("other"));
    let build = build.env("ACADEMICTORRENTS_LOAD_PATH", mirror.path("m"));
    let datasets = build.env("ACADEMICTORRENTS_OFFLINE", "1").run().unwrap();
    assert_eq!(datasets.iter().count(), 4);
}

#[test]
fn what_cannot_be_looked_up_is_told_and_the_others_are_kept() {
    let single = single();
    let catalogue = Catalogue::serving(&[&single]);
    let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    cli.declare(&format!("mnist = \"{}\"\nnone = \"{}\"", single.infohash_hex(), "0".repeat(40)));
    let mut page = Page::new("vendor-failed");
    page.show(&cli, &["vendor"]);
    page.show(&cli, &["vendor", "none", "--data", "mirror"]);
    page.compare();
    let manifest = read(&cli, "Cargo.toml");
    assert!(
        manifest.contains("torrent = \"datasets/mnist.torrent\"")
            && manifest.contains("\nnone = \"00")
    );
}

#[test]
fn what_cannot_be_vendored_does_not_hide_what_was_done_for_the_others() {
    let (images, single) = (images(), single());
    let catalogue = Catalogue::serving(&[&images, &single]);
    let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let key = "0123456789abcdef0123456789abcdef";
    let private = single.clone().announce(&format!("http://127.0.0.1:9/a.php?passkey={key}"));
    let members = ["a", "b", "c", "d"];
    cli.write("Cargo.toml", format!("[workspace]\nmembers = {members:?}\nresolver = \"2\"\n"));
    for member in members {
        let manifest = format!(
            "[package]\nname = \"{member}\"\nversion = \"0.1.0\"\n\
             [package.metadata.academictorrents]\nimages = \"{}\"\nmnist = \"{}\"\n\
             own.torrent = \"own.torrent\"\n",
            images.infohash_hex(),
            single.infohash_hex()
        );
        cli.write(&format!("{member}/Cargo.toml"), manifest);
        cli.write(&format!("{member}/src/lib.rs"), "");
        cli.write(&format!("{member}/own.torrent"), private.torrent());
    }
    // One dataset cannot be vendored: this is not a .torrent.
    cli.write("b/datasets/mnist.torrent", "mine");
    // No file can be added: nothing can be created behind a dangling link.
    let before = read(&cli, "d/Cargo.toml");
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere/datasets", cli.path("d/datasets")).unwrap();
    let fails = |package: &str, name: &str| match package {
        "b" => name == "mnist",
        "d" => cfg!(unix) && name != "own",
        _ => false,
    };
    let run = cli.run(&["vendor", "--data", "mirror", "--json"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert_eq!(run.stderr.matches("mnist.torrent already exists").count(), 1, "{}", run.stderr);
    // Of existing files, also where nothing was changed.
    assert_eq!(run.stderr.matches("own.torrent contains a personal").count(), 4, "{}", run.stderr);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["warnings"].as_array().unwrap().len(), 4, "{json}");
    let notes = json["notes"].as_array().unwrap();
    assert!(notes.iter().any(|it| it.as_str().unwrap().contains("removed a personal passkey")));
    let torrents = json["torrents"].as_array().unwrap();
    assert_eq!(torrents.len(), 12, "{json}");
    for torrent in torrents {
        let name = torrent["name"].as_str().unwrap();
        let fails = fails(torrent["package"].as_str().unwrap(), name);
        assert_eq!(torrent["is_new"], !fails && name != "own", "{torrent}");
        assert_eq!(torrent["error"].is_null(), !fails, "{torrent}");
        let dataset = &torrent["error"]["dataset"];
        assert!(dataset.is_null() || dataset == name, "{torrent}");
    }
    let mirrored = json["mirror"]["datasets"].as_array().unwrap();
    assert!(!mirrored.is_empty(), "{json}");
    let mut files = 0;
    for member in members {
        let manifest = read(&cli, &format!("{member}/Cargo.toml"));
        for name in ["images", "mnist"] {
            let is_vendored = !fails(member, name);
            let key = format!("torrent = \"datasets/{name}.torrent\"");
            assert_eq!(manifest.contains(&key), is_vendored, "{manifest}");
            files += usize::from(is_vendored);
        }
        files += usize::from(!fails(member, "all"));
    }
    // The manifests, too.
    assert_eq!(json["files"].as_array().unwrap().len(), files, "{json}");
    if cfg!(unix) {
        assert_eq!(read(&cli, "d/Cargo.toml"), before);
    }
}

/// Only manifests of packages are edited.
#[test]
fn what_a_package_inherits_is_left_to_the_workspace_and_the_others_are_kept() {
    let (images, single) = (images(), single());
    let catalogue = Catalogue::serving(&[&images, &single]);
    let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    cli.declare(&format!(
        "mnist = \"{}\"\nshared.workspace = true\n[workspace.metadata.academictorrents]\nshared = \"{}\"",
        single.infohash_hex(),
        images.infohash_hex()
    ));
    let run = cli.run(&["vendor"]);
    assert_eq!(run.status, Some(1));
    let root = cli.path("Cargo.toml").display().to_string();
    assert!(run.stderr.contains(&format!("{root} declares it")), "{}", run.stderr);
    let manifest = read(&cli, "Cargo.toml");
    assert!(manifest.contains("shared.workspace = true"), "{manifest}");
    assert!(
        manifest.contains("mnist = { infohash = ") || manifest.contains("torrent = "),
        "{manifest}"
    );
    assert!(cli.run(&["list"]).stdout.contains("shared"));
}

#[test]
fn refresh_replaces_what_is_there_by_what_the_catalog_has_now() {
    let (old, new) = (
        single().url_list(["http://127.0.0.1:9/old"]),
        single().url_list(["http://127.0.0.1:9/new"]),
    );
    let catalogue = Catalogue::serving(&[&new]);
    let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    cli.declare("mnist.torrent = \"datasets/mnist.torrent\"");
    let file = cli.path("datasets/mnist.torrent");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, old.torrent()).unwrap();
    cli.ok(&["vendor"]);
    assert_eq!(fs::read(&file).unwrap(), old.torrent());
    assert_eq!(cli.ok(&["vendor", "--refresh"]), "datasets/mnist.torrent\n");
    assert_eq!(fs::read(&file).unwrap(), new.torrent());
    let said = cli.run(&["vendor", "--refresh", "mnist"]);
    assert!(said.stderr.contains("already exists"), "{}", said.stderr);
    // Two datasets may share the file.
    cli.declare("a.torrent = \"datasets/mnist.torrent\"\nb.torrent = \"datasets/mnist.torrent\"");
    fs::write(&file, old.torrent()).unwrap();
    let json = cli.ok(&["vendor", "--refresh", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["files"].as_array().unwrap().len(), 1, "{json}");
    for torrent in json["torrents"].as_array().unwrap() {
        assert_eq!(torrent["is_new"], true, "{json}");
    }
    cli.declare("mnist.torrent = \"datasets/mnist.torrent\"");
    catalogue.fault(crate::swarm::catalogue::Fault::Status(404));
    let said = cli.run(&["vendor", "--refresh", "mnist"]);
    assert!(said.stderr.contains("HTTP status 404"), "{}", said.stderr);
    assert_eq!(fs::read(&file).unwrap(), new.torrent());
}

/// A web server for the files of a directory.
fn serving(directory: PathBuf) -> HttpServer {
    HttpServer::start(move |request, responder| {
        let path = String::from_utf8(request.path()).unwrap();
        let Ok(bytes) = fs::read(directory.join(path.trim_start_matches('/'))) else {
            return responder.status(404);
        };
        let total = bytes.len() as u64;
        match request.range(total) {
            Some(Some((start, end))) => {
                let range = format!("bytes {start}-{}/{total}", end - 1);
                responder.respond(
                    206,
                    &[("content-range", &range)],
                    &bytes[start as usize..end as usize],
                );
            }
            Some(None) => responder.status(416),
            None => responder.respond(200, &[], &bytes),
        }
    })
}

#[test]
fn a_mirror_serves_builds_without_network_and_over_http() {
    let (images, single) = (images(), single());
    let seeds = [WebSeed::serving(&images), WebSeed::serving(&single)];
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    let torrents = [("images", &images, &seeds[0]), ("mnist", &single, &seeds[1])];
    for (name, dataset, seed) in torrents {
        let torrent = dataset.clone().url_list([seed.url()]).torrent();
        cli.write(&format!("{name}.torrent"), torrent);
    }
    // `b.bin` shares pieces with both of its neighbors.
    cli.declare("mnist = { torrent = \"mnist.torrent\" }\nimages = { torrent = \"images.torrent\", files = [\"train/b.bin\"] }");
    let mut page = Page::new("vendor-data");
    page.show(&cli, &["vendor", "--data", "mirror"]);
    page.show(&cli, &["vendor", "--data", "mirror"]);
    page.show(&cli, &["vendor", "mnist", "--data", "mirror", "--json"]);
    page.compare();
    let mut there: Vec<_> = files_below(&cli.path("mirror"))
        .iter()
        .map(|it| slashes(&it.display().to_string()))
        .collect();
    there.sort();
    let (a, b) = (images.infohash_hex(), single.infohash_hex());
    let mut expected =
        vec![format!("{a}.torrent"), format!("{b}.torrent"), format!("{b}/mnist.bin")];
    expected
        .extend(["test/c.bin", "train/a.bin", "train/b.bin"].map(|it| format!("{a}/images/{it}")));
    expected.sort();
    assert_eq!(there, expected);
    drop(seeds);
    let build = |manifest: &CliFixture, mirror: &str, offline: &str| {
        manifest.declare(&format!(
            "mnist = \"{b}\"\nimages = {{ infohash = \"{a}\", files = [\"train/b.bin\"] }}"
        ));
        let build = build_in(&manifest.path("")).env("ACADEMICTORRENTS_MIRRORS", mirror);
        let datasets = build.env("ACADEMICTORRENTS_OFFLINE", offline).run().unwrap();
        single.assert_at(datasets.dataset("mnist").unwrap().path());
        let part = datasets.dataset("images").unwrap().path().join("train/b.bin");
        assert_eq!(fs::read(part).unwrap(), random_bytes(20_000, 20_000));
    };
    let mirror = cli.path("mirror");
    build(&CliFixture::new(), mirror.to_str().unwrap(), "1");
    let server = serving(mirror.clone());
    build(&CliFixture::new(), &server.url(), "0");

    // Damage is detected and repaired from the store, which does not change.
    let damaged = mirror.join(&b).join("mnist.bin");
    remove(&damaged);
    fs::write(&damaged, random_bytes(1, 70_000)).unwrap();
    cli.ok(&["vendor", "--data", "mirror"]);
    assert_eq!(fs::read(&damaged).unwrap(), random_bytes(9, 70_000));
}

#[test]
fn a_mirror_links_what_the_store_has_and_copies_what_is_the_users_own() {
    let single = single();
    let seed = WebSeed::serving(&single);
    let links = |path: &Path| identity(path).1;
    let mirrored = |cli: &CliFixture| {
        cli.write("mnist.torrent", single.clone().url_list([seed.url()]).torrent());
        cli.declare("mnist = { torrent = \"mnist.torrent\" }");
        cli.ok(&["vendor", "--data", "mirror"]);
        cli.path(&format!("mirror/{}/mnist.bin", single.infohash_hex()))
    };
    let cli = CliFixture::new();
    assert_eq!(links(&mirrored(&cli)), 2);
    let own = CliFixture::new();
    single.write_to(&own.path("own"));
    let cli =
        CliFixture::new().env("ACADEMICTORRENTS_PATH_MNIST", own.path("own/mnist.bin").display());
    assert_eq!(links(&mirrored(&cli)), 1);
    assert_eq!(links(&own.path("own/mnist.bin")), 1);
    assert!(!fs::metadata(own.path("own/mnist.bin")).unwrap().permissions().readonly());
}

/// The torrent does not name the link's sources, and a dataset's own key replaces that of `defaults`.
#[test]
fn a_magnet_links_sources_join_those_that_the_manifest_declares() {
    let dataset = Dataset::single("data.bin", random_bytes(9, 40_000));
    let infohash = dataset.infohash_hex();
    let link =
        format!("magnet:?xt=urn:btih:{infohash}&tr=http://127.0.0.1:9/link&x.pe=127.0.0.1:9");
    let cli = CliFixture::new();
    dataset.write_mirror(&cli.path("mirror"));
    cli.declare(&format!(
        "defaults = {{ trackers = [\"http://127.0.0.1:9/all\"], mirrors = [\"mirror\"] }}\n\
         own = {{ magnet = \"{link}\", trackers = [\"http://127.0.0.1:9/own\"], peers = [\"127.0.0.1:9\"] }}\n\
         other = {{ magnet = \"{link}\" }}"
    ));
    cli.ok(&["vendor"]);
    let manifest = std::fs::read_to_string(cli.path("Cargo.toml")).unwrap();
    for line in [
        format!(
            "own = {{ infohash = \"{infohash}\", trackers = [\"http://127.0.0.1:9/own\", \"http://127.0.0.1:9/link\"], \
             peers = [\"127.0.0.1:9\"], torrent = \"datasets/own.torrent\" }}\n"
        ),
        format!(
            "other = {{ infohash = \"{infohash}\", torrent = \"datasets/other.torrent\", \
             trackers = [\"http://127.0.0.1:9/all\", \"http://127.0.0.1:9/link\"], peers = [\"127.0.0.1:9\"] }}\n"
        ),
    ] {
        assert!(manifest.contains(&line), "{line} in {manifest}");
    }
    let add = ["add", &link, "added", "--vendor", "--mirror", "mirror"];
    cli.ok(&add);
    let added = std::fs::read_to_string(cli.path("Cargo.toml")).unwrap();
    let all = "trackers = [\"http://127.0.0.1:9/all\", \"http://127.0.0.1:9/link\"], peers";
    assert!(
        added.lines().any(|line| line.starts_with("added = ") && line.contains(all)),
        "{added}"
    );
}
