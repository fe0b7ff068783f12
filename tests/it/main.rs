//! Tests of the whole crate from outside, against servers of our own on loopback.
