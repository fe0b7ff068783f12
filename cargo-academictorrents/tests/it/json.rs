//! The JSON documents of the commands. docs/reference/schemas has the schema of each, from which
//! the tables of docs/reference/json.md are generated (`SNAPSHOTS=overwrite cargo test -p
//! cargo-academictorrents --test it -- json::`).
//!
//! [`CliFixture::run`](crate::cli_fixture::CliFixture::run) checks each document that a test
//! prints. A key that is missing from its schema is an error here, although users must accept
//! unknown keys.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::fixture::library;

fn directory() -> PathBuf {
    library().join("docs/reference/schemas")
}

/// The commands that have a schema.
fn commands() -> Vec<String> {
    let files = fs::read_dir(directory()).unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn schema(command: &str) -> Value {
    let text = fs::read_to_string(directory().join(format!("{command}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Checks the stdout of a call with `--json`. It is empty if an argument was invalid.
#[track_caller]
pub fn check(arguments: &[&str], stdout: &str) {
    if !arguments.contains(&"--json") || stdout.is_empty() {
        return;
    }
    let commands = commands();
    let command = arguments.iter().find(|it| commands.iter().any(|command| command == *it));
    let Some(command) = command else { return };
    let document: Value = serde_json::from_str(stdout)
        .unwrap_or_else(|why| panic!("{arguments:?} prints no JSON document: {why}\n{stdout}"));
    let schema = schema(command);
    let faults = faults(&schema, &document, &schema, command);
    assert!(faults.is_empty(), "{arguments:?}: {faults:#?}\n{stdout}");
}

/// The differences between a value and its schema, each with its location.
fn faults(schema: &Value, value: &Value, root: &Value, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, wanted) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let path = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                found.extend(faults(root.pointer(path).unwrap(), value, root, place));
            }
            "anyOf" => {
                let each = wanted.as_array().unwrap().iter();
                let of_each: Vec<_> = each.map(|it| faults(it, value, root, place)).collect();
                if of_each.iter().all(|faults| !faults.is_empty()) {
                    found.push(format!("{place}: none of {of_each:?}"));
                }
            }
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("{place}: the type {other} is not checked"),
                };
                if !wanted.as_array().map_or_else(|| is(wanted), |names| names.iter().any(is)) {
                    found.push(format!("{place}: {value} is not of type {wanted}"));
                }
            }
            "minimum" => {
                if value.as_i64().is_some_and(|it| it < wanted.as_i64().unwrap()) {
                    found.push(format!("{place}: {value} is below {wanted}"));
                }
            }
            "enum" => {
                if !wanted.as_array().unwrap().contains(value) {
                    found.push(format!("{place}: {value} is none of {wanted}"));
                }
            }
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(wanted, item, root, &format!("{place}[{at}]")));
                }
            }
            "required" => {
                let Some(object) = value.as_object() else { continue };
                let keys = wanted.as_array().unwrap().iter().map(|key| key.as_str().unwrap());
                let missing = keys.filter(|key| !object.contains_key(*key));
                found.extend(missing.map(|key| format!("{place}: {key} is missing")));
            }
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    match wanted.get(key) {
                        Some(schema) => {
                            found.extend(faults(schema, value, root, &format!("{place}.{key}")));
                        }
                        None => found.push(format!("{place}: the schema has no {key}")),
                    }
                }
            }
            "additionalProperties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    found.extend(faults(wanted, value, root, &format!("{place}.{key}")));
                }
            }
            other => panic!("{place}: the keyword {other} is not checked"),
        }
    }
    found
}

#[test]
fn a_document_that_differs_from_its_schema_is_found() {
    let schema = schema("get");
    let of = |text: &str| {
        let value = serde_json::from_str(text).unwrap();
        faults(&schema, &value, &schema, "get").concat()
    };
    let hash = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";
    let good = format!("{{\"infohash\": \"{hash}\", \"path\": \"/a\", \"received_bytes\": 1}}");
    assert_eq!(of(&good), "");
    assert_eq!(of(&good.replace(&format!("\"{hash}\""), "null")), "");
    assert_eq!(of("{\"error\": {\"kind\": \"disk\", \"dataset\": null, \"message\": \"a\"}}"), "");
    for (old, new, fault) in [
        ("\"/a\"", "1", "path: 1 is not of type"),
        ("1}", "-1}", "-1 is below 0"),
        ("\"path\"", "\"paths\"", "path is missing"),
        ("{", "{\"more\": 1, ", "has no more"),
    ] {
        assert!(of(&good.replacen(old, new, 1)).contains(fault), "{}", of(&good.replace(old, new)));
    }
    let odd = of("{\"error\": {\"kind\": \"odd\", \"dataset\": null, \"message\": \"a\"}}");
    assert!(odd.contains("is none of"), "{odd}");
}

/// The calls with `--json` on the snapshot pages, and the documents that they print.
fn shown() -> Vec<(String, String)> {
    let mut shown = Vec::new();
    for entry in fs::read_dir(library().join("cargo-academictorrents/tests/it/pages")).unwrap() {
        let page = format!("\n{}", fs::read_to_string(entry.unwrap().path()).unwrap());
        for call in page.split("\n$ cargo academictorrents ").skip(1) {
            let (call, printed) = call.split_once('\n').unwrap();
            let end = printed.find("\n}\n").map(|at| at + 2);
            if let (true, Some(end)) = (printed.starts_with("{\n"), end) {
                shown.push((call.to_owned(), printed[..end].to_owned()));
            }
        }
    }
    shown
}

#[test]
fn each_command_has_a_schema_and_its_documents_are_as_it_says() {
    let mut seen: Vec<String> = Vec::new();
    for (call, document) in shown() {
        let arguments: Vec<&str> = call.split(' ').collect();
        check(&arguments, &document);
        let is_result = !document.starts_with("{\n  \"error\"");
        seen.extend(is_result.then(|| arguments[0].to_owned()));
    }
    seen.sort();
    seen.dedup();
    // `seed` runs until it is stopped and `man` writes files, so no page shows them;
    // `CliFixture::run` checks the calls in their own tests.
    let commands = commands();
    let unseen: Vec<_> = commands.iter().filter(|it| !seen.contains(it)).collect();
    assert_eq!(unseen, ["man", "seed"]);
    let help = crate::cli_fixture::CliFixture::new().ok(&["--help"]);
    let (_, verbs) = help.split_once("\nCommands:\n").unwrap();
    let (verbs, _) = verbs.split_once("\n\n").unwrap();
    let verbs = verbs.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let without: Vec<_> = verbs
        .filter(|verb| !verb.is_empty() && !commands.iter().any(|command| command == verb))
        .collect();
    assert_eq!(without, ["completions"]);
}

/// The type as the reference page names it.
fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
        return values.join(", ").replace('"', "");
    }
    let is_error = |it: &Value| it["$ref"] == "#/$defs/error";
    let name = match &schema["type"] {
        Value::Array(names) => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        Value::String(name) => name.clone(),
        _ if is_error(schema) => "[error](#errors)".to_owned(),
        _ => "[error](#errors) or null".to_owned(),
    };
    match schema.get("items").map(kind) {
        Some(items) => name.replacen("array", &format!("array of {items}s"), 1),
        None => name,
    }
    .replace("[error](#errors)s", "[errors](#errors)")
}

fn rows(schema: &Value, before: &str, page: &mut String) {
    let properties = schema["properties"].as_object();
    for (key, value) in properties.into_iter().flatten() {
        let description = value["description"].as_str().unwrap();
        assert_ne!(description, key, "it says nothing");
        let place = format!("{before}{key}");
        writeln!(page, "| `{place}` | {} | {description} |", kind(value)).unwrap();
        rows(value, &format!("{place}."), page);
        rows(&value["items"], &format!("{place}[]."), page);
    }
}

const HEAD: &str = "# JSON output

<!-- Generated from the schemas: SNAPSHOTS=overwrite cargo test -p cargo-academictorrents --test it -- json:: -->

With `--json`, a command prints one JSON document on stdout, for which there is a [JSON Schema](https://json-schema.org). Only
`completions`, and `man` without `--dir`, print their text in any case. Fields may be added in new versions, but not removed or renamed. Sizes
are in bytes (`…_bytes`), times in seconds since 1970 (`…_unix_seconds`). Unknown values are `null`.

## Errors

If a command fails before it has a result, the document is `{\"error\": …}`, and the exit status is 1. Invalid arguments (exit status 2) have no document.
A command that Ctrl-C, SIGTERM or SIGHUP stops exits with status 130 and usually prints no document. Only `seed` prints its document then.

An error has these fields:

| field | type | meaning |
| --- | --- | --- |
";

#[test]
fn the_reference_is_written_from_the_schemas() {
    let mut page = HEAD.to_owned();
    rows(&schema("get")["$defs"]["error"], "", &mut page);
    for command in commands() {
        let schema = schema(&command);
        write!(page, "\n## `{command}`\n\n[Schema](schemas/{command}.json)\n").unwrap();
        for form in schema["anyOf"].as_array().unwrap() {
            let Some(title) = form["title"].as_str() else { continue };
            if title != command {
                write!(page, "\n`{title}`:\n").unwrap();
            }
            page.push_str("\n| field | type | meaning |\n| --- | --- | --- |\n");
            rows(form, "", &mut page);
        }
    }
    let written = snapbox::Data::read_from(&library().join("docs/reference/json.md"), None).raw();
    snapbox::Assert::new().action_env(snapbox::assert::DEFAULT_ACTION_ENV).eq(page, written);
}
