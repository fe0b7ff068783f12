//! Who erases the bars when Ctrl-C ends us.
//!
//! A signal ends a build script at once: to hear it first takes foreign calls. So a shell is started beside the
//! bars, which hears no signal of the terminal and reads from a pipe. An empty line is our goodbye, and
//! it goes. An end without goodbye is our death, and it erases the screen from the cursor on: whether the
//! prompt has come already or not, only what the bars have left is there.

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// With TTOU ignored it may write although the foreground is the user's shell again.
const SCRIPT: &str = r#"trap "" INT QUIT TERM HUP TTOU; read -r goodbye || printf "\033[J""#;

/// The shell that waits for our end. When it is dropped, that was a good one.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Starts it, to write to `terminal`; `None` where there is no shell: then something remains.
    pub(super) fn start(terminal: File) -> Option<Guard> {
        let mut command = Command::new("/bin/sh");
        // Nothing of ours but the terminal: cargo waits until the last holder of our stdout is gone.
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(terminal).stderr(Stdio::null());
        command.spawn().ok().map(Guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b"\n"); // it may have been ended by force
        }
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it writes when it was sent this signal and then we end so.
    fn written(signal: Option<&str>, goodbye: bool) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("terminal");
        let mut guard = Guard::start(File::create(&path).unwrap()).unwrap();
        if let Some(signal) = signal {
            // It ignores signals once its first command has run; before that it would end.
            let status = || std::fs::read_to_string(format!("/proc/{}/status", guard.0.id()));
            let ignored = |status: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
                u64::from_str_radix(line.trim(), 16).unwrap()
            };
            // SIGTTOU, the last that it is told of, is 22.
            while ignored(&status().unwrap()) & (1 << 21) == 0 {
                std::thread::yield_now();
            }
            let kill = ["-s", signal, &guard.0.id().to_string()].map(str::to_owned);
            assert!(Command::new("kill").args(kill).status().unwrap().success());
        }
        if !goodbye {
            drop(guard.0.stdin.take());
        }
        drop(guard);
        std::fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn an_end_without_goodbye_is_erased_whatever_the_terminal_sends() {
        for signal in [None, Some("INT"), Some("HUP"), Some("QUIT"), Some("TERM")] {
            assert_eq!(written(signal, false), "\u{1b}[J", "{signal:?}");
        }
    }

    #[test]
    fn a_goodbye_leaves_the_screen_alone() {
        for signal in [None, Some("INT")] {
            assert_eq!(written(signal, true), "", "{signal:?}");
        }
    }
}
