//! The document: where our section is, and which features there are.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::checks;
use super::dataset::{self, IDENTITY_KEYS, Reader, SHARED_KEYS, Values};
use super::findings::{Findings, Refusal};
use super::{Manifest, Request};
use crate::error::{Error, ErrorKind};
use crate::infohash::Infohash;
use crate::nearest::nearest;

const SECTION: &str = "academictorrents";
const HEADER: &str = "[package.metadata.academictorrents]";
/// Places where it is looked for in vain.
const WRONG_PLACES: [&[&str]; 4] = [
    &["workspace", "metadata", SECTION],
    &["metadata", SECTION],
    &["package", SECTION],
    &[SECTION],
];

pub(super) fn read(text: &str, path: &Path) -> Result<Manifest, Error> {
    let findings = Findings::new(text, path);
    let document = DeTable::parse(text).map_err(|why| {
        let at = why.span().map_or(0, |span| span.start);
        findings.one(at, "this is not TOML", Refusal::new(why.message()))
    })?;
    let document = document.into_inner();
    let base_dir = dataset::base_dir(path).map_err(|why| {
        Error::new(ErrorKind::Manifest, format!("{} is not a path", path.display()))
            .why(why.to_string())
    })?;
    let features = Features::of(&document);
    let mut reader = Reader { findings, base_dir: &base_dir, features };
    let requests = match descend(&document, &["package", "metadata", SECTION]) {
        Some((_, value)) if value.is_table() => {
            value.as_table().map(|section| datasets(section, &mut reader)).unwrap_or_default()
        }
        Some((at, value)) => {
            let refusal = checks::mistyped("a table of datasets", value)
                .help(format!("write {HEADER}, and below it `name = \"<infohash>\"`"));
            reader.findings.add(at, "the datasets cannot be read", refusal);
            Vec::new()
        }
        None => {
            misplaced(&document, &mut reader.findings);
            Vec::new()
        }
    };
    reader.findings.into_result()?;
    Ok(Manifest { path: path.to_owned(), requests })
}

fn datasets(section: &DeTable<'_>, reader: &mut Reader<'_>) -> Vec<Request> {
    let defaults = match section.get_key_value("defaults") {
        Some((key, value)) => reader.defaults(key.span().start, value.get_ref()),
        None => Values::default(),
    };
    let mut requests: Vec<Request> = Vec::new();
    for (key, value) in section.iter() {
        let (at, name) = (key.span().start, key.get_ref().as_ref());
        if name == "defaults" || wrong_level(at, name, value.get_ref(), reader) {
            continue;
        }
        let Some(request) = reader.dataset(key, value, &defaults) else { continue };
        let variable = request.name.variable();
        if let Some(other) = requests.iter().find(|other| other.name.variable() == variable) {
            let why = format!(
                "`{}` on line {} and `{name}` on line {} are both AT_{variable}_PATH",
                other.name,
                other.line.unwrap_or_default(),
                request.line.unwrap_or_default()
            );
            let refusal = Refusal::new(why).help("rename one of them");
            let what = format!("dataset `{name}` has the variables of another");
            reader.findings.add(at, &what, refusal);
        }
        requests.push(request);
    }
    requests
}

/// A dataset's key where a dataset's name should be: true, and a finding, where it is that.
fn wrong_level(at: usize, key: &str, value: &DeValue<'_>, reader: &mut Reader<'_>) -> bool {
    let shared = nearest(key, SHARED_KEYS);
    let (near, place) = match shared {
        _ if IDENTITY_KEYS.contains(&key) => (key, "[package.metadata.academictorrents.<name>]"),
        Some(near) => (near, "[package.metadata.academictorrents.defaults]"),
        None => return false,
    };
    // A dataset may have such a name, if it is one beyond doubt.
    let is_dataset = match value {
        DeValue::String(text) if near == key => {
            key != "infohash" && text.parse::<Infohash>().is_ok()
        }
        DeValue::Table(table) if near == key => {
            IDENTITY_KEYS.iter().any(|identity| table.contains_key(*identity))
        }
        // `file` and `story` are good names: a slip is one where the value says so, too.
        DeValue::String(text) => text.len() >= 32,
        DeValue::Table(_) => true,
        _ => false,
    };
    if is_dataset {
        return false;
    }
    let refusal = if place.contains("defaults") {
        let mean = if near == key { String::new() } else { format!("did you mean `{near}`? ") };
        Refusal::new("here are the datasets' names; a key for all of them belongs in `defaults`")
            .help(format!("{mean}write it under {place}"))
    } else {
        Refusal::new("here are the datasets' names; this key belongs to one dataset")
            .help(format!("write it under {place}, or `<name> = \"<infohash>\"` here"))
    };
    let key = checks::printable(key);
    reader.findings.add(at, &format!("`{key}` cannot be a dataset"), refusal);
    true
}

/// The section is not where it belongs: is it elsewhere?
fn misplaced(document: &DeTable<'_>, findings: &mut Findings<'_>) {
    for place in WRONG_PLACES {
        if let Some((at, _)) = descend(document, place) {
            let why = format!("datasets belong to a package, in {HEADER}");
            let what = format!("[{}] is not read", place.join("."));
            let refusal = Refusal::new(why).help(format!("rename it to {HEADER}"));
            findings.add(at, &what, refusal);
        }
    }
    let metadata = descend(document, &["package", "metadata"]);
    for (key, _) in metadata.and_then(|(_, value)| value.as_table()).into_iter().flatten() {
        // Metadata is any tool's: only a slip of our name is our business.
        let plain = key.get_ref().replace(['-', '_'], "");
        if nearest(&plain, [SECTION]).is_some() {
            let what = format!("[package.metadata.{}] is not read", key.get_ref());
            let refusal = Refusal::new("").help(format!("did you mean {HEADER}?"));
            findings.add(key.span().start, &what, refusal);
        }
    }
}

/// The value at a path of keys, and where its last key is.
fn descend<'d, 'i>(table: &'d DeTable<'i>, path: &[&str]) -> Option<(usize, &'d DeValue<'i>)> {
    let (last, way) = path.split_last()?;
    let table = way.iter().try_fold(table, |table, key| table.get(*key)?.get_ref().as_table())?;
    let (key, value) = table.get_key_value(*last)?;
    Some((key.span().start, value.get_ref()))
}

/// The features that Cargo knows of a package.
#[derive(Debug, Default)]
pub(super) struct Features {
    names: Vec<String>,
    /// Optional dependencies that are no features, as `dep:` names them.
    hidden: Vec<String>,
}

impl Features {
    fn of(document: &DeTable<'_>) -> Features {
        let table = |path: &[&str]| descend(document, path).and_then(|(_, value)| value.as_table());
        let declared = table(&["features"]);
        let mut names: Vec<String> = declared.into_iter().flat_map(keys).collect();
        let behind_dep: Vec<&str> = declared
            .into_iter()
            .flat_map(DeTable::values)
            .filter_map(|enables| enables.get_ref().as_array())
            .flat_map(|enables| enables.iter())
            .filter_map(|enabled| enabled.get_ref().as_str()?.strip_prefix("dep:"))
            .collect();
        let targets = table(&["target"]).into_iter().flat_map(DeTable::values);
        let of_targets = targets.filter_map(|target| target.get_ref().as_table());
        let mut hidden = Vec::new();
        for owner in of_targets.chain([document]) {
            for kind in ["dependencies", "build-dependencies"] {
                let Some((_, dependencies)) = descend(owner, &[kind]) else { continue };
                for (name, dependency) in dependencies.as_table().into_iter().flatten() {
                    if is_optional(dependency) {
                        let name = name.get_ref().to_string();
                        let hide = behind_dep.contains(&name.as_str()) && !names.contains(&name);
                        if hide { &mut hidden } else { &mut names }.push(name);
                    }
                }
            }
        }
        Features { names, hidden }
    }

    /// The feature, if the package has it.
    pub(super) fn check(&self, feature: &str) -> Result<String, Refusal> {
        let is_among = |names: &[String]| names.iter().any(|name| name == feature);
        if is_among(&self.names) {
            return Ok(feature.to_owned());
        }
        let quoted = checks::printable(feature);
        if is_among(&self.hidden) {
            let why = format!(
                "`{quoted}` is an optional dependency, but no feature, \
                 as [features] names it with `dep:`"
            );
            return Err(Refusal::new(why).help("name the feature that enables it"));
        }
        let help = match nearest(feature, self.names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("add it to [features]: `{quoted} = []`"),
        };
        Err(Refusal::new(format!("the package has no feature `{quoted}`")).help(help))
    }
}

fn keys(table: &DeTable<'_>) -> impl Iterator<Item = String> {
    table.keys().map(|key| key.get_ref().to_string())
}

fn is_optional(dependency: &Spanned<DeValue<'_>>) -> bool {
    let optional = dependency.get_ref().as_table().and_then(|table| table.get("optional"));
    optional.and_then(|optional| optional.get_ref().as_bool()) == Some(true)
}
