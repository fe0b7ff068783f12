//! `cargo academictorrents man`.

use std::path::PathBuf;

use academictorrents::engine::manifest::absolute;
use academictorrents::engine::storage;
use clap_mangen::Man;
use serde_json::json;

use crate::output::{Output, Result};
use crate::{PROGRAM, program};

/// Print the manual page, or write all pages to a directory
///
/// There is one page for the program, cargo-academictorrents.1, and one for each command, such as
/// cargo-academictorrents-fetch.1. In a directory man1 on man's search path, `man cargo-academictorrents` shows them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents man | man -l -
  cargo academictorrents man --dir ~/.local/share/man/man1")]
pub(crate) struct ManArguments {
    /// Write all pages to this directory, and print their paths
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(arguments: &ManArguments, output: &Output) -> Result {
    let pages = pages();
    let Some(directory) = &arguments.dir else {
        for (_, page) in pages.iter().take(1) {
            output.result(page.trim_end());
        }
        return Ok(());
    };
    let directory = absolute(directory)?;
    let files =
        pages.iter().map(|(name, page)| (directory.join(format!("{name}.1")), page.as_bytes()));
    let written = storage::write_files(&directory, files)?;
    let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    if output.json {
        output.document(&json!({ "written": written }));
    } else {
        for path in written {
            output.result(path);
        }
    }
    Ok(())
}

/// Sections of the main page that the help does not contain.
const MORE: &str = r#".SH "EXIT STATUS"
.TP
0
success
.TP
1
something could not be provided, served or found, or is damaged
.TP
2
the arguments are invalid
.TP
130
stopped by Ctrl\-C, SIGTERM or SIGHUP; the same command resumes
.SH FILES
\fBcargo academictorrents config\fR prints the paths of the store and of the configuration file.
"#;

/// Returns the pages with their names, the main page first.
fn pages() -> Vec<(String, String)> {
    let mut program = program().bin_name("cargo academictorrents");
    // Copies the global options into each subcommand.
    program.build();
    let verbs: Vec<_> = program.get_subcommands().cloned().collect();
    let whole = page(program, &format!("{MORE}.SH \"SEE ALSO\"\n\\fBcargo\\fR(1)\n"));
    let mut pages = vec![(PROGRAM.to_owned(), whole)];
    for verb in verbs {
        let name = format!("{PROGRAM}-{}", verb.get_name());
        let see = format!(".SH \"SEE ALSO\"\n\\fB{}\\fR(1)\n", dashes(PROGRAM));
        pages.push((name.clone(), page(verb.display_name(name), &see)));
    }
    pages
}

/// Escapes hyphens that roff must print as minus signs.
fn dashes(name: &str) -> String {
    name.replace('-', "\\-")
}

/// The beginning of a page. clap_mangen omits the empty date with its quotes, which shifts the
/// fields after it. The names leave no room for the manual's title, so it is blank.
const TITLE: &str = concat!(
    ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH NAME 1 \"\" \"academictorrents ",
    env!("CARGO_PKG_VERSION"),
    "\" \" \"\n"
);

fn page(command: clap::Command, more: &str) -> String {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let has_verbs = command.has_subcommands();
    let name = command.get_display_name().unwrap_or(PROGRAM).to_owned();
    let man = Man::new(command);
    let mut page = TITLE.replace("NAME", &dashes(&name)).into_bytes();
    // Writing to memory does not fail.
    let _ = man.render_name_section(&mut page);
    let _ = man.render_synopsis_section(&mut page);
    let _ = man.render_description_section(&mut page);
    let _ = man.render_options_section(&mut page);
    if has_verbs {
        let _ = man.render_subcommands_section(&mut page);
    }
    ascii(&(String::from_utf8_lossy(&page).into_owned() + &examples(&help) + more))
}

/// Formats the examples of the help unfilled: roff would join the lines.
fn examples(help: &str) -> String {
    let Some((_, calls)) = help.split_once("Examples:\n") else { return String::new() };
    let mut section = ".SH EXAMPLES\n.nf\n".to_owned();
    for call in calls.lines() {
        section += &format!("\\&{}\n", dashes(&call.trim().replace('\\', "\\e")));
    }
    section + ".fi\n"
}

/// Replaces non-ASCII characters by their code points, which roff reads in every locale.
fn ascii(text: &str) -> String {
    let mut ascii = String::new();
    for c in text.chars() {
        match c.is_ascii() {
            true => ascii.push(c),
            false => ascii.push_str(&format!("\\[u{:04X}]", u32::from(c))),
        }
    }
    ascii
}
