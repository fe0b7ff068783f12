//! Rust identifiers for names that anyone chose.
//!
//! Any name gives a valid identifier, and names of one list give different ones. Identifiers are ASCII: which other
//! characters are letters changes with Unicode, and the compiler warns of those that look alike. A character that is
//! not ASCII stands as its number, so that two names rarely meet; of names that do, all but the first get a number.

use std::collections::HashSet;

/// Keywords of any edition, in use or reserved: `r#` makes identifiers of them, in each edition.
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// Those that stay keywords behind `r#`.
const NEVER_RAW: [&str; 4] = ["crate", "self", "super", "Self"];

/// The modules of datasets: the names with `-` as `_`, keywords behind `r#`.
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

/// The constants of files: the paths in capitals, with one `_` for all that lies between letters and digits.
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

/// The name in ASCII letters, digits and `_`.
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

/// The names, of which the second of a kind has `_2` behind it, or the next number that is free.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let names: Vec<String> = names.collect();
    // Who has a name of their own keeps it, wherever they stand in the list.
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
