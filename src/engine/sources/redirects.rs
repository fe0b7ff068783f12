//! Where a web seed redirected the requests for its files.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::mutex::Mutex;
use crate::net::{MAX_REDIRECTS, SourceError, join};
use crate::url::Url;

/// Limit on the redirect URLs that are remembered, since there may be one for each file. If they
/// are longer in total, all are forgotten and their files are requested at their first URLs again.
const MAX_TOTAL_BYTES: usize = 16 << 20;

/// How often a redirect may expire (signed links do) before any data came from it.
const MAX_EXPIRED: u32 = 2;

/// The redirects of a web seed, by file index, shared by its connections.
#[derive(Debug, Default)]
pub struct Redirects {
    /// The URL form in which the seed first served a file. All files are then requested in that
    /// form.
    form: OnceLock<usize>,
    files: Mutex<HashMap<u32, Redirect>>,
    /// At least the total length of the targets in `files`.
    total_bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Redirect {
    target: Option<Url>,
    hops: usize,
    expired: u32,
    /// The form of the first URL to try: see `FileUrls`.
    form: usize,
}

impl Redirects {
    /// The form in which the file's first URL is requested.
    pub fn form(&self, file: u32) -> usize {
        let tried = || self.files.lock().get(&file).map_or(0, |redirect| redirect.form);
        self.form.get().copied().unwrap_or_else(tried)
    }

    pub fn knows_form(&self) -> bool {
        self.form.get().is_some()
    }

    /// Switches to the next form after the file was not available in the current one. Returns
    /// whether there is a next form, out of `forms`.
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

    /// The redirect target to request, if the file has one.
    pub fn target(&self, file: u32) -> Option<Url> {
        self.files.lock().get(&file)?.target.clone()
    }

    /// Records that the reply to a request for `asked` redirects to `location`. `first` is the
    /// file's URL without redirects.
    ///
    /// # Errors
    /// Why the redirect is not followed. The text completes a sentence that begins with the URL.
    pub fn follow(
        &self,
        file: u32,
        first: &Url,
        asked: &Url,
        location: &str,
    ) -> Result<(), SourceError> {
        let mut files = self.files.lock();
        if self.total_bytes.load(Ordering::Relaxed) > MAX_TOTAL_BYTES {
            let others = files.iter_mut().filter(|(other, _)| **other != file);
            others.for_each(|(_, redirect)| (redirect.target, redirect.hops) = (None, 0));
            let kept = files.get(&file).and_then(|redirect| redirect.target.as_ref());
            let kept_bytes = kept.map_or(0, |target| target.exposed().len());
            self.total_bytes.store(kept_bytes, Ordering::Relaxed);
        }
        let redirect = files.entry(file).or_default();
        // Another connection got the same redirect and recorded it first: the hop counts once.
        if redirect.target.as_ref().unwrap_or(first) != asked {
            return Ok(());
        }
        let target = join(asked, location)?;
        if redirect.hops >= MAX_REDIRECTS {
            return Err(SourceError::TooManyRedirects);
        }
        redirect.hops += 1;
        self.total_bytes.fetch_add(target.exposed().len(), Ordering::Relaxed);
        redirect.target = Some(target);
        Ok(())
    }

    /// Called when the file is not available at `asked`. Returns whether to ask again at its first
    /// URL.
    pub fn begin_anew(&self, file: u32, first: &Url, asked: &Url) -> bool {
        let mut files = self.files.lock();
        let Some(redirect) = files.get_mut(&file).filter(|_| asked != first) else { return false };
        if redirect.target.as_ref() == Some(asked) {
            (redirect.target, redirect.hops) = (None, 0);
            redirect.expired += 1;
        }
        redirect.expired <= MAX_EXPIRED
    }

    /// Called when the file's data arrives: resets the count of expired redirects, and records the
    /// form.
    pub fn brought(&self, file: u32) {
        let mut files = self.files.lock();
        let form = files.get_mut(&file).map_or(0, |redirect| {
            redirect.expired = 0;
            redirect.form
        });
        drop(files);
        if self.form.get().is_none() {
            let _ = self.form.set(form); // another connection may have set it first
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::MAX_REDIRECT_BYTES;

    fn url(text: &str) -> Url {
        Url::from(text)
    }

    #[test]
    fn a_hop_counts_once_and_their_number_is_limited() {
        let redirects = Redirects::default();
        let first = url("http://a/x");
        redirects.follow(0, &first, &first, "/1").unwrap();
        redirects.follow(0, &first, &first, "/1").unwrap();
        assert_eq!(redirects.target(0), Some(url("http://a/1")));
        for hop in 1..MAX_REDIRECTS {
            let asked = url(&format!("http://a/{hop}"));
            redirects.follow(0, &first, &asked, &format!("/{}", hop + 1)).unwrap();
        }
        let last = url(&format!("http://a/{MAX_REDIRECTS}"));
        let refused = redirects.follow(0, &first, &last, "/end");
        assert_eq!(refused, Err(SourceError::TooManyRedirects));
        assert_eq!(redirects.target(1), None);
    }

    #[test]
    fn redirects_of_a_million_files_do_not_fill_the_memory() {
        let redirects = Redirects::default();
        let (first, location) = (url("http://a/x"), format!("/{}", "y".repeat(8_000)));
        for file in 0..5_000 {
            // Over two connections.
            redirects.follow(file, &first, &first, &location).unwrap();
            redirects.follow(file, &first, &first, &location).unwrap();
            assert!(redirects.target(file).is_some());
        }
        let files = redirects.files.lock();
        let targets = files.values().filter_map(|redirect| redirect.target.as_ref());
        let bytes: usize = targets.map(|target| target.exposed().len()).sum();
        assert!(bytes < MAX_TOTAL_BYTES + 2 * MAX_REDIRECT_BYTES, "{bytes}");
        assert!(bytes <= redirects.total_bytes.load(Ordering::Relaxed), "{bytes}");
        drop(files);
        // A file whose redirect was forgotten begins anew.
        assert_eq!(redirects.target(0), None);
        redirects.follow(0, &first, &first, "/1").unwrap();
        assert_eq!(redirects.target(0), Some(url("http://a/1")));
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
