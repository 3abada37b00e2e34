//! What is run: a list, or text for a shell.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::any_value::AnyValue;
use super::field::Field;
use super::types::Text;

/// An argv, or text for `sh -c`.
#[derive(Clone, Debug)]
pub enum Command {
    Argv(Vec<Field<Text>>),
    Shell(Text),
}

impl<'t> Deserialize<'t> for Command {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CommandVisitor)
    }
}

struct CommandVisitor;

impl<'t> Visitor<'t> for CommandVisitor {
    type Value = Command;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of the program and its arguments, or a string for `sh -c`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Command, E> {
        let text = Text::try_from(AnyValue::Text(text.to_owned())).map_err(E::custom)?;
        Ok(Command::Shell(text))
    }

    fn visit_seq<A: de::SeqAccess<'t>>(self, mut elements: A) -> Result<Command, A::Error> {
        let mut argv = Vec::new();
        while let Some(element) = elements.next_element()? {
            argv.push(element);
        }
        Ok(Command::Argv(argv))
    }
}

impl JsonSchema for Command {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Command".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            { "type": "string" },
        ] })
    }
}
