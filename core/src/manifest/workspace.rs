//! `[workspace.metadata.academictorrents]`: datasets that the packages of a workspace share. Cargo
//! does not resolve inheritance in metadata, so this module finds the workspace's root as Cargo
//! does, and reads the datasets there.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Request;
use super::checks;
use super::features::{Features, descend};
use super::findings::{Findings, Refusal};
use super::keys::{Reader, is_identity};
use super::{HEADER, SECTION};
use crate::suggest::nearest;

const SHARED: &str = "[workspace.metadata.academictorrents]";

/// The workspace's section, from which packages inherit datasets.
pub(super) struct Inheritance<'w> {
    reader: Reader<'w>,
    datasets: Option<&'w DeTable<'w>>,
    defaults: Request,
    has_no_defaults: bool,
}

/// The manifest of the workspace's root, and its text.
pub(super) struct RootManifest {
    pub(super) path: PathBuf,
    text: String,
}

impl Reader<'_> {
    /// The workspace's root, if a dataset is inherited. If there is none, adds a problem.
    pub(super) fn root(&mut self, datasets: &DeTable<'_>, manifest: &Path) -> Option<RootManifest> {
        let inherits = |(_, value): &(_, &Spanned<DeValue<'_>>)| {
            value.get_ref().as_table().is_some_and(|table| table.contains_key("workspace"))
        };
        let (key, _) = datasets.iter().find(inherits)?;
        let found = find_root(manifest);
        let add = |refusal| self.findings.add(key.span().start, NOT_INHERITED, refusal);
        found.map_err(add).ok()
    }

    /// Parses the root's manifest.
    pub(super) fn parsed<'r>(&mut self, root: &'r RootManifest) -> Option<Spanned<DeTable<'r>>> {
        let refused = |why: toml::de::Error| {
            let findings = Findings::new(&root.text, &root.path);
            let at = why.span().map_or(0, |span| span.start);
            findings.one(at, "invalid TOML", Refusal::new(why.message()))
        };
        DeTable::parse(&root.text).map_err(|why| self.findings.add_error(refused(why))).ok()
    }
}

const NOT_INHERITED: &str = "the dataset cannot be inherited";

/// Finds the root as Cargo does (`find_workspace_root_with_loader` in its `core/workspace.rs`): the
/// nearest manifest, from the package's own upward, that either has a `[workspace]` which does not
/// exclude the package, or names a root in `package.workspace`. Unlike Cargo, does not stop at
/// `target/package` and Cargo's home: packages there are published ones.
fn find_root(manifest: &Path) -> Result<RootManifest, Refusal> {
    let directory = manifest.parent().unwrap_or(manifest);
    for above in directory.ancestors() {
        let path = above.join("Cargo.toml");
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(document) = DeTable::parse(&text) else { continue };
        let document = document.get_ref();
        let named = descend(document, &["package", "workspace"]);
        if let Some(named) = named.and_then(|(_, value)| value.as_str()) {
            let named_path = above.join(named).join("Cargo.toml");
            return match std::fs::read_to_string(&named_path) {
                Ok(text) => Ok(RootManifest { path: named_path, text }),
                Err(why) => {
                    let why = format!("could not read {}: {why}", named_path.display());
                    let help = format!("correct `package.workspace` in {}", path.display());
                    Err(Refusal::new(why).help(help))
                }
            };
        }
        if document.contains_key("workspace") && !excludes(document, above, manifest) {
            return Ok(RootManifest { path, text: text.clone() });
        }
    }
    Err(Refusal::new("the package is not in a workspace")
        .help("declare the dataset in the package's own manifest"))
}

/// Whether a workspace excludes a package: `exclude` covers its manifest, and no path in `members`
/// does. Like Cargo, takes both lists literally here, without globs.
fn excludes(root: &DeTable<'_>, root_directory: &Path, manifest: &Path) -> bool {
    let covers = |key: &str| {
        let list = descend(root, &["workspace", key]).and_then(|(_, value)| value.as_array());
        let mut names = list.into_iter().flatten().filter_map(|it| it.get_ref().as_str());
        names.any(|name| manifest.starts_with(root_directory.join(name)))
    };
    covers("exclude") && !covers("members")
}

impl<'w> Inheritance<'w> {
    /// Reads the section of the root's document. `features` are those of the inheriting package.
    pub(super) fn new(
        root: &'w RootManifest,
        document: &'w DeTable<'w>,
        features: Features,
    ) -> Inheritance<'w> {
        let findings = Findings::new(&root.text, &root.path);
        let base_dir = root.path.parent().unwrap_or(&root.path);
        let mut reader = Reader { findings, base_dir, features };
        let section = descend(document, &["workspace", "metadata", SECTION]);
        let datasets = section.and_then(|(_, value)| value.as_table());
        let defaults = datasets.and_then(|section| section.get_key_value("defaults"));
        let has_no_defaults = defaults.is_none();
        let defaults = match defaults {
            Some((key, value)) => reader.defaults(key.span().start, value.get_ref()),
            None => Request::default(),
        };
        Inheritance { reader, datasets, defaults, has_no_defaults }
    }

    /// The dataset that the workspace declares; `None` if its declaration has problems, which are
    /// collected.
    ///
    /// # Errors
    /// Why the workspace does not declare it.
    pub(super) fn dataset(&mut self, name: &str) -> Result<Option<Request>, Refusal> {
        let Some((key, value)) = self.declared(name) else {
            let root = self.reader.findings.path.display();
            let names = self.datasets.into_iter().flat_map(DeTable::keys);
            let names: Vec<_> = names.map(|key| key.get_ref().as_ref()).collect();
            let others = names.iter().copied().filter(|name| *name != "defaults");
            let why = format!("{SHARED} of {root} has no such dataset");
            return Err(Refusal::new(why).help(match nearest(name, others) {
                Some(near) => format!("did you mean `{near}.workspace = true`?"),
                None => format!("declare it there: `{} = \"<infohash>\"`", checks::printable(name)),
            }));
        };
        let at = key.span().start;
        let known = value.get_ref().as_table().and_then(|it| it.get_key_value("workspace"));
        if let Some((key, _)) = known {
            let refusal = Refusal::new("this is already the workspace")
                .help("declare the dataset here, by its infohash, magnet link or .torrent");
            self.reader.findings.add(key.span().start, "`workspace` is not allowed here", refusal);
            return Ok(None);
        }
        Ok(self.reader.declared(at, name, value, &self.defaults, &mut None))
    }

    fn declared(
        &self,
        name: &str,
    ) -> Option<(&'w Spanned<std::borrow::Cow<'w, str>>, &'w Spanned<DeValue<'w>>)> {
        self.datasets?.get_key_value(name).filter(|_| name != "defaults")
    }

    /// The line to write into a package to be published, in place of `name.workspace = true`.
    pub(super) fn line_for(&self, name: &str) -> Option<String> {
        let (_, value) = self.declared(name)?;
        // A table may contain paths relative to the root, and `defaults` apply only there.
        let infohash = value.get_ref().as_str().filter(|_| self.has_no_defaults)?;
        Some(format!("{name} = {infohash:?}"))
    }

    /// The manifest of the workspace's root.
    pub(super) fn path(&self) -> &Path {
        self.reader.findings.path
    }

    pub(super) fn into_findings(self) -> Findings<'w> {
        self.reader.findings
    }
}

/// Whether this manifest was normalized by Cargo, because the package is published, unpacked or
/// vendored. The directories above are not its workspace.
fn is_normalized(manifest: &Path, text: &str) -> bool {
    // Not by a Cargo.toml.orig: merge tools and `patch` leave such files, too.
    text.starts_with(PREAMBLE) || manifest.with_file_name(".cargo-checksum.json").exists()
}

/// How Cargo begins a manifest that it has normalized.
const PREAMBLE: &str = "# THIS FILE IS AUTOMATICALLY GENERATED BY CARGO";

impl Reader<'_> {
    /// Reads `name.workspace = true`. Further keys override those of the workspace.
    pub(super) fn inherited(
        &mut self,
        name: &str,
        (key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>),
        table: &DeTable<'_>,
        parent: &mut Option<Inheritance<'_>>,
    ) -> Option<Request> {
        let what = format!("dataset `{}` cannot be inherited", checks::printable(name));
        let is_normalized = is_normalized(self.findings.path, self.findings.text);
        let mut refuse = |at: usize, refusal: Refusal| {
            self.findings.add(at, &what, refusal);
            None
        };
        if value.get_ref().as_bool() != Some(true) {
            let refusal = checks::mistyped("true", value.get_ref());
            return refuse(value.span().start, refusal.help("write `workspace = true`"));
        }
        let beside = table.iter().find(|(it, _)| is_identity(it.get_ref()) && *it != key);
        if let Some((other, _)) = beside {
            let why = format!("`{}` already identifies the dataset", other.get_ref());
            return refuse(other.span().start, Refusal::new(why).help("remove one of the two"));
        }
        let at = key.span().start;
        if is_normalized {
            let line =
                parent.as_ref().filter(|_| table.len() == 1).and_then(|it| it.line_for(name));
            let line = line.map_or_else(
                || "the dataset itself, with paths inside the package,".to_owned(),
                |line| format!("`{line}`"),
            );
            let why = "a published package has no workspace, and Cargo does not resolve this line";
            let help = format!("write {line} into {}", HEADER);
            return refuse(at, Refusal::new(why).help(help));
        }
        // Without a parent, the reason was already reported.
        let parent = parent.as_mut()?;
        match parent.dataset(name) {
            Ok(dataset) => dataset,
            Err(refusal) => refuse(at, refusal),
        }
    }
}
