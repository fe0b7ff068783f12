//! Which torrent is meant: an infohash, a magnet link or a `.torrent`.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, printable};
use crate::torrent::infohash::Infohash;
use crate::torrent::magnet::Magnet;
use crate::url::pasted;

/// Identifies a dataset: by infohash, by a vendored torrent, by both (which must then match), or by
/// a magnet link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub infohash: Option<Infohash>,
    /// Absolute path of a .torrent, which may not exist.
    pub torrent: Option<PathBuf>,
    /// The link that contains the infohash. Its sources count as if the torrent named them.
    pub magnet: Option<Magnet>,
}

/// Why a text does not identify a torrent.
#[derive(Debug)]
pub enum NoIdentity {
    /// An invalid magnet link. The reason continues a sentence that starts with "it".
    Magnet(Error),
    /// Anything else. Contains the error from parsing it as an infohash, and whether the path of a
    /// `.torrent` was given separately.
    Other(Error, bool),
    /// The path of a `.torrent` that does not exist.
    NoFile(PathBuf),
    /// A URL, and the infohash if it is that of a dataset's page. Only some commands download a
    /// `.torrent`.
    Url(Option<Infohash>),
    /// A path that cannot be made absolute.
    Path(Error),
}

impl From<Infohash> for Identity {
    fn from(infohash: Infohash) -> Identity {
        Identity { infohash: Some(infohash), ..Identity::default() }
    }
}

impl From<Magnet> for Identity {
    fn from(magnet: Magnet) -> Identity {
        Identity { infohash: Some(magnet.infohash), torrent: None, magnet: Some(magnet) }
    }
}

impl Identity {
    /// Parses an infohash or a magnet link (see [`pasted`]), or, unless `torrent` is given, the path of
    /// an existing `.torrent`. 40 digits are an infohash, even if a file has that name.
    ///
    /// # Errors
    /// `NoIdentity`.
    pub fn parse(text: &str, torrent: Option<PathBuf>) -> Result<Identity, NoIdentity> {
        if Magnet::is_one(text) {
            let magnet = Magnet::parse(text).map_err(NoIdentity::Magnet)?;
            return Ok(Identity { torrent, ..magnet.into() });
        }
        let why = match pasted(text).parse::<Infohash>() {
            Ok(infohash) => return Ok(Identity { torrent, ..infohash.into() }),
            Err(why) => why,
        };
        if torrent.is_none() && text.contains("://") {
            return Err(NoIdentity::Url(infohash_of_page(text)));
        }
        if text.is_empty() {
            return Err(NoIdentity::Other(why, torrent.is_some()));
        }
        let path = absolute(Path::new(text)).map_err(NoIdentity::Path)?;
        if torrent.is_none() && path.extension().is_some_and(|it| it == "torrent") && !path.exists()
        {
            return Err(NoIdentity::NoFile(path));
        }
        if torrent.is_some() || !path.is_file() {
            return Err(NoIdentity::Other(why, torrent.is_some()));
        }
        Ok(Identity { torrent: Some(path), ..Identity::default() })
    }

    /// The name for messages: that of the magnet link, or else `text`, which the identity was
    /// parsed from.
    pub fn shown_name(&self, text: &str) -> String {
        self.magnet.as_ref().map_or_else(|| text.to_owned(), Magnet::shown_name)
    }
}

impl NoIdentity {
    /// Converts to an error, with `what` as its first line.
    pub fn error(self, what: String) -> Error {
        let error = Error::new(ErrorKind::Manifest, what);
        match self {
            NoIdentity::Magnet(why) => error.why(format!("it {why}")),
            NoIdentity::Other(not_infohash, has_torrent) => error
                .why(match has_torrent {
                    false => "it is neither an infohash nor a magnet link nor the path of a file",
                    true => "it is neither an infohash nor a magnet link; `Get::torrent` already has a path",
                })
                .why(not_infohash.what())
                .help("use an infohash of 40 hexadecimal digits, a magnet link, or the path of a .torrent"),
            NoIdentity::NoFile(path) => {
                error.why(format!("{} does not exist", printable(&path.display().to_string())))
            }
            NoIdentity::Url(page) => error.why("it is a URL").help(match page {
                Some(infohash) => format!("use the infohash in it: {infohash}"),
                None => "download the .torrent, and use the path of the file".to_owned(),
            }),
            NoIdentity::Path(error) => error,
        }
    }
}

/// The infohash in the URL of a dataset's page, or of its `.torrent` in the catalog.
#[must_use]
pub fn infohash_of_page(url: &str) -> Option<Infohash> {
    let path = url.split(['?', '#']).next()?.trim_end_matches('/');
    let (before, last) = path.rsplit_once('/')?;
    let is_page = before.ends_with("/details") || before.ends_with("/download");
    last.trim_end_matches(".torrent").parse().ok().filter(|_| is_page)
}

/// Makes a path absolute, so that it does not depend on the current directory when it is used or
/// printed.
///
/// # Errors
/// [`ErrorKind::Disk`].
pub fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|why| Error::disk("find", path, &why))
}
