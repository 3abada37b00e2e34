//! A command: a list of the program and its arguments, or text for a shell.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::faults::{Expected, ValueFault};
use super::field::Field;
use super::types::Text;
use super::value::{AnyValue, FileFaults, FromValue, Value};

/// An argv, or text for `sh -c`.
#[derive(Clone, Debug)]
pub enum Command {
    Argv(Vec<Field<Text>>),
    Shell(Text),
}

impl FromValue for Command {
    fn from_value(value: &Value<'_>, faults: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        if let Some(elements) = value.elements() {
            let argv = elements.map(|element| Field::read(&element, faults));
            return Ok(Self::Argv(argv.collect()));
        }
        let AnyValue::Text(text) = value.any()? else {
            return Err(value.must_be(Expected::Command));
        };
        Ok(Self::Shell(AnyValue::Text(text).try_into()?))
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
