//! Reads members of ZIP archives, stored or deflated, including sizes beyond 4 GiB. Only the
//! central directory at the end is trusted.

use std::io::{BufReader, Read};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive};

use super::members::Members;
use super::{Counted, INPUT_BYTES, MemberSink};
use crate::error::Error;
use crate::size;

/// Limit for a symbolic link's content, which is a path.
const MAX_LINK_BYTES: u64 = 4 << 10;

/// A wanted member.
struct Member {
    name: Vec<u8>,
    place: Vec<u8>,
    method: CompressionMethod,
    mode: u32,
    /// Compressed and uncompressed size.
    sizes: (u64, u64),
    crc: u32,
    at: rawzip::ZipArchiveEntryWayfinder,
    header_offset: u64,
}

const KIND: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

pub(super) fn unpack(
    source: &mut Counted<'_>,
    members: &Members<'_>,
    to: &mut dyn MemberSink,
) -> Result<(), Error> {
    let mut begin = [0; 8];
    let mut filled = 0;
    while let Some(rest) = begin.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest).map_err(|why| members.failed(&why))? {
            0 => break,
            more => filled += more,
        }
    }
    let begin = begin.get(..filled).unwrap_or_default();
    if !matches!(begin, [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..]) {
        return Err(match begin {
            [b'P', b'K', 7, 8, ..] => {
                members.failed(&"it is a part of a split archive, which is not supported")
            }
            _ => members.odd_content("a ZIP archive", begin),
        });
    }
    to.directory(members.directory())?;
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_seekable(source, &mut buffer)
        .map_err(|why| members.failed(&format!("it has no directory of members: {why}")))?;
    let mut wanted = list(&archive, &mut buffer, members, to)?;
    let (bytes, entries) = (wanted.iter().map(|it| it.sizes.1), wanted.len() as u64);
    to.expect(bytes.fold(0, u64::saturating_add), entries)?;
    // In the order in which they are stored.
    wanted.sort_by_key(|member| member.header_offset);
    let mut end = 0;
    for member in &wanted {
        let failed = |why: &dyn std::fmt::Display| members.member_failed(&member.name, why);
        let entry = archive.get_entry(member.at).map_err(|why| failed(&why))?;
        let (first, last) = entry.compressed_data_range();
        if member.header_offset < end {
            return Err(failed(&"its data overlaps that of another member"));
        }
        if last - first != member.sizes.0 {
            return Err(failed(&"it is longer than the archive"));
        }
        end = last;
        let input = BufReader::with_capacity(INPUT_BYTES, entry.reader());
        unpack_member(input, member, members, to)?;
    }
    Ok(())
}

/// Reads the directory. Members that are not wanted take no memory.
fn list(
    archive: &ZipArchive<impl ReaderAt>,
    buffer: &mut [u8],
    members: &Members<'_>,
    to: &mut dyn MemberSink,
) -> Result<Vec<Member>, Error> {
    let claimed = archive.entries_hint();
    let (mut entries, mut count, mut wanted) = (archive.entries(buffer), 0_u64, Vec::new());
    let cut =
        |why: rawzip::Error| members.failed(&format!("its directory of members is invalid: {why}"));
    while let Some(entry) = entries.next_entry().map_err(cut)? {
        count += 1;
        let path = entry.file_path();
        let system = entry.version_made_by().creator_system().as_u8();
        let name = named(path.as_bytes(), entry.flags().is_utf8(), system);
        let Some(place) = members.place(&name)? else { continue };
        let mode = match system {
            // Unix and macOS.
            3 | 19 => entry.external_attributes() >> 16,
            _ => 0,
        };
        if entry.flags().is_encrypted() || entry.flags().has_strong_encryption() {
            return Err(members.refused(&name, "it is encrypted, which is not supported"));
        }
        if name.ends_with(b"/") || mode & KIND == DIRECTORY {
            to.directory(&place)?;
            continue;
        }
        if !matches!(mode & KIND, 0 | FILE | LINK) {
            return Err(
                members.refused(&name, "it is neither a file, a directory nor a symbolic link")
            );
        }
        let method = entry.compression_method();
        if !matches!(method, CompressionMethod::STORE | CompressionMethod::DEFLATE) {
            let number = method.as_u16();
            let why = format!("its compression method {number} is not supported");
            return Err(members.refused(&name, &why));
        }
        to.expect(entry.uncompressed_size_hint(), wanted.len() as u64 + 1)?;
        wanted.push(Member {
            place,
            method,
            mode,
            sizes: (entry.compressed_size_hint(), entry.uncompressed_size_hint()),
            crc: entry.crc32(),
            at: entry.wayfinder(),
            header_offset: entry.local_header_offset(),
            name,
        });
    }
    if count != claimed {
        let why = format!("its directory lists {count} members, but states {claimed}");
        return Err(members.failed(&why));
    }
    Ok(wanted)
}

fn unpack_member<R: Read>(
    input: BufReader<R>,
    member: &Member,
    members: &Members<'_>,
    to: &mut dyn MemberSink,
) -> Result<(), Error> {
    let mut input: Box<dyn Read + '_> = match member.method {
        CompressionMethod::STORE => Box::new(input),
        _ => Box::new(DeflateDecoder::new(input)),
    };
    let (mut left, mut crc, mut is_over) = (member.sizes.1, Crc::new(), false);
    let mut content = |buffer: &mut [u8]| {
        let failed = |why: &dyn std::fmt::Display| members.member_failed(&member.name, why);
        if is_over || buffer.is_empty() {
            return Ok(0);
        }
        let read = input.read(buffer).map_err(|why| failed(&why))?;
        crc.update(buffer.get(..read).unwrap_or_default());
        left = left.checked_sub(read as u64).ok_or_else(|| {
            failed(&format!("it is longer than {}, its listed size", size::display(member.sizes.1)))
        })?;
        is_over = read == 0;
        if is_over && left > 0 {
            return Err(failed(&format!("{left} bytes are missing at its end")));
        }
        if is_over && crc.sum() != member.crc {
            return Err(failed(&"its checksum is wrong"));
        }
        Ok(read)
    };
    if member.mode & KIND != LINK {
        return to.file(&member.place, member.mode & 0o111 != 0, &mut content);
    }
    if member.sizes.1 > MAX_LINK_BYTES {
        return Err(members.refused(&member.name, "it is a symbolic link whose path is too long"));
    }
    let (mut text, mut block) = (Vec::new(), [0; 512]);
    loop {
        match content(&mut block)? {
            0 => break,
            read => text.extend_from_slice(block.get(..read).unwrap_or_default()),
        }
    }
    to.link(&member.place, members.place_of_link(&member.name, &text).as_deref())
}

/// Returns a member's name as UTF-8 if it is text: DOS programs wrote code page 437, and today's
/// write UTF-8, whatever the flag says.
fn named(name: &[u8], is_utf8: bool, system: u8) -> Vec<u8> {
    let mut name = match is_utf8 || std::str::from_utf8(name).is_ok() || system == 3 {
        true => name.to_vec(),
        false => name.iter().map(|byte| of_dos(*byte)).collect::<String>().into_bytes(),
    };
    // Some programs use the separators of DOS and Windows.
    if matches!(system, 0 | 10 | 14) && !name.contains(&b'/') {
        name.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
    }
    name
}

fn of_dos(byte: u8) -> char {
    const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
    match byte {
        0..0x80 => char::from(byte),
        _ => UPPER.chars().nth(usize::from(byte) - 0x80).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}
