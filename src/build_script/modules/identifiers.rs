//! Turns arbitrary names into Rust identifiers.
//!
//! Every name results in a valid identifier, and the names of a list in distinct ones. Identifiers
//! are ASCII: which other characters are letters depends on the Unicode version, and the compiler
//! warns about those that look alike. A non-ASCII character is replaced by its code point, so that
//! collisions are rare. All but the first of colliding names get a number.

use std::collections::HashSet;

/// Keywords of all editions, used or reserved. `r#` makes them identifiers in each edition.
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// Names that cannot be raw identifiers.
const NEVER_RAW: [&str; 4] = ["crate", "self", "super", "Self"];

/// Identifiers for the modules of datasets: the names with `_` for `-`, and keywords with `r#`.
pub fn modules<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let bare = names.into_iter().map(|name| {
        let mut module = spelled(name, |c| c.to_ascii_lowercase());
        if module.trim_matches('_').is_empty() || module.starts_with(|c: char| c.is_ascii_digit()) {
            module.insert_str(0, "dataset_");
        }
        if NEVER_RAW.contains(&module.as_str()) {
            module.push('_');
        }
        module
    });
    let raw = |module: String| {
        if KEYWORDS.contains(&module.as_str()) { format!("r#{module}") } else { module }
    };
    distinct(bare).into_iter().map(raw).collect()
}

/// Identifiers for the constants of files: the paths in upper case, with one `_` between words.
pub fn constants<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    distinct(paths.into_iter().map(|path| {
        let spelled = spelled(path, |c| c.to_ascii_uppercase());
        let words: Vec<_> = spelled.split('_').filter(|word| !word.is_empty()).collect();
        let constant = words.join("_");
        match constant.chars().next() {
            None => "FILE".to_owned(),
            Some(first) if first.is_ascii_digit() => format!("FILE_{constant}"),
            Some(_) => constant,
        }
    }))
}

/// Spells a name with ASCII letters, digits and `_`.
fn spelled(name: &str, in_case: impl Fn(char) -> char) -> String {
    let mut spelled = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => spelled.push(in_case(c)),
            _ if c.is_ascii() => spelled.push('_'),
            _ => spelled.extend(format!("u{:x}", u32::from(c)).chars().map(&in_case)),
        }
    }
    spelled
}

/// Makes names distinct: appends `_2`, or the next free number, to repeated ones.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let names: Vec<String> = names.collect();
    // A name that occurs literally is kept, wherever it is in the list.
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut seen = HashSet::new();
    let mut found = Vec::with_capacity(names.len());
    for name in &names {
        if seen.insert(name) {
            found.push(name.clone());
            continue;
        }
        let mut number = 2_usize;
        let numbered = loop {
            let numbered = format!("{name}_{number}");
            if taken.insert(numbered.clone()) {
                break numbered;
            }
            number += 1;
        };
        found.push(numbered);
    }
    found
}
