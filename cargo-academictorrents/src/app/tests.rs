//! Datasets that a manifest or an id specifies.

use std::path::Path;

use super::*;
use crate::dataset_spec::{asked, declared};

fn app(store: &Path) -> App {
    App::open(Context::default(), Some(store), false, None).unwrap()
}

#[test]
fn what_a_manifest_declares_is_asked_for_in_the_shared_store() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("Cargo.toml");
    let text = "[package]\nname = \"a\"\n[package.metadata.academictorrents]\n\
        b = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"\n\
        a = { infohash = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\", store = \"out-dir\", optional = true }\n";
    std::fs::write(&manifest, text).unwrap();
    let declared = declared(&manifest).unwrap();
    let names: Vec<_> = declared
        .iter()
        .map(|asked| (asked.name(), asked.request.origin.manifest().map(|(_, line)| line)))
        .collect();
    assert_eq!(names, [("a", Some(5)), ("b", Some(4))]);
    assert!(declared[0].request.optional && !declared[1].request.optional);
    assert_eq!(declared[0].manifest(), Some(&*manifest));
    assert_eq!(app(directory.path()).present(&declared[0]), None);
}

#[test]
fn an_id_is_an_infohash_a_magnet_or_a_file() {
    let hex = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";
    for id in [hex, &format!("magnet:?xt=urn:btih:{hex}&dn=mnist")] {
        assert_eq!(asked(id).unwrap().infohash().unwrap().unwrap().to_string(), hex);
    }
    let error = asked("mnist").unwrap_err().to_string();
    assert!(error.starts_with("`mnist` is not a dataset\n"), "{error}");
}
