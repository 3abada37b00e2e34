//! From the tree of a TOML text to the types of [`super::keys`], past every fault.
//!
//! serde stops at the first error. Here one ends at the nearest [`Field`](super::field::Field), which notes it and
//! stays empty, and the rest is read. What is wrong is said in pm's own words, wherever serde found it; a key that a
//! table does not have is found before serde sees it.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use serde::de::value::{BorrowedStrDeserializer, UsizeDeserializer};
use serde::de::{self, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::field;
use crate::plan::text::diagnostics::{Fault, Findings, SourceId};
use crate::plan::text::suggest::{advice, listed};

/// Where the faults of a file go.
pub struct Notes<'a> {
    file: SourceId,
    findings: RefCell<&'a mut Findings>,
}

/// One value of the tree, and what led to it.
#[derive(Clone)]
pub struct Node<'t> {
    value: &'t DeValue<'t>,
    at: Range<usize>,
    /// The key whose value it is, or is a part of.
    key: Range<usize>,
    name: &'t str,
    is_element: bool,
    notes: &'t Notes<'t>,
}

/// Why a value cannot be used.
#[derive(Debug)]
pub enum Wrong {
    /// It is of another type than this.
    Type(String),
    /// `what is wrong; what would be right`.
    Words(String),
    /// It has been noted already.
    Noted,
}

impl<'a> Notes<'a> {
    pub fn new(file: SourceId, findings: &'a mut Findings) -> Self {
        Self { file, findings: RefCell::new(findings) }
    }

    fn add(&self, fault: impl FnOnce(SourceId) -> Fault) {
        let mut findings = self.findings.borrow_mut();
        // Beyond the bound nobody reads it, and looking for the nearest word takes its time.
        if !findings.is_full() {
            findings.add(fault(self.file));
        }
    }
}

impl<'t> Node<'t> {
    /// The whole file.
    pub fn root(value: &'t DeValue<'t>, at: Range<usize>, notes: &'t Notes<'t>) -> Self {
        Self { value, key: at.clone(), at, name: "this file", is_element: false, notes }
    }

    fn part(&self, value: &'t Spanned<DeValue<'t>>) -> Self {
        Self { value: value.get_ref(), at: value.span(), is_element: true, ..self.clone() }
    }

    fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "this is a string",
            DeValue::Integer(_) | DeValue::Float(_) => "this is a number",
            DeValue::Boolean(_) => "this is true or false",
            DeValue::Datetime(_) => "this is a date",
            DeValue::Array(_) => "this is a list",
            DeValue::Table(_) => "this is a table",
        }
    }

    fn note(&self, wrong: Wrong) -> Wrong {
        match wrong {
            Wrong::Type(expected) => self.notes.add(|file| {
                let what = if self.is_element { "what is in " } else { "" };
                let words = format!("{what}`{}` must be {expected}", self.name);
                Fault::of(file, self.at.clone(), words).label(self.kind())
            }),
            Wrong::Words(words) => self.notes.add(|file| Fault::of(file, self.at.clone(), words)),
            Wrong::Noted => {}
        }
        Wrong::Noted
    }

    fn unknown_key(&self, key: &Spanned<toml::de::DeString<'_>>, known: &'static [&'static str]) {
        self.notes.add(|file| {
            let message = format!("unknown key `{}`", key.get_ref());
            let advice = match former(key.get_ref(), known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => advice(key.get_ref(), known.iter().copied()),
            };
            Fault::new(file, key.span(), message).help(advice)
        });
    }

    fn entries(
        &self,
        table: &'t DeTable<'t>,
        known: Option<&'static [&'static str]>,
    ) -> Entries<'t> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        if let Some(known) = known {
            entries.retain(|(key, _)| {
                let is_known = known.contains(&key.get_ref().as_ref());
                if !is_known {
                    self.unknown_key(key, known);
                }
                is_known
            });
        }
        let entries = entries.into_iter().map(|(key, value)| {
            let (name, key) = (key.get_ref().as_ref(), key.span());
            let (value, at) = (value.get_ref(), value.span());
            Node { value, at, key, name, is_element: false, notes: self.notes }
        });
        Entries { entries: entries.collect::<Vec<_>>().into_iter(), value: None }
    }

    fn elements(&self) -> Elements<'t> {
        let elements = match self.value {
            DeValue::Array(array) => array.iter().map(|element| self.part(element)).collect(),
            _ => vec![self.clone()],
        };
        Elements(elements.into_iter())
    }
}

impl<'t> Deserializer<'t> for Node<'t> {
    type Error = Wrong;

    /// A date is a unit here, and a number with a fraction comes as the bytes it is written with: `3.10` may be a
    /// version.
    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            DeValue::String(text) => visitor.visit_borrowed_str(text),
            DeValue::Integer(integer) => {
                match i64::from_str_radix(integer.as_str(), integer.radix()) {
                    Ok(number) => visitor.visit_i64(number),
                    Err(_) => Err(Wrong::Words("this number is too large".into())),
                }
            }
            DeValue::Float(number) => visitor.visit_borrowed_bytes(number.as_str().as_bytes()),
            DeValue::Boolean(boolean) => visitor.visit_bool(*boolean),
            DeValue::Datetime(_) => visitor.visit_unit(),
            DeValue::Array(_) => visitor.visit_seq(self.elements()),
            DeValue::Table(table) => visitor.visit_map(self.entries(table, None)),
        }
    }

    fn deserialize_bool<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            DeValue::Boolean(boolean) => visitor.visit_bool(*boolean),
            _ => Err(Wrong::Type("`true` or `false`".into())),
        }
    }

    fn deserialize_seq<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            DeValue::Array(_) => visitor.visit_seq(self.elements()),
            _ => Err(Wrong::Type("a list".into())),
        }
    }

    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.value {
            DeValue::Table(table) => visitor.visit_map(self.entries(table, None)),
            _ => Err(Wrong::Type("a table".into())),
        }
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.value {
            DeValue::Table(table) => visitor.visit_map(self.entries(table, Some(keys))),
            _ => {
                Err(Wrong::Type(format!("a table; its keys are {}", listed(keys.iter().copied()))))
            }
        }
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.value {
            DeValue::String(text) => visitor.visit_enum(text.as_ref().into_deserializer()),
            _ => Err(Wrong::Type(format!("one of {}", listed(variants.iter().copied())))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match name {
            field::FIELD => visitor.visit_seq(Parts { node: self, next: 0 }),
            field::MANY => visitor.visit_seq(self.elements()),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! {
        <V: Visitor<'t>>
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// What a key is called now that once had this name.
fn former(key: &str, known: &[&'static str]) -> Option<&'static str> {
    const FORMER: [(&str, &str); 1] = [("rest", "backoff")];
    let (_, name) = FORMER.into_iter().find(|(former, _)| *former == key)?;
    known.contains(&name).then_some(name)
}

/// The keys and values of a table, in the order of the file.
struct Entries<'t> {
    entries: std::vec::IntoIter<Node<'t>>,
    value: Option<Node<'t>>,
}

impl<'t> de::MapAccess<'t> for Entries<'t> {
    type Error = Wrong;

    fn next_key_seed<K: de::DeserializeSeed<'t>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        self.value = self.entries.next();
        let Some(node) = &self.value else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(node.name)).map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        seed.deserialize(self.value.take().expect("serde asks for the key first"))
    }
}

/// The elements of a list, or the one value that stands for such a list.
struct Elements<'t>(std::vec::IntoIter<Node<'t>>);

impl<'t> de::SeqAccess<'t> for Elements<'t> {
    type Error = Wrong;

    fn next_element_seed<T: de::DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

/// What a [`field::Field`] is made of: where its key starts and ends, where its value does, and the value.
struct Parts<'t> {
    node: Node<'t>,
    next: usize,
}

impl<'t> de::SeqAccess<'t> for Parts<'t> {
    type Error = Wrong;

    fn next_element_seed<T: de::DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        let Node { key, at, .. } = &self.node;
        let numbers = [key.start, key.end, at.start, at.end];
        let number = numbers.get(self.next);
        self.next += 1;
        match number {
            Some(number) => seed.deserialize(UsizeDeserializer::new(*number)).map(Some),
            None => {
                seed.deserialize(self.node.clone()).map(Some).map_err(|wrong| self.node.note(wrong))
            }
        }
    }
}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(words: T) -> Self {
        Self::Words(words.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Type(expected.to_string())
    }

    fn unknown_variant(written: &str, variants: &'static [&'static str]) -> Self {
        let (known, advice) =
            (listed(variants.iter().copied()), advice(written, variants.iter().copied()));
        Self::Words(format!("`{written}` is none of {known}; {advice}"))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(expected) => write!(out, "it must be {expected}"),
            Self::Words(words) => out.write_str(words),
            Self::Noted => out.write_str("it has been noted"),
        }
    }
}

impl std::error::Error for Wrong {}
