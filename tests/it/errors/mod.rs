//! Errors as people see them: what a real `cargo build` prints, whole, for each failure that the manual tells of.
//!
//! A page (`errors/<page>.txt`) holds the cases of one kind, one after the other, as Cargo prints them. After a change
//! of words, `SNAPSHOTS=overwrite cargo test --test it errors` writes the pages anew: read what has changed as a stranger
//! would. What differs from run to run has a name in brackets: `[CRATE]` the crate's directory, `[TARGET]`
//! Cargo's, `[STORE]`, `[PORT]`.

mod environment;
mod manifest;
mod sources;
mod torrent;

use std::path::Path;

use crate::fixture::{Fixture, Run};

/// Characters that a line should have at most, without what Cargo puts before it. The page's end counts longer ones.
const WIDE: usize = 120;

/// The cases of one kind.
struct Page {
    name: &'static str,
    text: String,
    /// Lines over [`WIDE`].
    wide: usize,
}

impl Page {
    fn new(name: &'static str) -> Page {
        Page { name, text: String::new(), wide: 0 }
    }

    /// Adds what Cargo prints of this crate's failure.
    #[track_caller]
    fn check(&mut self, case: &str, fixture: &Fixture, arguments: &[&str]) {
        self.add(case, fixture, &cargo(fixture, arguments), "error: ");
    }

    /// Adds the warnings of a build that goes well, or that can say it no other way.
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
        // Of one failure; two may have the same reason.
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_below(line)) {
            let after = lines[at + 1..].iter().take_while(|line| is_below(line));
            assert!(after.clone().all(|other| other != line), "{case}: repeated: {line}");
        }
        let lines = redacted(&lines.join("\n"), fixture);
        let wide = lines.lines().filter_map(|line| line.split_once("@0.0.0: "));
        self.wide += wide.filter(|(_, said)| said.chars().count() > WIDE).count();
        self.text += &format!("## {case}\n\n{lines}\n\n");
    }

    /// Compares the page with the file.
    #[track_caller]
    fn compare(self) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/it/errors/{}.txt", self.name));
        let expected = snapbox::Data::read_from(&file, None).raw();
        let text = format!("{}lines wider than {WIDE} characters: {}\n", self.text, self.wide);
        snapbox::Assert::new().action_env(snapbox::assert::DEFAULT_ACTION_ENV).eq(text, expected);
    }
}

/// Whether the line belongs to the failure above it.
fn is_below(line: &str) -> bool {
    line.contains("@0.0.0:   ")
}

/// Not by `Fixture::cargo`, which has Cargo say more than people see.
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
    // Which piece it was in which a worker was caught is chance.
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
    let pages =
        ["machine", "sources", "torrent"].map(|page| read(&format!("tests/it/errors/{page}.txt")));
    // No file system without locks is at hand.
    let printed = pages.concat() + &read("src/storage/lock.rs");
    let section = read("docs/guide/troubleshooting.md");
    let headings = section.lines().filter_map(|line| line.strip_prefix("**")?.split_once(".**"));
    let mut quoted = 0;
    for (heading, _) in headings {
        // rustc's, not ours.
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
