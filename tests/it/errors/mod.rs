//! Errors as people see them: what a real `cargo build` prints, whole, for each failure that the manual tells of.
//!
//! A page (`errors/<page>.txt`) holds the cases of one kind, one after the other, as Cargo prints them. After a change
//! of words, `SNAPSHOTS=overwrite cargo test --test it errors` writes the pages anew: read what has changed as a stranger
//! would. What differs from run to run has a name in brackets: `[CRATE]` the crate's directory, `[STORE]`, `[PORT]`.

mod environment;
mod manifest;
mod sources;
mod torrent;

use std::path::Path;

use crate::fixture::{Fixture, Run};

/// Characters of a line, without what Cargo puts before it. Longer ones are counted, so that none is added unseen.
const WIDE: usize = 120;

/// The cases of one kind.
struct Page {
    name: &'static str,
    text: String,
    /// Lines that may be wide.
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
        let text = self.text.trim_end().to_owned() + "\n";
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
    for (path, name) in [(fixture.store(), "[STORE]"), (fixture.path(""), "[CRATE]/")] {
        text = text.replace(&path.display().to_string(), name);
    }
    text = text.replace(env!("CARGO_MANIFEST_DIR"), "[REPOSITORY]");
    // Which piece it was in which a worker was caught is chance.
    for piece in 0..7 {
        text = text.replace(&format!("(piece {piece})"), "(piece [N])");
    }
    // Ports that the system gave, which have five digits or nearly so; what a test wrote has fewer.
    ["127.0.0.1:", "localhost:"].into_iter().fold(text, |text, host| {
        let mut parts = text.split(host);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            out += host;
            out += if digits >= 4 { "[PORT]" } else { &part[..digits] };
            out += &part[digits..];
        }
        out
    })
}
