//! The value of a key with its place in the file, whether it can be used or not.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::faults::{Expected, ValueFault};
use super::value::{AnyValue, FileFaults, FromValue, Value};

/// A key of a table: left out, or given.
#[derive(Clone, Debug)]
pub struct Field<T>(Option<Given<T>>);

/// A key that stands in the file.
#[derive(Clone, Debug)]
pub struct Given<T> {
    /// Where the key stands. For an element of a list: where the list's key stands.
    pub key: Range<usize>,
    /// Where the value stands.
    pub at: Range<usize>,
    /// `None` if the value cannot be used. Then there is a fault already.
    pub value: Option<T>,
}

/// One value, or a list of values.
#[derive(Clone, Debug)]
pub struct Many<T>(pub Vec<Field<T>>);

/// A table whose keys are names of the user's own, in the order of the file.
#[derive(Clone, Debug)]
pub struct Names<T>(pub Vec<(String, Field<T>)>);

impl<T> Field<T> {
    pub fn given(&self) -> Option<&Given<T>> {
        self.0.as_ref()
    }

    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Where the key stands, if it is given.
    pub fn key(&self) -> Option<Range<usize>> {
        self.0.as_ref().map(|given| given.key.clone())
    }

    /// The value, if it is given and can be used.
    pub fn value(&self) -> Option<&T> {
        self.0.as_ref()?.value.as_ref()
    }

    /// The value with its place, if it is given and can be used.
    pub fn usable(&self) -> Option<(&T, &Given<T>)> {
        let given = self.0.as_ref()?;
        given.value.as_ref().map(|value| (value, given))
    }
}

impl<T: FromValue> Field<T> {
    /// Reads a value. If it cannot be used, the fault is added to `faults`.
    pub fn read(value: &Value<'_>, faults: &mut FileFaults<'_>) -> Self {
        let (key, at) = (value.key.clone(), value.at.clone());
        let value = match T::from_value(value, faults) {
            Ok(value) => Some(value),
            Err(fault) => {
                faults.add(at.clone(), fault);
                None
            }
        };
        Self(Some(Given { key, at, value }))
    }
}

impl<T> Many<T> {
    pub fn usable(&self) -> impl Iterator<Item = (&T, &Given<T>)> {
        self.0.iter().filter_map(Field::usable)
    }
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: FromValue> FromValue for Many<T> {
    fn from_value(value: &Value<'_>, faults: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        Ok(Self(match value.elements() {
            Some(elements) => elements.map(|element| Field::read(&element, faults)).collect(),
            None => vec![Field::read(value, faults)],
        }))
    }
}

impl<T: FromValue> FromValue for Names<T> {
    fn from_value(value: &Value<'_>, faults: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        let entries = value.entries()?;
        let read = |entry: &Value<'_>| (entry.name.to_owned(), Field::read(entry, faults));
        Ok(Self(entries.iter().map(read).collect()))
    }
}

impl FromValue for bool {
    fn from_value(value: &Value<'_>, _: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        let AnyValue::Boolean(boolean) = value.any()? else {
            return Err(value.must_be(Expected::Boolean));
        };
        Ok(boolean)
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Many{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, list) = (generator.subschema_for::<T>(), generator.subschema_for::<Vec<T>>());
        schemars::json_schema!({ "anyOf": [one, list] })
    }
}

impl<T: JsonSchema> JsonSchema for Names<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Names{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<BTreeMap<String, T>>()
    }
}
