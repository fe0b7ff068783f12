//! A temporary directory to run the program in, and snapshot pages of what it prints there.
//!
//! A page (`pages/<page>.txt`) shows calls in order, as a terminal would; lines of stderr start
//! with `! `. After a change of messages, `SNAPSHOTS=overwrite cargo test -p cargo-academictorrents
//! --test it` rewrites the pages: read the difference as a first-time user would. Placeholders in
//! brackets replace what varies between runs: `[DIR]` is the directory, `[PORT]` a port. The pages
//! show Unix output. On Windows, the comparison ignores the difference between `\` and `/` and the
//! wording of operating system errors.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory with its own store. Calls see no configuration or environment of this machine.
pub struct CliFixture {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// The exit status and output of a call.
pub struct Run {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl CliFixture {
    pub fn new() -> CliFixture {
        CliFixture { dir: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    /// Sets a variable for every call.
    pub fn env(mut self, name: &str, value: impl ToString) -> CliFixture {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn path(&self, below: &str) -> PathBuf {
        // Canonical, as the program prints it: the temporary directory may be a symbolic link.
        let canonical = self.dir.path().canonicalize().unwrap();
        let Some(path) = canonical.to_str().and_then(|path| path.strip_prefix(r"\\?\")) else {
            return canonical.join(below);
        };
        Path::new(path).join(below).components().collect()
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Writes a file and returns its path.
    pub fn write(&self, below: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes a crate with this text under `[package.metadata.academictorrents]`. It has no
    /// dependencies, so that Cargo needs no index.
    pub fn declare(&self, datasets: &str) {
        let manifest = format!(
            "[package]\nname = \"model\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
             [features]\nextra = []\n\n[package.metadata.academictorrents]\n{datasets}\n"
        );
        self.write("Cargo.toml", manifest);
        self.write("src/main.rs", "fn main() {}\n");
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-academictorrents"));
        command
            .arg("academictorrents")
            .args(arguments)
            .current_dir(self.path(""))
            .env_clear()
            // Cargo itself, for `cargo metadata`, without a home or configuration. Under Wine,
            // `TEST_CARGO` is a program that calls it.
            .env("CARGO", std::env::var_os("TEST_CARGO").unwrap_or_else(|| env!("CARGO").into()))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CARGO_HOME", self.path("cargo-home"))
            .env("RUSTUP_HOME", std::env::var_os("RUSTUP_HOME").unwrap_or_default())
            .env("HOME", self.path("home"))
            .envs(windows_variables(&self.path("home")))
            .env("ACADEMICTORRENTS_STORE", self.store())
            .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
            .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
            .env("ACADEMICTORRENTS_TIMEOUT", "3s")
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Run {
        let run = Run::of(self.command(arguments).output().unwrap());
        crate::json::check(arguments, &run.stdout);
        run
    }

    /// Runs a call that must succeed, and returns its stdout.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.status, Some(0), "{arguments:?}: {}{}", run.stdout, run.stderr);
        run.stdout
    }
}

impl Run {
    pub fn of(output: Output) -> Run {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run {
            status: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// A snapshot page: a sequence of calls and their output.
pub struct Page {
    name: String,
    text: String,
}

impl Page {
    pub fn new(name: impl Into<String>) -> Page {
        Page { name: name.into(), text: String::new() }
    }

    /// Runs the program and appends its output. Returns the run, for checks that a page cannot
    /// express.
    pub fn show(&mut self, cli: &CliFixture, arguments: &[&str]) -> Run {
        let run = cli.run(arguments);
        let quoted = arguments.iter().map(|it| {
            if it.contains(' ') || it.is_empty() { format!("'{it}'") } else { (*it).to_owned() }
        });
        let call: Vec<_> = quoted.collect();
        self.text += &format!("$ cargo academictorrents {}\n", redacted(&call.join(" "), cli));
        self.text += &redacted(&run.stdout, cli);
        for line in redacted(&run.stderr, cli).lines() {
            self.text += format!("! {line}").trim_end();
            self.text.push('\n');
        }
        if run.status != Some(0) {
            self.text += &format!("exit status: {:?}\n", run.status.unwrap_or(-1));
        }
        self.text.push('\n');
        run
    }

    /// Applies `change` to every line so far, for output that varies between machines.
    pub fn redact(&mut self, change: impl Fn(&str) -> String) {
        let lines: Vec<_> = self.text.lines().map(change).collect();
        self.text = lines.join("\n") + "\n";
    }

    /// Compares the page with its file.
    #[track_caller]
    pub fn compare(self) {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/pages/{}.txt", self.name));
        if cfg!(windows) {
            let expected = std::fs::read_to_string(&file).unwrap();
            return snapbox::Assert::new().eq(on_windows(&self.text), on_windows(&expected));
        }
        let expected = snapbox::Data::read_from(&file, None).raw();
        snapbox::Assert::new()
            .action_env(snapbox::assert::DEFAULT_ACTION_ENV)
            .eq(self.text, expected);
    }
}

/// The Windows equivalents of the Unix directories, and the variables without which Windows
/// programs do not start.
fn windows_variables(home: &Path) -> Vec<(&'static str, std::ffi::OsString)> {
    if !cfg!(windows) {
        return Vec::new();
    }
    let mut variables = vec![
        ("USERPROFILE", home.into()),
        ("APPDATA", home.join(".config").into()),
        ("LOCALAPPDATA", home.join(".cache").into()),
    ];
    let system = ["SystemRoot", "TEMP"];
    variables.extend(system.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
    variables
}

fn with_slashes(text: &str) -> String {
    text.replace(r"\\", "/").replace('\\', "/")
}

/// A page without what differs on Windows: path separators and operating system errors.
fn on_windows(page: &str) -> String {
    let page = with_slashes(page);
    let lines = page.lines().map(|line| match line.split_once("(os error ") {
        None => line.to_owned(),
        Some((said, _)) => {
            let begin = said.rfind(": ").map_or(0, |at| at + 2);
            format!("{}[SYSTEM'S ERROR]", &said[..begin])
        }
    });
    lines.map(|line| line + "\n").collect()
}

fn redacted(text: &str, cli: &CliFixture) -> String {
    if cfg!(windows) {
        let path = cli.path("").to_string_lossy().trim_end_matches('\\').to_owned();
        let text = text.replace(&path.replace('\\', r"\\"), "[DIR]").replace(&path, "[DIR]");
        return crate::support::without_ports(&with_slashes(&text));
    }
    let text = text.replace(&*cli.path("").to_string_lossy(), "[DIR]/");
    let text = text.replace(cli.path("").to_string_lossy().trim_end_matches('/'), "[DIR]");
    crate::support::without_ports(&text)
}
