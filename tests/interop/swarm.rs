//! Of the test swarm what makes datasets, and what speaks to a peer: the servers here are others' work.

#![allow(dead_code, reason = "the test swarm uses the rest")]

#[path = "../it/swarm/bencode.rs"]
pub mod bencode;
#[path = "../it/swarm/dataset.rs"]
pub mod dataset;
#[path = "../it/swarm/wire.rs"]
pub mod wire;

pub use dataset::{Dataset, random_bytes};
