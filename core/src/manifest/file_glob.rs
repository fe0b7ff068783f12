//! Globs of `files` and `unpack`, which select paths of a torrent or of a tree, or with a leading
//! `!` exclude them.

use std::fmt;

use glob::{MatchOptions, Pattern};

/// `*` does not match `/`, as in a shell and in `.gitignore`; `**` does.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// The first character of an excluding glob.
const EXCLUDES: char = '!';

/// A glob for the paths of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileGlob {
    pattern: Pattern,
    pub excludes: bool,
}

impl FileGlob {
    /// Whether it may be meant as several globs.
    pub fn has_comma(&self) -> bool {
        self.pattern.as_str().contains(',')
    }

    /// Parses a glob.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<FileGlob, glob::PatternError> {
        let (excludes, pattern) = match text.strip_prefix(EXCLUDES) {
            Some(pattern) => (true, pattern),
            None => (false, text),
        };
        Ok(FileGlob { pattern: Pattern::new(pattern)?, excludes })
    }

    /// A glob that matches exactly this path (any first character, if the path starts with `!`).
    #[cfg(any(test, feature = "engine"))]
    pub fn escape(path: &str) -> String {
        let escaped = Pattern::escape(path);
        match escaped.strip_prefix(EXCLUDES) {
            // A `?` instead of `!`, which would exclude.
            Some(rest) => format!("?{rest}"),
            None => escaped,
        }
    }

    /// A glob that excludes this path. Long names are shortened to a prefix and `*`.
    pub fn excluding(path: &str) -> String {
        const MAX_CHARS: usize = 30;
        let short = |name: &str| match name.char_indices().nth(MAX_CHARS) {
            Some((end, _)) => format!("{}*", Pattern::escape(&name[..end])),
            None => Pattern::escape(name),
        };
        let names: Vec<_> = path.split('/').map(short).collect();
        format!("{EXCLUDES}{}", names.join("/"))
    }

    /// Corrections of a glob that matches nothing: without one of `roots`, `./` or `/` at the
    /// start, or at any depth.
    pub fn below(&self, roots: &[String]) -> Vec<FileGlob> {
        let pattern = self.pattern.as_str();
        let below = |root: &str| match pattern.trim_matches('/') == root {
            true => Some("**"),
            false => below_root(pattern, root),
        };
        let below = |root: &String| [below(root), below(&Pattern::escape(root))];
        let globs = roots.iter().flat_map(below).flatten();
        let at_any_depth = format!("**/{pattern}");
        let globs = globs.chain([at_any_depth.as_str()]);
        let globs = globs.filter_map(|pattern| Pattern::new(pattern).ok());
        globs.map(|pattern| FileGlob { pattern, excludes: self.excludes }).collect()
    }

    /// Whether the pattern matches the path, regardless of `excludes`.
    pub fn covers(&self, path: &str) -> bool {
        self.pattern.matches_with(path, OPTIONS)
    }
}

/// A path without the torrent's own name, `./` or `/` at the start; `None` if it has none of them.
pub fn below_root<'p>(path: &'p str, root: &str) -> Option<&'p str> {
    let plain = path.trim_start_matches("./").trim_start_matches('/');
    let below = plain.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    Some(below.unwrap_or(plain)).filter(|below| below.len() < path.len())
}

/// Whether globs select a path: one of the including globs matches, if there are any, and no
/// excluding one does.
pub fn is_meant(globs: &[FileGlob], path: &str) -> bool {
    let (mut includes, mut covered) = (false, false);
    for glob in globs {
        match (glob.excludes, glob.covers(path)) {
            (true, true) => return false,
            (true, false) => {}
            (false, covers) => (includes, covered) = (true, covered || covers),
        }
    }
    covered || !includes
}

impl fmt::Display for FileGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.excludes { "!" } else { "" };
        write!(f, "{mark}{}", self.pattern)
    }
}
