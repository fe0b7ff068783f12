//! One dataset's table, and `defaults`: the keys there are, and which of them may meet.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use glob::Pattern;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::checks;
use super::findings::{Findings, Refusal};
use super::section::Features;
use super::{Identity, Mirror, Request, StoreKind};
use crate::context::SourceSet;
use crate::infohash::Infohash;
use crate::nearest::nearest;

/// The keys that say which dataset it is.
pub(super) const IDENTITY_KEYS: [&str; 3] = ["infohash", "magnet", "torrent"];
/// The keys that say how to provide it; `defaults` takes these.
pub(super) const SHARED_KEYS: [&str; 11] = [
    "files",
    "web-seeds",
    "trackers",
    "peers",
    "mirrors",
    "sources",
    "max-size",
    "required-features",
    "sha256",
    "store",
    "optional",
];
/// What a dataset's value may be.
pub(super) const DATASET: &str = "an infohash in quotes, or a table";

/// Whose table it is.
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

/// What a table says on how to provide a dataset: `None` where it does not say.
#[derive(Default)]
pub(super) struct Values {
    files: Option<Vec<Pattern>>,
    web_seeds: Option<Vec<String>>,
    trackers: Option<Vec<String>>,
    peers: Option<Vec<String>>,
    mirrors: Option<Vec<Mirror>>,
    sources: Option<SourceSet>,
    max_size_bytes: Option<u64>,
    required_features: Option<Vec<String>>,
    sha256: Option<BTreeMap<String, [u8; 32]>>,
    store: Option<StoreKind>,
    optional: Option<bool>,
}

/// Reads tables, and collects what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) findings: Findings<'a>,
    pub(super) base_dir: &'a Path,
    pub(super) features: Features,
}

impl Reader<'_> {
    /// The values that hold for all datasets.
    pub(super) fn defaults(&mut self, key_at: usize, value: &DeValue<'_>) -> Values {
        let mut values = Values::default();
        let Some(table) = value.as_table() else {
            let refusal = checks::mistyped("a table of keys for all datasets", value)
                .help("`defaults` is reserved: give a dataset another name");
            self.findings.add(key_at, "`defaults` cannot be used", refusal);
            return values;
        };
        for (key, value) in table.iter() {
            let (at, key) = (key.span().start, key.get_ref().as_ref());
            if IDENTITY_KEYS.contains(&key) {
                let why = format!("`{key}` says which dataset it is, and `defaults` holds for all");
                let refusal = Refusal::new(why).help(format!("write `{key}` in a dataset's table"));
                self.findings.add(at, &format!("`{key}` cannot be in `defaults`"), refusal);
            } else if !self.shared_key(key, value, Owner::Defaults, &mut values) {
                self.unknown_key(at, key, value.get_ref(), Owner::Defaults);
            }
        }
        values
    }

    /// One dataset; `None` where something about it was found wrong.
    pub(super) fn dataset(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        defaults: &Values,
    ) -> Option<Request> {
        let (at, written) = (key.span().start, key.get_ref().as_ref());
        let owner = Owner::Dataset(written);
        let name = match checks::name(written) {
            Ok(name) => Some(name),
            Err(refusal) => {
                let what = format!("`{}` is not a dataset's name", checks::printable(written));
                self.findings.add(at, &what, refusal);
                None
            }
        };
        let mut own = Values::default();
        let identity = match value.get_ref() {
            DeValue::String(text) => match checks::infohash(text) {
                Ok(infohash) => Some(Identity { infohash: Some(infohash), ..Identity::default() }),
                Err(refusal) => {
                    self.findings.add(
                        value.span().start,
                        &format!("{owner} has no infohash"),
                        refusal,
                    );
                    None
                }
            },
            DeValue::Table(table) => self.table(at, table, owner, &mut own),
            other => {
                let refusal = checks::mistyped(DATASET, other)
                    .help(format!("write `{} = \"<infohash>\"`", checks::printable(written)));
                self.findings.add(value.span().start, &format!("{owner} cannot be read"), refusal);
                None
            }
        };
        let (name, identity) = (name?, identity?);
        fn either<T: Clone>(own: Option<T>, default: &Option<T>) -> Option<T> {
            own.or_else(|| default.clone())
        }
        // A dataset's own choice takes the default's place, in whichever form it is.
        let chosen = identity.magnet.as_ref().is_some_and(|magnet| !magnet.files.is_empty());
        let own_files = if chosen { Some(Vec::new()) } else { own.files };
        Some(Request {
            name,
            identity,
            files: either(own_files, &defaults.files).unwrap_or_default(),
            web_seeds: either(own.web_seeds, &defaults.web_seeds).unwrap_or_default(),
            trackers: either(own.trackers, &defaults.trackers).unwrap_or_default(),
            peers: either(own.peers, &defaults.peers).unwrap_or_default(),
            mirrors: either(own.mirrors, &defaults.mirrors).unwrap_or_default(),
            sources: own.sources.or(defaults.sources).unwrap_or(SourceSet::ALL),
            max_size_bytes: own.max_size_bytes.or(defaults.max_size_bytes),
            max_size_by: None,
            required_features: either(own.required_features, &defaults.required_features)
                .unwrap_or_default(),
            sha256: either(own.sha256, &defaults.sha256).unwrap_or_default(),
            store: own.store.or(defaults.store).unwrap_or(StoreKind::Shared),
            optional: own.optional.or(defaults.optional).unwrap_or(false),
            hash_again: false,
            line: Some(self.findings.line(at)),
        })
    }

    fn table(
        &mut self,
        at: usize,
        table: &DeTable<'_>,
        owner: Owner<'_>,
        own: &mut Values,
    ) -> Option<Identity> {
        let mut stray = false;
        for (key, value) in table.iter() {
            let (at, key) = (key.span().start, key.get_ref().as_ref());
            if !IDENTITY_KEYS.contains(&key) && !self.shared_key(key, value, owner, own) {
                self.unknown_key(at, key, value.get_ref(), owner);
                stray = true;
            }
        }
        let infohash = table.get("infohash");
        let torrent = table.get("torrent");
        if let Some(magnet) = table.get_key_value("magnet") {
            return self.magnet(magnet, infohash.or(torrent), owner, own.files.is_some());
        }
        if infohash.is_none() && torrent.is_none() {
            // An unknown key may be the one that was meant; one finding is enough.
            if !stray {
                let refusal = Refusal::new("it has neither `infohash` nor `torrent` nor `magnet`")
                    .help("add `infohash = \"<40 hexadecimal digits>\"`");
                self.findings.add(
                    at,
                    &format!("{owner} does not say which dataset it is"),
                    refusal,
                );
            }
            return None;
        }
        let base_dir = self.base_dir;
        let infohash = infohash.map(|value| {
            self.text("infohash", value, owner, "an infohash in quotes", checks::infohash)
        });
        let torrent = torrent.map(|value| {
            self.text("torrent", value, owner, "a path", |text| checks::torrent(text, base_dir))
        });
        match (infohash, torrent) {
            (Some(None), _) | (_, Some(None)) => None,
            (infohash, torrent) => {
                let (infohash, torrent) = (infohash.flatten(), torrent.flatten());
                Some(Identity { infohash, torrent, magnet: None })
            }
        }
    }

    fn magnet(
        &mut self,
        (key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>),
        beside: Option<&Spanned<DeValue<'_>>>,
        owner: Owner<'_>,
        selects: bool,
    ) -> Option<Identity> {
        if let Some(beside) = beside {
            let line = self.findings.line(beside.span().start);
            let refusal = Refusal::new(format!("line {line} says already which dataset it is"))
                .help("remove `magnet`");
            let what = format!("`magnet` cannot be in {owner}");
            self.findings.add(key.span().start, &what, refusal);
            return None;
        }
        let magnet = self.text("magnet", value, owner, "a magnet link", checks::magnet)?;
        if selects && !magnet.files.is_empty() {
            let refusal = Refusal::new("it selects files by `so=`, and `files` does, too")
                .help("remove one of the two");
            let what = format!("`magnet` in {owner} cannot be used");
            self.findings.add(key.span().start, &what, refusal);
            return None;
        }
        Some(Identity { infohash: Some(magnet.infohash), torrent: None, magnet: Some(magnet) })
    }

    /// Reads one of [`SHARED_KEYS`]; false where `key` is none.
    fn shared_key(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        owner: Owner<'_>,
        values: &mut Values,
    ) -> bool {
        let base_dir = self.base_dir;
        match key {
            "files" => values.files = self.list(key, value, owner, checks::glob),
            "web-seeds" => values.web_seeds = self.list(key, value, owner, checks::web_seed),
            "trackers" => values.trackers = self.list(key, value, owner, checks::tracker),
            "peers" => values.peers = self.list(key, value, owner, checks::peer),
            "mirrors" => {
                values.mirrors =
                    self.list(key, value, owner, |text| checks::mirror(text, base_dir));
            }
            "sources" => {
                values.sources = self
                    .list(key, value, owner, checks::source)
                    .and_then(|names| SourceSet::parse(names.iter().map(String::as_str)).ok());
            }
            "max-size" => {
                values.max_size_bytes =
                    self.kept(value.span().start, key, owner, checks::max_size(value.get_ref()));
            }
            "required-features" => {
                let features = std::mem::take(&mut self.features);
                values.required_features =
                    self.list(key, value, owner, |text| features.check(text));
                self.features = features;
            }
            "sha256" => values.sha256 = self.pins(value, owner),
            "store" => {
                let expected = "\"shared\" or \"out-dir\"";
                values.store = self.text(key, value, owner, expected, checks::store);
            }
            "optional" => {
                let read = value.get_ref().as_bool();
                let read = read.ok_or_else(|| checks::mistyped("true or false", value.get_ref()));
                values.optional = self.kept(value.span().start, key, owner, read);
            }
            _ => return false,
        }
        true
    }

    fn text<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        owner: Owner<'_>,
        expected: &str,
        check: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let read = checks::string(value.get_ref(), expected).and_then(check);
        self.kept(value.span().start, key, owner, read)
    }

    /// A list of strings, without duplicates.
    fn list<T: PartialEq>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        owner: Owner<'_>,
        check: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<Vec<T>> {
        let Some(items) = value.get_ref().as_array() else {
            let mut refusal = checks::mistyped("a list of strings", value.get_ref());
            if let DeValue::String(text) = value.get_ref() {
                refusal = refusal.help(format!("write `{key} = [{:?}]`", &**text));
            }
            return self.kept(value.span().start, key, owner, Err(refusal));
        };
        let mut list = Vec::new();
        for item in items.iter() {
            let read = checks::string(item.get_ref(), "a list of strings").and_then(&check);
            match self.kept(item.span().start, key, owner, read) {
                Some(read) if !list.contains(&read) => list.push(read),
                _ => {}
            }
        }
        Some(list)
    }

    fn pins(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        owner: Owner<'_>,
    ) -> Option<BTreeMap<String, [u8; 32]>> {
        let expected = "a table of paths and their SHA-256, such as { \"labels.gz\" = \"<hex>\" }";
        let Some(table) = value.get_ref().as_table() else {
            let refusal = checks::mistyped(expected, value.get_ref());
            return self.kept(value.span().start, "sha256", owner, Err(refusal));
        };
        let mut pins = BTreeMap::new();
        for (path, value) in table.iter() {
            let (at, key) = (path.span().start, path.get_ref().as_ref());
            // TOML reads a bare `labels.gz` as a table.
            let pin = match value.get_ref() {
                DeValue::Table(_) => Err(checks::mistyped("a SHA-256 in quotes", value.get_ref())
                    .help(format!("put the path in quotes: \"{}.…\"", checks::printable(key)))),
                value => checks::string(value, "a SHA-256 in quotes").and_then(checks::sha256),
            };
            let path = self.kept(at, "sha256", owner, checks::torrent_path(key));
            let pin = self.kept(value.span().start, "sha256", owner, pin);
            pins.extend(path.zip(pin));
        }
        Some(pins)
    }

    /// The value, or a finding about the key.
    fn kept<T>(
        &mut self,
        at: usize,
        key: &str,
        owner: Owner<'_>,
        read: Result<T, Refusal>,
    ) -> Option<T> {
        read.map_err(|refusal| {
            self.findings.add(at, &format!("`{key}` in {owner} cannot be used"), refusal);
        })
        .ok()
    }

    fn unknown_key(&mut self, at: usize, key: &str, value: &DeValue<'_>, owner: Owner<'_>) {
        let identity: &[&str] = match owner {
            Owner::Dataset(_) => &IDENTITY_KEYS,
            Owner::Defaults => &[],
        };
        let keys: Vec<&str> = identity.iter().chain(&SHARED_KEYS).copied().collect();
        let is_dataset = match value {
            DeValue::String(text) => text.parse::<Infohash>().is_ok(),
            DeValue::Table(table) => IDENTITY_KEYS.iter().any(|key| table.contains_key(*key)),
            _ => false,
        };
        let refusal = if key == "defaults" {
            Refusal::new("it holds for all datasets")
                .help("write [package.metadata.academictorrents.defaults]")
        } else if let Some(near) = nearest(key, keys.iter().copied()) {
            Refusal::new("").help(format!("did you mean `{near}`?"))
        } else if let (true, Owner::Dataset(name)) = (is_dataset, owner) {
            let name = checks::printable(&format!("{name}-{key}"));
            Refusal::new("a dataset cannot be in another's table, and its name holds no dots")
                .help(format!("name it `{name}`"))
        } else {
            Refusal::new(format!("the keys are {}", keys.join(", ")))
        };
        let what = format!("unknown key `{}` in {owner}", checks::printable(key));
        self.findings.add(at, &what, refusal);
    }
}

/// The absolute directory that relative paths of the manifest begin at.
pub(super) fn base_dir(manifest: &Path) -> std::io::Result<PathBuf> {
    let manifest = std::path::absolute(manifest)?;
    Ok(manifest.parent().unwrap_or(&manifest).to_owned())
}
