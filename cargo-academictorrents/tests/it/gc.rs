//! `cargo academictorrents gc`.

use std::collections::BTreeSet;
use std::fs;

use crate::cli_fixture::{CliFixture, Page};
use crate::states::{age, aged, begun, complete, kept, used};
use crate::support::files_below;
use crate::swarm::{Dataset, random_bytes};

fn data(seed: u64, name: &str) -> Dataset {
    Dataset::single(name, random_bytes(seed, 300_000))
}

/// A crate at `used/Cargo.toml` that declares these datasets.
fn project(cli: &CliFixture, datasets: &str) {
    let text = format!(
        "[package]\nname = \"used\"\nversion = \"0.1.0\"\n\n[package.metadata.academictorrents]\n{datasets}\n"
    );
    cli.write("used/Cargo.toml", text);
    cli.write("used/src/lib.rs", "");
}

#[test]
fn gc_removes_what_projects_used_and_use_no_more() {
    let cli = CliFixture::new();
    let mut page = Page::new("gc");
    page.show(&cli, &["gc"]);
    let datasets = ["used.bin", "dropped.bin", "gone.bin", "unknown.bin"];
    let [kept_one, dropped, gone, unknown] = [0, 1, 2, 3].map(|it| data(it, datasets[it as usize]));
    for dataset in [&kept_one, &dropped, &gone, &unknown] {
        complete(&cli, dataset);
    }
    let ids = [&kept_one, &dropped].map(Dataset::infohash_hex);
    used(&cli, "used/Cargo.toml", &[&ids[0], &ids[1]], 5);
    used(&cli, "gone/Cargo.toml", &[&gone.infohash_hex()], 40);
    aged(&cli, &gone.infohash_hex(), 50);
    aged(&cli, &dropped.infohash_hex(), 50);
    project(&cli, &format!("used = \"{}\"", ids[0]));
    let before = files_below(&cli.store());
    page.show(&cli, &["gc", "--dry-run"]);
    page.show(&cli, &["gc", "--dry-run", "--older-than", "30d"]);
    page.show(&cli, &["gc", "--dry-run", "--all", "--max-size", "600kB"]);
    assert_eq!(files_below(&cli.store()), before);
    page.show(&cli, &["gc"]);
    page.show(&cli, &["gc"]);
    for (dataset, stays) in [(&kept_one, true), (&dropped, false), (&gone, false), (&unknown, true)]
    {
        let infohash = dataset.infohash_hex();
        for place in [format!("data/{infohash}/stamp"), format!("torrents/{infohash}.torrent")] {
            assert_eq!(cli.path(&format!("store/v1/{place}")).exists(), stays, "{place}");
        }
    }
    // The record of the deleted project is removed.
    assert_eq!(fs::read_dir(cli.path("store/v1/roots")).unwrap().count(), 1);
    page.show(&cli, &["gc", "--unknown"]);
    page.show(&cli, &["gc", "--max-size", "1kB"]);
    page.show(&cli, &["gc", "--all", "--json", "--dry-run", "--older-than", "100d"]);
    page.show(&cli, &["gc", "--older-than", "soon"]);
    page.show(&cli, &["gc", "--max-size", "much"]);
    page.compare();
    cli.ok(&["gc", "--all"]);
    assert_eq!(fs::read_dir(cli.path("store/v1/data")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(cli.path("store/v1/torrents")).unwrap().count(), 0);
}

#[test]
fn of_two_selections_that_share_bytes_the_used_one_stays_whole() {
    let cli = CliFixture::new();
    let dataset =
        Dataset::multi("two", [("a", random_bytes(1, 64 << 10)), ("b", random_bytes(2, 64 << 10))]);
    complete(&cli, &dataset);
    let infohash = dataset.infohash_hex();
    project(&cli, &format!("a = {{ infohash = \"{infohash}\", files = [\"a\"] }}"));
    cli.ok(&["fetch", "--manifest-path", "used/Cargo.toml", "--offline"]);
    let ids = || -> Vec<_> {
        let entries = fs::read_dir(cli.path("store/v1/data")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(ids().len(), 2);
    let json = cli.ok(&["gc", "--unknown", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let removed = &json["datasets"][0];
    assert_eq!(
        (&removed["id"], &removed["outcome"]),
        (&infohash.as_str().into(), &"removed".into())
    );
    // Files that another selection links to free no space.
    #[cfg(unix)]
    assert!(removed["freed_bytes"].as_u64().unwrap() < 80_000, "{removed}");
    assert!(removed["disk_bytes"].as_u64().unwrap() > 128_000, "{removed}");
    let ids = ids();
    assert!(ids.len() == 1 && ids[0].starts_with(&format!("{infohash}-")), "{ids:?}");
    cli.ok(&["fetch", "--manifest-path", "used/Cargo.toml", "--offline"]);
    let path = cli.ok(&["path", "a", "--manifest-path", "used/Cargo.toml"]);
    assert_eq!(fs::read(format!("{}/a", path.trim_end())).unwrap(), random_bytes(1, 64 << 10));
    // The torrent of a used dataset is kept.
    assert!(cli.path(&format!("store/v1/torrents/{infohash}.torrent")).exists());
}

#[test]
fn a_dry_run_counts_the_bytes_that_the_real_run_frees() {
    let cli = CliFixture::new();
    let dataset =
        Dataset::multi("two", [("a", random_bytes(1, 64 << 10)), ("b", random_bytes(2, 64 << 10))]);
    complete(&cli, &dataset);
    complete(&cli, &data(3, "other.bin"));
    begun(&cli, &data(4, "partial.bin").infohash_hex(), 0..1);
    let infohash = dataset.infohash_hex();
    project(&cli, &format!("a = {{ infohash = \"{infohash}\", files = [\"a\"] }}"));
    cli.ok(&["fetch", "--manifest-path", "used/Cargo.toml", "--offline"]);
    let json = |arguments: &[&str]| -> serde_json::Value {
        let arguments = [&["gc", "--json"], arguments].concat();
        serde_json::from_str(&cli.ok(&arguments)).unwrap()
    };
    for flag in ["--unknown", "--all"] {
        let (dry, real) = (json(&[flag, "--dry-run"]), json(&[flag]));
        assert_eq!(dry["freed_bytes"], real["freed_bytes"], "{dry}\n{real}");
        let freed = |json: &serde_json::Value| -> Vec<_> {
            let datasets = json["datasets"].as_array().unwrap();
            datasets.iter().map(|it| (it["id"].clone(), it["freed_bytes"].clone())).collect()
        };
        assert_eq!(freed(&dry), freed(&real));
    }
    assert_eq!(fs::read_dir(cli.path("store/v1/torrents")).unwrap().count(), 0);
}

/// Leftovers in datasets that are removed, too, and leftovers that kept a `.torrent`.
#[test]
fn a_dry_run_counts_leftovers_as_the_real_run_does() {
    let cli = CliFixture::new();
    let datasets = [1, 2, 3, 4].map(|seed| data(seed, &format!("{seed}.bin")));
    let [id, copied, emptied, begun_id] = datasets.each_ref().map(Dataset::infohash_hex);
    for dataset in &datasets[..3] {
        complete(&cli, dataset);
    }
    begun(&cli, &begun_id, 0..1);
    let v1 = cli.path("store/v1");
    let write = |path: &str| cli.write(&format!("store/v1/{path}"), [1; 10_000]);
    // In the directories of datasets.
    write(&format!("data/{id}/.tmp-1"));
    write(&format!("data/{id}/.tmp-2/a"));
    write(&format!("data/{id}/stamp.old"));
    fs::hard_link(v1.join(format!("data/{id}/files/1.bin")), v1.join(format!("data/{id}/.tmp-3")))
        .unwrap();
    write(&format!("partial/{begun_id}/.tmp-4"));
    // Datasets that were set aside, and what is left of others.
    write("data/.tmp-5/files/a");
    write("partial/.tmp-6/record");
    write(&format!("partial/{id}/record"));
    // Not removed: Windows refuses that for read-only files.
    fs::rename(v1.join(format!("data/{emptied}")), cli.path("emptied")).unwrap();
    write(&format!("data/{emptied}/.tmp-7"));
    fs::create_dir(v1.join(format!("data/{}", "0".repeat(40)))).unwrap();
    // Copies that no longer exist; files that were written without a lock.
    let gone = format!("academictorrents stamp 1\nplace {}\nend\n", v1.join("gone").display());
    for name in ["0123", "4567"] {
        cli.write(&format!("store/v1/elsewhere/{copied}/{name}"), &gone);
    }
    for path in [format!("elsewhere/{copied}/.tmp-8"), "torrents/.tmp-9".to_owned()] {
        age(&write(&path), 1);
    }
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&cli.ok(&[&["gc", "--json", "--all"], arguments].concat())).unwrap()
    };
    let (dry, real) = (json(&["--dry-run"]), json(&[]));
    for (list, name) in [("datasets", "id"), ("leftovers", "path")] {
        // Removing leftovers changes the order of datasets: their directories have other times.
        let freed = |json: &serde_json::Value| -> BTreeSet<_> {
            let all = json[list].as_array().unwrap();
            all.iter().map(|it| format!("{} {}", it[name], it["freed_bytes"])).collect()
        };
        assert_eq!(freed(&dry), freed(&real), "{dry}");
    }
    assert_eq!(dry["freed_bytes"], real["freed_bytes"], "{dry}\n{real}");
    assert_eq!((&dry["held_bytes"], &real["held_bytes"]), (&0.into(), &0.into()));
    assert_eq!(real["leftovers"].as_array().unwrap().len(), 14);
    assert_eq!(fs::read_dir(v1.join("torrents")).unwrap().count(), 0);
}

/// Removing leftovers is not a use of the dataset that they are in.
#[test]
fn a_dataset_that_had_leftovers_is_as_old_as_before() {
    let cli = CliFixture::new();
    let dataset = data(1, "old.bin");
    complete(&cli, &dataset);
    let id = dataset.infohash_hex();
    let leftover = cli.write(&format!("store/v1/data/{id}/.tmp-1/a"), b"left");
    aged(&cli, &id, 50);
    cli.ok(&["gc"]);
    assert!(!leftover.exists());
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&cli.ok(&[&["gc", "--json", "--all"], arguments].concat())).unwrap()
    };
    let datasets = |json: serde_json::Value| json["datasets"].as_array().unwrap().len();
    assert_eq!(datasets(json(&["--dry-run", "--older-than", "30d"])), 1);
    // The dry run and the real one agree if the leftovers are removed in the same run.
    cli.write(&format!("store/v1/data/{id}/stamp.old"), b"left");
    aged(&cli, &id, 50);
    assert_eq!(datasets(json(&["--dry-run", "--older-than", "30d"])), 1);
    assert_eq!(datasets(json(&["--older-than", "30d"])), 1);
    assert!(!cli.path(&format!("store/v1/data/{id}")).exists());
}

#[test]
fn what_is_locked_stays_and_is_told() {
    let cli = CliFixture::new();
    let (locked, free) = (data(1, "locked.bin"), data(2, "free.bin"));
    kept(&cli, &locked);
    begun(&cli, &locked.infohash_hex(), 0..1);
    begun(&cli, &free.infohash_hex(), 0..1);
    let temporary = format!("store/v1/partial/{}/.tmp-1-1", locked.infohash_hex());
    cli.write(&temporary, b"being copied");
    let lock = cli.write(&format!("store/v1/locks/{}.lock", locked.infohash_hex()), b"");
    let file = fs::File::options().write(true).open(&lock).unwrap();
    file.lock().unwrap();
    for arguments in [&["gc", "--all", "--dry-run"][..], &["gc", "--all"]] {
        let run = cli.run(arguments);
        assert_eq!(run.status, Some(0));
        let said = format!("locked.bin ({}) is in use", locked.infohash_hex());
        assert!(run.stderr.contains(&said), "{}", run.stderr);
    }
    assert!(cli.path(&temporary).exists());
    let partial = |dataset: &Dataset| {
        cli.path(&format!("store/v1/partial/{}/record", dataset.infohash_hex())).exists()
    };
    assert_eq!((partial(&locked), partial(&free)), (true, false));
    // Closing it is not enough on Unix: a process that another test starts may have a copy for a moment.
    if cfg!(unix) {
        file.unlock().unwrap();
    }
    drop(file);
    cli.ok(&["gc", "--all"]);
    assert_eq!((partial(&locked), cli.path(&temporary).exists()), (false, false));
}

/// States in which `gc` may have been killed, and leftovers of other processes.
#[test]
fn the_next_gc_goes_on_where_a_killed_one_stopped_and_a_build_finds_a_valid_store() {
    let cli = CliFixture::new();
    let (one, two) = (data(1, "one.bin"), data(2, "two.bin"));
    for dataset in [&one, &two] {
        complete(&cli, dataset);
        used(
            &cli,
            &format!("gone-{}/Cargo.toml", dataset.infohash_hex()),
            &[&dataset.infohash_hex()],
            0,
        );
    }
    let v1 = cli.path("store/v1");
    // Killed after it removed the stamp; and after the rename, while it removed files.
    fs::remove_file(v1.join(format!("data/{}/stamp", one.infohash_hex()))).unwrap();
    fs::rename(v1.join(format!("data/{}", two.infohash_hex())), v1.join("data/.tmp-1-0")).unwrap();
    // A write that may be in progress, and one that was killed long ago.
    cli.write("store/v1/torrents/.tmp-2-0", b"new");
    age(&cli.write("store/v1/torrents/.tmp-2-1", b"old"), 1);
    // The stamp of a copy that no longer exists.
    let stamp = format!("academictorrents stamp 1\nplace {}\nend\n", cli.path("no-copy").display());
    let elsewhere = cli.write(&format!("store/v1/elsewhere/{}/0123", one.infohash_hex()), stamp);
    let torrent = cli.path(&format!("mirror/{}.torrent", one.infohash_hex()));
    let torrent = torrent.to_str().unwrap();
    // A build hashes the data on disk and uses it.
    let run = cli.run(&["path", torrent]);
    assert_eq!(run.status, Some(1), "{}", run.stdout);
    one.assert_at(std::path::Path::new(cli.ok(&["get", torrent, "--offline"]).trim_end()));
    cli.ok(&["gc"]);
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

/// Each kind of leftover of a killed process, beside files that only look like leftovers.
#[test]
fn doctor_counts_exactly_the_leftovers_that_gc_removes() {
    let cli = CliFixture::new();
    let (one, two, three) = (data(1, "one.bin"), data(2, "two.bin"), data(3, "three.bin"));
    let [id, begun_id, locked_id] = [&one, &two, &three].map(Dataset::infohash_hex);
    complete(&cli, &one);
    cli.declare(&format!("one = \"{id}\"\ntwo = \"{begun_id}\"\nthree = \"{locked_id}\""));
    used(&cli, "Cargo.toml", &[&id, &begun_id, &locked_id], 0);
    [&begun_id, &locked_id].into_iter().for_each(|id| drop(begun(&cli, id, 0..1)));
    let v1 = cli.path("store/v1");
    let write = |path: &str| cli.write(&format!("store/v1/{path}"), b"left");
    let empty = |path: &str| {
        fs::create_dir_all(v1.join(path)).unwrap();
        v1.join(path)
    };
    let copy = |place: &std::path::Path| {
        format!("academictorrents stamp 1\nplace {}\nend\n", place.display())
    };
    let gone = "0".repeat(40);
    let old = [
        // Temporary files beside their destination: `CACHEDIR.TAG`, a .torrent or its origin, a
        // root, a catalog entry.
        write(".tmp-0"),
        write("torrents/.tmp-1"),
        write("roots/.tmp-2"),
        write("catalogue/0123/.tmp-3"),
        // A file of `doctor`'s test of the store; an origin whose .torrent is gone; directories
        // that were created for a file.
        empty(".tmp-4"),
        write(&format!("torrents/{gone}.origin")),
        empty("catalogue/4567"),
        empty(&format!("elsewhere/{gone}")),
        write(&format!("elsewhere/{id}/.tmp-5")),
    ];
    let mut expected: Vec<_> = old.iter().map(|path| (age(path, 1), path.clone()).1).collect();
    expected.extend([
        // Datasets that were set aside.
        write("data/.tmp-6/files/a").parent().unwrap().parent().unwrap().to_owned(),
        write("partial/.tmp-7/record").parent().unwrap().to_owned(),
        // A stamp, a record, a copy of a file, a copy of a dataset; data that was set aside.
        write(&format!("data/{id}/.tmp-8")),
        write(&format!("partial/{begun_id}/.tmp-9")),
        write(&format!("data/{id}/.tmp-a/a")).parent().unwrap().to_owned(),
        // After the stamp was written; before the data was renamed; a copy that no longer exists.
        write(&format!("data/{id}/stamp.old")),
        write(&format!("partial/{id}/record")).parent().unwrap().to_owned(),
        empty(&format!("data/{gone}")),
        cli.write(&format!("store/v1/elsewhere/{begun_id}/0123"), copy(&v1.join("gone"))),
    ]);
    expected.push(write("data/.TMP-B"));
    for sealed in [format!("data/{id}/.tmp-8"), format!("data/{id}/.tmp-a/a")] {
        let path = v1.join(sealed);
        let mut permissions = fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(path, permissions).unwrap();
    }
    expected.sort();
    let stay = [
        write("torrents/.tmp-new"),
        write("roots/.tmp-new"),
        write(&format!("partial/{locked_id}/.tmp-in-use")),
        write(&format!("locks/{gone}.lock")),
        write("locks/progress-pts-1.lock"),
        cli.write(&format!("store/v1/elsewhere/{id}/4567"), copy(&v1)),
        v1.join(format!("partial/{begun_id}/record")),
        v1.join(format!("data/{id}/stamp")),
    ];
    let lock = fs::File::create(v1.join(format!("locks/{locked_id}.lock"))).unwrap();
    lock.lock().unwrap();
    let doctor = || {
        let said = cli.run(&["doctor", "--offline"]).stdout;
        let count = said.split_once("leftovers of killed processes: ").map(|(_, rest)| rest);
        count.map_or(0, |rest| rest.lines().next().unwrap().parse::<usize>().unwrap())
    };
    let gc = |arguments: &[&str], outcome: &str| {
        let json: serde_json::Value = serde_json::from_str(&cli.ok(arguments)).unwrap();
        assert_eq!(json["datasets"].as_array().unwrap().len(), 0, "{json}");
        let leftovers = json["leftovers"].as_array().unwrap();
        let path = |it: &serde_json::Value| {
            assert_eq!(it["outcome"], outcome, "{it}");
            std::path::PathBuf::from(it["path"].as_str().unwrap())
        };
        leftovers.iter().map(path).collect::<Vec<_>>()
    };
    assert_eq!(gc(&["gc", "--json", "--dry-run"], "would-remove"), expected);
    assert_eq!(doctor(), expected.len());
    assert_eq!(gc(&["gc", "--json"], "removed"), expected);
    assert_eq!(expected.iter().find(|path| path.exists()), None);
    assert_eq!(stay.iter().find(|path| !path.exists()), None);
    assert_eq!((doctor(), gc(&["gc", "--json"], "")), (0, Vec::new()));
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_what_it_used_and_a_lying_note_reaches_nothing_else() {
    let cli = CliFixture::new();
    let one = data(1, "one.bin");
    complete(&cli, &one);
    let id = one.infohash_hex();
    used(&cli, "used/Cargo.toml", &[&id], 0);
    cli.write("used/Cargo.toml", b"[package\n");
    let stamp = cli.path(&format!("store/v1/data/{id}/stamp"));
    cli.ok(&["gc"]);
    assert!(stamp.exists());
    // A record under another name; records of a manifest that is a directory.
    cli.write(
        "store/v1/roots/0000000000000000",
        format!("academictorrents root 1\nmanifest /no\nid {id}\n"),
    );
    fs::remove_file(cli.path("used/Cargo.toml")).unwrap();
    fs::create_dir(cli.path("used/Cargo.toml")).unwrap();
    cli.ok(&["gc"]);
    assert!(stamp.exists());
    let victim = cli.write("store/v1/victim", b"");
    used(&cli, "gone/Cargo.toml", &["../victim", "..", "", &id[..39]], 0);
    cli.ok(&["gc", "--unknown"]);
    assert!(stamp.exists() && victim.exists());
    fs::remove_dir(cli.path("used/Cargo.toml")).unwrap();
    cli.ok(&["gc"]);
    assert!(!stamp.exists() && victim.exists());
}

/// Locks and records cannot be created, as in a read-only store. Unlike permissions, this also
/// stops root.
#[test]
fn what_cannot_be_removed_is_an_error_and_notes_that_cannot_be_written_are_none() {
    let cli = CliFixture::new();
    let one = data(1, "one.bin");
    complete(&cli, &one);
    cli.declare(&format!("one = \"{}\"", one.infohash_hex()));
    let v1 = cli.path("store/v1");
    fs::remove_dir_all(v1.join("locks")).unwrap();
    fs::write(v1.join("locks"), b"").unwrap();
    fs::write(v1.join("roots"), b"").unwrap();
    cli.ok(&["fetch"]);
    let gc = cli.run(&["gc", "--all"]);
    assert_eq!(gc.status, Some(1));
    let begin = format!("error: could not lock {}", v1.join("locks").display());
    assert!(gc.stderr.starts_with(&begin), "{}", gc.stderr);
    let json = cli.run(&["gc", "--all", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["datasets"][0]["outcome"], "failed");
    assert_eq!(json["datasets"][0]["error"]["kind"], "disk");
    assert!(v1.join(format!("data/{}/stamp", one.infohash_hex())).exists());
}
