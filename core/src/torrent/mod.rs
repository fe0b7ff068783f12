//! What describes a torrent: infohash, magnet link, `.torrent` metainfo, files and pieces. Pure:
//! this module opens no files.

pub mod bencode;
pub mod geometry;
pub mod infohash;
pub mod magnet;
pub mod metainfo;
pub mod pieces;
