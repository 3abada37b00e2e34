//! Reading text and pointing into it: what every reader of this floor shares.
//!
//! [`lines`] and [`placeholders`] take text apart; [`duration`], [`size`], [`ports`] and [`signal`] read one value;
//! [`suggest`] finds the word that was probably meant; [`phrase`] words lists, counts and ports, for all floors;
//! [`diagnostics`] is how a reader reports a fault at its place.

pub mod diagnostics;
pub mod duration;
pub mod lines;
pub mod phrase;
pub mod placeholders;
pub mod ports;
pub mod signal;
pub mod size;
pub mod suggest;
