//! The largest file that this process may write: `ulimit -f`.
//!
//! A write beyond that limit does not fail: the system ends the process with SIGXFSZ, and handling
//! that signal would need unsafe code. So lengths are compared with the limit before files are
//! written. Only Linux exposes the limit in a file; on other platforms such a process still ends
//! without a message.

use std::io;

use crate::{process, size};

/// Refuses a file that is longer than the limit.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`], with the limit.
pub fn check(length: u64) -> io::Result<()> {
    check_with(length, process::max_file_bytes())
}

fn check_with(length: u64, limit: Option<u64>) -> io::Result<()> {
    match limit.filter(|limit| length > *limit) {
        None => Ok(()),
        Some(limit) => {
            let why = format!(
                "a file of {} exceeds the file size limit of this process, {}",
                size::display(length),
                size::display(limit)
            );
            Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_file_is_refused_with_the_limit() {
        assert!(check_with(1 << 20, Some(1 << 20)).is_ok() && check_with(u64::MAX, None).is_ok());
        let refused = check_with(2 << 20, Some(1 << 20)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
        assert!(refused.to_string().contains("of 2.0 MiB exceeds"), "{refused}");
    }
}
