//! Planned changes to a project's files: all are written or none, and they are shown as added and
//! removed lines.

use std::path::{Path, PathBuf};

use academictorrents::Error;
use academictorrents::engine::error::printable;
use academictorrents::engine::storage::{self, ProjectFile};
use serde_json::{Value, json};

use crate::output::{Output, stdout};

/// How many changed lines of a file are shown.
const MOST_LINES: usize = 40;

/// Planned changes, and messages about them.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) files: Vec<ChangedFile>,
    pub(crate) warnings: Vec<String>,
    /// Decisions that the user may not expect.
    pub(crate) notes: Vec<String>,
    written: Vec<ProjectFile>,
}

/// A new or changed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangedFile {
    pub(crate) path: PathBuf,
    /// The current text; `None` if the file does not exist.
    pub(crate) before: Option<String>,
    /// The new text; `None` for a binary file (a `.torrent`).
    pub(crate) after: Option<String>,
}

impl Changes {
    /// Writes all files in the order in which they were added, or none.
    ///
    /// # Errors
    /// [`academictorrents::ErrorKind::Disk`].
    pub(crate) fn write(&self) -> Result<(), Error> {
        storage::write_all(&self.written)
    }

    /// Returns what remains to be said if nothing was written: warnings are of existing files, too.
    pub(crate) fn unwritten(self) -> Changes {
        Changes { warnings: self.warnings, ..Changes::default() }
    }

    /// Adds other changes.
    pub(crate) fn append(&mut self, other: Changes) {
        self.files.extend(other.files);
        self.warnings.extend(other.warnings);
        self.notes.extend(other.notes);
        self.written.extend(other.written);
    }

    /// Adds a text file; `before` is its current text.
    pub(crate) fn text(&mut self, path: PathBuf, before: Option<String>, after: String) {
        self.files.push(ChangedFile {
            path: path.clone(),
            before: before.clone(),
            after: Some(after.clone()),
        });
        let before = before.map(String::into_bytes);
        self.written.push(ProjectFile { path, bytes: after.into_bytes(), before });
    }

    /// Adds a new binary file.
    pub(crate) fn bytes(&mut self, path: PathBuf, bytes: Vec<u8>) {
        self.files.push(ChangedFile { path: path.clone(), before: None, after: None });
        self.written.push(ProjectFile { path, bytes, before: None });
    }

    /// Adds a binary file that replaces an existing one.
    pub(crate) fn replaced_bytes(&mut self, path: PathBuf, before: Vec<u8>, bytes: Vec<u8>) {
        let shown = Some(String::new());
        self.files.push(ChangedFile { path: path.clone(), before: shown, after: None });
        self.written.push(ProjectFile { path, bytes, before: Some(before) });
    }

    /// Prints each file with its changed lines.
    pub(crate) fn show(&self, manifest: &Path, output: &Output) {
        for file in &self.files {
            let new = if file.before.is_none() { " (new)" } else { "" };
            output.result(format_args!("{}{new}", stdout(relative(&file.path, manifest)).bold()));
            let lines = lines(file);
            for (sign, line) in lines.iter().take(MOST_LINES) {
                let line = format!("{sign} {}", printable(line));
                let line = line.trim_end();
                match sign {
                    '+' => output.result(stdout(line).green()),
                    _ => output.result(stdout(line).red()),
                }
            }
            if lines.len() > MOST_LINES {
                output.result(format_args!("  … {} more lines", lines.len() - MOST_LINES));
            }
        }
    }

    /// Returns the changes for `--json`.
    pub(crate) fn document(&self) -> Value {
        let file = |file: &ChangedFile| {
            let of = |sign: char| -> Vec<String> {
                let lines = lines(file).into_iter().filter(|(it, _)| *it == sign);
                lines.map(|(_, line)| line).collect()
            };
            json!({
                "path": file.path.display().to_string(),
                "is_new": file.before.is_none(),
                "lines_removed": of('-'),
                "lines_added": of('+'),
            })
        };
        self.files.iter().map(file).collect()
    }

    /// Prints notes and warnings.
    pub(crate) fn tell(&self, output: &Output) {
        self.notes.iter().for_each(|note| output.say(note));
        for warning in &self.warnings {
            output.warn(warning.replace('\n', "\n  "));
        }
    }
}

/// Returns the path relative to the manifest, if it is below its directory.
fn relative(path: &Path, manifest: &Path) -> String {
    let directory = manifest.parent().unwrap_or(manifest);
    path.strip_prefix(directory).unwrap_or(path).display().to_string()
}

/// Returns the removed (`-`) and added (`+`) lines.
fn lines(file: &ChangedFile) -> Vec<(char, String)> {
    let Some(after) = &file.after else { return Vec::new() };
    let before: Vec<&str> = file.before.iter().flat_map(|text| text.lines()).collect();
    let after: Vec<&str> = after.lines().collect();
    let (mut lines, mut next) = (Vec::new(), 0);
    // Changes keep the order of lines, so a greedy search suffices.
    for line in &before {
        match after[next..].iter().position(|it| it == line) {
            Some(new) => {
                lines.extend(after[next..next + new].iter().map(|it| ('+', (*it).to_owned())));
                next += new + 1;
            }
            None => lines.push(('-', (*line).to_owned())),
        }
    }
    lines.extend(after[next..].iter().map(|it| ('+', (*it).to_owned())));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_come_and_go_are_shown_in_order() {
        let check = |before: &str, after: &str, expected: &str| {
            let file = ChangedFile {
                path: "Cargo.toml".into(),
                before: Some(before.to_owned()),
                after: Some(after.to_owned()),
            };
            let shown: Vec<_> =
                lines(&file).iter().map(|(sign, it)| format!("{sign}{it}")).collect();
            assert_eq!(shown.join(" "), expected);
        };
        check("a\nb\n", "a\nx\nb\ny\n", "+x +y");
        check("a\nb = {}\nc\n", "a\nb = { x }\nc\n", "-b = {} +b = { x }");
        check("a", "a\nb\n", "+b");
        check("a\n\nb\n", "a\n\nx\n\nb\n", "+x +");
        check("a\r\n", "a\r\nb\r\n", "+b");
    }
}
