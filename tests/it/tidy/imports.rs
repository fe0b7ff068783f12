//! The import graph of the source files, which must not have cycles.
//!
//! Imports are paths that begin with `crate`, `super`, `self` or a child module, in `use` items and
//! in code. Two kinds do not count: a file that uses items of its own directory's module
//! (`super::Item`), and a module that exports items of its children (`pub use`).

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// A module's path from the crate's root.
type Module = Vec<String>;

/// The imports of each module.
pub struct Imports(BTreeMap<Module, BTreeSet<Module>>);

impl Imports {
    pub fn of(sources: &[Source]) -> Imports {
        let modules: BTreeSet<Module> = sources.iter().map(module).collect();
        let of_one = |source: &Source| (module(source), imports(source, &modules));
        Imports(sources.iter().map(of_one).collect())
    }

    /// The cycles of imports, one line for each.
    pub fn circles(&self) -> Vec<String> {
        // The full reachability relation is affordable for a few hundred files.
        let reach: BTreeMap<&Module, BTreeSet<&Module>> =
            self.0.keys().map(|module| (module, self.reachable(module))).collect();
        let mut circles = BTreeSet::new();
        for (module, reached) in &reach {
            let mut circle: Vec<String> = reached
                .iter()
                .filter(|other| reach.get(**other).is_some_and(|back| back.contains(module)))
                .map(|other| other.join("::"))
                .collect();
            if reached.contains(module) {
                circle.sort();
                circles.insert(circle.join(", "));
            }
        }
        circles.into_iter().collect()
    }

    /// Imports `(importing, imported)` that violate this order of the children of `parent`, lowest
    /// first. Modules of one line must not import each other.
    pub fn upward(&self, parent: &str, order: &[&[&str]]) -> Vec<(String, String)> {
        let layer = |module: &Module| {
            let child = module.get(1).filter(|_| module[0] == parent)?;
            let at = order.iter().position(|layer| layer.contains(&child.as_str()))?;
            Some((at, child.clone()))
        };
        let pairs = self.0.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
        let is_upward = |(from, to): &(&Module, &Module)| match (layer(from), layer(to)) {
            (Some((from, own)), Some((to, other))) => to >= from && own != other,
            _ => false,
        };
        pairs.filter(is_upward).map(|(from, to)| (from.join("::"), to.join("::"))).collect()
    }

    fn reachable<'a>(&'a self, from: &'a Module) -> BTreeSet<&'a Module> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&Module> = vec![from];
        while let Some(module) = open.pop() {
            let next = self.0.get(module).into_iter().flatten();
            open.extend(next.filter(|next| reached.insert(*next)));
        }
        reached
    }
}

fn module(source: &Source) -> Module {
    let (_, below) = source.path.split_once("src/").unwrap_or(("", &source.path));
    let parts = below.trim_end_matches(".rs").split('/').map(str::to_owned);
    let mut parts: Module = parts.collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

fn imports(source: &Source, modules: &BTreeSet<Module>) -> BTreeSet<Module> {
    let own = module(source);
    let mut found = BTreeSet::new();
    for (path, is_exported) in paths(&source.code) {
        let Some(path) = absolute(&own, &path, modules) else { continue };
        let prefixes = (1..=path.len()).rev().map(|length| path[..length].to_vec());
        let Some(target) = prefixes.into_iter().find(|prefix| modules.contains(prefix)) else {
            continue;
        };
        let is_above = own.starts_with(&target);
        let is_own_child = is_exported && target.starts_with(&own);
        if !is_above && !is_own_child {
            found.insert(target);
        }
    }
    found
}

/// The path from the crate's root, or `None` for a path of another crate.
fn absolute(own: &Module, path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let joined = |base: &[String], rest: &[String]| [base, rest].concat();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "super" => Some(joined(own.get(..own.len().checked_sub(ups)?)?, &path[ups..])),
        "self" => Some(joined(own, &path[1..])),
        _ => Some(joined(own, path)).filter(|it| modules.contains(&it[..=own.len()].to_vec())),
    }
}

/// All paths of `use` items, and paths in code that begin with a keyword; the flag says whether the
/// item is `pub`.
fn paths(code: &str) -> Vec<(Vec<String>, bool)> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = String::new();
    let mut items = code.split("use ");
    rest.push_str(items.next().unwrap_or_default());
    for item in items {
        let before = rest.trim_end();
        let begins = before.is_empty() || before.ends_with([';', '}', '{', ']', ')']);
        let is_public = before.ends_with("pub") || before.ends_with("pub(super)");
        match item.split_once(';').filter(|_| begins || is_public || before.ends_with("pub(crate)"))
        {
            Some((tree, after)) => {
                leaves(tree, &[], &mut |path| found.push((path, is_public)));
                rest.push(';');
                rest.push_str(after);
            }
            None => rest.push_str(item),
        }
    }
    for keyword in ["crate::", "super::", "self::"] {
        for (at, _) in rest.match_indices(keyword) {
            let before = rest[..at].chars().next_back();
            if before.is_some_and(|c| is_name(c) || matches!(c, ':' | '$')) {
                continue;
            }
            let end = rest[at..].find(|c: char| !is_name(c) && c != ':').unwrap_or(rest.len() - at);
            let path = rest[at..at + end].trim_end_matches(':').split("::").map(str::to_owned);
            found.push((path.collect(), false));
        }
    }
    found
}

/// Calls `found` with each path of a `use` tree.
fn leaves(tree: &str, base: &[String], found: &mut dyn FnMut(Vec<String>)) {
    let tree = tree.trim();
    let (path, group) = match tree.split_once('{') {
        Some((path, group)) => (path, group.strip_suffix('}')),
        None => (tree.split(" as ").next().unwrap_or_default(), None),
    };
    let parts = path.split("::").map(str::trim).filter(|part| !part.is_empty());
    let path: Vec<String> = base.iter().cloned().chain(parts.map(str::to_owned)).collect();
    let Some(group) = group else { return found(path) };
    let (mut depth, mut begin) = (0, 0);
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = group[begin..at].trim();
                if !item.is_empty() {
                    leaves(item, &path, found);
                }
                begin = at + 1;
            }
            _ => {}
        }
    }
}

#[test]
fn circles_of_imports_are_found_however_they_are_written() {
    let circles = |files: &[(&str, &str)]| {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        Imports::of(&sources).circles()
    };
    let check = |text: &str, is_circle: bool| {
        let other = ("src/a/c.rs", "use crate::a::b::X;");
        let found = circles(&[("src/a/mod.rs", "mod b;\nmod c;"), ("src/a/b.rs", text), other]);
        assert_eq!(found.len(), usize::from(is_circle), "{text}: {found:?}");
    };
    check("use super::c::Y;", true);
    check("use crate::a::{c::{self, Y}, Z};", true);
    check("fn f() -> super::c::Y {}", true);
    check("fn f() { crate::a::c::g() }", true);
    check("#[cfg(x)]\npub(crate) use super::{Z, c};", true);
    check("use super::Z; // super::c", false);
    check("use super::d::Y; use std::c::Y;", false);
    check("#[cfg(test)]\nmod tests { use super::super::c::Y; }", false);
    // A module and its children.
    let parent = ("src/a.rs", "mod b;\nuse b::X;");
    assert_eq!(circles(&[parent, ("src/a/b.rs", "use super::Item;")]), [""; 0]);
    let sibling = ("src/a/c.rs", "use crate::a::Item;");
    let exporting = ("src/a.rs", "mod b;\npub use b::X;");
    assert_eq!(circles(&[exporting, ("src/a/b.rs", "use super::c::X;"), sibling]), [""; 0]);
}

#[test]
fn upward_imports_are_found() {
    let file = |path: &str, text: &str| Source::new(path, text);
    let sources = [
        file("src/e/low.rs", "use crate::e::high::X;"),
        file("src/e/high/mod.rs", "use crate::e::low::Y; use crate::f::Z;"),
        file("src/f.rs", "use crate::e::high::X;"),
    ];
    let found = Imports::of(&sources).upward("e", &[&["low"], &["high"]]);
    assert_eq!(found, [("e::low".to_owned(), "e::high".to_owned())]);
}
