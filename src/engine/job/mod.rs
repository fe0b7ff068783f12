//! One dataset: what is on disk of it, what is missing, and its publication.

pub mod check;
pub mod dataset;
pub mod elsewhere;
pub mod fetch;
pub mod lock;
pub mod present;
pub mod provide;
pub mod refresh;
pub mod roots;
pub mod space;
pub mod work;
