//! Writes `docs/reference/manifest.md` from the table of the keys.
//!
//! To update it, run `SNAPSHOTS=overwrite cargo test --lib reference`.

use std::fmt::Write as _;
use std::path::Path;

use super::keys::KEYS;
use super::*;

const HEAD: &str = "# Manifest

<!-- Generated from the table in src/manifest/keys.rs: SNAPSHOTS=overwrite cargo test --lib reference -->

`[package.metadata.academictorrents]` in `Cargo.toml` declares the datasets of a package: each key is the name of a dataset, and its value an
infohash or a table.

```toml
[package.metadata.academictorrents]
mnist = \"ce990b28668abf16480b8b906640a6cd7e3b8b21\"

[package.metadata.academictorrents.digits]
torrent = \"digits.torrent\"
files = [\"train/**\"]

[package.metadata.academictorrents.defaults]
max-size = \"2GiB\"
```

Names must match `[a-z][a-z0-9_-]*`. A dataset needs `infohash`, `magnet` or `torrent`. The table `defaults` sets the other keys for all datasets;
a dataset's own value replaces the default, including lists. Relative paths begin at the directory of the manifest. An unknown key is an error that
names the line and suggests the most similar key.

[Environment variables](environment.md) and the [configuration file](configuration-file.md) take precedence over the manifest.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for key in &KEYS {
        let (name, [kind, default, example, text]) = (key.name, key.doc);
        write!(page, "\n## `{name}`\n\n{text}\n\n- **Type:** {kind}\n").unwrap();
        let in_defaults = if key.in_defaults { "yes" } else { "no" };
        write!(page, "- **Default:** {default}\n- **In `defaults`:** {in_defaults}\n").unwrap();
        writeln!(page, "- **Example:** `{name} = {example}`").unwrap();
    }
    crate::settings::reference::wrapped(&page)
}

#[test]
fn the_reference_is_written_from_the_keys() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/manifest.md");
    let written = snapbox::Data::read_from(&file, None).raw();
    snapbox::Assert::new().action_env("SNAPSHOTS").eq(page(), written);
}

#[test]
fn each_example_is_one() {
    // Inherited datasets are read from the disk: see tests/workspace.rs.
    let is_on = |key: &str| key != "workspace" && (key != "unpack" || cfg!(feature = "unpack"));
    for key in KEYS.iter().filter(|key| is_on(key.name)) {
        let infohash = "infohash = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"\n";
        let text = format!(
            "[features]\nlarge-tests = []\n[package.metadata.academictorrents.m]\n{}{} = {}\n",
            if key.read.is_some() { infohash } else { "" },
            key.name,
            key.doc[2]
        );
        Manifest::parse(&text, Path::new("Cargo.toml")).unwrap_or_else(|error| panic!("{error}"));
        assert!(key.doc[3].ends_with('.'), "{}", key.name);
    }
}
