//! Tests of the whole crate from outside, against servers of our own on loopback.

#![allow(unreachable_pub, reason = "the modules of a test binary are public to one another")]
mod faults;
mod resume;
mod sources;
mod support;
mod swarm;
mod torrents;
