//! One value of the TOML tree, and how it is read into a type of pm's own.
//!
//! serde is not used here: it stops at the first error, and its errors are texts. A [`FromValue`] reports the kind of
//! what is wrong, the [`Field`](super::field::Field) around it adds that to the faults and stays empty, and the rest of
//! the file is read. Where to look next: [`super::keys`] are the tables, [`super::types`] the single values.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::faults::{Expected, ValueFault};
use crate::plan::fault_kind::FaultKind;
use crate::plan::text::diagnostics::{Fault, Findings, SourceId};
use crate::plan::text::suggest::Suggestion;

/// A key of the file that stands before all tables.
const SEALED: &str = "sealed";

/// A type that a value of a `pm.toml` is read into.
pub trait FromValue: Sized {
    /// Reads a value. Faults of parts, which stand at places of their own, are added to `faults`.
    ///
    /// # Errors
    /// Why the whole value cannot be used.
    fn from_value(value: &Value<'_>, faults: &mut FileFaults<'_>) -> Result<Self, ValueFault>;
}

/// One value, and where it stands.
#[derive(Clone)]
pub struct Value<'t> {
    value: &'t DeValue<'t>,
    pub at: Range<usize>,
    /// The place of the key whose value it is, or is an element of.
    pub key: Range<usize>,
    /// That key.
    pub name: &'t str,
}

/// The value without its place, by its type.
pub enum AnyValue<'t> {
    Text(&'t str),
    Whole(i64),
    /// With a point or an exponent, as it is written: `3.10` may be a version.
    Fraction(&'t str),
    Boolean(bool),
    Date,
    List,
    Table,
}

/// What stands at a place, for a message: `this list`, `` `5` ``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actual {
    Text,
    Number(String),
    Boolean(bool),
    Date,
    List,
    Table,
}

/// The faults of the file that is being read.
pub struct FileFaults<'a> {
    pub file: SourceId,
    pub findings: &'a mut Findings,
}

impl FileFaults<'_> {
    pub fn add(&mut self, at: Range<usize>, kind: impl Into<FaultKind>) {
        self.findings.add(Fault::new(self.file, at, kind));
    }

    fn add_unknown_key(&mut self, key: &Spanned<DeString<'_>>, known: &[&'static str]) {
        // Beyond the bound a fault is only counted, and to look for the nearest name takes time.
        if self.findings.is_full() {
            self.findings.leave_out(1);
            return;
        }
        let written = key.get_ref().as_ref();
        if written == SEALED && known.contains(&"command") {
            self.add(key.span(), FaultKind::SealedInPool);
            return;
        }
        let suggestion = match other_name(written).filter(|name| known.contains(name)) {
            Some(name) => Suggestion::Meant(name.to_owned()),
            None => Suggestion::of(written, known.iter().copied()),
        };
        self.add(key.span(), FaultKind::UnknownKey { key: written.to_owned(), suggestion });
    }
}

/// The name of a key that once had this one, or that has this one in other process managers.
fn other_name(key: &str) -> Option<&'static str> {
    const OTHER_NAMES: [(&str, &[&str]); 8] = [
        ("backoff", &["rest"]),
        ("workers", &["instances", "processes", "replicas", "numprocs"]),
        ("cwd", &["directory", "dir", "working_directory", "workdir"]),
        ("command", &["cmd", "exec", "run", "script"]),
        ("env", &["environment", "variables"]),
        ("after", &["depends_on", "requires"]),
        ("log", &["logfile", "stdout_logfile"]),
        ("restart", &["autorestart"]),
    ];
    OTHER_NAMES.into_iter().find(|(_, others)| others.contains(&key)).map(|(name, _)| name)
}

impl<'t> Value<'t> {
    /// The whole file.
    pub fn root(value: &'t DeValue<'t>, at: Range<usize>) -> Self {
        Self { value, key: at.clone(), at, name: "this file" }
    }

    /// The value by its type.
    ///
    /// # Errors
    /// If it is a whole number that does not fit.
    pub fn any(&self) -> Result<AnyValue<'t>, ValueFault> {
        Ok(match self.value {
            DeValue::String(text) => AnyValue::Text(text),
            DeValue::Integer(integer) => {
                let number = i64::from_str_radix(integer.as_str(), integer.radix());
                AnyValue::Whole(number.ok().ok_or(ValueFault::NumberTooLarge)?)
            }
            DeValue::Float(number) => AnyValue::Fraction(number.as_str()),
            DeValue::Boolean(boolean) => AnyValue::Boolean(*boolean),
            DeValue::Datetime(_) => AnyValue::Date,
            DeValue::Array(_) => AnyValue::List,
            DeValue::Table(_) => AnyValue::Table,
        })
    }

    /// The digits of a whole number as they are written, with their radix.
    pub fn digits(&self) -> Option<(&'t str, u32)> {
        match self.value {
            DeValue::Integer(integer) => Some((integer.as_str(), integer.radix())),
            DeValue::String(_) | DeValue::Float(_) | DeValue::Boolean(_) => None,
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        }
    }

    /// The elements of a list, or `None` if it is not a list.
    pub fn elements(&self) -> Option<impl Iterator<Item = Self>> {
        let DeValue::Array(array) = self.value else { return None };
        Some(array.iter().map(|element| Self {
            value: element.get_ref(),
            at: element.span(),
            ..self.clone()
        }))
    }

    /// The values of a table, in the order of the file, each with its key.
    ///
    /// # Errors
    /// If it is not a table.
    pub fn entries(&self) -> Result<Vec<Self>, ValueFault> {
        let DeValue::Table(table) = self.value else {
            return Err(self.must_be(Expected::Table(&[])));
        };
        Ok(in_order(table).into_iter().map(|(key, value)| entry(key, value)).collect())
    }

    /// The values of a table that has these keys. Other keys are added to `faults`.
    ///
    /// # Errors
    /// If it is not a table.
    pub fn entries_of(
        &self,
        keys: &'static [&'static str],
        faults: &mut FileFaults<'_>,
    ) -> Result<Vec<Self>, ValueFault> {
        let DeValue::Table(table) = self.value else {
            return Err(self.must_be(Expected::Table(keys)));
        };
        let mut entries = Vec::new();
        for (key, value) in in_order(table) {
            if keys.contains(&key.get_ref().as_ref()) {
                entries.push(entry(key, value));
            } else {
                faults.add_unknown_key(key, keys);
            }
        }
        Ok(entries)
    }

    /// The fault of a value that is of another type.
    pub fn must_be(&self, expected: Expected) -> ValueFault {
        let actual = match self.value {
            DeValue::String(_) => Actual::Text,
            DeValue::Integer(number) => Actual::Number(number.as_str().to_owned()),
            DeValue::Float(number) => Actual::Number(number.as_str().to_owned()),
            DeValue::Boolean(boolean) => Actual::Boolean(*boolean),
            DeValue::Datetime(_) => Actual::Date,
            DeValue::Array(_) => Actual::List,
            DeValue::Table(_) => Actual::Table,
        };
        ValueFault::WrongType { key: self.name.to_owned(), expected, actual }
    }
}

fn in_order<'t>(
    table: &'t DeTable<'t>,
) -> Vec<(&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn entry<'t>(key: &'t Spanned<DeString<'t>>, value: &'t Spanned<DeValue<'t>>) -> Value<'t> {
    Value {
        value: value.get_ref(),
        at: value.span(),
        key: key.span(),
        name: key.get_ref().as_ref(),
    }
}

impl AnyValue<'_> {
    pub fn actual(&self) -> Actual {
        match self {
            Self::Text(_) => Actual::Text,
            Self::Whole(number) => Actual::Number(number.to_string()),
            Self::Fraction(number) => Actual::Number((*number).to_owned()),
            Self::Boolean(boolean) => Actual::Boolean(*boolean),
            Self::Date => Actual::Date,
            Self::List => Actual::List,
            Self::Table => Actual::Table,
        }
    }
}

impl Actual {
    /// The type of the value, as the label of its place.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Text => "this is a string",
            Self::Number(_) => "this is a number",
            Self::Boolean(_) => "this is true or false",
            Self::Date => "this is a date",
            Self::List => "this is a list",
            Self::Table => "this is a table",
        }
    }
}

impl fmt::Display for Actual {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => out.write_str("this string"),
            Self::Number(number) => write!(out, "`{number}`"),
            Self::Boolean(boolean) => write!(out, "`{boolean}`"),
            Self::Date => out.write_str("this date"),
            Self::List => out.write_str("this list"),
            Self::Table => out.write_str("this table"),
        }
    }
}
