//! `pm.toml`: text in, a plan or every fault of the text out.
//!
//! A text goes through three stages. The `toml` crate makes a tree of it; [`syntax`] words what the crate could not
//! read. [`value`] and [`field`] read the tree into the tables of [`keys`], with the single values of [`types`] and
//! [`command`]; each key and value that is wrong is a fault. Then [`pool`], [`limits`], [`listen`], [`policy`] and
//! [`health`] make a pool of each table, and [`pools`], [`paths`] and [`order`] look at all of them together. What can
//! be wrong, in words, is in [`faults`]. A stage begins only if the one before it found everything: a line that could
//! not be read is not reported as missing as well.

mod command;
mod faults;
mod field;
mod health;
mod http;
mod keys;
mod limits;
mod listen;
mod order;
mod paths;
mod patterns;
mod policy;
mod pool;
mod pools;
mod syntax;
mod types;
mod value;

use toml::de::{DeTable, DeValue};

use self::field::Field;
use self::keys::File;
use self::pool::Reader;
use self::value::{FileFaults, Value};
use super::fault_kind::FaultKind;
use super::host::{Document, Host};
use super::text::diagnostics::{Fault, Faults, Findings};
use super::{FILE_BYTES_MAX, Plan, defaults};

pub use faults::{CommandForm, Expected, HealthFault, Noun, PoolFault, PoolsFault, ValueFault};
pub use syntax::{SyntaxFault, TomlProblem};
pub use value::Actual;

/// Makes a plan of a `pm.toml`.
///
/// # Errors
/// Every fault in the file, and in the files of variables that it names.
pub fn read(document: &Document, host: &dyn Host) -> Result<Plan, Faults> {
    let mut findings = Findings::default();
    let nothing = Plan {
        pools: Vec::new(),
        sealed: false,
        chaos: false,
        ring_bytes: defaults::RING_BYTES,
        http: None,
    };
    let file = findings.add_source(&document.name, &document.text);
    if document.text.len() > FILE_BYTES_MAX {
        findings.add(Fault::new(file, 0..0, FaultKind::FileTooLarge));
        return findings.finish(nothing);
    }
    let (tree, errors) = DeTable::parse_recoverable(&document.text);
    let at = tree.span();
    syntax::add_parser_errors(&document.text, tree.get_ref(), &errors, file, &mut findings);
    let is_whole = findings.is_empty();
    let tree = DeValue::Table(tree.into_inner());
    let mut found = Findings::default();
    let same_file = found.add_source(&document.name, &document.text);
    let mut faults = FileFaults { file: same_file, findings: &mut found };
    let read: Field<File> = Field::read(&Value::root(&tree, at), &mut faults);
    syntax::add_faults_elsewhere(
        &document.text,
        found.faults_so_far().cloned(),
        file,
        &mut findings,
    );
    if is_whole {
        findings.leave_out(found.left_out());
    }
    let Some(read) = read.value().filter(|_| is_whole) else {
        return findings.finish(nothing);
    };
    let mut reader = Reader { document, file, host, findings: &mut findings };
    let plan = pools::plan(&mut reader, read);
    findings.finish(plan)
}

/// The JSON schema of a `pm.toml`, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}
