//! Helpers of build tests: a crate with its own directory and store.

pub mod fetching;
pub mod files;
#[cfg(unix)]
pub mod links;

use std::path::{Path, PathBuf};

use academictorrents::{Build, Datasets, Error};

use crate::swarm::Dataset;

/// A crate whose build script runs in this process.
pub struct Project {
    pub dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Project {
    /// Creates a crate; `datasets` is the text under `[package.metadata.academictorrents]`.
    pub fn new(datasets: &str) -> Project {
        let dir = tempfile::tempdir().unwrap();
        let project = Project { dir, env: Vec::new() };
        project.declare(datasets);
        project
    }

    /// Creates a crate that declares the dataset as `data`, with a vendored .torrent and these
    /// manifest lines.
    pub fn of(dataset: &Dataset, lines: &str) -> Project {
        Project::of_torrent(&dataset.torrent(), lines)
    }

    /// Like [`Project::of`], from the bytes of a .torrent.
    pub fn of_torrent(torrent: &[u8], lines: &str) -> Project {
        let project = Project::new("");
        project.declare_data(lines);
        std::fs::write(project.path("data.torrent"), torrent).unwrap();
        project
    }

    /// Replaces the manifest lines of `data`.
    pub fn declare_data(&self, lines: &str) {
        self.declare(&format!(
            "[package.metadata.academictorrents.data]\ntorrent = \"data.torrent\"\n{lines}"
        ));
    }

    /// Rewrites the manifest.
    pub fn declare(&self, datasets: &str) {
        let text = format!(
            "[package]\nname = \"fixture\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [package.metadata.academictorrents]\n{datasets}\n"
        );
        std::fs::write(self.path("Cargo.toml"), text).unwrap();
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Asserts that no file was published.
    #[track_caller]
    pub fn assert_nothing_published(&self) {
        let published = files_below(&self.store().join("v1/data"));
        assert!(published.is_empty(), "{published:?}");
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Sets a variable for every run.
    pub fn env(mut self, name: &str, value: impl ToString) -> Project {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn build(&self) -> Build {
        let mut build = build_in(self.dir.path());
        for (name, value) in &self.env {
            build = build.env(name, value);
        }
        build
    }

    pub fn run(&self) -> Result<Datasets, Error> {
        self.build().run()
    }

    /// Runs the build and returns the path of the dataset.
    pub fn path_of(&self, name: &str) -> PathBuf {
        let datasets = self.run().unwrap_or_else(|error| panic!("{error}"));
        datasets.dataset(name).unwrap().path().to_owned()
    }

    /// Runs the build, which must fail, and returns the error.
    pub fn error(&self) -> String {
        match self.run() {
            Ok(datasets) => panic!("unexpected success: {datasets:?}"),
            Err(error) => error.to_string(),
        }
    }
}

/// A build script's environment without any variable of the real one.
pub fn build_in(project: &Path) -> Build {
    let out_dir = project.join("out");
    std::fs::create_dir_all(&out_dir).unwrap();
    Build::new()
        .env_clear()
        .cargo_output(false)
        .env("CARGO_MANIFEST_DIR", project)
        .env("OUT_DIR", out_dir)
        .env("ACADEMICTORRENTS_STORE", project.join("store"))
        // Nothing listens on port 9.
        .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
        .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
        .env("ACADEMICTORRENTS_PROGRESS", "off")
        .env("ACADEMICTORRENTS_TIMEOUT", "3s")
}

/// Runs the check on all cases, six at a time because they mostly wait. Panics after the last case
/// if a check failed.
#[track_caller]
pub fn side_by_side<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let checked = std::panic::AssertUnwindSafe(|| check(case));
                    if std::panic::catch_unwind(checked).is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner(), 0, "cases failed, see above");
}

/// Normalizes path separators to `/`.
pub fn slashes(text: &str) -> String {
    text.replace('\\', "/")
}

/// Paths of all files below a directory, relative to it.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(directory, &mut found);
    let mut relative: Vec<_> =
        found.iter().map(|path| path.strip_prefix(directory).unwrap().to_owned()).collect();
    relative.sort();
    relative
}

/// Replaces the port numbers of loopback addresses by `[PORT]`, except short ones (up to three
/// digits), which the test itself wrote.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the pages of errors are Linux's"))]
pub fn without_ports(text: &str) -> String {
    ["127.0.0.1:", "localhost:"].into_iter().fold(text.to_owned(), |text, host| {
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

/// Whether loopback has IPv6. Containers often have none; tests that need it print that they were
/// not run, and `.ci/run` insists on it.
pub fn has_ipv6() -> bool {
    use std::io::Write as _;
    let bound = std::net::TcpListener::bind((std::net::Ipv6Addr::LOCALHOST, 0));
    if let Err(why) = &bound {
        // Unlike the output of `eprintln!`, this output is not captured.
        let _ = writeln!(std::io::stderr(), "not tested, because ::1 cannot be used: {why}");
    }
    bound.is_ok()
}

/// Reports that `what` cannot be tested because namespaces are denied. Fails as root and in CI,
/// where they can be allowed.
#[cfg(target_os = "linux")]
pub fn cannot_mount(what: &str, why: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let must = is_root || std::env::var_os("CI").is_some();
    let why = format!("{what} was not tested: no file system could be mounted with unshare: {why}");
    assert!(
        !must,
        "{why}\nallow user namespaces, such as by sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    );
    // Unlike the output of `eprintln!`, this output is not captured.
    let _ = writeln!(std::io::stderr(), "{why}");
}
