//! Crates that the real Cargo builds, as a user's are.
//!
//! Each has a directory of its own, emptied when its test begins, and with it a store, but all share one
//! target directory, so that what they depend on is compiled once. Both lie below Cargo's directory for
//! test files and stay there: the second `cargo test` compiles none of it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// Prints what a program sees of the dataset `data`.
const MAIN: &str =
    r#"fn main() { println!("{}\n{}", env!("AT_DATA_PATH"), env!("AT_DATA_INFOHASH")) }"#;

/// The library's directory, also for the tests of the command, whose package is below it.
pub fn library() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    match env!("CARGO_PKG_NAME") {
        "academictorrents" => package,
        _ => package.parent().unwrap(),
    }
}

/// A crate that Cargo builds.
#[derive(Clone)]
pub struct Fixture {
    name: &'static str,
    dir: PathBuf,
    package: String,
    /// Of the library, beyond its default ones.
    features: &'static str,
    env: Vec<(String, String)>,
}

/// What Cargo did.
pub struct Run {
    pub succeeded: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Fixture {
    /// A crate with this name, which no other has, and this text under `[package.metadata.academictorrents]`.
    pub fn new(name: &'static str, datasets: &str) -> Fixture {
        let dir = scratch().join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        fs::create_dir_all(dir.join("src")).unwrap();
        forget_builds(name);
        let fixture = Fixture { name, dir, package: String::new(), features: "", env: Vec::new() };
        // What is locked needs no network to be found again.
        let locked = library().join("Cargo.lock");
        fs::copy(locked, fixture.path("Cargo.lock")).unwrap();
        fs::write(fixture.path("build.rs"), "fn main() { academictorrents::build() }\n").unwrap();
        fixture.declare(datasets);
        fixture.main(MAIN)
    }

    /// Adds a line to `[package]`. The datasets are declared anew after it.
    pub fn package(mut self, line: &str) -> Fixture {
        self.package += &format!("{line}\n");
        self
    }

    /// Turns on a feature of the library. The datasets are declared anew after it.
    #[allow(dead_code, reason = "some test binaries need none")]
    pub fn feature(mut self, feature: &'static str) -> Fixture {
        self.features = feature;
        self
    }

    /// Replaces `src/main.rs`.
    pub fn main(self, text: &str) -> Fixture {
        fs::write(self.path("src/main.rs"), text).unwrap();
        self
    }

    /// Sets a variable for every run.
    pub fn env(mut self, name: &str, value: impl ToString) -> Fixture {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// Writes the manifest anew.
    pub fn declare(&self, datasets: &str) {
        let Fixture { name, package, features, .. } = self;
        let features: Vec<_> = features.split_whitespace().collect();
        let text = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n{package}\n\
             [workspace]\n\
             [build-dependencies]\nacademictorrents = {{ version = \"*\", path = {:?}, features = {features:?} }}\n\
             [features]\nextra = []\n\
             [package.metadata.academictorrents]\n{datasets}\n",
            library(),
        );
        fs::write(self.path("Cargo.toml"), text).unwrap();
    }

    /// The same crate, with this variable.
    pub fn with_env(&self, name: &str, value: impl ToString) -> Fixture {
        self.clone().env(name, value)
    }

    /// Writes a file below the crate's directory.
    pub fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes another package below the crate's directory, with a library that has the dataset's `PATH`.
    pub fn library(&self, below: &str, name: &str, datasets: &str) {
        forget_builds(name);
        self.write(
            &format!("{below}/Cargo.toml"),
            &format!(
                "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
                 [build-dependencies]\nacademictorrents = \"*\"\n\
                 [package.metadata.academictorrents]\n{datasets}\n"
            ),
        );
        self.write(&format!("{below}/build.rs"), "fn main() { academictorrents::build() }\n");
        self.write(
            &format!("{below}/src/lib.rs"),
            "pub const PATH: &str = env!(\"AT_DATA_PATH\");\n",
        );
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// The directory that Cargo builds all fixtures in.
    pub fn target(&self) -> PathBuf {
        scratch().join("target")
    }

    /// Runs Cargo to its end, with `-v`, so that it says what it ran and what is fresh.
    pub fn cargo(&self, arguments: &[&str]) -> Run {
        Run::of(self.start(arguments).wait_with_output().unwrap())
    }

    /// Starts Cargo.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(env!("CARGO"));
        // Not `--offline`: build scripts can see that flag, and these shall fetch from loopback.
        command.args(arguments).args(["-v", "--config", "net.offline=true"]);
        command.spawn().unwrap()
    }

    /// Runs Cargo with leave to bring packages, from loopback alone.
    pub fn cargo_online(&self, arguments: &[&str]) -> Run {
        let mut command = self.command(env!("CARGO"));
        // Nobody is at port 9: who asks another host for anything fails at once.
        command.env("HTTPS_PROXY", "http://127.0.0.1:9").env("NO_PROXY", "127.0.0.1");
        command.args(arguments).args(["-v", "--config", "net.offline=false"]);
        Run::of(command.output().unwrap())
    }

    /// Any program, in the crate's directory and with the variables of its builds.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let disturbing = std::env::vars_os().map(|(name, _)| name).filter(|name| {
            name.to_str().is_none_or(disturbs) // what is not UTF-8 is not for a compiler
        });
        for name in disturbing {
            command.env_remove(name);
        }
        command
            .current_dir(&self.dir)
            .env("CARGO_TARGET_DIR", scratch().join("target"))
            .env("CARGO_HOME", scratch().join("cargo-home"))
            .env("ACADEMICTORRENTS_STORE", self.store())
            // No configuration file of whoever runs the tests.
            .env("XDG_CONFIG_HOME", scratch().join("no-config"))
            // Port 9 of loopback: nobody is there.
            .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
            .env("ACADEMICTORRENTS_TIMEOUT", "20s")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Run {
    pub fn of(output: Output) -> Run {
        Run {
            succeeded: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The run, which went well.
    #[track_caller]
    pub fn ok(self) -> Run {
        assert!(self.succeeded, "{}\n{}", self.stdout, self.stderr);
        self.assert_plain();
        self
    }

    /// The lines that Cargo calls errors, without that word and the package's name, of a run that failed.
    #[track_caller]
    pub fn errors(self) -> Vec<String> {
        assert!(!self.succeeded, "it went well: {}\n{}", self.stdout, self.stderr);
        self.assert_plain();
        let errors = self.stderr.lines().filter_map(|line| line.strip_prefix("error: "));
        let errors: Vec<_> = errors.filter_map(|line| line.split_once("@0.0.0: ")).collect();
        assert!(!errors.is_empty(), "no build script's error: {}", self.stderr);
        errors.into_iter().map(|(_, it)| it.to_owned()).collect()
    }

    /// The path that the program printed first.
    pub fn printed_path(&self) -> PathBuf {
        PathBuf::from(self.stdout.lines().next().unwrap_or_default())
    }

    /// Whether the build script was run.
    pub fn script_ran(&self) -> bool {
        let mut lines = self.stderr.lines();
        lines.any(|line| line.contains("Running `") && line.ends_with("build-script-build`"))
    }

    /// Whether anything was compiled.
    pub fn compiled(&self) -> bool {
        self.stderr.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with("Compiling") || line.starts_with("Dirty")
        })
    }

    /// Fails the test where Cargo found anything to do.
    #[track_caller]
    pub fn assert_fresh(&self) {
        assert!(!self.script_ran() && !self.compiled(), "{}", self.stderr);
        assert!(self.stderr.contains("Fresh"), "{}", self.stderr);
    }

    /// No colours, no bars, no panic, and no value printed for programmers.
    #[track_caller]
    pub fn assert_plain(&self) {
        for text in [&self.stdout, &self.stderr] {
            let odd = |c: char| c.is_control() && c != '\n' && c != '\t' && c != '\r';
            assert!(!text.contains(odd), "{text:?}");
            // Cargo shows lints of the crates that it compiles, with lines of theirs, if it was asked for enough words.
            let is_quoted = |line: &&str| {
                let line = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
                line.trim_start().starts_with(['|', '+', '-'])
            };
            let ours =
                |part: &str| text.lines().filter(|it| !is_quoted(it)).any(|it| it.contains(part));
            for part in ["panicked", "stack backtrace", "RUST_BACKTRACE", "Inner {", "Error {"] {
                assert!(!ours(part), "`{part}` in {text}");
            }
        }
    }
}

/// Where the fixtures are, and their target directory: another test process that runs from the same
/// target directory waits until this one has ended.
fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<(PathBuf, fs::File)> = OnceLock::new();
    let (path, _) = SCRATCH.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures");
        fs::create_dir_all(&path).unwrap();
        let lock = fs::File::create(path.join("lock")).unwrap();
        #[expect(
            clippy::incompatible_msrv,
            reason = "tests are run by a newer Rust than the library needs"
        )]
        lock.lock().unwrap();
        make_cargo_home(&path.join("cargo-home"));
        (path, lock)
    });
    path
}

/// A home for Cargo with the crates that the user's has, for what the tests let it bring from loopback.
fn make_cargo_home(home: &Path) {
    if home.exists() {
        fs::remove_dir_all(home).unwrap();
    }
    let users = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let users = users.unwrap_or_else(|| std::env::home_dir().unwrap().join(".cargo"));
    for part in ["index", "cache", "src"].map(|part| Path::new("registry").join(part)) {
        fs::create_dir_all(home.join(&part)).unwrap();
        for registry in fs::read_dir(users.join(&part)).into_iter().flatten() {
            let registry = registry.unwrap();
            link_directory(registry.path(), home.join(&part).join(registry.file_name())).unwrap();
        }
    }
    // It may say where crates come from.
    if users.join("config.toml").exists() {
        fs::copy(users.join("config.toml"), home.join("config.toml")).unwrap();
    }
}

#[cfg(unix)]
use std::os::unix::fs::symlink as link_directory;
#[cfg(windows)]
use std::os::windows::fs::symlink_dir as link_directory;

/// Removes what an earlier run of the tests left of this crate in the target directory, its OUT_DIR too.
fn forget_builds(name: &str) {
    let target = scratch().join("target");
    for part in ["debug/build", "debug/.fingerprint", "release/build", "release/.fingerprint"] {
        for entry in fs::read_dir(target.join(part)).into_iter().flatten() {
            let entry = entry.unwrap();
            let directory = entry.file_name().into_string().unwrap();
            if directory.rsplit_once('-').is_some_and(|(of, _)| of == name) {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }
    }
}

/// Whether a variable would change what Cargo, the compiler or a build script does: Cargo's own for us, the
/// user's settings, ours. How to find crates and the linker must stay.
fn disturbs(name: &str) -> bool {
    let keeps = |prefix: &str| name.starts_with(prefix);
    let cargo = name.starts_with("CARGO")
        && !["CARGO_HOME", "CARGO_SOURCE_", "CARGO_REGISTR"].into_iter().any(keeps)
        && !(name.starts_with("CARGO_TARGET_") && name.ends_with("_LINKER"));
    let upper = name.to_ascii_uppercase();
    cargo
        || name.starts_with("ACADEMICTORRENTS_")
        || upper.ends_with("_PROXY")
        || (name.starts_with("RUST") && !name.starts_with("RUSTUP_"))
        || ["OUT_DIR", "DOCS_RS", "RA_RUSTC_WRAPPER", "SSL_CERT_FILE", "XDG_CACHE_HOME"]
            .contains(&name)
}
