//! Finds our section in the document, and reads its datasets.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::checks;
use super::features::{Features, descend};
use super::findings::{Findings, Refusal};
use super::keys::{KEYS, Reader, is_identity};
use super::workspace::Inheritance;
use super::{HEADER, Manifest, Request, SECTION};
use crate::error::{Error, ErrorKind};
use crate::suggest::nearest;
use crate::torrent::infohash::Infohash;

/// Tables in which the section is misplaced.
const WRONG_PLACES: [&[&str]; 3] = [&["metadata", SECTION], &["package", SECTION], &[SECTION]];

pub(super) fn read(text: &str, path: &Path) -> Result<Manifest, Error> {
    let findings = Findings::new(text, path);
    let document = DeTable::parse(text).map_err(|why| {
        let at = why.span().map_or(0, |span| span.start);
        findings.one(at, "invalid TOML", Refusal::new(why.message()))
    })?;
    let document = document.into_inner();
    let absolute = std::path::absolute(path).map_err(|why| {
        Error::new(ErrorKind::Manifest, format!("{} is not a path", path.display()))
            .why(why.to_string())
    })?;
    let base_dir = absolute.parent().unwrap_or(&absolute);
    let features = Features::of(&document);
    let mut reader = Reader { findings, base_dir, features };
    let section = descend(&document, &["package", "metadata", SECTION]);
    let table = section.and_then(|(_, value)| value.as_table());
    let root = table.and_then(|table| reader.root(table, &absolute));
    let root_document = root.as_ref().and_then(|root| reader.parsed(root));
    let features = Features::of(&document);
    let mut workspace = root
        .as_ref()
        .zip(root_document.as_ref())
        .map(|(root, root_document)| Inheritance::new(root, root_document.get_ref(), features));
    let requests = match (table, section) {
        (Some(table), _) => datasets(table, &mut reader, &mut workspace),
        (None, Some((at, value))) => {
            let refusal = checks::mistyped("a table of datasets", value)
                .help(format!("write {HEADER}, and below it `name = \"<infohash>\"`"));
            reader.findings.add(at, "invalid [package.metadata.academictorrents]", refusal);
            Vec::new()
        }
        (None, None) => {
            misplaced(&document, &mut reader.findings);
            Vec::new()
        }
    };
    reader.findings.into_result(workspace.map(Inheritance::into_findings))?;
    Ok(Manifest { path: path.to_owned(), workspace: root.map(|root| root.path), requests })
}

fn datasets(
    section: &DeTable<'_>,
    reader: &mut Reader<'_>,
    workspace: &mut Option<Inheritance<'_>>,
) -> Vec<Request> {
    let defaults = match section.get_key_value("defaults") {
        Some((key, value)) => reader.defaults(key.span().start, value.get_ref()),
        None => Request::default(),
    };
    let mut requests: Vec<Request> = Vec::new();
    for (key, value) in section.iter() {
        let (at, name) = (key.span().start, key.get_ref().as_ref());
        if name == "defaults" || wrong_level(at, name, value.get_ref(), reader) {
            continue;
        }
        let Some(request) = reader.dataset(key, value, &defaults, workspace) else { continue };
        let variable = request.name.variable();
        if let Some(other) = requests.iter().find(|other| other.name.variable() == variable) {
            let line = |request: &Request| request.origin.manifest().map_or(0, |(_, line)| line);
            let why = format!(
                "`{}` is on line {}, `{name}` on line {}",
                other.name,
                line(other),
                line(&request)
            );
            let refusal = Refusal::new(why).help("rename one of them");
            let what =
                format!("datasets `{}` and `{name}` both map to AT_{variable}_PATH", other.name);
            reader.findings.add(at, &what, refusal);
        }
        requests.push(request);
    }
    requests
}

/// Reports a dataset's key in the place of a dataset's name. Returns whether it did.
fn wrong_level(at: usize, key: &str, value: &DeValue<'_>, reader: &mut Reader<'_>) -> bool {
    let shared = KEYS.iter().filter(|key| key.in_defaults);
    let (near, place) = match nearest(key, shared.map(|key| key.name)) {
        _ if is_identity(key) => (key, "[package.metadata.academictorrents.<name>]"),
        Some(near) => (near, "[package.metadata.academictorrents.defaults]"),
        None => return false,
    };
    // A dataset may have the name of a key, if it is clearly a dataset.
    let is_dataset = match value {
        DeValue::String(text) if near == key => {
            key != "infohash" && text.parse::<Infohash>().is_ok()
        }
        DeValue::Table(table) if near == key => table.keys().any(|key| is_identity(key.get_ref())),
        // `file` and `story` are valid names: they count as typos only if the value suggests it,
        // too.
        DeValue::String(text) => text.len() >= 32,
        DeValue::Table(_) => true,
        _ => false,
    };
    if is_dataset {
        return false;
    }
    let refusal = if place.contains("defaults") {
        let mean = if near == key { String::new() } else { format!("did you mean `{near}`? ") };
        Refusal::new(
            "the keys of this table are dataset names; keys for all datasets belong in `defaults`",
        )
        .help(format!("{mean}move it to {place}"))
    } else {
        Refusal::new(
            "the keys of this table are dataset names; this key belongs in the table of a dataset",
        )
        .help(format!("move it to {place}, or write `<name> = \"<infohash>\"` here"))
    };
    let key = checks::printable(key);
    reader.findings.add(at, &format!("`{key}` is not a dataset name"), refusal);
    true
}

/// Reports sections in the wrong place, or with a misspelled name.
fn misplaced(document: &DeTable<'_>, findings: &mut Findings<'_>) {
    for place in WRONG_PLACES {
        if let Some((at, _)) = descend(document, place) {
            let why = format!("datasets belong to a package, in {HEADER}");
            let what = format!("[{}] is ignored", place.join("."));
            let refusal = Refusal::new(why).help(format!("rename it to {HEADER}"));
            findings.add(at, &what, refusal);
        }
    }
    let metadata = descend(document, &["package", "metadata"]);
    for (key, _) in metadata.and_then(|(_, value)| value.as_table()).into_iter().flatten() {
        // Other tools have metadata, too: report only names similar to ours.
        let plain = key.get_ref().replace(['-', '_'], "");
        if nearest(&plain, [SECTION]).is_some() {
            let what = format!("[package.metadata.{}] is ignored", key.get_ref());
            let refusal = Refusal::new("").help(format!("did you mean {HEADER}?"));
            findings.add(key.span().start, &what, refusal);
        }
    }
}
