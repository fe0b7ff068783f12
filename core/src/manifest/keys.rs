//! The keys of a dataset's table: [`KEYS`], and how their values are read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::features::Features;
use super::findings::{Findings, Refusal};
use super::{Request, checks};
use crate::settings::SourceSet;

/// A row of [`KEYS`].
pub struct ManifestKey {
    pub name: &'static str,
    /// Reads the value. `None` for keys that identify the dataset: `dataset.rs` reads them, and
    /// `defaults` cannot have them.
    pub(super) read: Option<Read>,
    /// Whether `defaults` can have it.
    pub in_defaults: bool,
    /// The type, the default, an example, and a sentence.
    #[cfg_attr(
        not(any(test, feature = "engine")),
        expect(dead_code, reason = "for docs/reference")
    )]
    pub doc: [&'static str; 4],
}

type Read = fn(&mut Reader<'_>, &KeyValue<'_>, &mut Request);

const fn key(name: &'static str, read: Option<Read>) -> ManifestKey {
    ManifestKey { name, read, in_defaults: read.is_some(), doc: [""; 4] }
}

impl ManifestKey {
    const fn of_one_dataset(self) -> ManifestKey {
        ManifestKey { in_defaults: false, ..self }
    }

    const fn doc(
        self,
        kind: &'static str,
        default: &'static str,
        example: &'static str,
        text: &'static str,
    ) -> ManifestKey {
        ManifestKey { doc: [kind, default, example, text], ..self }
    }
}

/// All keys, in the order in which messages and the reference list them.
pub static KEYS: [ManifestKey; 17] = [
    key("infohash", None)
        .doc("string of 40 hexadecimal or 32 base32 digits", "that of `torrent`", r#""ce990b28668abf16480b8b906640a6cd7e3b8b21""#,
            "Infohash of the torrent. If `torrent` is also set, both must match."),
    key("magnet", None)
        .doc("string, a [magnet link](../guide/datasets.md#magnet-links)", "none", r#""magnet:?xt=urn:btih:ce990b28668abf16480b8b906640a6cd7e3b8b21""#,
            "Magnet link of the torrent, instead of `infohash` and `torrent`."),
    key("torrent", None)
        .doc("string, the path of a `.torrent` file", "found by infohash in the store, `ACADEMICTORRENTS_LOAD_PATH`, mirrors, the catalog, or from peers", r#""mnist.torrent""#,
            "The vendored `.torrent` file, which makes builds independent of the catalog."),
    key("workspace", None)
        .doc("`true`", "none", "true",
            "The dataset is declared in `[workspace.metadata.academictorrents]` of the workspace's root, and inherited from there; see [Datasets of a workspace](../guide/datasets.md#datasets-of-a-workspace)."),
    key("files", Some(|r, it, to| keep(&mut to.files, r.list(it, checks::glob))))
        .doc("list of globs", "all files", r#"["train/**", "README*"]"#,
            "The files to download, as globs that match the torrent's paths; a leading `!` excludes files. See [Selecting files](../guide/selecting-files.md)."),
    key("rename", Some(|r, it, to| {
        keep(&mut to.rename, r.text(it, "a name in quotes", checks::rename).map(Some));
    }))
        .of_one_dataset()
        .doc("string, a file name", "the torrent's own name", r#""orbits""#,
            "The name of the dataset's file or directory on disk, in place of the torrent's own. Paths below it and URLs keep the torrent's names."),
    key("web-seeds", Some(|r, it, to| keep(&mut to.web_seeds, r.list(it, checks::web_seed))))
        .doc("list of `http://` and `https://` URLs ([BEP 19](https://www.bittorrent.org/beps/bep_0019.html))", "those of the torrent", r#"["https://data.example.org/mnist/"]"#,
            "Additional web seeds, tried before those of the torrent: the URL of the single file, or of the directory that contains the torrent's directory."),
    key("trackers", Some(|r, it, to| keep(&mut to.trackers, r.list(it, checks::tracker))))
        .doc("list of `http://`, `https://` and `udp://` URLs; `udp://` requires a port", "those of the torrent", r#"["https://tracker.example.org/announce", "udp://tracker.example.org:6969/announce"]"#,
            "Additional trackers, tried before those of the torrent."),
    key("peers", Some(|r, it, to| keep(&mut to.peers, r.list(it, checks::peer))))
        .doc("list of `host:port`", "those that trackers, other peers and, with the feature `dht`, the DHT name", r#"["peer.example.org:6881", "[2001:db8::1]:6881"]"#,
            "Additional peers."),
    key("mirrors", Some(|r, it, to| {
        let base_dir = r.base_dir;
        keep(&mut to.mirrors, r.list(it, |text| checks::mirror(text, base_dir)));
    }))
        .doc("list of base URLs and directories", "none", r#"["https://data.example.org/at", "mirror"]"#,
            "Servers and directories that contain the dataset; see [Builds that depend on nobody](../guide/datasets.md#builds-that-depend-on-nobody)."),
    key("sources", Some(|r, it, to| {
        let names = r.list(it, checks::source).unwrap_or_default();
        keep(&mut to.sources, SourceSet::parse(names.iter().map(String::as_str)).ok());
    }))
        .doc("list of `mirrors`, `catalogue`, `web-seeds`, `peers`", "all four", r#"["mirrors", "web-seeds"]"#,
            "Kinds of sources that may be used."),
    key("max-size", Some(|r, it, to| {
        keep(&mut to.max_size_bytes, r.kept(it, checks::max_size(it.value.get_ref())).map(Some));
    }))
        .doc("string with a unit, or integer of bytes", "`\"1GiB\"`", r#""20GiB""#,
            "Largest download. A larger one is an error before anything is downloaded. Counts the missing bytes, plus 4 KiB for each file and directory to create."),
    key("required-features", Some(|r, it, to| {
        let features = std::mem::take(&mut r.features);
        keep(&mut to.required_features, r.list(it, |text| features.check(text)));
        r.features = features;
    }))
        .doc("list of features of your crate", "none", r#"["large-tests"]"#,
            "The dataset is declared only if all these features are enabled; `env!(\"AT_…\")` must be behind the same features."),
    key("sha256", Some(|r, it, to| keep(&mut to.sha256, r.pins(it))))
        .doc("table of file and digest", "none", r#"{ "train/labels.gz" = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }"#,
            "SHA-256 digests of selected files, which are checked before the dataset is moved into place."),
    key("store", Some(|r, it, to| {
        keep(&mut to.store, r.text(it, "\"shared\" or \"out-dir\"", checks::store));
    }))
        .doc("`\"shared\"` or `\"out-dir\"`", "`\"shared\"`", r#""out-dir""#,
            "Where the dataset is stored: in the shared store, or as a copy of the crate's own in `OUT_DIR`."),
    key("unpack", Some(|r, it, to| keep(&mut to.unpack, r.unpacking(it))))
        .doc("boolean, or table of `archives` and `members` (lists of globs), `strip` (integer), `keep-archive` (boolean), `max-size` (as above)", "`false`", r#"{ members = ["train/**"], strip = 1 }"#,
            "Whether archives are unpacked, and which parts of them. Requires the feature `unpack`; see [Unpacking](../guide/unpacking.md)."),
    key("optional", Some(|r, it, to| {
        let value = it.value.get_ref();
        let read = value.as_bool().ok_or_else(|| checks::mistyped("true or false", value));
        keep(&mut to.optional, r.kept(it, read));
    }))
        .doc("boolean", "`false`", "true",
            "If the dataset cannot be provided, the build continues with a warning; see [Optional datasets](../guide/optional-datasets.md)."),
];

fn keep<T>(field: &mut T, read: Option<T>) {
    if let Some(read) = read {
        *field = read;
    }
}

/// Whether the key identifies the dataset.
pub(super) fn is_identity(key: &str) -> bool {
    KEYS.iter().any(|row| row.read.is_none() && row.name == key)
}

/// The table that a key is in.
#[derive(Clone, Copy)]
pub(super) enum Owner<'n> {
    Dataset(&'n str),
    Defaults,
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Dataset(name) => write!(f, "dataset `{}`", checks::printable(name)),
            Owner::Defaults => f.write_str("`defaults`"),
        }
    }
}

/// A key and its value, with the table that they are in.
pub(super) struct KeyValue<'e> {
    pub(super) key: &'e str,
    pub(super) value: &'e Spanned<DeValue<'e>>,
    pub(super) owner: Owner<'e>,
}

/// Reads tables, and collects problems.
pub(super) struct Reader<'a> {
    pub(super) findings: Findings<'a>,
    pub(super) base_dir: &'a Path,
    pub(super) features: Features,
}

impl Reader<'_> {
    /// Reads a key that says how to provide a dataset. False if the key is unknown in this table.
    pub(super) fn shared_key(&mut self, entry: &KeyValue<'_>, request: &mut Request) -> bool {
        let row = KEYS.iter().find(|row| row.name == entry.key);
        let row = row.filter(|row| row.in_defaults || matches!(entry.owner, Owner::Dataset(_)));
        let Some(read) = row.and_then(|row| row.read) else { return false };
        read(self, entry, request);
        true
    }

    pub(super) fn text<T>(
        &mut self,
        entry: &KeyValue<'_>,
        expected: &str,
        check: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let read = checks::string(entry.value.get_ref(), expected).and_then(check);
        self.kept(entry, read)
    }

    /// Reads a list of strings, and removes duplicates.
    pub(super) fn list<T: PartialEq>(
        &mut self,
        entry: &KeyValue<'_>,
        check: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<Vec<T>> {
        let value = entry.value.get_ref();
        let Some(items) = value.as_array() else {
            let mut refusal = checks::mistyped("a list of strings", value);
            if let DeValue::String(text) = value {
                refusal = refusal.help(format!("write `{} = [{:?}]`", entry.key, &**text));
            }
            return self.kept(entry, Err(refusal));
        };
        let mut list = Vec::new();
        for item in items.iter() {
            let read = checks::string(item.get_ref(), "a list of strings").and_then(&check);
            match self.kept_at(item.span().start, entry, read) {
                Some(read) if !list.contains(&read) => list.push(read),
                _ => {}
            }
        }
        Some(list)
    }

    fn pins(&mut self, entry: &KeyValue<'_>) -> Option<BTreeMap<String, [u8; 32]>> {
        let expected = "a table of paths and their SHA-256, such as { \"labels.gz\" = \"<hex>\" }";
        let Some(table) = entry.value.get_ref().as_table() else {
            return self.kept(entry, Err(checks::mistyped(expected, entry.value.get_ref())));
        };
        let mut pins = BTreeMap::new();
        for (path, value) in table.iter() {
            let (at, key) = (path.span().start, path.get_ref().as_ref());
            // TOML parses a bare `labels.gz` as a table.
            let pin = match value.get_ref() {
                DeValue::Table(_) => Err(checks::mistyped("a SHA-256 in quotes", value.get_ref())
                    .help(format!("put the path in quotes: \"{}.…\"", checks::printable(key)))),
                value => checks::string(value, "a SHA-256 in quotes").and_then(checks::sha256),
            };
            let path = self.kept_at(at, entry, checks::torrent_path(key));
            pins.extend(path.zip(self.kept_at(value.span().start, entry, pin)));
        }
        Some(pins)
    }

    /// Returns the value, or adds a problem with the key.
    pub(super) fn kept<T>(&mut self, entry: &KeyValue<'_>, read: Result<T, Refusal>) -> Option<T> {
        self.kept_at(entry.value.span().start, entry, read)
    }

    fn kept_at<T>(
        &mut self,
        at: usize,
        entry: &KeyValue<'_>,
        read: Result<T, Refusal>,
    ) -> Option<T> {
        read.map_err(|refusal| {
            let what = format!("invalid `{}` in {}", entry.key, entry.owner);
            self.findings.add(at, &what, refusal);
        })
        .ok()
    }
}
