//! The steps for one dataset: what is on disk, what is missing, and publication.

pub mod check;
#[cfg(feature = "fetch")]
pub mod check_meanwhile;
pub mod dataset;
pub mod elsewhere;
#[cfg(feature = "fetch")]
pub mod fetch;
pub mod lack;
#[cfg(not(feature = "fetch"))]
pub mod local;
pub mod lock;
pub mod present;
pub mod provide;
#[cfg(feature = "fetch")]
pub mod refresh;
pub mod roots;
pub mod space;
#[cfg(feature = "unpack")]
pub mod tree;
#[cfg(feature = "unpack")]
pub mod tree_plan;
pub mod work;
