//! The public API of the library as a text file, so that a change of the API is a change of the
//! file: what `lib.rs` exports, with functions, methods, variants and fields.

use std::fmt::Write as _;

use super::source::Source;
use super::{library, library_roots};

/// What `lib.rs` exports: name, module, and the required feature.
fn exported(lib: &str) -> Vec<(String, &str, &str)> {
    let mut found = Vec::new();
    for (at, _) in lib.match_indices("pub use ") {
        let rest = &lib[at + "pub use ".len()..];
        let path = &rest[..rest.find(';').unwrap_or(rest.len())];
        let module = path.split("::").next().unwrap_or_default();
        let gate = lib[..at].trim_end();
        let gate = if gate.ends_with(']') { &gate[gate.rfind("#[").unwrap_or(0)..] } else { "" };
        let feature = gate.split('"').nth(1).unwrap_or_default();
        let names =
            path.rsplit_once('{').map_or(path.rsplit("::").next(), |(_, names)| Some(names));
        let names = names.unwrap_or_default().trim_end_matches('}').split(',').map(str::trim);
        found.extend(
            names.filter(|name| !name.is_empty()).map(|name| (name.to_owned(), module, feature)),
        );
    }
    found
}

/// The item's body without its braces, or `""` if it has none.
fn body(code: &str, head: usize) -> &str {
    let Some(open) = code[head..].find(['{', ';']).filter(|at| code[head + at..].starts_with('{'))
    else {
        return "";
    };
    let inner = &code[head + open + 1..];
    let mut depth = 0;
    let end = inner.char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        (depth < 0).then_some(at)
    });
    &inner[..end.unwrap_or(inner.len())]
}

/// The text up to the item's body or end, on one line.
fn signature(text: &str) -> String {
    let end = text.find(" {").into_iter().chain(text.find(";\n")).min().unwrap_or(text.len());
    text[..end].split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The public members in a type's definition and `impl`s, or the function of that name if the
/// module exports it.
fn members(name: &str, code: &str, has_functions: bool) -> Vec<String> {
    let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let heads = |word: &str| {
        let whole = |at: &usize| is_end(&code[at + word.len()..]);
        code.match_indices(word).map(|(at, _)| at).filter(whole).collect::<Vec<_>>()
    };
    // Methods are indented.
    let is_free = |at: &usize| has_functions && (*at == 0 || code[..*at].ends_with('\n'));
    let functions = heads(&format!("pub fn {name}")).into_iter().filter(is_free);
    let mut found: Vec<_> = functions.map(|at| signature(&code[at..])).collect();
    for at in heads(&format!("pub struct {name}")) {
        found.push(format!("pub struct {name}"));
        let fields = body(code, at).lines().map(str::trim).filter(|line| line.starts_with("pub "));
        found.extend(fields.map(|field| format!("{name}: {}", field.trim_end_matches(','))));
    }
    for at in heads(&format!("pub enum {name}")) {
        found.push(format!("pub enum {name}"));
        let variants = body(code, at).lines().map(str::trim);
        let variants = variants.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
        found.extend(variants.map(|it| format!("{name}::{}", it.trim_end_matches(','))));
    }
    for at in heads(&format!("impl {name}")) {
        let methods = body(code, at);
        let public =
            methods.match_indices("    pub fn ").chain(methods.match_indices("    pub const "));
        found.extend(public.map(|(at, _)| format!("{name}: {}", signature(&methods[at..]))));
    }
    found
}

#[test]
fn the_public_api_is_the_committed_page() {
    let [lib, core] = library_roots();
    let of_core = exported(&core.text);
    let files: Vec<_> = library().into_iter().filter(|file| !file.is_test()).collect();
    let mut lines = Vec::new();
    for (name, mut module, feature) in exported(&lib.text) {
        if module == "academictorrents_core" {
            let known = of_core.iter().find(|(of_core, ..)| *of_core == name);
            module = known.unwrap_or_else(|| panic!("the core's root does not export {name}")).1;
        }
        let is_own = |file: &Source| file.path.contains(&format!("src/{module}"));
        let found: Vec<_> =
            files.iter().flat_map(|file| members(&name, &file.code, is_own(file))).collect();
        assert!(!found.is_empty(), "`{name}` is not defined");
        let gate = if feature.is_empty() { String::new() } else { format!(" [{feature}]") };
        lines.extend(found.into_iter().map(|line| format!("{line}{gate}")));
    }
    lines.sort();
    let mut page = String::new();
    lines.iter().for_each(|line| writeln!(page, "{line}").unwrap());
    snapbox::assert_data_eq!(page, snapbox::file!["api.txt"].raw());
}

/// Rustdoc resolves paths in the core's comments there, where the library's items do not exist. But
/// its pages for what `lib.rs` exports are beside those items' pages.
#[test]
fn comments_of_the_core_link_to_pages_of_the_library() {
    let [lib, core] = library_roots();
    let of_core = exported(&core.text);
    let lines: Vec<&str> = include_str!("api.txt").lines().collect();
    let mut structs = exported(&lib.text);
    structs.retain(|(name, ..)| {
        let line = format!("pub struct {name}");
        lines.iter().any(|it| it.starts_with(&line)) && of_core.iter().all(|(it, ..)| it != name)
    });
    let mut links = 0;
    for file in library().into_iter().filter(|file| file.path.contains("core/src/")) {
        let comments = file.text.lines().filter(|line| line.trim_start().starts_with("///"));
        let comments = comments.collect::<Vec<_>>().join("\n");
        for (name, ..) in &structs {
            for (at, _) in comments.match_indices(&format!("`{name}")) {
                let rest = &comments[at + 1 + name.len()..];
                let (method, rest) = rest.split_once('`').unwrap_or_default();
                let anchor = match method.strip_prefix("::") {
                    None if method.is_empty() => String::new(),
                    None => continue, // a longer name
                    Some(method) => {
                        let line = format!("{name}: pub fn {method}(");
                        assert!(lines.iter().any(|it| it.starts_with(&line)), "{line}");
                        format!("#method.{method}")
                    }
                };
                let target = format!("](struct.{name}.html{anchor})");
                assert!(rest.starts_with(&target), "{}: `{name}{method}`", file.path);
                links += 1;
            }
        }
    }
    assert!(links > 2, "{links}");
}
