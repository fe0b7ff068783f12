//! `manifest.md`, from the table of keys.

use std::fmt::Write as _;

use academictorrents::engine::manifest::KEYS;

const INTRODUCTION: &str = "
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

#[test]
fn the_reference_is_written_from_the_keys() {
    let mut page = super::head("Manifest", "the table in core/src/manifest/keys.rs") + INTRODUCTION;
    for key in &KEYS {
        let (name, [kind, default, example, text]) = (key.name, key.doc);
        write!(page, "\n## `{name}`\n\n{text}\n\n- **Type:** {kind}\n").unwrap();
        let in_defaults = if key.in_defaults { "yes" } else { "no" };
        write!(page, "- **Default:** {default}\n- **In `defaults`:** {in_defaults}\n").unwrap();
        writeln!(page, "- **Example:** `{name} = {example}`").unwrap();
    }
    super::check("manifest.md", &page);
}
