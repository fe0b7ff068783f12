use std::io::{Cursor, Read, Write as _};
use std::sync::atomic::AtomicU64;

use super::decode::decoder;
use super::format::{Codec, ENDINGS, NameKind, READ_AS_THEY_ARE, kind_of};
use super::*;
use crate::manifest::FileGlob;

const TEXT: &[u8] = b"hello hello hello hello\n";

/// [`TEXT`] compressed by the program `xz`.
const XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a3e00017000c5d00341949ee8de9560ac121b000006c14ed1b3b68bb9100012818d783b76e1fb6f37d010000000004595a";

const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Bzip2, Codec::Xz, Codec::Zstd];

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn compressed(codec: Codec) -> Vec<u8> {
    match codec {
        Codec::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            out.write_all(TEXT).unwrap();
            out.finish().unwrap()
        }
        Codec::Bzip2 => {
            let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
            out.write_all(TEXT).unwrap();
            out.finish().unwrap()
        }
        Codec::Xz => unhex(XZ),
        Codec::Zstd => {
            ruzstd::encoding::compress_to_vec(TEXT, ruzstd::encoding::CompressionLevel::Fastest)
        }
    }
}

fn decoded(codec: Codec, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    // Tiny buffers, so that members begin and end anywhere in them.
    let input = BufReader::with_capacity(1 + bytes.len() % 7, bytes);
    decoder(codec, Box::new(input)).read_to_end(&mut out).map(|_| out)
}

#[test]
fn names_say_what_an_archive_is() {
    for (ending, format) in ENDINGS {
        for name in [format!("a b{ending}"), format!("A.B{}", ending.to_uppercase())] {
            let stem = name.len() - ending.len();
            // `.tar.gz` is one format, not `a.tar` in `.gz`.
            assert_eq!(kind_of(name.as_bytes()), NameKind::Archive(format, stem), "{name}");
        }
        assert_eq!(kind_of(ending.as_bytes()), NameKind::Other, "{ending}: nothing is before it");
    }
    for name in
        ["a.7z", "a.RAR", "a.zip.001", "a.z01", "a.r00", "a.tar.gz.aa", "a.7z.002", "a.tgz.ab"]
    {
        let is_refused = matches!(kind_of(name.as_bytes()), NameKind::Unsupported(_));
        assert!(is_refused, "{name}");
    }
    let zips = ["a.npz", "a.pt", "a.xlsx", "a.jar", "a.docx", "a.whl", "a.crate"];
    let others = ["a", "a.csv", "gz", "a.gzip", "a.001", "a.zip.txt", "x.aa", "zip", "a.z", "a.r1"];
    for name in zips.into_iter().chain(others) {
        assert_eq!(kind_of(name.as_bytes()), NameKind::Other, "{name}");
    }
    for ending in READ_AS_THEY_ARE {
        assert_eq!(kind_of(format!("brain{ending}").as_bytes()), NameKind::Other, "{ending}");
    }
    assert_eq!(kind_of(b"\xff.gz"), NameKind::Archive(Format::File(Codec::Gzip), 1));
}

#[test]
fn what_is_compressed_comes_back_and_several_parts_are_one() {
    for codec in CODECS {
        let bytes = compressed(codec);
        assert!(codec.begins(&bytes), "{codec:?}");
        assert_eq!(decoded(codec, &bytes).unwrap(), TEXT, "{codec:?}");
        let twice = decoded(codec, &bytes.repeat(3)).unwrap();
        assert_eq!(twice, TEXT.repeat(3), "{codec:?}");
    }
    // Skippable frames before and after.
    let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let bytes = [&skipped[..], &compressed(Codec::Zstd), &skipped].concat();
    assert_eq!(decoded(Codec::Zstd, &bytes).unwrap(), TEXT);
    // Tapes are padded with zeros.
    let padded = [compressed(Codec::Gzip), vec![0; 700]].concat();
    assert_eq!(decoded(Codec::Gzip, &padded).unwrap(), TEXT);
}

#[test]
fn compressed_bytes_that_are_cut_anywhere_are_damaged() {
    for codec in CODECS {
        let bytes = compressed(codec);
        for length in 0..bytes.len() {
            let cut = decoded(codec, &bytes[..length]);
            assert!(cut.is_err(), "{codec:?}: {length} of {}: {cut:?}", bytes.len());
            if length > 0 {
                // In the second member.
                let cut = decoded(codec, &[&bytes, &bytes[..length]].concat());
                assert!(cut.is_err(), "{codec:?}: one and {length}: {cut:?}");
            }
        }
        for garbage in [&b"garbage"[..], b"\x1f", b"P", b"\0\0\0x"] {
            let read = decoded(codec, &[&bytes, garbage].concat());
            assert!(read.is_err(), "{codec:?}: {}: {read:?}", garbage.escape_ascii());
        }
    }
}

#[test]
fn no_bit_that_is_wrong_gives_other_bytes() {
    for codec in CODECS {
        let bytes = compressed(codec);
        for bit in 0..bytes.len() * 8 {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let read = decoded(codec, &wrong);
            // Wrong bits may be in names and times, which do not affect the content.
            assert!(
                read.as_deref().map_or(true, |read| read == TEXT),
                "{codec:?}: bit {bit}: {read:?}"
            );
        }
    }
}

#[test]
fn a_window_is_as_large_as_allowed() {
    // Magic number, no single segment, a window descriptor, a raw block of one byte.
    let frame = |window: u8| [&[0x28, 0xb5, 0x2f, 0xfd, 0, window][..], &[9, 0, 0], b"x"].concat();
    // 2^10 × 2^21 is 2 GiB; one step more is too much.
    assert_eq!(decoded(Codec::Zstd, &frame(21 << 3)).unwrap(), b"x");
    for window in [21 << 3 | 1, 22 << 3, 31 << 3 | 7] {
        let error = decoded(Codec::Zstd, &frame(window)).unwrap_err().to_string();
        assert!(error.contains("window") && error.contains("2.0 GiB"), "{window}: {error}");
    }
    // After a large window the next frame gets a new decoder.
    let both = [frame(21 << 3), frame(0), compressed(Codec::Zstd)].concat();
    assert_eq!(decoded(Codec::Zstd, &both).unwrap(), [b"xx", TEXT].concat());
    // A single segment of 4 GiB, and a dictionary.
    let single = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &(4_u64 << 30).to_le_bytes()].concat();
    assert!(decoded(Codec::Zstd, &single).unwrap_err().to_string().contains("4.0 GiB"));
    let dictionary = [0x28, 0xb5, 0x2f, 0xfd, 1, 0, 7, 9, 0, 0, b'x'];
    let error = decoded(Codec::Zstd, &dictionary).unwrap_err().to_string();
    assert!(error.contains("dictionary"), "{error}");
}

fn place(globs: &[&str], strip: u32, name: &str) -> Result<Option<String>, String> {
    let globs: Vec<_> = globs.iter().map(|glob| FileGlob::parse(glob).unwrap()).collect();
    let globs = MemberGlobs::new(&globs);
    let members = Members::new("x.zip", b"x", &globs, strip);
    let place = members.place(name.as_bytes());
    place.map(|it| it.map(|it| String::from_utf8(it).unwrap())).map_err(|error| error.to_string())
}

#[test]
fn a_member_goes_below_its_archives_directory_or_nowhere() {
    let check = |globs: &[&str], strip, name: &str, expected: Option<&str>| {
        assert_eq!(place(globs, strip, name), Ok(expected.map(str::to_owned)), "{name}");
    };
    check(&[], 0, "a/b", Some("x/a/b"));
    check(&[], 0, "./a//./b/", Some("x/a/b"));
    check(&[], 0, "/etc/passwd", Some("x/etc/passwd"));
    check(&[], 0, "//a", Some("x/a"));
    for name in ["", "/", ".", "./"] {
        check(&[], 0, name, None);
    }
    check(&[], 1, "a/b/c", Some("x/b/c"));
    check(&[], 2, "a/b", None);
    check(&["x/*.csv"], 0, "a.csv", Some("x/a.csv"));
    check(&["x/*.csv"], 1, "top/a.csv", Some("x/a.csv"));
    check(&["x/*.csv"], 0, "a/a.csv", None);
    check(&["!x/a"], 0, "a", None);
    check(&["!x/a"], 0, "b", Some("x/b"));
    for name in ["..", "../a", "a/../../b", "a/../b", "/..", "./..", "a/.."] {
        for strip in [0, 1, 2] {
            // Even for members that are not wanted.
            let error = place(&["!**"], strip, name).unwrap_err();
            assert!(error.contains("`x.zip`") && error.contains("leaves"), "{name}: {error}");
        }
    }
    for (name, why) in [
        ("a\0b", "NUL"),
        ("a\nb", "not safe"),
        ("a\\b", "not safe"),
        (&"n".repeat(256), "256 bytes"),
        (&"d/".repeat(65), "components"),
        (&vec!["d".repeat(200); 12].join("/"), "longer than"),
    ] {
        let error = place(&[], 0, name).unwrap_err();
        assert!(error.contains(why) && error.contains("could not unpack `x.zip`"), "{error}");
        assert_eq!(place(&["!**"], 0, name), Ok(None), "it may be left out");
    }
    let error = place(&[], 0, "a\nb").unwrap_err();
    assert!(!error.contains("a\nb"), "{error}");
}

#[test]
fn a_link_leads_to_a_place_in_the_archive_or_nowhere() {
    let check = |strip, name: &str, text: &str, expected: Option<&str>| {
        let globs = MemberGlobs::new(&[]);
        let members = Members::new("x.zip", b"x", &globs, strip);
        let place = members.place_of_link(name.as_bytes(), text.as_bytes());
        let place = place.map(|it| String::from_utf8(it).unwrap());
        assert_eq!(place.as_deref(), expected, "{name} -> {text}");
    };
    check(0, "l", "a", Some("x/a"));
    check(0, "d/l", "a", Some("x/d/a"));
    check(0, "d/l", "../a/./b", Some("x/a/b"));
    check(0, "d/l", "../../a", None);
    check(0, "l", "..", None);
    check(0, "l", "../x/a", None);
    check(0, "l", "/etc/passwd", None);
    check(0, "l", "", None);
    check(1, "top/l", "a", Some("x/a"));
    check(1, "top/l", "../top/a", Some("x/a"));
    check(1, "top/l", "../other/a", Some("x/a"));
    check(1, "top/l", "..", None);
    check(1, "top/l", "../top", None);
}

/// Collects what was unpacked.
#[derive(Default)]
struct Kept(Vec<(String, Vec<u8>)>);

impl MemberSink for Kept {
    fn directory(&mut self, path: &[u8]) -> Result<(), Error> {
        self.0.push((format!("{}/", String::from_utf8_lossy(path)), Vec::new()));
        Ok(())
    }

    fn file(
        &mut self,
        path: &[u8],
        is_executable: bool,
        content: &mut Content<'_>,
    ) -> Result<(), Error> {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 1000]);
        loop {
            match content(&mut buffer)? {
                0 => break,
                read => bytes.extend_from_slice(&buffer[..read]),
            }
        }
        let mark = if is_executable { "*" } else { "" };
        self.0.push((format!("{}{mark}", String::from_utf8_lossy(path)), bytes));
        Ok(())
    }

    fn second_name(&mut self, path: &[u8], target: &[u8]) -> Result<(), Error> {
        self.0.push((format!("{} = ", String::from_utf8_lossy(path)), target.to_vec()));
        Ok(())
    }

    fn link(&mut self, path: &[u8], target: Option<&[u8]>) -> Result<(), Error> {
        let target = target.map(<[u8]>::to_vec).unwrap_or_default();
        self.0.push((format!("{} -> ", String::from_utf8_lossy(path)), target));
        Ok(())
    }

    fn expect(&mut self, _bytes: u64, _entries: u64) -> Result<(), Error> {
        Ok(())
    }
}

fn unpacked(format: Format, bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let globs = MemberGlobs::new(&[]);
    let members = Members::new("x", b"x", &globs, 0);
    let (mut kept, done) = (Kept::default(), AtomicU64::new(0));
    let result = unpack(&mut Cursor::new(bytes), format, &members, (&done, &|| false), &mut kept);
    result.map(|()| kept.0).map_err(|error| error.to_string())
}

/// A member of a tar archive, without any checks.
fn tar_member(name: &[u8], kind: u8, link: &[u8], mode: u32, content: &[u8]) -> Vec<u8> {
    let mut header = ::tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(::tar::EntryType::new(kind));
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let padding = vec![0; content.len().next_multiple_of(512) - content.len()];
    [header.as_bytes(), content, &padding].concat()
}

fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

fn names(found: &[(String, Vec<u8>)]) -> Vec<&str> {
    found.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn members_of_a_tar_archive_become_what_they_are() {
    let long = format!("{}/file", "d".repeat(150));
    let archive = tar(&[
        tar_member(b"d/", b'5', b"", 0o755, b""),
        tar_member(b"d/a", b'0', b"", 0o644, TEXT),
        tar_member(b"d/run", b'0', b"", 0o6755, b"#!"),
        tar_member(b"d/old", 0, b"", 0o644, b"x"),
        tar_member(b"d/c", b'7', b"", 0o644, b"y"),
        tar_member(b"h", b'1', b"d/a", 0o644, b""),
        tar_member(b"d/l", b'2', b"../d/a", 0o777, b""),
        tar_member(b"old-directory/", 0, b"", 0o755, b""),
        tar_member(b"", b'g', b"", 0o644, b"18 comment=nothing\n"),
        tar_member(b"volume", b'V', b"", 0o644, b""),
        tar_member(b"././@LongLink", b'L', b"", 0o644, &[long.as_bytes(), b"\0"].concat()),
        tar_member(b"short", b'0', b"", 0o644, b"z"),
        tar_member(b"", b'x', b"", 0o644, b"16 path=by/pax1\n"),
        tar_member(b"short", b'0', b"", 0o644, b"w"),
    ]);
    let found = unpacked(Format::Tar(None), &archive).unwrap();
    let expected = [
        "x/",
        "x/d/",
        "x/d/a",
        "x/d/run*",
        "x/d/old",
        "x/d/c",
        "x/h = ",
        "x/d/l -> ",
        "x/old-directory/",
    ];
    assert_eq!(names(&found)[..9], expected);
    assert_eq!(names(&found)[9..], [&format!("x/{long}"), "x/by/pax1"]);
    assert_eq!(found[2].1, TEXT);
    assert_eq!((&found[6].1[..], &found[7].1[..]), (&b"x/d/a"[..], &b"x/d/a"[..]));
    // GNU tar begins an archive with its label, whose header has no size.
    let mut label = ::tar::Header::new_old();
    label.as_old_mut().name[..3].copy_from_slice(b"vol");
    label.set_entry_type(::tar::EntryType::new(b'V'));
    for (size, data) in [([0; 12], 0), ([b' '; 12], 0), ([b'0'; 12], 0), (*b"000000000001", 512)] {
        label.as_old_mut().size = size;
        label.set_cksum();
        let labeled = [&label.as_bytes()[..], &vec![b'x'; data], &archive[..]].concat();
        assert_eq!(unpacked(Format::Tar(None), &labeled).unwrap(), found, "{size:?}");
    }
    let unlike = [vec![b'V'; 512], vec![0; 1024]].concat();
    let error = unpacked(Format::Tar(None), &unlike).unwrap_err();
    assert!(error.contains("its content is not a tar archive"), "{error}");
    // An archive cut between members lost only its end marker, and other programs accept it.
    assert!(unpacked(Format::Tar(None), &archive[..archive.len() - 1024]).is_ok());
    assert_eq!(names(&unpacked(Format::Tar(None), &[0; 1024]).unwrap()), ["x/"]);
}

#[test]
fn a_tar_archive_that_is_cut_or_no_archive_is_an_error_that_names_the_member() {
    let members = [
        tar_member(b"first", b'0', b"", 0o644, TEXT),
        tar_member(b"second", b'0', b"", 0o644, &[7; 700]),
    ];
    let archive = tar(&members);
    let ends = [members[0].len(), members.concat().len()];
    for length in 1..ends[1] {
        let Err(error) = unpacked(Format::Tar(None), &archive[..length]) else {
            assert!(length == ends[0], "{length}");
            continue;
        };
        assert!(error.starts_with("could not unpack `x`\n"), "{error}");
        if length > ends[0] {
            assert!(error.contains("`first`") || error.contains("`second`"), "{length}: {error}");
        }
    }
    for other in [TEXT, &[b'a'; 2000][..], &compressed(Codec::Gzip)] {
        let error = unpacked(Format::Tar(None), other).unwrap_err();
        assert!(error.contains("not a tar archive"), "{error}");
    }
    for codec in CODECS {
        // Not compressed; compressed, but not a tar archive; compressed in another format.
        let error = unpacked(Format::Tar(Some(codec)), &archive).unwrap_err();
        assert!(error.contains(codec.name()) && error.contains("begins with"), "{error}");
        let error = unpacked(Format::Tar(Some(codec)), &compressed(codec)).unwrap_err();
        assert!(error.contains("not a tar archive"), "{error}");
        assert!(unpacked(Format::File(codec), &[]).unwrap_err().contains("it is empty"));
        assert_eq!(
            unpacked(Format::File(codec), &compressed(codec)).unwrap(),
            [("x".to_owned(), TEXT.to_vec())]
        );
    }
    // The end of the compressed stream is checked too.
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&archive).unwrap();
    let gz = gz.finish().unwrap();
    let tar_gz = Format::Tar(Some(Codec::Gzip));
    assert!(unpacked(tar_gz, &gz).is_ok());
    for cut in 1..9 {
        assert!(unpacked(tar_gz, &gz[..gz.len() - cut]).is_err(), "{cut}");
    }
}

/// Each read is interrupted once, and returns few bytes.
struct Interrupted<'a>(Cursor<&'a [u8]>, bool);

impl Read for Interrupted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(7);
        self.0.read(&mut buffer[..length])
    }
}

impl Seek for Interrupted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn interrupted_reads_cut_nothing_off() {
    let archive = tar(&[tar_member(b"a", b'0', b"", 0o644, &TEXT.repeat(50))]);
    let mut archives = vec![(Format::Tar(None), archive), (Format::Zip, zip(&ZIPPED, true))];
    archives.extend(CODECS.map(|codec| (Format::File(codec), compressed(codec).repeat(2))));
    for (format, bytes) in archives {
        let globs = MemberGlobs::new(&[]);
        let members = Members::new("x", b"x", &globs, 0);
        let (mut kept, done) = (Kept::default(), AtomicU64::new(0));
        let mut source = Interrupted(Cursor::new(&bytes), false);
        unpack(&mut source, format, &members, (&done, &|| false), &mut kept).unwrap();
        assert_eq!(kept.0, unpacked(format, &bytes).unwrap(), "{format:?}");
    }
}

#[test]
fn what_may_not_be_in_a_tree_is_refused() {
    for (kind, what) in
        [(b'3', "device"), (b'4', "device"), (b'6', "pipe"), (b'M', "volume"), (b'?', "`?`")]
    {
        let archive = tar(&[tar_member(b"d/odd", kind, b"", 0o644, b"")]);
        let error = unpacked(Format::Tar(None), &archive).unwrap_err();
        assert!(error.contains("`d/odd`") && error.contains(what), "{error}");
        assert!(error.contains("add \"!x/d/odd\" to `members`"), "{error}");
    }
    let archive = tar(&[tar_member(b"h", b'1', b"../../etc/passwd", 0o644, b"")]);
    let error = unpacked(Format::Tar(None), &archive).unwrap_err();
    assert!(error.contains("`h`") && error.contains("leads out"), "{error}");
    // A header of a gigabyte.
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::new(b'L'));
    header.set_size(1 << 30);
    header.set_cksum();
    let archive = [header.as_bytes(), &vec![b'a'; 3 << 20][..]].concat();
    let error = unpacked(Format::Tar(None), &archive).unwrap_err();
    assert!(error.contains("too long"), "{error}");
}

#[test]
fn sparse_files_have_their_holes() {
    let expected = [&[0; 600][..], b"data", &[0; 396], b"end"].concat();
    let record = |text: &str| {
        let mut length = text.len() + 2;
        while format!("{length} {text}\n").len() != length {
            length += 1;
        }
        format!("{length} {text}\n")
    };
    let of = |records: &[&str]| records.iter().map(|text| record(text)).collect::<String>();
    let map = "2\n600\n4\n1000\n3\n";
    let mut one = map.as_bytes().to_vec();
    one.resize(512, 0);
    one.extend(b"dataend");
    let common = ["GNU.sparse.name=d/holes", "GNU.sparse.realsize=1003"];
    let zero = ["GNU.sparse.name=d/holes", "GNU.sparse.size=1003", "GNU.sparse.numblocks=2"];
    for (records, content) in [
        (of(&[&common[..], &["GNU.sparse.major=1", "GNU.sparse.minor=0"]].concat()), one.clone()),
        (of(&[&zero[..], &["GNU.sparse.map=600,4,1000,3"]].concat()), b"dataend".to_vec()),
        (
            of(&[
                &zero[..],
                &[
                    "GNU.sparse.offset=600",
                    "GNU.sparse.numbytes=4",
                    "GNU.sparse.offset=1000",
                    "GNU.sparse.numbytes=3",
                ],
            ]
            .concat()),
            b"dataend".to_vec(),
        ),
    ] {
        let archive = tar(&[
            tar_member(b"", b'x', b"", 0o644, records.as_bytes()),
            tar_member(b"GNUSparseFile.0/holes", b'0', b"", 0o644, &content),
            tar_member(b"next", b'0', b"", 0o644, b"n"),
        ]);
        let found = unpacked(Format::Tar(None), &archive).unwrap();
        assert_eq!(names(&found), ["x/", "x/d/holes", "x/next"], "{records}");
        assert_eq!(found[1].1, expected, "{records}");
    }
    for odd in
        ["600,4,100,3", "600,4,1000", "600,4,1000,4", "x,4", "18446744073709551615,4", "600,500"]
    {
        let map = format!("GNU.sparse.map={odd}");
        let archive = tar(&[
            tar_member(b"", b'x', b"", 0o644, of(&[&zero[..], &[&map]].concat()).as_bytes()),
            tar_member(b"GNUSparseFile.0/holes", b'0', b"", 0o644, b"dataend"),
        ]);
        let error = unpacked(Format::Tar(None), &archive).unwrap_err();
        assert!(error.contains("sparse file") || error.contains("end of file"), "{odd}: {error}");
    }
}

/// A member of a ZIP archive: name, Unix mode, content.
type ZipMember<'a> = (&'a [u8], u32, &'a [u8]);

fn zip(members: &[ZipMember<'_>], deflate: bool) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, mode, content) in members {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let stored = if deflate {
            let mut out =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            out.write_all(content).unwrap();
            out.finish().unwrap()
        } else {
            content.to_vec()
        };
        let at = out.len() as u32;
        let common = [
            &[20, 0, 0, 8][..],
            &[if deflate { 8 } else { 0 }, 0],
            &[0; 4],
            &crc.sum().to_le_bytes(),
            &(stored.len() as u32).to_le_bytes(),
            &(content.len() as u32).to_le_bytes(),
            &(name.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        out.extend([b"PK\x03\x04", &common[..], name, &stored].concat());
        directory.extend(
            [
                b"PK\x01\x02",
                &[30, 3][..],
                &common,
                &[0; 6],
                &(mode << 16).to_le_bytes(),
                &at.to_le_bytes(),
                name,
            ]
            .concat(),
        );
    }
    let (count, size, at) = (members.len() as u16, directory.len() as u32, out.len() as u32);
    out.extend(directory);
    let counts = [count.to_le_bytes(), count.to_le_bytes()].concat();
    out.extend(
        [b"PK\x05\x06", &[0; 4][..], &counts, &size.to_le_bytes(), &at.to_le_bytes(), &[0, 0]]
            .concat(),
    );
    out
}

const ZIPPED: [ZipMember<'static>; 4] = [
    (b"d/", 0o40755, b""),
    (b"d/a", 0o100644, TEXT),
    (b"d/run", 0o104755, b"#!"),
    (b"d/l", 0o120777, b"../d/a"),
];

#[test]
fn members_of_a_zip_archive_become_what_they_are() {
    for deflate in [false, true] {
        let found = unpacked(Format::Zip, &zip(&ZIPPED, deflate)).unwrap();
        assert_eq!(names(&found), ["x/", "x/d/", "x/d/a", "x/d/run*", "x/d/l -> "]);
        assert_eq!((&found[2].1[..], &found[4].1[..]), (TEXT, &b"x/d/a"[..]));
    }
    assert_eq!(names(&unpacked(Format::Zip, &zip(&[], false)).unwrap()), ["x/"]);
}

#[test]
fn a_zip_archive_that_is_cut_or_lies_is_an_error() {
    for deflate in [false, true] {
        let archive = zip(&ZIPPED, deflate);
        for length in 0..archive.len() {
            let error = unpacked(Format::Zip, &archive[..length]).unwrap_err();
            assert!(error.starts_with("could not unpack `x`\n"), "{error}");
        }
        // No wrong byte silently changes the content of a member.
        let right = unpacked(Format::Zip, &archive).unwrap();
        let content = |found: &[(String, Vec<u8>)]| {
            found.iter().find(|(name, _)| name == "x/d/a").map(|(_, bytes)| bytes.clone())
        };
        for bit in 0..archive.len() * 8 {
            let mut wrong = archive.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            if let Ok(found) = unpacked(Format::Zip, &wrong) {
                let found = content(&found);
                assert!(found.is_none() || found == content(&right), "bit {bit}");
            }
        }
    }
    let at = |archive: &[u8], what: &[u8]| {
        archive.windows(what.len()).position(|it| it == what).unwrap()
    };
    let change = |offset: usize, value: &[u8], says: &[&str]| {
        let mut archive = zip(&[(b"a", 0o100644, TEXT), (b"b", 0o100644, b"b")], true);
        let directory = at(&archive, b"PK\x01\x02");
        archive[directory + offset..][..value.len()].copy_from_slice(value);
        let error = unpacked(Format::Zip, &archive).unwrap_err();
        assert!(says.iter().all(|says| error.contains(says)), "{error}");
    };
    change(8, &[1], &["`a`", "encrypted"]);
    change(10, &[9, 0], &["`a`", "method 9"]);
    change(16, &[0; 4], &["`a`", "checksum"]);
    change(24, &[1, 0, 0, 0], &["`a`", "longer than 1 B"]);
    change(24, &[200, 0, 0, 0], &["`a`", "176 bytes are missing"]);
    change(20, &[0xff, 0xff, 0, 0], &["`"]);
    change(42, &[40, 0, 0, 0], &["`a`"]);
    // Two members with the same data.
    let mut archive = zip(&[(b"a", 0o100644, TEXT), (b"b", 0o100644, TEXT)], false);
    let directory = at(&archive, b"PK\x01\x02");
    let second = directory + 47 + 42;
    archive[second..][..4].copy_from_slice(&[0; 4]);
    let error = unpacked(Format::Zip, &archive).unwrap_err();
    assert!(error.contains("overlaps"), "{error}");
    // The directory's count is too small, and too large.
    for count in [1, 3] {
        let mut archive = zip(&[(b"a", 0o100644, TEXT), (b"b", 0o100644, b"b")], false);
        let end = at(&archive, b"PK\x05\x06");
        archive[end + 10] = count;
        let error = unpacked(Format::Zip, &archive).unwrap_err();
        assert!(error.contains("its directory"), "{error}");
    }
    for (begin, says) in [
        (&b"PK\x07\x08abcd"[..], "split"),
        (b"Rar!\x1a\x07", "its content is not"),
        (b"", "it is empty"),
    ] {
        let error = unpacked(Format::Zip, begin).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    for mode in [0o020_644, 0o010_644, 0o140_755, 0o060_644] {
        let error = unpacked(Format::Zip, &zip(&[(b"odd", mode, b"")], false)).unwrap_err();
        assert!(error.contains("neither a file"), "{error}");
    }
}

#[test]
fn names_in_a_zip_archive_are_text() {
    let mut archive = zip(&[(b"gr\x81n\\a", 0, b"1")], false);
    let directory = archive.windows(4).position(|it| it == b"PK\x01\x02").unwrap();
    // Made on DOS, and without the flag for UTF-8.
    archive[directory + 5] = 0;
    archive[directory + 9] = 0;
    assert_eq!(names(&unpacked(Format::Zip, &archive).unwrap()), ["x/", "x/grün/a"]);
    let archive = zip(&[("grün/a".as_bytes(), 0o100644, b"1")], false);
    assert_eq!(names(&unpacked(Format::Zip, &archive).unwrap()), ["x/", "x/grün/a"]);
}

#[test]
fn work_that_is_stopped_ends() {
    let globs = MemberGlobs::new(&[]);
    let members = Members::new("x", b"x", &globs, 0);
    let done = AtomicU64::new(0);
    let archive = zip(&ZIPPED, true);
    let result = unpack(
        &mut Cursor::new(archive),
        Format::Zip,
        &members,
        (&done, &|| true),
        &mut Kept::default(),
    );
    assert!(result.unwrap_err().to_string().contains("stopped"));
}
