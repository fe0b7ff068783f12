//! Compares the table of limits in SECURITY.md with the constants in the code.

use std::fmt::Write as _;

use super::source::Source;
use super::{library, root};

/// Modules whose `MAX_` constants bound input from outside: each needs a row in the table.
const BOUNDING: [&str; 7] = [
    "core/src/torrent",
    "core/src/protocol",
    "src/net",
    "core/src/plan",
    "core/src/unpack",
    "core/src/picker",
    "src/engine",
];

fn is_in(file: &Source, module: &str) -> bool {
    file.path.strip_prefix(module).is_some_and(|rest| rest.starts_with(['/', '.']))
}

/// A constant, and its value as the table writes it.
#[derive(Debug)]
struct Constant {
    name: String,
    shown: Option<String>,
}

/// Finds `const NAME: TYPE = VALUE;`, wherever it is defined.
fn constants(source: &Source) -> Vec<Constant> {
    let mut found = Vec::new();
    for (at, _) in source.code.match_indices("const ") {
        let Some((head, rest)) = source.code[at + 6..].split_once('=') else { continue };
        let Some((name, kind)) = head.split_once(':') else { continue };
        let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if !name.chars().all(is_name) || kind.contains(['{', '}', ';']) {
            continue;
        }
        let value = rest.split(';').next().unwrap_or_default().trim();
        found.push(Constant { name: name.to_owned(), shown: shown(name, kind.trim(), value) });
    }
    found
}

/// The value in words; `None` for anything but a product, shift or duration of numbers.
fn shown(name: &str, kind: &str, value: &str) -> Option<String> {
    if kind == "Duration" {
        let (unit, number) = value.strip_prefix("Duration::from_")?.split_once('(')?;
        let number = number_of(number.strip_suffix(')')?)?;
        let millis = number
            * match unit {
                "millis" => 1,
                "secs" => 1_000,
                "mins" => 60_000,
                _ => return None,
            };
        return Some(match millis {
            _ if millis % 3_600_000 == 0 => plural(millis / 3_600_000, "hour"),
            _ if millis % 60_000 == 0 => plural(millis / 60_000, "minute"),
            _ if millis % 1_000 == 0 => format!("{} s", millis / 1_000),
            _ => format!("{millis} ms"),
        });
    }
    let number = number_of(value)?;
    if name.ends_with("_BYTES") {
        return Some(match number {
            _ if number % (1 << 30) == 0 => format!("{} GiB", number >> 30),
            _ if number % (1 << 20) == 0 => format!("{} MiB", number >> 20),
            _ if number % (1 << 10) == 0 => format!("{} KiB", number >> 10),
            _ => format!("{} bytes", grouped(number)),
        });
    }
    if name.ends_with("_SECONDS") && number % 3_600 == 0 {
        return Some(plural(number / 3_600, "hour"));
    }
    Some(grouped(number))
}

fn plural(number: u64, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        let _ = write!(text, "{digit}");
    }
    text
}

fn number_of(value: &str) -> Option<u64> {
    if let Some((left, right)) = value.split_once("<<") {
        return Some(number_of(left.trim())? << number_of(right.trim())?);
    }
    value.split('*').map(|factor| factor.trim().replace('_', "").parse::<u64>().ok()).product()
}

/// Rows of the table: description, limit, constant, file.
fn rows(page: &str) -> Vec<[String; 4]> {
    let table = page.split("\n## Limits\n").nth(1).unwrap_or_default();
    let lines = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let cell = |text: &str| text.trim().trim_matches('`').to_owned();
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(cell).collect();
        <[String; 4]>::try_from(cells).unwrap_or_else(|cells| panic!("a row of {cells:?}"))
    };
    lines.skip(1).map(row).collect()
}

#[test]
fn values_are_written_as_people_read_them() {
    for (name, kind, value, expected) in [
        ("MAX_BYTES", "usize", "64 << 20", "64 MiB"),
        ("MAX_BYTES", "usize", "1_000", "1,000 bytes"),
        ("MAX_PEERS", "usize", "2_000_000", "2,000,000"),
        ("LONGEST", "Duration", "Duration::from_secs(30 * 60)", "30 minutes"),
        ("LONGEST", "Duration", "Duration::from_millis(50)", "50 ms"),
        ("MAX_SECONDS", "u64", "24 * 60 * 60", "24 hours"),
    ] {
        assert_eq!(shown(name, kind, value).as_deref(), Some(expected));
    }
    assert_eq!(shown("MAX", "usize", "OTHER - (1 << 20)"), None);
}

#[test]
fn the_table_of_limits_is_what_the_code_has() {
    let page = std::fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let (rows, files) = (rows(&page), library());
    assert!(rows.len() > 20, "the table was not found");
    let mut faults = Vec::new();
    for module in BOUNDING {
        if !files.iter().any(|file| is_in(file, module)) {
            faults.push(format!("{module} does not exist"));
        }
    }
    for [what, limit, name, path] in &rows {
        let file = files.iter().find(|file| file.path == *path);
        let known = file.and_then(|file| constants(file).into_iter().find(|it| it.name == *name));
        match known {
            None => faults.push(format!("{what}: {path} has no constant {name}")),
            Some(Constant { shown: Some(shown), .. }) if shown != *limit => {
                faults.push(format!("{what}: {limit} in the table, {shown} in the code"));
            }
            Some(_) => {}
        }
    }
    let bounding =
        |file: &&Source| !file.is_test() && BOUNDING.iter().any(|module| is_in(file, module));
    for file in files.iter().filter(bounding) {
        for Constant { name, shown } in constants(file) {
            let has_row = rows.iter().any(|row| row[2] == name && row[3] == file.path);
            if name.starts_with("MAX_") && !has_row {
                let limit = shown.unwrap_or_default();
                faults.push(format!("no row: | … | {limit} | `{name}` | `{}` |", file.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
