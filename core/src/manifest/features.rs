//! The package's features, for `required-features`.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::checks;
use super::findings::Refusal;
use crate::suggest::nearest;

/// The value at a path of keys, and the position of its last key.
pub(super) fn descend<'d, 'i>(
    table: &'d DeTable<'i>,
    path: &[&str],
) -> Option<(usize, &'d DeValue<'i>)> {
    let (last, way) = path.split_last()?;
    let table = way.iter().try_fold(table, |table, key| table.get(*key)?.get_ref().as_table())?;
    let (key, value) = table.get_key_value(*last)?;
    Some((key.span().start, value.get_ref()))
}

/// The features of a package, as Cargo sees them.
#[derive(Debug, Default)]
pub(super) struct Features {
    names: Vec<String>,
    /// Optional dependencies that are not features, because `dep:` names them.
    hidden: Vec<String>,
}

impl Features {
    pub(super) fn of(document: &DeTable<'_>) -> Features {
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
            // Editions before 2024 accept `_`, too.
            for kind in ["dependencies", "build-dependencies", "build_dependencies"] {
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

    /// Returns the feature if the package has it.
    pub(super) fn check(&self, feature: &str) -> Result<String, Refusal> {
        let is_among = |names: &[String]| names.iter().any(|name| name == feature);
        if is_among(&self.names) {
            return Ok(feature.to_owned());
        }
        let quoted = checks::printable(feature);
        if is_among(&self.hidden) {
            let why = format!(
                "`{quoted}` is an optional dependency but not a feature, because [features] names it with `dep:`"
            );
            return Err(Refusal::new(why).help("use the feature that enables it"));
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
