//! Tests of the whole crate from outside, against servers of our own on loopback.

#![allow(unreachable_pub, reason = "the modules of a test binary are public to one another")]
mod cargo;
mod fixture;
mod sources;
mod support;
mod swarm;
