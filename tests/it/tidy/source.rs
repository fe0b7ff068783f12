//! A Rust file, lexed just far enough to tell code from comments and literals.

/// A file of the repository.
pub struct Source {
    /// Relative to the repository's root, with `/`.
    pub path: String,
    pub text: String,
    /// The text with comments, contents of literals and unit tests replaced by spaces. Line numbers
    /// stay the same.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into(), code: without_tests(&code(text)) }
    }

    /// Whether the file is compiled for unit tests only.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The top-level module: the file or directory below `src`; `lib` for the root, `bin` for all
    /// of the command line.
    pub fn module(&self) -> &str {
        if self.path.starts_with("cargo-academictorrents/") {
            return "bin";
        }
        let below = self.path.split_once("src/").map_or(&*self.path, |(_, below)| below);
        below.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// The module's depth below the crate's root.
    pub fn depth(&self) -> usize {
        let below = self.path.split_once("src/").map_or(&*self.path, |(_, below)| below);
        let parts = below.trim_end_matches("/mod.rs").split('/').count();
        if below == "lib.rs" { 0 } else { parts }
    }

    /// Numbers (from 1) of the lines of code that have this word.
    pub fn lines_with(&self, word: &str) -> Vec<usize> {
        let lines = self.code.lines().enumerate();
        lines.filter(|(_, line)| has_word(line, word)).map(|(at, _)| at + 1).collect()
    }
}

/// Whether the line has the word other than as part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_name);
        let after = line[at + word.len()..].chars().next().is_some_and(is_name);
        !(before && word.starts_with(is_name) || after && word.ends_with(is_name))
    })
}

/// Replaces comments and the contents of string and character literals by spaces.
pub fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let before = code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let (kept, blanked) = match first {
            '/' if rest.starts_with("//") => (0, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (0, comment(rest)),
            '"' => (1, quoted(rest, '"')),
            'r' if !before && raw_hashes(&rest[1..]).is_some() => (1, 1 + raw(&rest[1..])),
            'b' | 'c' if !before && rest[1..].starts_with('"') => (2, 1 + quoted(&rest[1..], '"')),
            'b' | 'c'
                if !before && rest[1..].starts_with('r') && raw_hashes(&rest[2..]).is_some() =>
            {
                (2, 2 + raw(&rest[2..]))
            }
            '\'' if is_character(rest) => (1, quoted(rest, '\'')),
            other => (other.len_utf8(), other.len_utf8()),
        };
        code.push_str(&rest[..kept]);
        code.extend(rest[kept..blanked].chars().map(|c| if c == '\n' { c } else { ' ' }));
        rest = &rest[blanked..];
    }
    code
}

/// The length of a block comment, which may be nested.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a literal with escapes, including its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The number of `#` of a raw string, given the text after its `r`; `None` for anything else.
fn raw_hashes(text: &str) -> Option<usize> {
    let hashes = text.bytes().take_while(|byte| *byte == b'#').count();
    text[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a raw string without its `r`.
fn raw(text: &str) -> usize {
    let hashes = raw_hashes(text).unwrap_or_default();
    let end = format!("\"{}", "#".repeat(hashes));
    let body = hashes + 1;
    text[body..].find(&end).map_or(text.len(), |at| body + at + end.len())
}

/// Whether a quote begins a character literal rather than a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Replaces each `#[cfg(test)] mod … { … }`, on any platform, by spaces.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    let next_of =
        |rest: &str| ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|it| rest.find(it)).min();
    while let Some(at) = next_of(rest) {
        let item = &rest[at..];
        let open = item.find('{').unwrap_or(item.len());
        if !has_word(&item[..open], "mod") || item[..open].contains(';') {
            let next = at + "#[cfg(".len();
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        }
        let mut depth = 0;
        let end = item[open..].char_indices().find_map(|(at, c)| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            (depth == 0).then_some(open + at + 1)
        });
        let end = end.unwrap_or(item.len());
        out.push_str(&rest[..at]);
        out.extend(item[..end].chars().map(|c| if c == '\n' { c } else { ' ' }));
        rest = &item[end..];
    }
    out + rest
}

/// The names that follow this prefix (such as `crate::`) in the code: one, or those of a `{…}`
/// group.
pub fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$' || c == ':') {
            continue;
        }
        let rest = code[at + prefix.len()..].trim_start();
        let Some(group) = rest.strip_prefix('{') else {
            names.push(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    names.push(name(&group[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    names
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn comments_literals_and_unit_tests_are_no_code() {
    let check = |text: &str, expected: &str| {
        let found = Source::new("src/a.rs", text).code;
        let words: Vec<_> = found.split_whitespace().collect();
        assert_eq!(words.join(" "), expected, "{text}");
        assert_eq!(found.lines().count(), text.lines().count(), "{text}");
    };
    check("a // b\nc", "a c");
    check("a /* b /* c */ d\n */ e", "a e");
    check(r#"a("b \" c", d)"#, r#"a(" , d)"#);
    check("a(r#\"b \" c\"#, br\"d\\\", e)", "a(r , br , e)");
    check(r"a('b', '\'', 'c: d, '\\', e)", "a(' , ' , 'c: d, ' , e)");
    check("a\n#[cfg(test)]\nmod tests {\n b { c }\n}\nd", "a d");
    check("a\n#[cfg(all(test, unix))]\nmod tests {\n b\n}\nd", "a d");
    check("#[cfg(test)]\nmod tests;\nfn a() {}", "#[cfg(test)] mod tests; fn a() {}");
}

#[test]
fn names_are_found_one_by_one_and_in_groups() {
    let check = |code: &str, expected: &[&str]| {
        assert_eq!(names_after(code, "crate::"), expected, "{code}");
    };
    check("use crate::store::Store;", &["store"]);
    check("use crate::{\n net::{Client, peer}, store, Error };", &["net", "store", "Error"]);
    check("fn a() { crate::net::b(); $crate::c(); other_crate::d() }", &["net"]);
}
