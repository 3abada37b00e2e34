//! What can be wrong with a `pm.toml`: the kinds, their messages and their help.
//!
//! [`value`] is about one value, [`pool`] about the keys of a pool together, [`health`] about `ready` and `alive`,
//! [`pools`] about several pools. What is not TOML at all is in [`super::syntax`].

mod health;
mod pool;
mod pools;
mod value;

pub use health::HealthFault;
pub use pool::{CommandForm, PoolFault};
pub use pools::PoolsFault;
pub use value::{Expected, Noun, ValueFault};
