//! Reads one dataset's table, and `defaults`: which keys can be combined.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::findings::Refusal;
use super::keys::{KEYS, KeyValue, ManifestKey, Owner, Reader, is_identity};
use super::workspace::Inheritance;
use super::{Identity, Request, checks};
use crate::suggest::nearest;
use crate::torrent::infohash::Infohash;

impl Reader<'_> {
    /// Reads the values that apply to all datasets.
    pub(super) fn defaults(&mut self, key_at: usize, value: &DeValue<'_>) -> Request {
        let mut defaults = Request::default();
        let Some(table) = value.as_table() else {
            let refusal = checks::mistyped("a table of keys for all datasets", value)
                .help("`defaults` is reserved: give a dataset another name");
            self.findings.add(key_at, "invalid `defaults`", refusal);
            return defaults;
        };
        for (key, value) in table.iter() {
            let (at, key) = (key.span().start, key.get_ref().as_ref());
            let entry = KeyValue { key, value, owner: Owner::Defaults };
            if is_identity(key) {
                let why = format!(
                    "`{key}` identifies one dataset, but `defaults` applies to all of them"
                );
                let refusal = Refusal::new(why).help(format!("move `{key}` to a dataset's table"));
                self.findings.add(at, &format!("`{key}` is not allowed in `defaults`"), refusal);
            } else if !self.shared_key(&entry, &mut defaults) {
                self.unknown_key(at, &entry);
            }
        }
        defaults
    }

    /// Reads one dataset; `None` if something in it is wrong.
    pub(super) fn dataset(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        defaults: &Request,
        workspace: &mut Option<Inheritance<'_>>,
    ) -> Option<Request> {
        let (at, written) = (key.span().start, key.get_ref().as_ref());
        let name = match checks::name(written) {
            Ok(name) => Some(name),
            Err(refusal) => {
                let what = format!("invalid dataset name `{}`", checks::printable(written));
                self.findings.add(at, &what, refusal);
                None
            }
        };
        let declared = self.declared(at, written, value, defaults, workspace);
        let is_inherited =
            value.get_ref().as_table().is_some_and(|it| it.contains_key("workspace"));
        let root = workspace.as_ref().filter(|_| is_inherited).map(Inheritance::path);
        let workspace = root.map(Path::to_owned);
        Some(Request { name: name?, origin: self.findings.origin(at), workspace, ..declared? })
    }

    /// Reads which dataset it is, and how to provide it.
    pub(super) fn declared(
        &mut self,
        at: usize,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        defaults: &Request,
        workspace: &mut Option<Inheritance<'_>>,
    ) -> Option<Request> {
        let owner = Owner::Dataset(name);
        let mut request = defaults.clone();
        let identity = match value.get_ref() {
            DeValue::String(text) => match checks::infohash(text) {
                Ok(infohash) => Some(infohash.into()),
                Err(refusal) => {
                    self.findings.add(
                        value.span().start,
                        &format!("invalid infohash in {owner}"),
                        refusal,
                    );
                    None
                }
            },
            DeValue::Table(table) => {
                if let Some(entry) = table.get_key_value("workspace") {
                    request = self.inherited(name, entry, table, workspace)?;
                    self.keys(table, owner, &mut request);
                    let magnet = request.identity.magnet.as_mut();
                    if let Some(magnet) = magnet.filter(|_| table.contains_key("files")) {
                        magnet.files.clear(); // the package's own `files` replaces `so=`
                    }
                    return Some(request);
                }
                self.table(at, table, owner, &mut request)
            }
            other => {
                let refusal = checks::mistyped("an infohash in quotes, or a table", other)
                    .help(format!("write `{} = \"<infohash>\"`", checks::printable(name)));
                self.findings.add(value.span().start, &format!("invalid {owner}"), refusal);
                None
            }
        };
        request.identity = identity?;
        // A dataset's own selection replaces the default, even if one is `files` and the other is
        // `so=`.
        if !request.file_numbers().is_empty() {
            request.files.clear();
        }
        Some(request)
    }

    /// Reads the keys that say how to provide a dataset. Returns whether there were unknown keys.
    fn keys(&mut self, table: &DeTable<'_>, owner: Owner<'_>, request: &mut Request) -> bool {
        let mut stray = false;
        for (key, value) in table.iter() {
            let (at, key) = (key.span().start, key.get_ref().as_ref());
            let entry = KeyValue { key, value, owner };
            if !is_identity(key) && !self.shared_key(&entry, request) {
                self.unknown_key(at, &entry);
                stray = true;
            }
        }
        stray
    }

    fn table(
        &mut self,
        at: usize,
        table: &DeTable<'_>,
        owner: Owner<'_>,
        request: &mut Request,
    ) -> Option<Identity> {
        let stray = self.keys(table, owner, request);
        let infohash = table.get("infohash");
        let torrent = table.get("torrent");
        if let Some(magnet) = table.get_key_value("magnet") {
            let selects = table.get("files").is_some_and(|files| files.get_ref().is_array());
            return self.magnet(magnet, infohash.or(torrent), owner, selects);
        }
        if infohash.is_none() && torrent.is_none() {
            // An unknown key may be a typo of the missing one; report only that.
            if !stray {
                let refusal = Refusal::new("it has neither `infohash` nor `torrent` nor `magnet`")
                    .help("add `infohash = \"<40 hexadecimal digits>\"`");
                self.findings.add(at, &format!("{owner} has no infohash"), refusal);
            }
            return None;
        }
        let base_dir = self.base_dir;
        let infohash = infohash.map(|value| {
            let entry = KeyValue { key: "infohash", value, owner };
            self.text(&entry, "an infohash in quotes", checks::infohash)
        });
        let torrent = torrent.map(|value| {
            let entry = KeyValue { key: "torrent", value, owner };
            self.text(&entry, "a path", |text| checks::torrent(text, base_dir))
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
            let refusal = Refusal::new(format!("line {line} already identifies the dataset"))
                .help("remove `magnet`");
            let what = format!("`magnet` is not allowed in {owner}");
            self.findings.add(key.span().start, &what, refusal);
            return None;
        }
        let magnet =
            self.text(&KeyValue { key: "magnet", value, owner }, "a magnet link", checks::magnet)?;
        if selects && !magnet.files.is_empty() {
            let refusal = Refusal::new("both `so=` of the link and `files` select files")
                .help("remove one of the two");
            let what = format!("invalid `magnet` in {owner}");
            self.findings.add(key.span().start, &what, refusal);
            return None;
        }
        Some(magnet.into())
    }

    fn unknown_key(&mut self, at: usize, entry: &KeyValue<'_>) {
        let KeyValue { key, value, owner } = *entry;
        let fits = |row: &&ManifestKey| row.in_defaults || matches!(owner, Owner::Dataset(_));
        let keys: Vec<&str> = KEYS.iter().filter(fits).map(|row| row.name).collect();
        let is_dataset = match value.get_ref() {
            DeValue::String(text) => text.parse::<Infohash>().is_ok(),
            DeValue::Table(table) => table.keys().any(|key| is_identity(key.get_ref())),
            _ => false,
        };
        let refusal = if key == "defaults" {
            Refusal::new("this table applies to all datasets")
                .help("write [package.metadata.academictorrents.defaults]")
        } else if let Some(near) = nearest(key, keys.iter().copied()) {
            Refusal::new("").help(format!("did you mean `{near}`?"))
        } else if let (true, Owner::Dataset(name)) = (is_dataset, owner) {
            let name = checks::printable(&format!("{name}-{key}"));
            Refusal::new("datasets cannot be nested, and their names cannot contain dots")
                .help(format!("name it `{name}`"))
        } else {
            Refusal::new(format!("the keys are {}", keys.join(", ")))
        };
        let what = format!("unknown key `{}` in {owner}", checks::printable(key));
        self.findings.add(at, &what, refusal);
    }
}
