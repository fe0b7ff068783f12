//! What describes a torrent: its infohash, magnet links, and the `.torrent` file with its files and pieces. No file is opened here.

pub mod bencode;
pub mod geometry;
pub mod infohash;
pub mod magnet;
pub mod metainfo;
pub mod pieces;
