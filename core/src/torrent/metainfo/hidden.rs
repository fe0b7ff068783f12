//! Names that other programs act on, or that listings hide: `.git`, `.cargo`, `.bashrc`.
//!
//! They are harmless in a store. In a user's directory, a new `.git/config` makes the next
//! `git status` run a command, even though no existing file was replaced.

use super::paths::PathFlaw;

/// Git and Cargo read `.git` and `.cargo` in any directory.
const ACTED_ON: [&str; 2] = ["git", "cargo"];

/// Checks that a path, given by its components below the user's directory and their depths, is
/// neither hidden nor a spelling of `.git` or `.cargo`. The error continues the sentence "the path
/// `…` ".
pub fn check_visible(names: &mut dyn Iterator<Item = (usize, &[u8])>) -> Result<(), PathFlaw> {
    for (depth, name) in names {
        let may_be_one = |bytes: &[u8]| bytes.contains(&b'~') || bytes.contains(&b'\\');
        if name.is_ascii() && name.first() != Some(&b'.') && !may_be_one(name) {
            continue;
        }
        // Where `\` is a path separator, each part is a component of its own.
        for part in name.split(|byte| *byte == b'\\') {
            let name = folded(part);
            if let Some(directory) = ACTED_ON.iter().find(|it| is_spelling_of(cut(&name), it)) {
                return Err(PathFlaw::ActedOn(directory));
            }
            if depth == 0 && name.starts_with('.') {
                return Err(PathFlaw::Hidden);
            }
            if depth == 0 && is_short_name(cut(&name)) {
                return Err(PathFlaw::ShortName);
            }
        }
    }
    Ok(())
}

/// Whether some file system treats the name as equal to `other`, which must be in lower case.
pub fn is_same_name(name: &[u8], other: &str) -> bool {
    name.split(|byte| *byte == b'\\').next().is_some_and(|name| cut(&folded(name)) == other)
}

/// Folds case, and removes the code points that HFS+ and ext4 ignore.
fn folded(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let upper = name.chars().filter(|c| !is_ignored(*c)).flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).collect()
}

/// Removes the stream name and trailing dots and spaces, as Windows does when it opens a file.
fn cut(name: &str) -> &str {
    name.split(':').next().unwrap_or_default().trim_end_matches(['.', ' '])
}

/// `Default_Ignorable_Code_Point`: ext4 ignores them in case-insensitive directories, HFS+ ignores
/// some of them.
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a folded name is, for example, `.git`, or a short name that Windows may generate for it:
/// `GIT~1`, or with a hash, `GI7D29~1`.
fn is_spelling_of(name: &str, directory: &str) -> bool {
    if name.strip_prefix('.') == Some(directory) {
        return true;
    }
    let Some((stem, _)) = short_name(name) else { return false };
    let is_hashed = |rest: &str| rest.len() == 4 && rest.bytes().all(|b| b.is_ascii_hexdigit());
    stem == directory
        || directory.get(..2).and_then(|it| stem.strip_prefix(it)).is_some_and(is_hashed)
}

/// Whether Windows may generate this short name for a file whose long name begins with a dot.
fn is_short_name(name: &str) -> bool {
    let name = name.split_once('.').map_or(name, |(name, _)| name);
    short_name(name).is_some()
}

/// Returns the parts of a Windows short name before and after the `~`.
fn short_name(name: &str) -> Option<(&str, &str)> {
    let (stem, number) = name.split_once('~')?;
    let is_short = !stem.is_empty() && name.len() <= 8;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_short && is_number).then_some((stem, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_visible(path: &str) -> bool {
        check_visible(&mut path.split('/').map(str::as_bytes).enumerate()).is_ok()
    }

    #[test]
    fn git_and_cargo_are_found_at_any_depth_in_all_spellings() {
        for name in ["git", "cargo"] {
            let upper = name.to_uppercase();
            let (first, rest) = name.split_at(1);
            let spellings = [
                format!(".{name}"),
                format!(".{upper}"),
                format!(".{}{rest}", first.to_uppercase()),
                format!(".{name}."),
                format!(".{name} "),
                format!(".{name} . .. "),
                format!(".{name}:stream"),
                format!(".{name}::$INDEX_ALLOCATION"),
                format!(".{name}. .::$INDEX_ALLOCATION"),
                format!("{upper}~1"),
                format!("{name}~1"),
                format!("{name}~27"),
                format!("{upper}~1 ."),
                format!("{upper}~1:$DATA"),
                format!("{}7eba~1", &name[..2]),
                format!("{}7EBA~4", &upper[..2]),
                format!(".{first}\u{200c}{rest}"),
                format!("\u{feff}.{name}"),
                format!(".{name}\u{202e}\u{206a}"),
                format!(".\u{ad}{first}\u{2060}{rest}\u{fe0f}"),
                format!("a\\.{name}\\b"),
                format!(".{name}\\config"),
            ];
            for spelling in &spellings {
                for path in [
                    spelling.clone(),
                    format!("{spelling}/config"),
                    format!("a/b/{spelling}/config"),
                ] {
                    assert!(!is_visible(&path), "{path:?}");
                }
            }
        }
        // Dotless i: NTFS and HFS+ may map it to the same capital letter as `i`.
        assert!(!is_visible("a/.g\u{131}t/config"));
        for path in [
            "git",
            "cargo",
            "a/git/b",
            "a/git~/b",
            "a/x.git",
            "a/.gitignore",
            "a/.github/x",
            "a/.gi",
            "a/..git",
            "a/.cargo-ok",
            "Cargo.toml",
            "a/git~x",
            "a/gitx~1",
            "a/gi7ebz~1",
            "a/.git2",
        ] {
            assert!(is_visible(path), "{path:?}");
        }
    }

    #[test]
    fn hidden_names_at_the_top_are_found() {
        for path in [
            ".bashrc",
            ".config/x",
            "...",
            ". x",
            "\u{200d}.bashrc",
            "\u{feff}\u{ad}.ssh/config",
            "BASHRC~1",
            "vscode~1/tasks.json",
            "PROFIL~2.TXT",
            ".academictorrents/v1/x",
        ] {
            assert!(!is_visible(path), "{path:?}");
        }
        for path in [
            "a.b",
            "a/.bashrc",
            "a/.config/x",
            "a/BASHRC~1",
            "data~",
            "long-name~1",
            "x~y",
            "\u{2024}x",
        ] {
            assert!(is_visible(path), "{path:?}");
        }
    }

    #[test]
    fn invalid_text_is_no_reason_to_fail() {
        assert!(check_visible(&mut [&b"\xff\xfe"[..], b""].into_iter().enumerate()).is_ok());
        assert!(check_visible(&mut [&b"\xff"[..], b".git"].into_iter().enumerate()).is_err());
    }
}
