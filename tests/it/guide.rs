//! Compares the chapters of docs/ with their rustdoc copies in `src/guide/`, in which links lead to
//! modules. After a change of docs/, this command rewrites the copies:
//! `SNAPSHOTS=overwrite cargo test -p academictorrents --test it -- guide::`
//!
//! The book and the repository's pages need links to files, which rustdoc leaves broken without a
//! warning.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// Chapters whose examples need a feature.
const FEATURES: [(&str, &str); 2] = [("seeding", "seed"), ("unpacking", "unpack")];

/// Anchors of rustdoc's own page elements; a heading with such a name gets another anchor.
const RESERVED: [&str; 6] = ["fields", "help", "layout", "search", "settings", "variants"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Pages of the book that are not part of rustdoc: its first page, which the crate's documentation
/// replaces, the reference of the other package, and what was tested where.
const ONLY_IN_BOOK: [&str; 4] = [
    "introduction.md",
    "reference/command-line.md",
    "reference/json.md",
    "explanation/platforms.md",
];

/// The chapters' paths below docs/, in the book's order.
fn chapters() -> Vec<String> {
    let summary = std::fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    let links = summary.lines().filter_map(|line| line.split_once("](")?.1.strip_suffix(')'));
    links.filter(|path| !ONLY_IN_BOOK.contains(path)).map(str::to_owned).collect()
}

/// The chapter's module: `guide/data-crates.md` is `crate::guide::data_crates`.
fn module(chapter: &str) -> String {
    let path = chapter.strip_prefix("guide/").unwrap_or(chapter).trim_end_matches(".md");
    format!("crate::guide::{}", path.replace('/', "::").replace('-', "_"))
}

/// The path below docs/ of a link's target on this page.
fn resolved(page: &str, target: &str) -> String {
    let mut path = PathBuf::new();
    for part in Path::new(page).parent().unwrap().join(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
    }
    path.to_str().unwrap().to_owned()
}

/// A paragraph with its links converted for rustdoc; `None` for a picture or a link to a schema,
/// which rustdoc cannot show.
fn linked(page: &str, paragraph: &str, chapters: &[String]) -> Option<String> {
    let (mut out, mut rest) = (String::new(), paragraph);
    while let Some(at) = rest.find(['[', '`']) {
        let is_picture = rest[..at].ends_with('!');
        out += &rest[..at];
        rest = &rest[at..];
        if rest.starts_with('`') {
            let ticks = rest.len() - rest.trim_start_matches('`').len();
            let fence = &rest[..ticks];
            let end = rest[ticks..].find(fence).map_or(rest.len(), |at| at + 2 * ticks);
            out += &rest[..end];
            rest = &rest[end..];
            continue;
        }
        let link = rest.split_once("](").and_then(|(text, after)| {
            let (target, after) = after.split_once(')')?;
            let is_link = !text[1..].contains('[') && !target.contains(' ');
            is_link.then_some((&text[1..], target, after))
        });
        let Some((text, target, after)) = link else {
            out += "\\[";
            rest = &rest[1..];
            continue;
        };
        rest = after;
        let (file, anchor) = target.split_once('#').map_or((target, ""), |(file, it)| (file, it));
        let path = resolved(page, file);
        if target.contains(':') || file.is_empty() {
            write!(out, "[{text}]({target})").unwrap();
        } else if chapters.contains(&path) {
            let anchor = if anchor.is_empty() { String::new() } else { format!("#{anchor}") };
            write!(out, "[{text}]({}{anchor})", module(&path)).unwrap();
        } else if is_picture || text == "Schema" {
            return None;
        } else {
            out += text;
        }
    }
    Some(out + rest)
}

fn rendered(page: &str, text: &str, chapters: &[String]) -> String {
    let (mut out, mut paragraph, mut is_code) = (String::new(), String::new(), false);
    for line in text.lines().chain([""]) {
        let is_fence = line.trim_start().starts_with("```");
        if !is_code && !is_fence && !line.is_empty() {
            paragraph += line;
            paragraph.push('\n');
            continue;
        }
        // A link may span lines.
        let before = std::mem::take(&mut paragraph);
        if !before.starts_with("<!--") {
            out += &linked(page, &before, chapters).unwrap_or_default();
        }
        out += line;
        out.push('\n');
        is_code ^= is_fence;
    }
    while out.contains("\n\n\n") {
        out = out.replace("\n\n\n", "\n\n");
    }
    out.trim_end().to_owned() + "\n"
}

#[test]
fn links_lead_to_modules_and_pictures_are_left_out() {
    let chapters = ["guide/store.md".to_owned(), "reference/manifest.md".to_owned()];
    let check = |text: &str, expected: Option<&str>| {
        assert_eq!(linked("guide/code.md", text, &chapters).as_deref(), expected, "{text}");
    };
    check("a [b](store.md#c-d) e", Some("a [b](crate::guide::store#c-d) e"));
    check("[`b`](../reference/manifest.md)", Some("[`b`](crate::guide::reference::manifest)"));
    check("[b](#c) [d](https://a/)", Some("[b](#c) [d](https://a/)"));
    check("`[b](store.md)` [default: 1]", Some("`[b](store.md)` \\[default: 1]"));
    check("[b](../internals/x.md).", Some("b."));
    check("a [b\nc](store.md) d", Some("a [b\nc](crate::guide::store) d"));
    check("![b](../pictures/b.svg)", None);
    let page =
        rendered("guide/code.md", "a\n\n![b](b.svg)\n\n```toml\n[a](store.md)\n```\n", &chapters);
    assert_eq!(page, "a\n\n```toml\n[a](store.md)\n```\n");
}

/// The content of `src/guide/mod.rs`.
fn declarations(chapters: &[String]) -> String {
    let mut out = "//! The manual: guide, reference and explanation.
//!
//! Compiled for rustdoc only. This file and the chapters beside it are written from docs/ by `tests/it/guide.rs`.
"
    .to_owned();
    let mut section = "guide";
    for chapter in chapters {
        let (of, name) = chapter.split_once('/').unwrap_or(("guide", chapter));
        if of != section {
            let end = if section == "guide" { "" } else { "}\n" };
            let begin = match of {
                "guide" => String::new(),
                "reference" => "\n/// All keys and variables\npub mod reference {".to_owned(),
                _ => format!("\n/// Background and reasons\npub mod {of} {{"),
            };
            write!(out, "{end}{begin}").unwrap();
            section = of;
        }
        let indent = if section == "guide" { "" } else { "    " };
        let stem = name.trim_end_matches(".md");
        out.push('\n');
        for (_, feature) in FEATURES.iter().filter(|(chapter, _)| *chapter == stem) {
            writeln!(out, "{indent}#[cfg(any(not(doctest), feature = \"{feature}\"))]").unwrap();
        }
        let file = chapter.strip_prefix("guide/").unwrap_or(chapter);
        writeln!(out, "{indent}#[doc = include_str!(\"{file}\")]").unwrap();
        writeln!(out, "{indent}pub mod {} {{}}", stem.replace('-', "_")).unwrap();
    }
    out.replace("{\n\n", "{\n")
}

#[test]
fn the_chapters_are_rustdoc() {
    let chapters = chapters();
    assert!(chapters.len() > 20, "{chapters:?}");
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide");
    let compare = |file: &str, text: String| {
        let path = guide.join(file);
        if std::env::var("SNAPSHOTS").is_ok_and(|it| it == "overwrite") {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        let written = snapbox::Data::read_from(&path, None).raw();
        snapbox::Assert::new().action_env("SNAPSHOTS").eq(text, written);
    };
    for chapter in &chapters {
        let text = std::fs::read_to_string(docs().join(chapter)).unwrap();
        for anchor in RESERVED {
            assert!(!text.contains(&format!("#{anchor})")), "{chapter}: #{anchor}");
        }
        let file = chapter.strip_prefix("guide/").unwrap_or(chapter);
        compare(file, rendered(chapter, &text, &chapters));
    }
    compare("mod.rs", declarations(&chapters));
}
