//! The value of a key with its place in the file, whether it can be used or not.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// By these names [`super::tree`] knows what it is asked for.
pub const FIELD: &str = "pm::Field";
pub const MANY: &str = "pm::Many";

/// What a key may have been given.
#[derive(Clone, Debug)]
pub struct Field<T>(Option<Given<T>>);

/// What a key has been given.
#[derive(Clone, Debug)]
pub struct Given<T> {
    /// Where the key stands. Of an element of a list: where the list's key stands.
    pub key: Range<usize>,
    /// Where the value stands.
    pub at: Range<usize>,
    /// `None` if it cannot be used: that has been noted.
    pub value: Option<T>,
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub struct Many<T>(pub Vec<Field<T>>);

/// Keys of the user's own, in the order of the file.
#[derive(Clone, Debug)]
pub struct Names<T>(pub Vec<(String, Field<T>)>);

impl<T> Field<T> {
    pub fn given(&self) -> Option<&Given<T>> {
        self.0.as_ref()
    }

    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The value, if there is one that can be used.
    pub fn value(&self) -> Option<&T> {
        self.0.as_ref()?.value.as_ref()
    }

    /// The value with its place, if there is one that can be used.
    pub fn usable(&self) -> Option<(&T, &Given<T>)> {
        let given = self.0.as_ref()?;
        given.value.as_ref().map(|value| (value, given))
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

struct Parts<T>(PhantomData<T>);
struct Elements<T>(PhantomData<T>);
struct Entries<T>(PhantomData<T>);

impl<'t, T: Deserialize<'t>> Deserialize<'t> for Field<T> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FIELD, Parts(PhantomData))
    }
}

impl<'t, T: Deserialize<'t>> Visitor<'t> for Parts<T> {
    type Value = Field<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value with its place")
    }

    fn visit_seq<A: de::SeqAccess<'t>>(self, mut parts: A) -> Result<Field<T>, A::Error> {
        let mut number = || parts.next_element::<usize>().map(Option::unwrap_or_default);
        let key = number()?..number()?;
        let at = number()?..number()?;
        // What is wrong with it has been noted where it was found; the rest of the file is to be read.
        let value = parts.next_element().unwrap_or_default();
        Ok(Field(Some(Given { key, at, value })))
    }
}

impl<'t, T: Deserialize<'t>> Deserialize<'t> for Many<T> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(MANY, Elements(PhantomData))
    }
}

impl<'t, T: Deserialize<'t>> Visitor<'t> for Elements<T> {
    type Value = Many<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: de::SeqAccess<'t>>(self, mut elements: A) -> Result<Many<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element()? {
            all.push(element);
        }
        Ok(Many(all))
    }
}

impl<'t, T: Deserialize<'t>> Deserialize<'t> for Names<T> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<'t, T: Deserialize<'t>> Visitor<'t> for Entries<T> {
    type Value = Names<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a table")
    }

    fn visit_map<A: de::MapAccess<'t>>(self, mut entries: A) -> Result<Names<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Names(all))
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
