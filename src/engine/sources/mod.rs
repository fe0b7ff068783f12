//! Where bytes come from: the workers of web seeds, directories and peers, their shared state, and
//! their management.

pub mod assembly;
pub mod attempts;
pub mod batch;
pub mod claim;
pub mod concurrency;
pub mod coordinator;
pub mod dial;
pub mod directory_worker;
pub mod event;
pub mod http_pipeline;
pub mod lost_files;
pub mod manager;
pub mod open_peers;
pub mod peer_loop;
pub mod peer_queue;
pub mod peer_worker;
pub mod phase;
pub mod redirects;
pub mod stream;
pub mod swarm;
pub mod web_seed;
pub mod web_worker;
