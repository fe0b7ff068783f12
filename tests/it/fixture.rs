//! Crates that the real Cargo builds, as a user would build them.
//!
//! Each crate has its own directory and store, emptied at the start of its test. Crates share target
//! directories, so dependencies are compiled once. Everything is below Cargo's directory for test
//! files and is kept: a second `cargo test` recompiles nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// Prints the path and the infohash of the dataset `data`, as the program sees them.
const MAIN: &str =
    r#"fn main() { println!("{}\n{}", env!("AT_DATA_PATH"), env!("AT_DATA_INFOHASH")) }"#;

/// The library's directory, also when the command's tests, whose package is a subdirectory, call
/// it.
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
    /// Features of the library in addition to the default ones, separated by spaces.
    features: &'static str,
    env: Vec<(String, String)>,
}

/// The outcome of a Cargo run.
pub struct Run {
    pub succeeded: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Fixture {
    /// Creates a crate; `datasets` is the text under `[package.metadata.academictorrents]`. The
    /// name must be unique among all tests.
    pub fn new(name: &'static str, datasets: &str) -> Fixture {
        let dir = scratch().join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        fs::create_dir_all(dir.join("src")).unwrap();
        forget_builds(name);
        let fixture = Fixture { name, dir, package: String::new(), features: "", env: Vec::new() };
        // The library's lock file lets Cargo resolve versions without network.
        let locked = library().join("Cargo.lock");
        fs::copy(locked, fixture.path("Cargo.lock")).unwrap();
        fs::write(fixture.path("build.rs"), "fn main() { academictorrents::build() }\n").unwrap();
        fixture.declare(datasets);
        fixture.main(MAIN)
    }

    /// Adds a line to `[package]`. Takes effect with the next [`Fixture::declare`].
    pub fn package(mut self, line: &str) -> Fixture {
        self.package += &format!("{line}\n");
        self
    }

    /// Enables a feature of the library. Takes effect with the next [`Fixture::declare`].
    #[allow(dead_code, reason = "some test binaries need no features")]
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

    /// Rewrites the manifest.
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

    /// Returns the same crate with another variable set.
    pub fn with_env(&self, name: &str, value: impl ToString) -> Fixture {
        self.clone().env(name, value)
    }

    pub fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Adds a package below the crate's directory; its library exports the dataset's path as
    /// `PATH`.
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

    /// The target directory, shared with other fixtures. Cargo locks it during a build, so crates
    /// whose builds wait for silent sources have another one.
    pub fn target(&self) -> PathBuf {
        target_of(self.name)
    }

    /// Runs Cargo to completion with `-v`, so that the output lists what ran and what is fresh.
    pub fn cargo(&self, arguments: &[&str]) -> Run {
        Run::of(self.start(arguments).wait_with_output().unwrap())
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(env!("CARGO"));
        // Not `--offline`: build scripts see that flag and would not fetch, even from loopback.
        command.args(arguments).args(["-v", "--config", "net.offline=true"]);
        command.spawn().unwrap()
    }

    /// Runs Cargo online, but able to reach loopback only.
    pub fn cargo_online(&self, arguments: &[&str]) -> Run {
        let mut command = self.command(env!("CARGO"));
        // Nothing listens on port 9, so requests to any other host fail at once.
        command.env("HTTPS_PROXY", "http://127.0.0.1:9").env("NO_PROXY", "127.0.0.1");
        command.args(arguments).args(["-v", "--config", "net.offline=false"]);
        Run::of(command.output().unwrap())
    }

    /// A command in the crate's directory, with the environment of its builds.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let disturbing = std::env::vars_os().map(|(name, _)| name).filter(|name| {
            name.to_str().is_none_or(disturbs) // a name that is not UTF-8 means nothing to a compiler
        });
        for name in disturbing {
            command.env_remove(name);
        }
        command
            .current_dir(&self.dir)
            .env("CARGO_TARGET_DIR", self.target())
            .env("CARGO_HOME", scratch().join("cargo-home"))
            .env("ACADEMICTORRENTS_STORE", self.store())
            // Ignores the configuration file of the user who runs the tests.
            .env("XDG_CONFIG_HOME", scratch().join("no-config"))
            // Nothing listens on port 9.
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

    /// Asserts that the run succeeded.
    #[track_caller]
    pub fn ok(self) -> Run {
        assert!(self.succeeded, "{}\n{}", self.stdout, self.stderr);
        self.assert_plain();
        self
    }

    /// Asserts that the run failed and returns the errors of the build scripts, without Cargo's
    /// `error: ` and the package name.
    #[track_caller]
    pub fn errors(self) -> Vec<String> {
        assert!(!self.succeeded, "unexpected success: {}\n{}", self.stdout, self.stderr);
        self.assert_plain();
        let errors = self.stderr.lines().filter_map(|line| line.strip_prefix("error: "));
        let errors: Vec<_> = errors.filter_map(|line| line.split_once("@0.0.0: ")).collect();
        assert!(!errors.is_empty(), "no build script's error: {}", self.stderr);
        errors.into_iter().map(|(_, it)| it.to_owned()).collect()
    }

    /// The first line that the program printed.
    pub fn printed_path(&self) -> PathBuf {
        PathBuf::from(self.stdout.lines().next().unwrap_or_default())
    }

    pub fn script_ran(&self) -> bool {
        let mut lines = self.stderr.lines();
        lines.any(|line| line.contains("Running `") && line.ends_with("build-script-build`"))
    }

    pub fn compiled(&self) -> bool {
        self.stderr.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with("Compiling") || line.starts_with("Dirty")
        })
    }

    /// Asserts that Cargo had nothing to do.
    #[track_caller]
    pub fn assert_fresh(&self) {
        assert!(!self.script_ran() && !self.compiled(), "{}", self.stderr);
        assert!(self.stderr.contains("Fresh"), "{}", self.stderr);
    }

    /// Asserts that the output has no colors, progress bars, panic messages or `Debug` output.
    #[track_caller]
    pub fn assert_plain(&self) {
        for text in [&self.stdout, &self.stderr] {
            let odd = |c: char| c.is_control() && c != '\n' && c != '\t' && c != '\r';
            assert!(!text.contains(odd), "{text:?}");
            // Cargo quotes source lines in compiler warnings; those lines are not our output.
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

/// The directory of the fixtures and their target directory. A lock makes other test processes with
/// the same target directory wait until this process ends.
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

/// Creates a Cargo home with links to the user's registry directories. Registries of the tests get
/// their own directories in it.
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
    // The configuration may replace the registry.
    if users.join("config.toml").exists() {
        fs::copy(users.join("config.toml"), home.join("config.toml")).unwrap();
    }
}

#[cfg(unix)]
use std::os::unix::fs::symlink as link_directory;
#[cfg(windows)]
use std::os::windows::fs::symlink_dir as link_directory;

fn target_of(name: &str) -> PathBuf {
    scratch().join(if name.ends_with("-errors") { "target-errors" } else { "target" })
}

/// Removes the crate's build output of earlier test runs, including `OUT_DIR`, from the target
/// directory.
fn forget_builds(name: &str) {
    let target = target_of(name);
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

/// Whether a variable would change what Cargo, the compiler or a build script does. Variables for
/// registries and linkers must stay.
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
