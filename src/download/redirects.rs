//! Where a web seed's files were redirected to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::net::join;

/// Redirects followed for one file.
const MAX_REDIRECTS: u32 = 5;

/// The longest URL that is followed: each file may have one.
const MAX_URL_BYTES: usize = 2 << 10;

/// How often a redirect may run out (signed links do) before anything came from it.
const MAX_EXPIRED: u32 = 2;

/// What the connections of a web seed know of redirects, by the file's index.
#[derive(Debug, Default)]
pub struct Redirects {
    files: Mutex<HashMap<u32, Redirect>>,
}

#[derive(Debug, Default)]
struct Redirect {
    target: Option<String>,
    hops: u32,
    expired: u32,
}

impl Redirects {
    /// Where the file is to be asked for, if not at its first URL.
    pub fn target(&self, file: u32) -> Option<String> {
        self.lock().get(&file)?.target.clone()
    }

    /// The reply to a request for `asked` leads to `location`. `first` is the file's URL without redirects.
    ///
    /// # Errors
    /// Why it is not followed: it reads on from the URL.
    pub fn follow(
        &self,
        file: u32,
        first: &str,
        asked: &str,
        location: &str,
    ) -> Result<(), String> {
        let mut files = self.lock();
        let redirect = files.entry(file).or_default();
        // Another connection asked there too, and followed first: the hop counts once.
        if redirect.target.as_deref().unwrap_or(first) != asked {
            return Ok(());
        }
        let target = join(asked, location).map_err(|why| why.to_string())?;
        if target.len() > MAX_URL_BYTES {
            return Err(format!("redirects to a URL of {} bytes", target.len()));
        }
        if redirect.hops >= MAX_REDIRECTS {
            return Err(format!("more than {MAX_REDIRECTS} redirects"));
        }
        redirect.hops += 1;
        redirect.target = Some(target);
        Ok(())
    }

    /// The file is not to be had at `asked`. Whether it may be at its first URL, which is then asked once more.
    pub fn begin_anew(&self, file: u32, first: &str, asked: &str) -> bool {
        let mut files = self.lock();
        let Some(redirect) = files.get_mut(&file).filter(|_| asked != first) else { return false };
        if redirect.target.as_deref() == Some(asked) {
            (redirect.target, redirect.hops) = (None, 0);
            redirect.expired += 1;
        }
        redirect.expired <= MAX_EXPIRED
    }

    /// The file's bytes come: what ran out before is forgiven.
    pub fn brought(&self, file: u32) {
        if let Some(redirect) = self.lock().get_mut(&file) {
            redirect.expired = 0;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Redirect>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "http://a/x";

    #[test]
    fn a_hop_counts_once_and_five_are_enough() {
        let redirects = Redirects::default();
        redirects.follow(0, FIRST, FIRST, "/1").unwrap();
        redirects.follow(0, FIRST, FIRST, "/1").unwrap();
        assert_eq!(redirects.target(0).as_deref(), Some("http://a/1"));
        for hop in 1..5 {
            redirects
                .follow(0, FIRST, &format!("http://a/{hop}"), &format!("/{}", hop + 1))
                .unwrap();
        }
        assert!(
            redirects.follow(0, FIRST, "http://a/5", "/6").unwrap_err().contains("more than 5")
        );
        assert_eq!(redirects.target(1), None);
    }

    #[test]
    fn a_link_that_ran_out_is_asked_for_anew_but_not_for_ever() {
        let redirects = Redirects::default();
        assert!(!redirects.begin_anew(0, FIRST, FIRST));
        for again in [true, true, false] {
            redirects.follow(0, FIRST, FIRST, "/signed").unwrap();
            assert_eq!(redirects.begin_anew(0, FIRST, "http://a/signed"), again);
            assert_eq!(redirects.target(0), None);
        }
        redirects.brought(0);
        redirects.follow(0, FIRST, FIRST, "/signed").unwrap();
        assert!(redirects.begin_anew(0, FIRST, "http://a/signed"));
    }
}
