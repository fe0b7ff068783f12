//! Symbolic links in torrents (BEP 47).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use academictorrents::{ErrorKind, Verify};

use crate::get::GetFixture;
use crate::support::files::copy;
use crate::support::links::{assert_at, linked};
use crate::swarm::{Dataset, WebSeed};

fn torrent(fixture: &GetFixture, dataset: &Dataset, seed: &WebSeed) -> String {
    let torrent = fixture.path("data.torrent");
    fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    torrent.to_str().unwrap().to_owned()
}

/// Replaces a file.
fn replace(path: &Path, put: impl FnOnce(&Path)) {
    fs::remove_file(path).unwrap();
    put(path);
}

#[test]
fn links_are_created_in_the_store_and_what_changes_them_is_repaired() {
    let (fixture, dataset) = (GetFixture::new(), linked());
    let seed = WebSeed::serving(&dataset);
    let torrent = torrent(&fixture, &dataset, &seed);
    let get = || fixture.ask(&torrent).run().unwrap();
    let path = get();
    assert_at(&dataset, &path);
    assert_eq!(seed.bytes_served(), dataset.stream().len() as u64);
    for link in ["latest", "current"] {
        let asked = |it: &crate::swarm::http::Request| it.target.contains(link);
        assert!(
            !seed.requests().iter().any(asked),
            "a symbolic link was requested from a web seed"
        );
    }
    let latest = "d/e/latest.csv";
    let csv = dataset.files()[0].1.clone();
    let wrong: [&dyn Fn(&Path); 6] = [
        &|_| {},
        &|it| fs::write(it, "").unwrap(),
        &|it| fs::write(it, &csv).unwrap(),
        &|it| symlink("../../v1/test.csv", it).unwrap(),
        &|it| symlink("/etc/passwd", it).unwrap(),
        &|it| symlink("latest.csv", it).unwrap(),
    ];
    for put in wrong {
        replace(&path.join(latest), put);
        assert_eq!(get(), path);
        assert_at(&dataset, &path);
    }
    replace(&path.join("current"), |it| fs::create_dir(it).unwrap());
    get();
    assert_at(&dataset, &path);
    assert_eq!(fixture.ask(&torrent).verify(Verify::Always).run().unwrap(), path);
    assert_at(&dataset, &path);
    // Links cost no bytes.
    assert_eq!(seed.bytes_served(), dataset.stream().len() as u64);
    // Without its stamp, as after copying a store, the data is checked.
    let stamp = path.parent().unwrap().with_file_name("stamp");
    fs::remove_file(&stamp).unwrap();
    replace(&path.join("current"), |it| symlink("d", it).unwrap());
    get();
    assert_at(&dataset, &path);
}

#[test]
fn a_selection_has_the_links_that_it_names() {
    let (fixture, dataset) = (GetFixture::new(), linked());
    let seed = WebSeed::serving(&dataset);
    let torrent = torrent(&fixture, &dataset, &seed);
    let error = fixture.ask(&torrent).files(["d/**"]).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Metainfo);
    let text = error.to_string();
    assert!(text.contains("`d/e/latest.csv`") && text.contains("is not selected"), "{text}");
    assert_eq!(seed.bytes_served(), 0);
    let chosen = ["current", "d/e/latest.csv", "v1/train.csv"];
    let path = fixture.ask(&torrent).files(chosen).run().unwrap();
    assert_eq!(fs::read(path.join("d/e/latest.csv")).unwrap(), dataset.files()[0].1);
    assert_eq!(fs::read(path.join("current/train.csv")).unwrap(), dataset.files()[0].1);
    assert!(!path.join("v1/test.csv").exists());
    let without = fixture.ask(&torrent).files(["v1/*", "d/e/x"]).run().unwrap();
    assert!(fs::symlink_metadata(without.join("current")).is_err());
    // The whole dataset reuses the selection's files.
    let served = seed.bytes_served();
    assert_at(&dataset, &fixture.ask(&torrent).run().unwrap());
    assert_eq!(seed.bytes_served(), served);
}

#[test]
fn links_in_a_directory_of_the_users_replace_nothing_unasked() {
    let (fixture, dataset) = (GetFixture::new(), linked());
    let seed = WebSeed::serving(&dataset);
    let torrent = torrent(&fixture, &dataset, &seed);
    let get = || fixture.ask(&torrent).into(fixture.data()).run();
    let path = get().unwrap();
    assert_at(&dataset, &path);
    let served = seed.bytes_served();
    let latest = path.join("d/e/latest.csv");
    // A link to the same file is kept; an empty file is what other clients create for a link.
    let absolute = path.join("v1/train.csv");
    replace(&latest, |it| symlink(&absolute, it).unwrap());
    get().unwrap();
    assert_eq!(fs::read_link(&latest).unwrap(), absolute);
    for put in [&|_: &Path| {}, &|it: &Path| fs::write(it, "").unwrap()] as [&dyn Fn(&Path); 2] {
        replace(&latest, put);
        get().unwrap();
        assert_at(&dataset, &path);
    }
    let foreign: [&dyn Fn(&Path); 2] =
        [&|it| fs::write(it, "mine").unwrap(), &|it| symlink("x", it).unwrap()];
    for put in foreign {
        replace(&latest, put);
        let before = fs::read(&latest).unwrap();
        let error = get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disk);
        assert!(error.to_string().contains("latest.csv"), "{error}");
        assert_eq!(fs::read(&latest).unwrap(), before);
        fixture.ask(&torrent).into(fixture.data()).overwrite(true).run().unwrap();
        assert_at(&dataset, &path);
    }
    assert_eq!(seed.bytes_served(), served);
    assert!(!fixture.workplace().exists());
}

#[test]
fn a_copy_elsewhere_without_its_links_gives_its_bytes() {
    let (fixture, dataset) = (GetFixture::new(), linked());
    let seed = WebSeed::serving(&dataset);
    let torrent = torrent(&fixture, &dataset, &seed);
    let path = fixture.ask(&torrent).run().unwrap();
    let copies = fixture.path("copies");
    copy(&path, &copies.join("set"));
    let elsewhere = |store: &str| -> PathBuf {
        let ask = fixture.ask(&torrent).env("ACADEMICTORRENTS_STORE", fixture.path(store));
        ask.env("ACADEMICTORRENTS_LOAD_PATH", &copies).offline(true).run().unwrap()
    };
    assert_eq!(elsewhere("first"), copies.join("set"));
    // The copy's stamp detects the changed link.
    let latest = copies.join("set/d/e/latest.csv");
    replace(&latest, |it| fs::write(it, &dataset.files()[0].1).unwrap());
    for store in ["first", "second"] {
        let path = elsewhere(store);
        assert!(path.starts_with(fixture.path(store)), "{path:?}");
        assert_at(&dataset, &path);
    }
}
