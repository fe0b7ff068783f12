//! `command-line.md`, from the definitions of the arguments.

use std::fmt::Write as _;

use clap::{Arg, Command};

const INTRODUCTION: &str = "
All commands and options, as `--help` prints them. [The command line](../guide/command-line.md) in the guide explains them with examples, and
[JSON output](json.md) lists the fields of `--json`.
";

const COMMON: &str = "Common options";

/// Returns the argument as it is typed, such as `-p`, `--package <NAME>`.
fn typed(argument: &Arg) -> String {
    let names: Vec<_> = argument.get_value_names().into_iter().flatten().collect();
    let takes_value = argument.get_action().takes_values();
    if argument.is_positional() {
        let name = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        return format!("`{name}`").replace('|', "\\|");
    }
    let value = match names.first() {
        Some(name) if takes_value => format!(" <{name}>"),
        _ => String::new(),
    };
    let short = argument.get_short().map(|short| format!("`-{short}`"));
    let long = argument.get_long().map(|long| format!("`--{long}{value}`"));
    short.into_iter().chain(long).collect::<Vec<_>>().join(", ").replace('|', "\\|")
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help());
    let mut text = help.map(ToString::to_string).unwrap_or_default().replace("\n\n", "<br>");
    let possible = argument.get_possible_values();
    if argument.get_action().takes_values() && !possible.is_empty() {
        let names: Vec<_> = possible.iter().map(|it| format!("`{}`", it.get_name())).collect();
        let between = if text.is_empty() { "" } else { ": " };
        write!(text, "{between}{}", names.join(", ")).unwrap();
    }
    let default: Vec<_> =
        argument.get_default_values().iter().map(|it| it.to_string_lossy()).collect();
    if argument.get_action().takes_values() && !default.is_empty() {
        write!(text, " [default: {}]", default.join(", ")).unwrap();
    }
    text.replace('|', "\\|").replace('\n', " ")
}

fn table<'a>(title: &str, arguments: impl Iterator<Item = &'a Arg>, page: &mut String) {
    let rows: Vec<_> = arguments
        .filter(|it| !it.is_hide_set() && !["help", "version"].contains(&it.get_id().as_str()))
        .map(|it| format!("| {} | {} |\n", typed(it), meaning(it)))
        .collect();
    if !rows.is_empty() {
        write!(page, "\n| {title} | |\n| --- | --- |\n{}", rows.concat()).unwrap();
    }
}

fn is_common(argument: &&Arg) -> bool {
    argument.get_help_heading() == Some(COMMON)
}

fn section(command: &mut Command, page: &mut String) {
    let name = command.get_name().to_owned();
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    write!(page, "\n## `{name}`\n\n{}\n", about.unwrap_or_default().trim()).unwrap();
    write!(page, "\n```text\n{usage}\n```\n").unwrap();
    table("argument", command.get_positionals(), page);
    let options = command.get_arguments().filter(|it| !it.is_positional() && !is_common(it));
    table("option", options, page);
    if let Some(examples) = command.get_after_help().map(ToString::to_string) {
        let calls = examples.trim_start_matches("Examples:\n").lines().map(str::trim);
        let calls = calls.collect::<Vec<_>>().join("\n");
        write!(page, "\n```sh\n{calls}\n```\n").unwrap();
    }
}

#[test]
fn the_reference_is_written_from_the_definitions() {
    let mut program = crate::program().bin_name("cargo academictorrents");
    program.build();
    let mut page = super::head("Command line", "the arguments' definitions") + INTRODUCTION;
    write!(page, "\n## {COMMON}\n").unwrap();
    table("option", program.get_arguments().filter(is_common), &mut page);
    for command in program.get_subcommands_mut() {
        section(command, &mut page);
    }
    super::check("command-line.md", &page);
}
