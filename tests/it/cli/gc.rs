//! `cargo academictorrents gc`.

use std::fs;

use super::desk::{Desk, Page};
use super::states::{age, aged, begun, complete, kept, used};
use crate::support::files_below;
use crate::swarm::{Dataset, random_bytes};

fn data(seed: u64, name: &str) -> Dataset {
    Dataset::single(name, random_bytes(seed, 300_000))
}

/// A crate at `used/Cargo.toml` that declares this.
fn project(desk: &Desk, datasets: &str) {
    let text = format!(
        "[package]\nname = \"used\"\nversion = \"0.1.0\"\n\n[package.metadata.academictorrents]\n{datasets}\n"
    );
    desk.write("used/Cargo.toml", text);
    desk.write("used/src/lib.rs", "");
}

#[test]
fn gc_removes_what_projects_used_and_use_no_more() {
    let desk = Desk::new();
    let mut page = Page::new("gc");
    page.show(&desk, &["gc"]);
    let datasets = ["used.bin", "dropped.bin", "gone.bin", "unknown.bin"];
    let [kept_one, dropped, gone, unknown] = [0, 1, 2, 3].map(|it| data(it, datasets[it as usize]));
    for dataset in [&kept_one, &dropped, &gone, &unknown] {
        complete(&desk, dataset);
    }
    let ids = [&kept_one, &dropped].map(Dataset::infohash_hex);
    used(&desk, "used/Cargo.toml", &[&ids[0], &ids[1]], 5);
    used(&desk, "gone/Cargo.toml", &[&gone.infohash_hex()], 40);
    aged(&desk, &gone.infohash_hex(), 50);
    aged(&desk, &dropped.infohash_hex(), 50);
    project(&desk, &format!("used = \"{}\"", ids[0]));
    let before = files_below(&desk.store());
    page.show(&desk, &["gc", "--dry-run"]);
    page.show(&desk, &["gc", "--dry-run", "--older-than", "30d"]);
    page.show(&desk, &["gc", "--dry-run", "--all", "--max-size", "600kB"]);
    assert_eq!(files_below(&desk.store()), before);
    page.show(&desk, &["gc"]);
    page.show(&desk, &["gc"]);
    for (dataset, stays) in [(&kept_one, true), (&dropped, false), (&gone, false), (&unknown, true)]
    {
        let infohash = dataset.infohash_hex();
        for place in [format!("data/{infohash}/stamp"), format!("torrents/{infohash}.torrent")] {
            assert_eq!(desk.path(&format!("store/v1/{place}")).exists(), stays, "{place}");
        }
    }
    // Of the project that is gone nothing is left to be known.
    assert_eq!(fs::read_dir(desk.path("store/v1/roots")).unwrap().count(), 1);
    page.show(&desk, &["gc", "--unknown"]);
    page.show(&desk, &["gc", "--max-size", "1kB"]);
    page.show(&desk, &["gc", "--all", "--json", "--dry-run", "--older-than", "100d"]);
    page.show(&desk, &["gc", "--older-than", "soon"]);
    page.show(&desk, &["gc", "--max-size", "much"]);
    page.compare();
    desk.ok(&["gc", "--all"]);
    assert_eq!(fs::read_dir(desk.path("store/v1/data")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(desk.path("store/v1/torrents")).unwrap().count(), 0);
}

#[test]
fn of_two_selections_that_share_bytes_the_used_one_stays_whole() {
    let desk = Desk::new();
    let dataset =
        Dataset::multi("two", [("a", random_bytes(1, 64 << 10)), ("b", random_bytes(2, 64 << 10))]);
    complete(&desk, &dataset);
    let infohash = dataset.infohash_hex();
    project(&desk, &format!("a = {{ infohash = \"{infohash}\", files = [\"a\"] }}"));
    desk.ok(&["fetch", "--manifest-path", "used/Cargo.toml", "--offline"]);
    let ids = || -> Vec<_> {
        let entries = fs::read_dir(desk.path("store/v1/data")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(ids().len(), 2);
    let json = desk.ok(&["gc", "--unknown", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let removed = &json["datasets"][0];
    assert_eq!(
        (&removed["id"], &removed["outcome"]),
        (&infohash.as_str().into(), &"removed".into())
    );
    // What the other selection holds too is not freed.
    #[cfg(unix)]
    assert!(removed["freed_bytes"].as_u64().unwrap() < 80_000, "{removed}");
    assert!(removed["disk_bytes"].as_u64().unwrap() > 128_000, "{removed}");
    let ids = ids();
    assert!(ids.len() == 1 && ids[0].starts_with(&format!("{infohash}-")), "{ids:?}");
    desk.ok(&["fetch", "--manifest-path", "used/Cargo.toml", "--offline"]);
    let path = desk.ok(&["path", "a", "--manifest-path", "used/Cargo.toml"]);
    assert_eq!(fs::read(format!("{}/a", path.trim_end())).unwrap(), random_bytes(1, 64 << 10));
    // The torrent of what is used stays with it.
    assert!(desk.path(&format!("store/v1/torrents/{infohash}.torrent")).exists());
}

#[test]
fn what_is_locked_stays_and_is_told() {
    let desk = Desk::new();
    let (locked, free) = (data(1, "locked.bin"), data(2, "free.bin"));
    kept(&desk, &locked);
    begun(&desk, &locked.infohash_hex(), 0..1);
    begun(&desk, &free.infohash_hex(), 0..1);
    let temporary = format!("store/v1/partial/{}/.tmp-1-1", locked.infohash_hex());
    desk.write(&temporary, b"being copied");
    let lock = desk.write(&format!("store/v1/locks/{}.lock", locked.infohash_hex()), b"");
    let file = fs::File::options().write(true).open(&lock).unwrap();
    file.lock().unwrap();
    for arguments in [&["gc", "--all", "--dry-run"][..], &["gc", "--all"]] {
        let run = desk.run(arguments);
        assert_eq!(run.status, Some(0));
        let said = format!("locked.bin ({}) stays: it is in use", locked.infohash_hex());
        assert!(run.stderr.contains(&said), "{}", run.stderr);
    }
    assert!(desk.path(&temporary).exists());
    let partial = |dataset: &Dataset| {
        desk.path(&format!("store/v1/partial/{}/record", dataset.infohash_hex())).exists()
    };
    assert_eq!((partial(&locked), partial(&free)), (true, false));
    drop(file);
    desk.ok(&["gc", "--all"]);
    assert_eq!((partial(&locked), desk.path(&temporary).exists()), (false, false));
}

/// States in which a gc may have been killed, and what others left.
#[test]
fn the_next_gc_goes_on_where_a_killed_one_stopped_and_a_build_finds_a_valid_store() {
    let desk = Desk::new();
    let (one, two) = (data(1, "one.bin"), data(2, "two.bin"));
    for dataset in [&one, &two] {
        complete(&desk, dataset);
        used(
            &desk,
            &format!("gone-{}/Cargo.toml", dataset.infohash_hex()),
            &[&dataset.infohash_hex()],
            0,
        );
    }
    let v1 = desk.path("store/v1");
    // After the stamp; after the rename, in the midst of removing.
    fs::remove_file(v1.join(format!("data/{}/stamp", one.infohash_hex()))).unwrap();
    fs::rename(v1.join(format!("data/{}", two.infohash_hex())), v1.join("data/.tmp-1-0")).unwrap();
    // A write that is going on, and one that was killed long ago.
    desk.write("store/v1/torrents/.tmp-2-0", b"new");
    age(&desk.write("store/v1/torrents/.tmp-2-1", b"old"), 1);
    // A copy that is gone.
    let stamp =
        format!("academictorrents stamp 1\nplace {}\nend\n", desk.path("no-copy").display());
    let elsewhere = desk.write(&format!("store/v1/elsewhere/{}/0123", one.infohash_hex()), stamp);
    let torrent = desk.path(&format!("mirror/{}.torrent", one.infohash_hex()));
    let torrent = torrent.to_str().unwrap();
    // A build hashes what lies there, and uses it.
    let run = desk.run(&["path", torrent]);
    assert_eq!(run.status, Some(1), "{}", run.stdout);
    one.assert_at(std::path::Path::new(desk.ok(&["get", torrent, "--offline"]).trim_end()));
    desk.ok(&["gc"]);
    for gone in ["data/.tmp-1-0", "torrents/.tmp-2-1"] {
        assert!(!v1.join(gone).exists(), "{gone}");
    }
    assert!(v1.join("torrents/.tmp-2-0").exists() && !elsewhere.parent().unwrap().exists());
    for dataset in [&one, &two] {
        let infohash = dataset.infohash_hex();
        assert!(!v1.join(format!("data/{infohash}")).exists());
        assert!(!v1.join(format!("torrents/{infohash}.torrent")).exists());
    }
    assert_eq!(fs::read_dir(v1.join("roots")).unwrap().count(), 0);
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_what_it_used_and_a_lying_note_reaches_nothing_else() {
    let desk = Desk::new();
    let one = data(1, "one.bin");
    complete(&desk, &one);
    let id = one.infohash_hex();
    used(&desk, "used/Cargo.toml", &[&id], 0);
    desk.write("used/Cargo.toml", b"[package\n");
    let stamp = desk.path(&format!("store/v1/data/{id}/stamp"));
    desk.ok(&["gc"]);
    assert!(stamp.exists());
    // A note with another's name; one of a manifest that is a directory, or without end.
    desk.write(
        "store/v1/roots/0000000000000000",
        format!("academictorrents root 1\nmanifest /no\nid {id}\n"),
    );
    fs::remove_file(desk.path("used/Cargo.toml")).unwrap();
    fs::create_dir(desk.path("used/Cargo.toml")).unwrap();
    desk.ok(&["gc"]);
    assert!(stamp.exists());
    let victim = desk.write("store/v1/victim", b"");
    used(&desk, "gone/Cargo.toml", &["../victim", "..", "", &id[..39]], 0);
    desk.ok(&["gc", "--unknown"]);
    assert!(stamp.exists() && victim.exists());
    fs::remove_dir(desk.path("used/Cargo.toml")).unwrap();
    desk.ok(&["gc"]);
    assert!(!stamp.exists() && victim.exists());
}

/// As in a store that is read-only, and for whoever may write everywhere too: neither locks nor notes can be made.
#[test]
fn what_cannot_be_removed_is_an_error_and_notes_that_cannot_be_written_are_none() {
    let desk = Desk::new();
    let one = data(1, "one.bin");
    complete(&desk, &one);
    desk.declare(&format!("one = \"{}\"", one.infohash_hex()));
    let v1 = desk.path("store/v1");
    fs::remove_dir_all(v1.join("locks")).unwrap();
    fs::write(v1.join("locks"), b"").unwrap();
    fs::write(v1.join("roots"), b"").unwrap();
    desk.ok(&["fetch"]);
    let gc = desk.run(&["gc", "--all"]);
    assert_eq!(gc.status, Some(1));
    let begin = format!("error: could not lock {}", v1.join("locks").display());
    assert!(gc.stderr.starts_with(&begin), "{}", gc.stderr);
    let json = desk.run(&["gc", "--all", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["datasets"][0]["outcome"], "failed");
    assert_eq!(json["datasets"][0]["error"]["kind"], "disk");
    assert!(v1.join(format!("data/{}/stamp", one.infohash_hex())).exists());
}
