//! Threads that nobody joins.

use std::io;
use std::thread::{Builder, JoinHandle};

use crate::net::PEER_STACK_BYTES;

/// Starts a thread that nobody need join. Not generic: each kind of closure would have the threads' machinery
/// compiled anew.
pub fn start_thread(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(work)
}

/// The same, for one connection to a peer: there may be a hundred, so its stack is small.
pub fn start_peer_thread(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).stack_size(PEER_STACK_BYTES).spawn(work)
}
