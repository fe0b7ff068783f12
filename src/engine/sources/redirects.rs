//! Where a web seed's files were redirected to.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::mutex::Mutex;
use crate::net::{MAX_REDIRECTS, SourceError, join};
use crate::url::Url;

/// The longest URL that is followed: each file may have one.
const MAX_URL_BYTES: usize = 2 << 10;

/// How often a redirect may run out (signed links do) before anything came from it.
const MAX_EXPIRED: u32 = 2;

/// What the connections of a web seed know of redirects, by the file's index.
#[derive(Debug, Default)]
pub struct Redirects {
    /// In which form of URL the seed has served a file: all are asked for in that one then.
    form: OnceLock<usize>,
    files: Mutex<HashMap<u32, Redirect>>,
}

#[derive(Debug, Default)]
struct Redirect {
    target: Option<Url>,
    hops: usize,
    expired: u32,
    /// The form of its first URL that is tried: see `FileUrls`.
    form: usize,
}

impl Redirects {
    /// In which form the file's first URL is asked for.
    pub fn form(&self, file: u32) -> usize {
        let tried = || self.files.lock().get(&file).map_or(0, |redirect| redirect.form);
        self.form.get().copied().unwrap_or_else(tried)
    }

    pub fn knows_form(&self) -> bool {
        self.form.get().is_some()
    }

    /// The file is not to be had in the form that was tried. Whether there is another one, of so many.
    pub fn next_form(&self, file: u32, forms: usize) -> bool {
        if self.form.get().is_some() || forms < 2 {
            return false;
        }
        let mut files = self.files.lock();
        let redirect = files.entry(file).or_default();
        let has_next = redirect.form + 1 < forms;
        if has_next {
            *redirect = Redirect { form: redirect.form + 1, ..Redirect::default() };
        }
        has_next
    }

    /// Where the file is to be asked for, if not at its first URL.
    pub fn target(&self, file: u32) -> Option<Url> {
        self.files.lock().get(&file)?.target.clone()
    }

    /// Whether this is where the file was redirected to.
    pub fn leads_to(&self, file: u32, url: &Url) -> bool {
        self.files.lock().get(&file).is_some_and(|redirect| redirect.target.as_ref() == Some(url))
    }

    /// The reply to a request for `asked` leads to `location`. `first` is the file's URL without redirects.
    ///
    /// # Errors
    /// Why it is not followed: it reads on from the URL.
    pub fn follow(
        &self,
        file: u32,
        first: &Url,
        asked: &Url,
        location: &str,
    ) -> Result<(), SourceError> {
        let mut files = self.files.lock();
        let redirect = files.entry(file).or_default();
        // Another connection asked there too, and followed first: the hop counts once.
        if redirect.target.as_ref().unwrap_or(first) != asked {
            return Ok(());
        }
        let target = join(asked, location)?;
        if target.exposed().len() > MAX_URL_BYTES {
            return Err(SourceError::LongRedirect(target.exposed().len()));
        }
        if redirect.hops >= MAX_REDIRECTS {
            return Err(SourceError::TooManyRedirects);
        }
        redirect.hops += 1;
        redirect.target = Some(target);
        Ok(())
    }

    /// The file is not to be had at `asked`. Whether it may be at its first URL, which is then asked once more.
    pub fn begin_anew(&self, file: u32, first: &Url, asked: &Url) -> bool {
        let mut files = self.files.lock();
        let Some(redirect) = files.get_mut(&file).filter(|_| asked != first) else { return false };
        if redirect.target.as_ref() == Some(asked) {
            (redirect.target, redirect.hops) = (None, 0);
            redirect.expired += 1;
        }
        redirect.expired <= MAX_EXPIRED
    }

    /// The file's bytes come: what ran out before is forgiven.
    pub fn brought(&self, file: u32) {
        let mut files = self.files.lock();
        let form = files.get_mut(&file).map_or(0, |redirect| {
            redirect.expired = 0;
            redirect.form
        });
        drop(files);
        if self.form.get().is_none() {
            let _ = self.form.set(form); // another connection's counts as well
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::from(text)
    }

    #[test]
    fn a_hop_counts_once_and_five_are_enough() {
        let redirects = Redirects::default();
        let first = url("http://a/x");
        redirects.follow(0, &first, &first, "/1").unwrap();
        redirects.follow(0, &first, &first, "/1").unwrap();
        assert_eq!(redirects.target(0), Some(url("http://a/1")));
        for hop in 1..5 {
            let asked = url(&format!("http://a/{hop}"));
            redirects.follow(0, &first, &asked, &format!("/{}", hop + 1)).unwrap();
        }
        let refused = redirects.follow(0, &first, &url("http://a/5"), "/6");
        assert_eq!(refused, Err(SourceError::TooManyRedirects));
        assert_eq!(redirects.target(1), None);
    }

    #[test]
    fn a_link_that_ran_out_is_asked_for_anew_but_not_for_ever() {
        let redirects = Redirects::default();
        let (first, signed) = (url("http://a/x"), url("http://a/signed"));
        assert!(!redirects.begin_anew(0, &first, &first));
        for again in [true, true, false] {
            redirects.follow(0, &first, &first, "/signed").unwrap();
            assert_eq!(redirects.begin_anew(0, &first, &signed), again);
            assert_eq!(redirects.target(0), None);
        }
        redirects.brought(0);
        redirects.follow(0, &first, &first, "/signed").unwrap();
        assert!(redirects.begin_anew(0, &first, &signed));
    }
}
