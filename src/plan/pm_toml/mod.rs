//! `pm.toml`: text in, a plan or every fault of the text out.
//!
//! A text goes through three stages. The `toml` crate makes a tree of it ([`syntax`] says what it could not read);
//! [`tree`] reads the tree into the types of [`keys`], with the help of [`field`], [`types`] and [`command`], and
//! notes each key and value that is wrong; [`pool`] and [`health`] make pools of the tables, and [`pools`] looks at
//! what concerns several pools. A stage begins only if the one before it left no doubt: a line that could not be read
//! is not reported as missing as well.

mod any_value;
mod command;
mod field;
mod health;
mod keys;
mod pool;
mod pools;
mod syntax;
mod tree;
mod types;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use self::field::Field;
use self::keys::File;
use self::pool::Reader;
use self::tree::{Node, Notes};
use super::host::{Document, Host};
use super::text::diagnostics::{Fault, Faults, Findings};
use super::{FILE_BYTES_MAX, Plan};

/// Makes a plan of a `pm.toml`.
///
/// # Errors
/// Every fault in the file, and in the files of variables that it names.
pub fn read(document: &Document, host: &dyn Host) -> Result<Plan, Faults> {
    let mut findings = Findings::default();
    let nothing = Plan { pools: Vec::new() };
    let file = findings.source(&document.name, &document.text);
    if document.text.len() > FILE_BYTES_MAX {
        let fault = Fault::new(file, 0..0, "this file is larger than 1 MiB");
        findings.add(fault.help("take what is no configuration out of it"));
        return findings.or(nothing);
    }
    let (tree, errors) = DeTable::parse_recoverable(&document.text);
    let at = tree.span();
    syntax::note(&document.text, tree.get_ref(), &errors, file, &mut findings);
    let is_whole = findings.is_empty();
    let tree = DeValue::Table(tree.into_inner());
    let mut found = Findings::default();
    let same = found.source(&document.name, &document.text);
    let notes = Notes::new(same, &mut found);
    let read: Field<File> =
        Field::deserialize(Node::root(&tree, at, &notes)).expect("a field takes in every value");
    let found = found.faults();
    syntax::note_elsewhere(&document.text, found, file, &mut findings);
    let Some(read) = read.value().filter(|_| is_whole) else {
        return findings.or(nothing);
    };
    let mut reader = Reader::new(document, file, host, &mut findings);
    let plan = pools::plan(&mut reader, read);
    findings.or(plan)
}

/// The JSON schema of a `pm.toml`, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}
