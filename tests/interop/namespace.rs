//! This program once more, in namespaces where it is root: with a network and with mounts of its own.

use std::ffi::OsStr;

use crate::program::Tool;

pub static NAMESPACES: Tool =
    Tool::namespaces("unshare", "Debian: util-linux, and user namespaces");

/// Set in there, to what is to be done.
pub const INSIDE: &str = "INTEROP_INSIDE";

/// Runs this program in there, where `main` does what `trial` says. A shell sets up before, with `args` as `$1` and so on.
pub fn run(trial: &str, set_up: &str, args: &[&OsStr]) {
    let home = tempfile::tempdir().unwrap();
    let script = format!("this=$1 && shift && {set_up} && exec \"$this\"");
    let mut command = NAMESPACES.command(home.path());
    command.args(["--user", "--map-root-user", "--net", "--mount", "/bin/sh", "-c", &script, "sh"]);
    command.arg(std::env::current_exe().unwrap()).args(args).env(INSIDE, trial);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
}

/// What is to be done, if this is in there.
pub fn inside() -> Option<String> {
    std::env::var(INSIDE).ok()
}
