//! Tests that write the pages in docs/reference that list commands, settings and keys. JSON output
//! has its own, `tests/it/json.rs`.
//!
//! To update the pages, run `SNAPSHOTS=overwrite cargo test -p cargo-academictorrents --bins
//! reference`.

mod command_line;
mod manifest;
mod settings;

use std::path::Path;

/// The title of a page, and a comment that says how to update it.
fn head(title: &str, from: &str) -> String {
    format!(
        "# {title}\n\n<!-- Generated from {from}: SNAPSHOTS=overwrite cargo test -p cargo-academictorrents --bins reference -->\n"
    )
}

/// Compares a page with the one in docs/reference, or writes it there.
#[track_caller]
fn check(name: &str, page: &str) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    let written = snapbox::Data::read_from(&docs.join(name), None).raw();
    snapbox::Assert::new().action_env("SNAPSHOTS").eq(wrapped(page), written);
}

/// Breaks lines of prose that are longer than 160 characters; not tables, code and comments.
fn wrapped(page: &str) -> String {
    let (mut out, mut is_code) = (String::new(), false);
    for line in page.lines() {
        is_code ^= line.starts_with("```");
        let is_prose = !is_code && !line.starts_with(['|', '<', '#']);
        let limit = if is_prose && line.chars().count() > 160 { 150 } else { usize::MAX };
        let indent = if line.starts_with("- ") { "\n  " } else { "\n" };
        // Code stays on its line.
        let mut ticks = 0;
        let words = line.split(|c: char| {
            ticks += usize::from(c == '`');
            c == ' ' && ticks % 2 == 0
        });
        let mut width = 0;
        for word in words {
            let length = word.chars().count();
            if width == 0 {
                width = length;
            } else if width + 1 + length > limit {
                out += indent;
                width = indent.len() - 1 + length;
            } else {
                out.push(' ');
                width += 1 + length;
            }
            out += word;
        }
        out.push('\n');
    }
    out
}
