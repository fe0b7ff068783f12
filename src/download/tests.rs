//! Tests of the pure parts of the download room.
