//! Decompresses streams. Each decoder reads its input to the end, including all members and frames,
//! checks their lengths and checksums, and treats trailing data as damage.

use std::io::{self, BufRead, Cursor, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::format::Codec;

/// A stream of compressed bytes.
pub(super) type Packed<'a> = Box<dyn BufRead + 'a>;

/// Largest window of Zstandard and largest dictionary of xz: no header can make a decoder take more
/// memory.
const MAX_WINDOW_BYTES: u64 = 2 << 30;

pub(super) fn decoder<'a>(codec: Codec, input: Packed<'a>) -> Box<dyn Read + 'a> {
    match codec {
        Codec::Gzip => Box::new(Gunzip { member: Some(Box::new(GzDecoder::new(input))) }),
        Codec::Bzip2 => Box::new(ToEnd { decoder: MultiBzDecoder::new(input), is_over: false }),
        Codec::Xz => {
            // Beside the dictionary the decoder needs little memory.
            let most = (MAX_WINDOW_BYTES >> 10) as u32 + 1024;
            Box::new(ToEnd { decoder: XzReader::new_mem_limit(input, true, most), is_over: false })
        }
        Codec::Zstd => Box::new(Unzstd {
            input,
            decoder: Box::new(FrameDecoder::new()),
            frame: None,
            has_frames: false,
        }),
    }
}

fn damaged(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

/// A decoder that is not read again after its end or an error.
struct ToEnd<D> {
    decoder: D,
    is_over: bool,
}

impl<D: Read> Read for ToEnd<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_over || buffer.is_empty() {
            return Ok(0);
        }
        let read = self.decoder.read(buffer);
        self.is_over = !matches!(read, Ok(1..));
        read
    }
}

/// Consecutive gzip members.
struct Gunzip<'a> {
    /// `None` at the end.
    member: Option<Box<GzDecoder<Packed<'a>>>>,
}

impl Read for Gunzip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(mut member) = self.member.take() {
            let read = member.read(buffer)?;
            if read > 0 {
                self.member = Some(member);
                return Ok(read);
            }
            let mut input = member.into_inner();
            match input.fill_buf()? {
                [] => {}
                [0x1f, ..] => self.member = Some(Box::new(GzDecoder::new(input))),
                _ => at_end(&mut *input)?,
            }
        }
        Ok(0)
    }
}

/// Accepts only zeros behind the compressed bytes, which tapes were padded with.
fn at_end(input: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let rest = input.fill_buf()?;
        let length = rest.len();
        match rest {
            [] => return Ok(()),
            rest if rest.iter().all(|byte| *byte == 0) => input.consume(length),
            _ => return Err(damaged("other data follows the compressed data")),
        }
    }
}

/// Consecutive Zstandard frames.
struct Unzstd<'a> {
    input: Packed<'a>,
    decoder: Box<FrameDecoder>,
    /// Number of bytes of the current frame that have been returned; `None` between frames.
    frame: Option<u64>,
    has_frames: bool,
}

/// Magic number, descriptor, window, dictionary and length.
const FRAME_HEADER_BYTES: usize = 18;

/// With a larger window ruzstd's decoder cannot be reused for another frame.
const REUSED_WINDOW_BYTES: u64 = 100 << 20;

impl Read for Unzstd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(given) = self.frame else {
                if self.next_frame()? {
                    continue;
                }
                return Ok(0);
            };
            let wrong = |why: ruzstd::decoding::errors::FrameDecoderError| damaged(why.to_string());
            while self.decoder.can_collect() < buffer.len() && !self.decoder.is_finished() {
                let more = BlockDecodingStrategy::UptoBytes(buffer.len());
                self.decoder.decode_blocks(&mut self.input, more).map_err(wrong)?;
            }
            let read = self.decoder.read(buffer)?;
            let given = given.saturating_add(read as u64);
            self.frame = Some(given);
            if read > 0 {
                return Ok(read);
            }
            if !self.decoder.is_finished() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let claimed = self.decoder.content_size();
            if claimed > 0 && claimed != given {
                let why = format!("a frame has {given} bytes, but its header states {claimed}");
                return Err(damaged(why));
            }
            let said = self.decoder.get_checksum_from_data();
            if said.is_some() && said != self.decoder.get_calculated_checksum() {
                return Err(damaged("a frame's checksum is wrong"));
            }
            self.frame = None;
        }
    }
}

impl Unzstd<'_> {
    /// Reads the header of the next frame; false at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            let mut header = Vec::with_capacity(FRAME_HEADER_BYTES);
            self.more(&mut header, 4)?;
            match &header[..] {
                [] if self.has_frames => return Ok(false),
                [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                    self.more(&mut header, 8)?;
                    let Some(&[a, b, c, d]) = header.get(4..) else {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    };
                    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
                    let skipped = io::copy(&mut (&mut self.input).take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.has_frames = true;
                }
                [0x28, 0xb5, 0x2f, 0xfd] => break self.begin(header),
                [_, _, _, _] => {
                    return Err(damaged("other data follows the compressed data"));
                }
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    fn begin(&mut self, mut header: Vec<u8>) -> io::Result<bool> {
        self.more(&mut header, 5)?;
        let Some(descriptor) = header.get(4).copied() else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let is_single = descriptor & 0x20 != 0;
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let length = match descriptor >> 6 {
            0 => usize::from(is_single),
            bits => 1_usize << bits,
        };
        let window = usize::from(!is_single);
        self.more(&mut header, 5 + window + dictionary + length)?;
        let part = |at: usize, length: usize| {
            let bytes = header.get(at..at + length).ok_or(io::ErrorKind::UnexpectedEof)?;
            let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
            Ok::<_, io::Error>(bytes.iter().rev().fold(0, add))
        };
        if part(5 + window, dictionary)? != 0 {
            return Err(damaged("it requires a dictionary, which is not supported"));
        }
        let window_bytes = match is_single {
            true => part(5 + dictionary, length)? + if length == 2 { 256 } else { 0 },
            false => {
                let byte = part(5, 1)?;
                let base = 1_u64 << (10 + (byte >> 3));
                base + base / 8 * (byte & 7)
            }
        };
        if window_bytes > MAX_WINDOW_BYTES {
            let most = crate::size::display(MAX_WINDOW_BYTES);
            let why = format!(
                "its window is {}, and at most {most} are supported",
                crate::size::display(window_bytes)
            );
            return Err(damaged(why));
        }
        if window_bytes > REUSED_WINDOW_BYTES {
            *self.decoder = FrameDecoder::new();
        }
        let begin = self.decoder.init(Cursor::new(header));
        begin.map_err(|why| damaged(why.to_string()))?;
        (self.frame, self.has_frames) = (Some(0), true);
        Ok(true)
    }

    /// Reads until `header` has `length` bytes, or the input ends.
    fn more(&mut self, header: &mut Vec<u8>, length: usize) -> io::Result<()> {
        let missing = length.saturating_sub(header.len()) as u64;
        (&mut self.input).take(missing).read_to_end(header).map(drop)
    }
}
