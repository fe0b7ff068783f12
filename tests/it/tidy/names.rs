//! Type names are unique across files, so that a search finds one definition; and each public name of academictorrents-core is
//! used, which the compiler does not check for a crate's exports.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// Exceptions: at most 15, each with a reason. There are none today.
const SHARED: [&str; 0] = [];

/// Type names that several of these files define, with the files.
fn shared(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let mut files = BTreeMap::<String, BTreeSet<String>>::new();
    for source in sources {
        for name in types(&source.code) {
            files.entry(name).or_default().insert(source.path.clone());
        }
    }
    files.retain(|_, files| files.len() > 1);
    files
}

/// The types that this code defines. Associated types of an `impl` or `trait` do not count.
fn types(code: &str) -> Vec<String> {
    let name = |line: &str| {
        let item = line.trim_start();
        let item = match item.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1.trim_start(),
            Some(rest) => rest.trim_start(),
            None => item,
        };
        let (kind, rest) = item.split_once(' ')?;
        let is_type = match kind {
            "struct" | "enum" | "trait" | "union" => true,
            "type" => !line.starts_with(' '),
            _ => false,
        };
        let name = || rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        is_type.then(name)
    };
    code.lines().filter_map(name).collect()
}

#[test]
fn types_are_found_however_they_are_written() {
    let code = "pub(crate) struct A<T>(T);\n    enum B {}\npub trait C {\n    type D;\n}\ntype E = u8;\nlet struct_f = 1;";
    assert_eq!(types(code), ["A", "B", "C", "E"]);
    let file = |path: &str| Source::new(path, "struct A;\n#[cfg(test)]\nmod tests {\n struct B; }");
    let found = shared(&[file("src/a.rs"), file("src/b.rs")]);
    assert_eq!(found.into_keys().collect::<Vec<_>>(), ["A"]);
}

#[test]
fn names_of_types_are_defined_in_one_file() {
    let files: Vec<_> = super::shipped().into_iter().filter(|it| !it.is_test()).collect();
    let found = shared(&files);
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    assert!(SHARED.len() < 15);
    assert_eq!(names, SHARED, "{found:#?}");
}

/// The words of this code, and the public items that it defines.
fn words_and_items(code: &str) -> (Vec<&str>, Vec<&str>) {
    let kinds = ["fn", "const", "static", "struct", "enum", "trait", "type"];
    // An export is not a use.
    let mut words: Vec<_> = code
        .split(';')
        .filter_map(|item| item.split("pub use ").next())
        .flat_map(|item| item.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .filter(|word| !word.is_empty())
        .collect();
    words.push(""); // after the last item
    let items = words.windows(4).filter_map(|at| match at {
        ["pub", "const", "fn", name] => Some(*name),
        ["pub", kind, name, _] if kinds.contains(kind) && *name != "fn" => Some(*name),
        _ => None,
    });
    let items = items.collect();
    (words, items)
}

/// Public items of academictorrents-core whose names are only in their definitions.
fn unused(sources: &[Source]) -> Vec<String> {
    let (mut uses, mut items) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for source in sources {
        let (words, defined) = words_and_items(&source.code);
        words.into_iter().for_each(|word| *uses.entry(word).or_default() += 1);
        if source.path.starts_with("core/") {
            items.extend(defined.into_iter().map(|item| (item, &source.path)));
        }
    }
    items.retain(|(item, _)| uses[item] == 1);
    items.into_iter().map(|(item, path)| format!("{path}: {item}")).collect()
}

#[test]
fn what_the_core_exports_is_used() {
    let file = |path: &str, text: &str| Source::new(path, text);
    let core = "pub use b::B;\npub const fn a() {}\npub const B: u8 = 1;\npub struct C;\n// D\npub enum D {}";
    let core = file("core/src/a.rs", core);
    let user =
        file("src/a.rs", "pub fn e() { a(); core::C }\n#[cfg(test)]\nmod tests {\n use B; }");
    let expected = ["B", "D"].map(|item| format!("core/src/a.rs: {item}"));
    assert_eq!(unused(&[core, user]), expected);

    let files = super::shipped().into_iter().chain(super::sources("benches"));
    assert_eq!(unused(&files.filter(|it| !it.is_test()).collect::<Vec<_>>()), [""; 0]);
}
