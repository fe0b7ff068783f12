//! Bytes that are on this machine already: `import`.

use std::path::Path;
use std::sync::Arc;

use super::{Asked, Desk, absolute};
use crate::counters::{Counters, Phase};
use crate::download::{self, Import, Imported, Session};
use crate::error::{Error, printable};

/// What a path brought.
#[derive(Debug, Default)]
pub struct Brought {
    /// For which of the datasets, by their index, in the order in which they were tried.
    pub datasets: Vec<Took>,
    /// Why it did not fit others, or could not be tried.
    pub unfit: Vec<(usize, String)>,
}

/// A dataset of which a path had something.
#[derive(Debug)]
pub struct Took {
    /// Which.
    pub index: usize,
    /// What is in the store now, or why it is not.
    pub result: Result<Imported, Error>,
}

impl Desk {
    /// Takes over what a path holds of these datasets. `named` says that the user named the one: it may be called, and be as large, as it
    /// likes. Else all are tried whose names or sizes fit: first those whose torrents are here, then, where none fits, the others.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Disk`] where nothing is at the path.
    pub fn import(
        &self,
        datasets: &[&Asked],
        path: &Path,
        named: bool,
        link: bool,
    ) -> Result<Brought, Error> {
        let path = absolute(path)?;
        std::fs::metadata(&path).map_err(|why| Error::disk("look at", &path, &why))?;
        let counters = Arc::new(Counters::default());
        let _ = self.store.create_locks(); // whoever writes there tells of a failure
        let _bars = self.draw(&counters);
        let mut brought = Brought::default();
        for ask in [false, true] {
            if !brought.datasets.is_empty() {
                break;
            }
            brought.unfit.clear();
            for (index, dataset) in datasets.iter().enumerate() {
                let mut session = self.session(&counters);
                session.manifest = dataset.manifest.as_deref().unwrap_or(session.manifest);
                let how = (link, named, ask);
                match one(&session, dataset, &path, how, &counters) {
                    Ok(Import::Done(mut done)) => {
                        done.torrent_name = printable(&done.torrent_name);
                        brought.datasets.push(Took { index, result: Ok(done) });
                    }
                    Ok(Import::Unfit(why)) => brought.unfit.push((index, why)),
                    // Of one that was not named nobody knows whether it is the one that is meant.
                    Err(error) if !named && !is_of_the_store(&error) => {
                        brought.unfit.push((index, error.to_string()));
                    }
                    Err(error) => brought.datasets.push(Took { index, result: Err(error) }),
                }
            }
        }
        Ok(brought)
    }
}

fn is_of_the_store(error: &Error) -> bool {
    use crate::error::ErrorKind;
    matches!(error.kind(), ErrorKind::Disk | ErrorKind::Locked | ErrorKind::Verification)
}

fn one(
    session: &Session<'_>,
    dataset: &Asked,
    path: &Path,
    how: (bool, bool, bool),
    counters: &Counters,
) -> Result<Import, Error> {
    let (_, named, _) = how;
    let of_one = counters.add(dataset.name());
    let result = download::import(session, &dataset.request, path, how, &of_one);
    of_one.set_phase(match &result {
        Ok(Import::Done(done)) if done.missing_bytes == 0 => Phase::Done,
        Ok(Import::Unfit(_)) => Phase::PassedOver,
        Err(error) if !named && !is_of_the_store(error) => Phase::PassedOver,
        Ok(Import::Done(_)) | Err(_) => Phase::Failed,
    });
    result.map_err(|error| error.for_dataset(dataset.name()))
}
