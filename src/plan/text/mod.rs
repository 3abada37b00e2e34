//! Reading text and pointing into it: what every reader of this floor shares.
//!
//! [`lines`] and [`placeholders`] take text apart; [`duration`], [`size`], [`ports`] and [`signal`] read one value;
//! [`suggest`] finds the name that was probably meant. [`explain`] is how a kind of fault is put into words,
//! [`diagnostics`] how a reader reports it at its place; [`phrase`] words lists, counts and ports, for all floors;
//! [`printable`] makes a quoted text harmless, [`sequence`] finds what acts on a terminal; [`toml_string`] writes a
//! string for a `pm.toml`.

pub mod diagnostics;
pub(crate) mod duration;
pub(crate) mod explain;
pub(crate) mod lines;
pub mod phrase;
pub mod placeholders;
pub(crate) mod ports;
pub mod printable;
pub mod sequence;
pub(crate) mod signal;
pub(crate) mod size;
pub(crate) mod suggest;
pub(crate) mod toml_string;
