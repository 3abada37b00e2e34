//! A value of any kind, before it is known what it is to be.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A value as it stands there.
pub enum AnyValue {
    Text(String),
    Whole(i64),
    /// With a point or an exponent, as it is written.
    Fraction(String),
    Boolean(bool),
    Date,
    List,
    Table,
}

impl AnyValue {
    /// What is said of a value of the wrong kind.
    pub fn is_no(&self, what: &str, right: &str) -> String {
        let this = match self {
            Self::Text(_) => "this string",
            Self::Whole(number) => &format!("`{number}`"),
            Self::Fraction(number) => &format!("`{number}`"),
            Self::Boolean(boolean) => &format!("`{boolean}`"),
            Self::Date => "this date",
            Self::List => "this list",
            Self::Table => "this table",
        };
        format!("{this} is no {what}; {right}")
    }

    /// The number as it is written, if it is one.
    pub fn number(&self) -> Option<String> {
        match self {
            Self::Whole(number) => Some(number.to_string()),
            Self::Fraction(number) => Some(number.clone()),
            Self::Text(_) | Self::Boolean(_) | Self::Date | Self::List | Self::Table => None,
        }
    }
}

impl<'t> Deserialize<'t> for AnyValue {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'t> Visitor<'t> for RawVisitor {
    type Value = AnyValue;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<AnyValue, E> {
        Ok(AnyValue::Whole(number))
    }

    fn visit_bytes<E: de::Error>(self, number: &[u8]) -> Result<AnyValue, E> {
        Ok(AnyValue::Fraction(String::from_utf8_lossy(number).into_owned()))
    }

    fn visit_bool<E: de::Error>(self, boolean: bool) -> Result<AnyValue, E> {
        Ok(AnyValue::Boolean(boolean))
    }

    fn visit_unit<E: de::Error>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Date)
    }

    fn visit_seq<A: de::SeqAccess<'t>>(self, _: A) -> Result<AnyValue, A::Error> {
        Ok(AnyValue::List)
    }

    fn visit_map<A: de::MapAccess<'t>>(self, _: A) -> Result<AnyValue, A::Error> {
        Ok(AnyValue::Table)
    }
}
