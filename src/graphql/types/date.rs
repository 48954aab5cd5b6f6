//! The scalars `Date` and `DateTime`. async-graphql has scalars for dates and times as well, but it names the first
//! `NaiveDate` and describes the second in terms of Rust.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{DateTime, NaiveDate, Utc};

/// A date in the format YYYY-MM-DD.
pub(in crate::graphql) struct Date(pub(crate) NaiveDate);

/// A date in the format YYYY-MM-DD.
#[Scalar]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d");
        day.map(Self).map_err(|_| InputValueError::custom("expected a date in the format YYYY-MM-DD"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A point in time as an RFC 3339 string, such as `2026-11-28T00:31:12+00:00`.
#[derive(Clone, Copy)]
pub(in crate::graphql) struct Timestamp(pub(in crate::graphql) DateTime<Utc>);

/// A point in time as an RFC 3339 string, such as `2026-11-28T00:31:12+00:00`.
#[Scalar(name = "DateTime", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc3339")]
impl ScalarType for Timestamp {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let time = text.parse::<DateTime<Utc>>();
        time.map(Self).map_err(|_| InputValueError::custom("expected a time in the format RFC 3339"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_rfc3339())
    }
}
