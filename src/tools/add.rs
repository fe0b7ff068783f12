//! A dataset more in a manifest, and what it takes to be built: all of it planned first, then written at once.

use std::path::{Path, PathBuf};

use super::edit::{self, Entry, list, text};
use super::{Asked, Changes, Desk, Torrent, build_script, names, vendor};
use crate::error::{Error, ErrorKind, printable};
use crate::infohash::Infohash;
use crate::magnet::Magnet;
use crate::manifest::{DatasetName, Manifest, Request};
use crate::{download, plan, size};

pub(super) const SECTION: [&str; 3] = ["package", "metadata", "academictorrents"];
const CRATE: &str = "academictorrents";

/// The crate that shall use a dataset, as Cargo sees it.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its Cargo.toml, absolute.
    pub manifest: PathBuf,
    /// What its build script calls this library, where it is among the build-dependencies already.
    pub build_dependency: Option<String>,
    /// It is that for some targets or features alone.
    pub is_conditional: bool,
    /// The workspace's Cargo.toml.
    pub workspace: PathBuf,
}

/// What shall be written.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub name: Option<String>,
    /// Globs.
    pub files: Vec<String>,
    pub required_features: Vec<String>,
    pub optional: bool,
    pub max_size_bytes: Option<u64>,
    pub vendor: bool,
    /// SHA-256 by file.
    pub pins: Vec<(String, String)>,
}

/// What would be written.
#[derive(Debug)]
pub struct Addition {
    pub name: String,
    pub infohash: Infohash,
    /// It was declared already, and its entry stays as it is.
    pub already: bool,
    /// The limit that the entry has to raise, so that a build fetches it.
    pub max_size_bytes: Option<u64>,
    pub changes: Changes,
}

impl Addition {
    /// The `<NAME>` of its variables.
    #[must_use]
    pub fn variable(&self) -> String {
        self.name.to_ascii_uppercase().replace('-', "_")
    }
}

impl Desk {
    /// The SHA-256 of each file that is asked for, by its path: what is not here is fetched first.
    ///
    /// # Errors
    /// As for a download.
    pub fn pins(&self, dataset: &Asked, torrent: &Torrent) -> Result<Vec<(String, String)>, Error> {
        let path = self.provide_one(dataset)?;
        self.digests(torrent, &path)
    }
}

/// Plans to declare a dataset. `torrent` is `None` where it could not be looked up.
///
/// # Errors
/// [`ErrorKind::Manifest`] for a name that is taken or is none, and for what the manifest cannot hold.
pub fn add(
    package: &Package,
    dataset: &Asked,
    torrent: Option<&Torrent>,
    wish: &Wish,
) -> Result<Addition, Error> {
    let path = &package.manifest;
    let bytes = std::fs::read(path).map_err(|why| Error::disk("read", path, &why))?;
    let old = String::from_utf8(bytes).map_err(|_| refused(path).why("it is not UTF-8"))?;
    let manifest = Manifest::parse(&old, path)?;
    let infohash = match torrent {
        Some(torrent) => torrent.infohash(),
        None => {
            dataset.infohash()?.ok_or_else(|| refused(path).why("the infohash is not known"))?
        }
    };
    let same = |request: &&Request| download::infohash(request).ok().flatten() == Some(infohash);
    let known = match &wish.name {
        None => manifest.requests.iter().find(same),
        Some(name) => manifest.requests.iter().filter(same).find(|it| it.name.as_str() == name),
    };
    let name = match (known, &wish.name) {
        (Some(known), _) => known.name.as_str().to_owned(),
        (None, Some(name)) => name.clone(),
        (None, None) => names::suggested(torrent)?,
    };
    let mut addition = Addition {
        already: known.is_some(),
        name,
        infohash,
        max_size_bytes: None,
        changes: Changes::default(),
    };
    let mut new = old.clone();
    let library = match &package.build_dependency {
        Some(library) => library.clone(),
        None => {
            let (table, value) = (["build-dependencies"], requirement(package));
            new = edit::set(&new, &table, CRATE, &value).map_err(|why| {
                refused(path)
                    .why(why)
                    .help(format!("add `{CRATE} = {value}` to [build-dependencies]"))
            })?;
            CRATE.to_owned()
        }
    };
    if known.is_none() {
        check_free(&addition.name, &manifest, path)?;
        let entry = entry(&mut addition, package, dataset, torrent, wish, &old)?;
        new = edit::add(&new, &SECTION, &addition.name, &entry)
            .map_err(|why| by_hand(path, &why, &addition.name, &entry))?;
    }
    check_read(&new, path, &addition.name, infohash)?;
    build_script::provide(&mut addition.changes, package, &new, &library)?;
    if new != old {
        addition.changes.text(path.clone(), Some(old), new);
    }
    Ok(addition)
}

fn refused(path: &Path) -> Error {
    Error::new(ErrorKind::Manifest, format!("{} cannot be changed", path.display()))
}

fn by_hand(path: &Path, why: &str, name: &str, entry: &Entry) -> Error {
    refused(path).why(why).help(format!(
        "add to [{}] by hand:\n{name} = {}",
        SECTION.join("."),
        entry.inline()
    ))
}

/// The dataset's keys; a `.torrent` is added to what is written.
fn entry(
    addition: &mut Addition,
    package: &Package,
    dataset: &Asked,
    torrent: Option<&Torrent>,
    wish: &Wish,
    manifest: &str,
) -> Result<Entry, Error> {
    let mut keys = Vec::new();
    let magnet = dataset.request.identity.magnet.as_ref();
    let mut files = wish.files.clone();
    match (torrent, magnet) {
        (Some(torrent), _) if wish.vendor => {
            keys.push(("infohash", text(&addition.infohash.to_string())));
            keys.push((
                "torrent",
                text(&vendor::place(&mut addition.changes, package, &addition.name, torrent)?),
            ));
            if magnet.is_some_and(|magnet| !magnet.files.is_empty()) {
                files = vendor::selected(torrent);
            }
            keys.extend(vendor::of_magnet(dataset, torrent));
        }
        // What it names beside the infohash is of use to a build, too.
        (_, Some(magnet)) if names_more(magnet) => keys.push(("magnet", text(&magnet.link))),
        _ => keys.push(("infohash", text(&addition.infohash.to_string()))),
    }
    if !files.is_empty() {
        keys.push(("files", list(&files)));
    }
    let needed = torrent.map(Torrent::needed_bytes).filter(|it| *it > plan::DEFAULT_MAX_SIZE_BYTES);
    match (wish.max_size_bytes, needed) {
        (Some(limit), needed) => {
            keys.push(("max-size", text(&size::exact(limit))));
            if let Some(needed) = torrent.map(Torrent::needed_bytes).filter(|it| *it > limit) {
                addition.changes.warnings.push(format!(
                    "builds will refuse to fetch it: it has {}, and --max-size allows {}",
                    size::display(needed),
                    size::display(limit)
                ));
            }
            addition.max_size_bytes = needed.map(|_| limit);
        }
        (None, Some(needed)) if !has_default_limit(manifest) => {
            let limit = size::at_least(needed);
            addition.max_size_bytes = size::parse(&limit);
            keys.push(("max-size", text(&limit)));
        }
        _ => {}
    }
    if !wish.required_features.is_empty() {
        keys.push(("required-features", list(&wish.required_features)));
    }
    if wish.optional {
        keys.push(("optional", "true".to_owned()));
    }
    Ok(Entry { keys, pins: wish.pins.clone() })
}

fn names_more(magnet: &Magnet) -> bool {
    let Magnet { trackers, web_seeds, peers, files, .. } = magnet;
    !(trackers.is_empty() && web_seeds.is_empty() && peers.is_empty() && files.is_empty())
}

fn has_default_limit(manifest: &str) -> bool {
    edit::read(manifest, &[SECTION[0], SECTION[1], SECTION[2], "defaults"], "max-size").is_some()
}

/// What `[build-dependencies]` says: the workspace's word where it has one.
fn requirement(package: &Package) -> String {
    let workspace = std::fs::read_to_string(&package.workspace).unwrap_or_default();
    let inherited = edit::read(&workspace, &["workspace", "dependencies"], CRATE);
    if inherited.is_some_and(|item| item.get("package").is_none()) {
        return "{ workspace = true }".to_owned();
    }
    format!("\"{}.{}\"", env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"))
}

fn check_free(name: &str, manifest: &Manifest, path: &Path) -> Result<(), Error> {
    let taken = |why: String| {
        let shown = printable(name);
        Error::new(ErrorKind::Manifest, format!("the name `{shown}` cannot be used"))
            .why(why)
            .help("give another NAME behind the infohash")
    };
    if name == "defaults" {
        return Err(taken("it is the table of keys that hold for all datasets".to_owned()));
    }
    let variable = DatasetName::parse(name)?.variable();
    let other = manifest.requests.iter().find(|request| request.name.variable() == variable);
    let Some(other) = other else { return Ok(()) };
    let place = format!("{}:{}", path.display(), other.line.unwrap_or_default());
    Err(taken(if other.name.as_str() == name {
        format!("{place} declares another dataset by it")
    } else {
        format!("`{}` at {place} has the variable AT_{variable}_PATH, too", other.name)
    }))
}

/// The manifest as it would be, through the eyes of a build.
fn check_read(new: &str, path: &Path, name: &str, infohash: Infohash) -> Result<(), Error> {
    let manifest = Manifest::parse(new, path).map_err(|error| {
        let mut refusal =
            Error::new(ErrorKind::Manifest, "a build would refuse what is to be written");
        for line in error.to_string().lines() {
            refusal = refusal.why(line.trim());
        }
        refusal.why("nothing was changed")
    })?;
    let found = manifest.requests.iter().find(|request| request.name.as_str() == name);
    let declared = found.map(|request| (request.identity.infohash, &request.identity.torrent));
    match declared {
        Some((Some(found), _)) if found == infohash => Ok(()),
        Some((None, Some(_))) => Ok(()),
        _ => Err(refused(path).why("a build would not find the dataset in it")),
    }
}
