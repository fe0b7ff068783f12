//! Archives: for any content, members stay in their directory, and memory and disk use are bounded.

use std::io::Cursor;
use std::sync::atomic::AtomicU64;

use crate::error::{Error, ErrorKind};
use crate::unpack::{Codec, Content, Format, MemberGlobs, MemberSink, Members, unpack};

/// How much of an archive is unpacked.
const MOST_BYTES: u64 = 4 << 20;

/// The format is selected by the first byte of an input.
const FORMATS: [Format; 10] = [
    Format::Tar(None),
    Format::Zip,
    Format::Tar(Some(Codec::Gzip)),
    Format::Tar(Some(Codec::Bzip2)),
    Format::Tar(Some(Codec::Xz)),
    Format::Tar(Some(Codec::Zstd)),
    Format::File(Codec::Gzip),
    Format::File(Codec::Bzip2),
    Format::File(Codec::Xz),
    Format::File(Codec::Zstd),
];

/// Unpacks an archive, whose format the first byte selects.
pub fn archive(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let format = FORMATS[usize::from(*kind) % FORMATS.len()];
    let globs = MemberGlobs::new(&[]);
    let members = Members::new("archive", b"root", &globs, u32::from(*kind) / 128);
    let (done, mut taken) = (AtomicU64::new(0), Taken(0));
    let result = unpack(&mut Cursor::new(bytes), format, &members, (&done, &|| false), &mut taken);
    if let Err(error) = result {
        assert!(matches!(error.kind(), ErrorKind::Archive | ErrorKind::TooLarge), "{error}");
    }
}

/// Checks the members, and discards their contents.
struct Taken(u64);

impl Taken {
    fn take(&mut self, bytes: u64) -> Result<(), Error> {
        self.0 += bytes;
        match self.0 > MOST_BYTES {
            true => Err(Error::new(ErrorKind::TooLarge, "enough")),
            false => Ok(()),
        }
    }
}

fn check(path: &[u8]) {
    let components: Vec<_> = path.split(|byte| *byte == b'/').collect();
    assert_eq!(components[0], b"root");
    assert!(components.iter().all(|it| !matches!(*it, b"" | b"." | b"..") && !it.contains(&0)));
}

impl MemberSink for Taken {
    fn directory(&mut self, path: &[u8]) -> Result<(), Error> {
        check(path);
        self.take(4 << 10)
    }

    fn file(&mut self, path: &[u8], _: bool, content: &mut Content<'_>) -> Result<(), Error> {
        check(path);
        let mut buffer = [0; 4 << 10];
        loop {
            match content(&mut buffer)? {
                0 => return self.take(4 << 10),
                read => self.take(buffer[..read].len() as u64)?,
            }
        }
    }

    fn second_name(&mut self, path: &[u8], target: &[u8]) -> Result<(), Error> {
        check(path);
        check(target);
        self.take(4 << 10)
    }

    fn link(&mut self, path: &[u8], target: Option<&[u8]>) -> Result<(), Error> {
        check(path);
        target.into_iter().for_each(check);
        self.take(4 << 10)
    }

    fn expect(&mut self, bytes: u64, _: u64) -> Result<(), Error> {
        match bytes > MOST_BYTES {
            true => Err(Error::new(ErrorKind::TooLarge, "enough")),
            false => Ok(()),
        }
    }
}
