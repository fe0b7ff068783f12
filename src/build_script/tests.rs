use super::*;
use crate::engine::dataset::ProvidedFiles;
use crate::manifest::{CallOptions, Identity};
use crate::torrent::infohash::Infohash;

pub fn dataset(name: &str, path: &str, available: bool) -> BuiltDataset {
    let identity = Identity { torrent: Some("/p/a.torrent".into()), ..Identity::default() };
    let options = CallOptions::default();
    let request = Request::of_call(name, identity, StoreKind::Shared, &options).unwrap();
    let provided = Provided {
        infohash: Infohash::from_bytes([0xab; 20]),
        path: path.into(),
        stamp: "/s/stamp".into(),
        archive: None,
        files: ProvidedFiles::Unknown,
    };
    BuiltDataset {
        dataset: Dataset { name: name.to_owned(), provided },
        request,
        is_there: available,
        store: Store::at(Path::new("/s")),
        missing: (!available).then(|| "no source".to_owned()),
    }
}

fn lines(rust_version: &str, list: Vec<BuiltDataset>) -> Result<String, Error> {
    let names = list
        .iter()
        .map(|built| built.dataset.name().to_owned())
        .chain(["other".to_owned()])
        .collect();
    let config = vec!["/c/config.toml".into(), "/w/.cargo/config.toml".into()];
    Directives::new(directives::is_old(Some(rust_version))).for_datasets(&Datasets {
        manifest: "/p/Cargo.toml".into(),
        config,
        names,
        list,
    })
}

#[test]
fn a_dataset_is_told_to_cargo() {
    assert_eq!(
        lines("1.89", vec![dataset("mnist-small", "/s/data/files/a", true)]).unwrap(),
        "cargo::rerun-if-changed=/p/Cargo.toml\n\
         cargo::rerun-if-changed=/c/config.toml\n\
         cargo::rerun-if-changed=/w/.cargo/config.toml\n\
         cargo::rerun-if-env-changed=ACADEMICTORRENTS_STORE\n\
         cargo::rerun-if-env-changed=ACADEMICTORRENTS_LOAD_PATH\n\
         cargo::rerun-if-env-changed=ACADEMICTORRENTS_PATH_MNIST_SMALL\n\
         cargo::rerun-if-env-changed=ACADEMICTORRENTS_PATH_OTHER\n\
         cargo::rustc-check-cfg=cfg(at_dataset, values(\"mnist-small\", \"other\"))\n\
         cargo::rerun-if-changed=/s/stamp\n\
         cargo::rerun-if-changed=/p/a.torrent\n\
         cargo::rustc-env=AT_MNIST_SMALL_PATH=/s/data/files/a\n\
         cargo::rustc-env=AT_MNIST_SMALL_INFOHASH=abababababababababababababababababababab\n\
         cargo::rustc-cfg=at_dataset=\"mnist-small\"\n\
         cargo::metadata=at_mnist_small_path=/s/data/files/a\n\
         cargo::metadata=at_mnist_small_infohash=abababababababababababababababababababab\n"
    );
}

#[test]
fn packages_for_an_older_rust_get_the_older_syntax() {
    let text = lines("1.70", vec![dataset("a", "/a", true)]).unwrap();
    assert!(!text.contains("cargo::") && text.contains("\ncargo:at_a_path=/a\n"), "{text}");
    let old = [None, Some(""), Some("1.77"), Some("2.0"), Some("1.76.1"), Some("1.70"), Some("1")];
    assert_eq!(old.map(directives::is_old), [false, false, false, false, true, true, true]);
}

#[test]
fn a_missing_optional_dataset_is_a_warning_and_no_cfg() {
    let text = lines("1.89", vec![dataset("a", "/a", false)]).unwrap();
    assert!(text.contains("cargo::warning=dataset `a`: optional and missing, so cfg(at_dataset = \"a\") is off\ncargo::warning=  no source") && !text.contains("rustc-env"), "{text}");
    assert!(text.contains("rerun-if-changed=/s/stamp-never\n"), "{text}");
}

#[test]
fn a_path_that_cargo_would_cut_is_an_error() {
    let error = lines("1.89", vec![dataset("a", "/a\nb", true)]).unwrap_err().to_string();
    assert!(error.contains("path of dataset `a`") && error.contains("line break"), "{error}");
}

#[test]
fn a_note_of_a_network_failure_keeps_its_reason_and_no_other_failure_is_noted() {
    let out_dir = tempfile::tempdir().unwrap();
    let manifest = out_dir.path().join("Cargo.toml");
    std::fs::write(&manifest, "").unwrap();
    let note = Note::of("a", out_dir.path());
    let error = |kind| {
        Error::new(kind, "no source")
            .why("http://a/: 404")
            .why("peer b: silent")
            .help("add a mirror\nor two")
            .for_dataset("a")
    };
    for kind in [ErrorKind::Offline, ErrorKind::Disk, ErrorKind::TooLarge, ErrorKind::Metainfo] {
        note.write(&error(kind)).unwrap();
        assert!(!note.holds([&*manifest], SystemTime::now()), "{kind:?}");
    }
    note.write(&error(ErrorKind::Network)).unwrap();
    let now = SystemTime::now();
    assert!(note.holds([&*manifest], now));
    assert!(!note.holds([&*manifest], now + std::time::Duration::from_secs(700)));
    // Written by a wrong clock: touching the manifest would not help, because it would still be
    // older.
    assert!(!note.holds([&*manifest], now - std::time::Duration::from_secs(700)));
    // The workspace's manifest, if the dataset is inherited from it.
    let workspace = out_dir.path().join("workspace.toml");
    std::fs::write(&workspace, "").unwrap();
    let written_at = |time| {
        std::fs::File::options().write(true).open(&workspace).unwrap().set_modified(time).unwrap();
    };
    written_at(now - std::time::Duration::from_secs(60));
    assert!(note.holds([&*manifest, &*workspace], now));
    written_at(now + std::time::Duration::from_secs(60));
    assert!(!note.holds([&*manifest, &*workspace], now));
    assert_eq!(
        note.reminder(),
        "the last attempt was less than ten minutes ago: no source\nhttp://a/: 404\nto try again now, touch Cargo.toml"
    );
    assert_eq!(error(ErrorKind::Disk).summary(9), "no source\nhttp://a/: 404\npeer b: silent");
}
