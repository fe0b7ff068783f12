//! Suggests a dataset's name from the torrent's.

use academictorrents::engine::Resolved;
use academictorrents::{Error, ErrorKind};

/// The longest name that is suggested.
const MAX_BYTES: usize = 40;

/// Returns a name matching `[a-z][a-z0-9_-]*`.
pub(super) fn suggested(torrent: Option<&Resolved>) -> Result<String, Error> {
    let unknown = |why: &str| {
        Error::new(ErrorKind::Manifest, "the dataset needs a name")
            .why(why)
            .help("give a NAME of a-z, 0-9, `_` and `-` after the ID")
    };
    let Some(torrent) = torrent else { return Err(unknown("the torrent's name is unknown")) };
    let name = String::from_utf8_lossy(&torrent.metainfo.name).into_owned();
    let made = name_from(&name, !torrent.metainfo.multi);
    made.ok_or_else(|| {
        unknown(&format!(
            "none can be derived from the torrent's name, `{}`",
            torrent.metainfo.shown_name()
        ))
    })
}

fn name_from(name: &str, is_file: bool) -> Option<String> {
    let mut name = name;
    // `mnist.pkl.gz` becomes `mnist`, but the end of `v1.5` is not an extension.
    while let Some((stem, end)) = name.rsplit_once('.').filter(|_| is_file) {
        let is_ending = (1..=5).contains(&end.len())
            && end.starts_with(|c: char| c.is_ascii_alphabetic())
            && end.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_ending || stem.is_empty() {
            break;
        }
        name = stem;
    }
    let mut made = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' => made.push(c),
            _ if made.is_empty() => {}
            '0'..='9' | '_' => made.push(c),
            _ if !made.ends_with('-') => made.push('-'),
            _ => {}
        }
        if made.len() >= MAX_BYTES {
            break;
        }
    }
    let made = made.trim_end_matches(['-', '_']);
    (!made.is_empty()).then(|| made.to_owned())
}

#[cfg(test)]
mod tests {
    use super::name_from;

    #[test]
    fn a_name_is_made_from_a_torrents() {
        let check = |name: &str, is_file, expected| {
            assert_eq!(name_from(name, is_file).as_deref(), expected, "{name}");
        };
        check("mnist.pkl.gz", true, Some("mnist"));
        check("MNIST data (2012)", false, Some("mnist-data-2012"));
        check("2012_ImageNet v1.5", false, Some("imagenet-v1-5"));
        check("model-v1.5", true, Some("model-v1-5"));
        check("images.d", false, Some("images-d"));
        check(".hidden", true, Some("hidden"));
        check("evil\n\"]\u{202e}name", false, Some("evil-name"));
        check("数据", false, None);
        check("", true, None);
        check(&"a".repeat(300), true, Some(&*"a".repeat(40)));
    }
}
