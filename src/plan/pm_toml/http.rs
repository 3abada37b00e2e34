//! The value of `http`: where the page is served.

use core::net::SocketAddr;
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::faults::{Expected, ValueFault};
use super::value::{AnyValue, FileFaults, FromValue, Value};

/// An address of IPv4 or IPv6, with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpAddress(pub SocketAddr);

impl FromValue for HttpAddress {
    fn from_value(value: &Value<'_>, _: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        let AnyValue::Text(written) = value.any()? else {
            return Err(value.must_be(Expected::HttpAddress));
        };
        match written.parse() {
            Ok(address) => Ok(Self(address)),
            Err(_) => Err(ValueFault::HttpAddress(written.to_owned())),
        }
    }
}

impl JsonSchema for HttpAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "HttpAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$",
            "examples": ["127.0.0.1:9001", "[::1]:9001"],
        })
    }
}
