//! File systems without permissions, or without settable times, such as some network and FUSE file
//! systems. A preloaded library makes the C library's functions fail as they do there.

use std::process::Command;

use crate::harness::Trial;
use crate::namespace;
use crate::program::Tool;
use crate::support::Project;
use crate::swarm::{Dataset, WebSeed, random_bytes};

static CC: Tool = Tool::debian("cc", "Debian: gcc");

/// The functions that fail, and their error.
const CASES: [(&str, &str); 4] = [
    ("permissions", "EPERM"),
    ("permissions", "EOPNOTSUPP"),
    ("times", "EPERM"),
    ("times", "ENOSYS"),
];

const SHIM: &str = r#"
#include <errno.h>
#define FAILS(name, ...) int name(__VA_ARGS__) { errno = WHY; return -1; }
#ifdef permissions
FAILS(chmod, const char *path, unsigned mode)
FAILS(fchmod, int file, unsigned mode)
FAILS(fchmodat, int at, const char *path, unsigned mode, int flags)
#else
FAILS(futimens, int file, const void *to)
FAILS(utimensat, int at, const char *path, const void *to, int flags)
#endif
"#;

pub fn trials() -> Vec<Trial> {
    let trial = |(what, why): &(&'static str, &'static str)| {
        let (what, why) = (*what, *why);
        Trial::new(format!("odd_file_systems::{what}_{why}"), &[&CC], move || run(what, why))
    };
    CASES.iter().map(trial).collect()
}

fn run(what: &str, why: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (source, shim) = (directory.path().join("shim.c"), directory.path().join("shim.so"));
    std::fs::write(&source, SHIM).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).args([&shim, &source]);
    assert!(cc.args([format!("-D{what}"), format!("-DWHY={why}")]).status().unwrap().success());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("LD_PRELOAD", &shim).env(namespace::INSIDE, format!("odd_file_systems::{what}"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs with the failing functions.
pub fn inside(trial: &str) {
    let files = [("a", random_bytes(1, 90_000)), ("b/c", random_bytes(2, 90_000))];
    let dataset = Dataset::multi("set", files);
    let seed = WebSeed::serving(&dataset);
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.folder_url()));
    if trial.ends_with("permissions") {
        dataset.assert_at(&project.path_of("data"));
        // The second build finds the data in the store.
        dataset.assert_at(&project.path_of("data"));
        assert_eq!(seed.bytes_served(), 180_000);
    } else {
        let error = project.error();
        assert!(error.contains("does not allow setting file times"), "{error}");
        assert!(error.contains("set ACADEMICTORRENTS_STORE"), "{error}");
    }
}
