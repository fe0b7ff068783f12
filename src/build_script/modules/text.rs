//! Embeds untrusted text in Rust source and its documentation.
//!
//! A torrent's comment and names may contain anything. They are written as escaped string literals,
//! and rustdoc renders them as plain code: no HTML, no links, no doctests.

use std::fmt::Write as _;

/// Longer comments are truncated.
const MAX_COMMENT_CHARS: usize = 2_000;

/// Longer license names are truncated.
const MAX_LINE_CHARS: usize = 200;

/// A string literal. `Debug` escapes quotes, control characters, and characters that change the
/// text direction, which the compiler rejects.
pub fn literal(text: &str) -> String {
    format!("{text:?}")
}

/// `1_234_567`, because clippy and people prefer digit groups.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    grouped
}

/// Formats text as inline code in Markdown.
pub fn code_span(text: &str) -> String {
    let text: String = text.chars().map(|c| if is_shown(c) { c } else { '\u{fffd}' }).collect();
    let fence = "`".repeat(longest_run(&text) + 1);
    // Spaces separate a backtick at either end from the fence. Markdown strips one on each side.
    let pad = if fence.len() > 1 { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The text on one line, truncated.
pub fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.char_indices().nth(MAX_LINE_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Formats text as a Markdown code block that is not compiled or run. `None` if nothing is left of
/// it.
pub fn block(text: &str) -> Option<String> {
    // Clippy warns about tabs in doc comments.
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
    let mut shown: String = text
        .trim()
        .chars()
        .filter(|c| is_shown(*c) || *c == '\n')
        .take(MAX_COMMENT_CHARS)
        .collect();
    if shown.trim().is_empty() {
        return None;
    }
    if text.trim().chars().count() > MAX_COMMENT_CHARS {
        shown.push('…');
    }
    let fence = "`".repeat(longest_run(&shown).max(2) + 1);
    let mut block = String::new();
    let _ = write!(block, "{fence}text\n{shown}\n{fence}"); // writing to a String cannot fail
    Some(block)
}

/// Whether a character is visible: not a control character, and not one that hides or reorders its
/// neighbors.
fn is_shown(c: char) -> bool {
    let invisible = matches!(
        c,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    );
    !c.is_control() && !invisible
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}
