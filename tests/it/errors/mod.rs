//! Error output as users see it: what a real `cargo build` prints for each failure in the manual.
//!
//! A page (`errors/<page>.txt`) holds the cases of one kind as Cargo prints them. After a change of
//! wording, `SNAPSHOTS=overwrite cargo test --test it errors` rewrites the pages; read the changes
//! as a first-time user would. Values that vary between runs have a name in brackets: `[CRATE]` for
//! the crate's directory, `[TARGET]` for Cargo's target directory, `[STORE]`, `[PORT]`.

mod environment;
mod manifest;
mod sources;
mod torrent;

use std::path::Path;

use crate::fixture::{Fixture, Run};

/// The preferred maximum of characters in a line, without Cargo's prefix. The end of the page
/// counts longer lines.
const WIDE: usize = 120;

/// The cases of one kind.
struct Page {
    name: &'static str,
    text: String,
    /// The number of lines longer than [`WIDE`].
    wide: usize,
}

impl Page {
    fn new(name: &'static str) -> Page {
        Page { name, text: String::new(), wide: 0 }
    }

    /// Adds the errors that Cargo prints for this crate's failure.
    #[track_caller]
    fn check(&mut self, case: &str, fixture: &Fixture, arguments: &[&str]) {
        self.add(case, fixture, &cargo(fixture, arguments), "error: ");
    }

    /// Adds the warnings that Cargo prints, also of a build that succeeds.
    #[track_caller]
    fn check_warning(&mut self, case: &str, fixture: &Fixture, arguments: &[&str]) {
        self.add(case, fixture, &cargo(fixture, arguments), "warning: ");
    }

    #[track_caller]
    fn add(&mut self, case: &str, fixture: &Fixture, run: &Run, severity: &str) {
        run.assert_plain();
        let ours = |line: &&str| line.starts_with(severity) && line.contains("@0.0.0: ");
        let lines: Vec<_> = run.stderr.lines().filter(ours).collect();
        assert!(!lines.is_empty(), "{case}: {}\n{}", run.stdout, run.stderr);
        // The lines of one failure must differ; two failures may have the same reason.
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_below(line)) {
            let after = lines[at + 1..].iter().take_while(|line| is_below(line));
            assert!(after.clone().all(|other| other != line), "{case}: repeated: {line}");
        }
        let lines = redacted(&lines.join("\n"), fixture);
        let wide = lines.lines().filter_map(|line| line.split_once("@0.0.0: "));
        self.wide += wide.filter(|(_, said)| said.chars().count() > WIDE).count();
        self.text += &format!("## {case}\n\n{lines}\n\n");
    }

    /// Compares the page with its file.
    #[track_caller]
    fn compare(self) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/it/errors/{}.txt", self.name));
        let expected = snapbox::Data::read_from(&file, None).raw();
        let text = format!("{}lines wider than {WIDE} characters: {}\n", self.text, self.wide);
        snapbox::Assert::new().action_env(snapbox::assert::DEFAULT_ACTION_ENV).eq(text, expected);
    }
}

/// Whether the line is a detail of the failure above it.
fn is_below(line: &str) -> bool {
    line.contains("@0.0.0:   ")
}

/// `Fixture::cargo` passes `-v`, which prints more than users see.
fn cargo(fixture: &Fixture, arguments: &[&str]) -> Run {
    let mut command = fixture.command(env!("CARGO"));
    command.args(arguments).args(["--config", "net.offline=true"]);
    Run::of(command.output().unwrap())
}

fn redacted(text: &str, fixture: &Fixture) -> String {
    let mut text = text.to_owned();
    let places = [
        (fixture.store(), "[STORE]"),
        (fixture.path(""), "[CRATE]/"),
        (fixture.target(), "[TARGET]"),
    ];
    for (path, name) in places {
        text = text.replace(&path.display().to_string(), name);
    }
    // In which piece corrupt data is noticed varies between runs.
    for piece in 0..7 {
        text = text.replace(&format!("(piece {piece})"), "(piece [N])");
    }
    crate::support::without_ports(&text)
}

#[test]
fn the_manual_quotes_what_is_printed() {
    let read = |path: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    };
    let pages = ["catalogue", "machine", "sources", "torrent"]
        .map(|page| read(&format!("tests/it/errors/{page}.txt")));
    // No file system without locks is available to tests, so its message is read from the source.
    let printed = pages.concat() + &read("src/storage/lock.rs");
    let section = read("docs/guide/troubleshooting.md");
    let headings = section.lines().filter_map(|line| line.strip_prefix("**")?.split_once(".**"));
    let mut quoted = 0;
    for (heading, _) in headings {
        // That message is rustc's.
        if heading.contains("at compile time") {
            continue;
        }
        for message in heading.split('`').skip(1).step_by(2) {
            for part in message.split(|c: char| c == '…' || c.is_ascii_digit()) {
                let part = part.trim();
                assert!(part.len() < 4 || printed.contains(part), "`{part}` of {heading}");
                quoted += usize::from(part.len() >= 4);
            }
        }
    }
    assert!(quoted >= 6, "{quoted}");
}
