//! Code must not decide by the text of a message: failures are types, and their text is for people.

use super::check;
use super::source::Source;

/// Names of messages, and calls that produce one.
const MESSAGES: [&str; 8] =
    ["why", "said", "message", "reason", "failure", "error", "what()", "to_string()"];

/// What may appear between such a name and an inspection of its text.
const ON_THE_WAY: [&str; 7] =
    [".0", ".why", ".what()", ".to_string()", ".as_str()", ".trim()", ".trim_start()"];

const LOOKS: [&str; 14] = [
    ".contains(",
    ".starts_with(",
    ".ends_with(",
    ".strip_prefix(",
    ".strip_suffix(",
    ".split_once(",
    ".find(",
    ".lines().nth(",
    ".lines().next(",
    ".lines().take",
    ".lines().skip",
    ".lines().filter",
    ".lines().any(",
    ".matches(",
];

/// Exempt files and the reason: they read text of others, which has no types of ours.
const READERS: [(&str, &str); 2] = [
    ("src/net/error.rs", "rustls and OpenSSL describe certificate errors only in words"),
    ("core/src/url.rs", "a URL that is masked when printed has secrets"),
];

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether this is a string literal, or the result of a function or macro. Types and variants begin
/// with a capital letter.
fn is_text(code: &str) -> bool {
    let code = code.trim_start_matches(['&', '*']);
    let name = code.split(|c| !is_name(c)).next().unwrap_or_default();
    let is_call = code[name.len()..].starts_with(['(', '!']);
    code.starts_with('"') || (is_call && name.starts_with(char::is_lowercase))
}

/// Code that inspects a message or compares it with another text.
fn looked_into(source: &Source) -> Vec<String> {
    if READERS.iter().any(|(path, _)| *path == source.path) {
        return Vec::new();
    }
    // Join method chains that continue on the next line.
    let parts: Vec<&str> = source.code.split('.').map(str::trim).collect();
    let code = parts.join(".");
    let mut found = Vec::new();
    for word in MESSAGES {
        for (at, _) in code.match_indices(word) {
            // `self.0.…` is the list of an error's reasons, not a message.
            if code[..at].ends_with(is_name) || code[..at].ends_with("self.0.") {
                continue;
            }
            let mut rest = &code[at + word.len()..];
            while let Some(next) = ON_THE_WAY.iter().find_map(|step| rest.strip_prefix(step)) {
                rest = next;
            }
            let other = rest.trim_start();
            let other = other.strip_prefix("==").or_else(|| other.strip_prefix("!="));
            let is_compared = other.is_some_and(|other| is_text(other.trim_start()));
            if LOOKS.iter().any(|look| rest.starts_with(look)) || is_compared {
                let shown: String = code[at..].chars().take(60).collect();
                found.push(format!("{}: examines a rendered message: {shown}", source.path));
            }
        }
    }
    found
}

/// `Result<_, String>`: a caller could only print the error or search its text.
fn failures_as_text(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in source.code.match_indices("Result<") {
        let arguments = &source.code[at + "Result<".len()..];
        let (mut depth, mut last) = (0_i32, 0);
        for (at, c) in arguments.char_indices() {
            match c {
                '>' if depth == 0 => {
                    if last > 0
                        && arguments[last..at].trim_end_matches([',', '\n', ' ']).trim() == "String"
                    {
                        let line =
                            source.code[..source.code.len() - arguments.len()].lines().count();
                        found.push(format!("{}:{line}: a `String` as error type", source.path));
                    }
                    break;
                }
                '>' if arguments[..at].ends_with('-') => {}
                '<' | '(' | '[' => depth += 1,
                '>' | ')' | ']' => depth -= 1,
                ',' if depth == 0 && last == 0 => last = at + 1,
                ';' | '{' if depth == 0 => break,
                _ => {}
            }
        }
    }
    found
}

#[test]
fn no_code_looks_into_a_message() {
    check(
        looked_into,
        &[
            ("src/a.rs", "fn a() { why == status_text(404) }"),
            ("src/a.rs", "fn a() { if error.what() == \"b\" {} }"),
            ("src/a.rs", "fn a() { error.to_string() != format!(\"b\") }"),
            ("src/a.rs", "fn a() { said.ends_with(&status_text(404)) }"),
            ("src/a.rs", "fn a() { why.0.starts_with(SOCKS) }"),
            ("src/a.rs", "fn a() { error\n    .to_string()\n    .lines().nth(1) }"),
            ("src/a.rs", "fn a() { b().to_string().contains(\"c\") }"),
            ("src/a.rs", "fn a() { failure.why.split_once(\": \") }"),
        ],
    );
    let fine = "fn a() { let why = \"b\"; *why == Failure::C; errors.contains(&why); why.status() == Some(404) }";
    assert_eq!(looked_into(&Source::new("src/a.rs", fine)), [""; 0]);
}

#[test]
fn no_failure_is_a_string() {
    check(
        failures_as_text,
        &[
            ("src/a.rs", "fn a() -> Result<(), String> {}"),
            ("src/a.rs", "fn a() -> Result<Vec<Result<u8, Error>>, String> {}"),
            ("src/a.rs", "fn a(b: fn(&str) -> Result<(u8, u8), String>) {}"),
            ("src/a.rs", "fn a() -> Result<\n    Vec<u8>,\n    String,\n> {}"),
        ],
    );
    let fine = "fn a() -> Result<String, Error> { b::<Result<(u8, String), c::String2>>() }";
    assert_eq!(failures_as_text(&Source::new("src/a.rs", fine)), [""; 0]);
}
