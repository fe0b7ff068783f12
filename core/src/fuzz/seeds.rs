//! Initial inputs for a fuzzer: small, valid, and generated here.

use super::sessions::INFOHASH;

/// A small archive of each format. The tar archive is generated here, the others come from the usual
/// programs. `f` contains `hello`; tar and zip also contain links, and tar a directory and extended
/// headers.
#[cfg(feature = "unpack")]
fn archives() -> Vec<Vec<u8>> {
    let member = |name: &[u8], kind: u8, link: &[u8], content: &[u8]| {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name);
        header[100..107].copy_from_slice(b"0000755");
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[148..156].copy_from_slice(b"        ");
        header[156] = kind;
        header[157..157 + link.len()].copy_from_slice(link);
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let padding = vec![0; content.len().next_multiple_of(512) - content.len()];
        [&header[..], content, &padding].concat()
    };
    let tar = [
        member(b"d/", b'5', b"", b""),
        member(b"f", b'0', b"", b"hello"),
        member(b"d/l", b'2', b"../f", b""),
        member(b"h", b'1', b"f", b""),
        member(b"x", b'x', b"", b"12 path=d/p\n"),
        member(b"p", b'0', b"", b"pax"),
        member(b"x", b'x', b"", b"22 GNU.sparse.major=1\n29 GNU.sparse.realsize=1003\n"),
        member(b"s", b'0', b"", &[&b"1\n1000\n3\n"[..], &[0; 502], b"end"].concat()),
        vec![0; 1024],
    ]
    .concat();
    let of = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    let hex = |kind: u8, text: &str| {
        let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or("0"));
        of(kind, &digits.map(|it| u8::from_str_radix(it, 16).unwrap_or(0)).collect::<Vec<_>>())
    };
    vec![
        of(0, &tar),
        of(128, &tar),
        hex(1, ZIP),
        hex(6, GZIP),
        hex(7, BZIP2),
        hex(8, XZ),
        hex(9, ZSTD),
    ]
}

#[cfg(feature = "unpack")]
const ZIP: &str = "504b03040a00000000007ca07e5d86a610360500000005000000010000006668656c6c6f504b03040a00000000007ca07e5de02bd3760100000001000000010000006c66504b01021e030a00000000007ca07e5d86a610360500000005000000010000000000000001000000a4810000000066504b01021e030a00000000007ca07e5de02bd3760100000001000000010000000000000000000000ffa1240000006c504b050600000000020002005e000000440000000000";
#[cfg(feature = "unpack")]
const GZIP: &str = "1f8b0800000000000003cb48cdc9c9070086a6103605000000";
#[cfg(feature = "unpack")]
const BZIP2: &str =
    "425a68393141592653591931653d00000081000244a000219a68334d07338bb9229c28480c98b29e80";
#[cfg(feature = "unpack")]
const XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a301000468656c6c6f00000000b137b9dbe5da1e9b00011d05b82d80af1fb6f37d010000000004595a";
#[cfg(feature = "unpack")]
const ZSTD: &str = "28b52ffd240529000068656c6c6fa36d9f88";

/// Seeds of a target, by its name in `TARGETS`.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "bencode" => vec![
            b"d1:ad1:bli1ei-2e3:xyzeee".to_vec(),
            b"lli0eee".to_vec(),
            torrent(FOLDER),
            b"d1:a0:1:b0:e".to_vec(),
        ],
        "torrent" => [SINGLE, FOLDER, PADDED, LINKS, HYBRID].iter().copied().map(torrent).collect(),
        "magnet" => vec![
            b"magnet:?xt=urn:btih:0707070707070707070707070707070707070707&dn=a%20b&tr=http%3A%2F%2Fh%2Fa&ws=http%3A%2F%2Fh%2F&x.pe=h:1&so=0,2-4".to_vec(),
            b"magnet:?xt=urn:btih:A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYH".to_vec(),
        ],
        #[cfg(feature = "unpack")]
        "archive" => archives(),
        "manifest" => vec![
            b"[package]\nname = \"a\"\n[package.metadata.academictorrents]\nmnist = \"0707070707070707070707070707070707070707\"\n".to_vec(),
            b"[package.metadata.academictorrents.a]\ntorrent = \"a.torrent\"\nfiles = [\"*.csv\"]\nmax-size = \"1 GiB\"\noptional = true\nmirrors = [\"https://h/\"]\nsha256 = { \"a\" = \"00\" }\n".to_vec(),
            b"[package]\nmetadata.academictorrents.a.infohash = \"x\"\n".to_vec(),
        ],
        "urls" => vec![
            chunks(&[b"https://h:1/a/b?c#d", b"../e"], b"x/y"),
            chunks(&[b"udp://h:1/announce", b"//other/f"], b""),
            chunks(&[b"http://u:p@h/", b"http://h/?q"], b"a b/c%"),
        ],
        "http_head" => [
            &b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/20\r\nContent-Length: 10\r\n\r\n"[..],
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 302 Found\r\nLocation: /a\r\n\r\n",
            b"HTTP/1.1 503 x\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
            b"HTTP/1.1 416 x\r\nContent-Range: bytes */5\r\n\r\n",
        ]
        .iter()
        .map(|head| [&[0, 0, 0, 0, 9, 0, 0, 0, 10][..], head].concat())
        .collect(),
        "tracker_reply" => vec![
            b"d8:intervali60e5:peers6:\xc0\x00\x02\x01\x1a\xe1e".to_vec(),
            b"d8:intervali60e5:peersld2:ip9:192.0.2.14:porti6881eee6:peers60:e".to_vec(),
            b"d14:failure reason3:no!e".to_vec(),
            [&b"d5:filesd20:"[..], &INFOHASH, b"d8:completei1e10:incompletei2eeee"].concat(),
        ],
        "udp_tracker" => {
            let connect = [&0_u32.to_be_bytes()[..], &[0; 4], &[9; 8]].concat();
            let answer = [&1_u32.to_be_bytes()[..], &[0; 4], &[0; 12], b"\xc0\x00\x02\x01\x1a\xe1"];
            let mut seed = vec![1, 0];
            for datagram in [connect, answer.concat(), b"\0\0\0\x03\0\0\0\0no".to_vec()] {
                push_chunk(&mut seed, &datagram);
                seed.extend([1, 1]);
            }
            vec![seed]
        }
        "dht" => {
            let node = [&[3; 20][..], b"\xc0\x00\x02\x09\x1a\xe1"].concat();
            let answer = [
                &b"d1:rd2:id20:"[..],
                &[4; 20],
                b"5:nodes26:",
                &node,
                b"5:token1:t6:valuesl6:\xc0\x00\x02\x07\x1a\xe1ee1:t4:aaaa1:y1:re",
            ];
            let mut seed = vec![0];
            push_chunk(&mut seed, &answer.concat());
            seed.push(0);
            push_chunk(&mut seed, b"d1:eli201e1:xe1:t4:aaaa1:y1:ee");
            vec![seed]
        }
        "socks" => vec![
            [&[1][..], &chunks(&[b"192.0.2.1:80"], b"\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50")].concat(),
            [&[0][..], &chunks(&[b"h:80"], b"\x05\x02\x01\x00\x05\x00\x00\x03\x01a\x00\x50")].concat(),
            [&[0][..], &chunks(&[b"h:80"], b"\x05\xff")].concat(),
        ],
        "peer" => {
            let messages: [&[u8]; 10] = [
                b"\0\0\0\x02\x05\xf0",                          // bitfield
                b"\0\0\0\x04\x05\xff\xff\xff",                  // a bitfield that is too long
                b"\0\0\0\x01\x01",                              // unchoke
                b"\0\0\0\x05\x04\0\0\0\x03",                    // have
                b"\0\0\0\x1a\x14\0d1:md6:ut_pexi1eee000000",    // extension handshake
                b"\0\0\0\x0d\x06\0\0\0\0\0\0\0\0\0\0\x40\0",    // request
                b"\0\0\0\x01\x02",                              // interested
                b"\0\0\0\x01\x0e",                              // have all
                b"\0\0\0\x05\x11\0\0\0\x01",                    // allowed fast
                b"\0\0\0\0",                                    // keep-alive
            ];
            let mut seed = vec![0, 0, 0, 3, 0x2f];
            seed.push(7);
            push_chunk(&mut seed, &handshake());
            for message in messages {
                seed.push(7);
                push_chunk(&mut seed, message);
                seed.extend([0, 0, 0, 0, 1]);
            }
            vec![seed]
        }
        "metadata" => {
            let mut seed = vec![0];
            push_chunk(&mut seed, &handshake());
            seed.push(0);
            push_chunk(&mut seed, &extended(0, b"d1:md11:ut_metadatai3ee13:metadata_sizei5ee"));
            seed.push(0);
            push_chunk(&mut seed, &extended(2, b"d8:msg_typei1e5:piecei0e10:total_sizei5eeabcde"));
            seed.push(0);
            push_chunk(&mut seed, b"\0\0\0\x02\x05\xf0\0\0\0\x05\x04\0\0\0\x09");
            seed.push(0);
            push_chunk(&mut seed, &extended(2, b"d8:msg_typei2e5:piecei0ee"));
            vec![seed]
        }
        "picker" => vec![vec![0, 9, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], vec![255; 64]],
        _ => Vec::new(),
    }
}

/// The contents of `info` up to the piece hashes.
const SINGLE: &[u8] = b"6:lengthi40000e4:name5:a.bin12:piece lengthi16384e6:pieces60:";
const FOLDER: &[u8] = b"5:filesld6:lengthi3e4:pathl1:a1:beed6:lengthi20000e4:pathl1:ceee4:name1:n12:piece lengthi16384e6:pieces40:";
const PADDED: &[u8] = b"5:filesld6:lengthi3e4:pathl1:aeed4:attr1:p6:lengthi16381e4:pathl4:.pad5:16381eed6:lengthi5e4:pathl1:beee4:name1:n12:piece lengthi16384e6:pieces40:";
const LINKS: &[u8] = b"5:filesld6:lengthi3e4:pathl1:aeed4:attr1:l6:lengthi0e4:pathl1:le12:symlink pathl1:aeee4:name1:n12:piece lengthi16384e6:pieces20:";
const HYBRID: &[u8] = b"9:file treed1:ad0:d6:lengthi3e11:pieces root32:00000000000000000000000000000000eee6:lengthi3e12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces20:";

fn torrent(info: &[u8]) -> Vec<u8> {
    let text = info.rsplit(|byte| *byte == b's').next().unwrap_or_default();
    let text = std::str::from_utf8(text).unwrap_or_default();
    let length: usize = text.trim_end_matches(':').parse().unwrap_or_default();
    let hashes = vec![7; length];
    let (head, tail) = (b"d8:announce11:udp://h:80/4:infod", b"e8:url-listl9:http://h/ee");
    [&head[..], info, &hashes, tail].concat()
}

fn handshake() -> Vec<u8> {
    [&b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05"[..], &INFOHASH, &[9; 20]].concat()
}

fn extended(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u32 + 2;
    [&length.to_be_bytes()[..], &[20, id], payload].concat()
}

fn push_chunk(seed: &mut Vec<u8>, chunk: &[u8]) {
    seed.extend((chunk.len() as u16).to_be_bytes());
    seed.extend(chunk);
}

fn chunks(chunks: &[&[u8]], rest: &[u8]) -> Vec<u8> {
    let mut seed = Vec::new();
    chunks.iter().for_each(|chunk| push_chunk(&mut seed, chunk));
    seed.extend(rest);
    seed
}
