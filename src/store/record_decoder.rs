//! Decodes binary records of movies, concatenated in one value, as `cinegraph.film_record` and the snapshot write them.
//!
//! A decade has tens of thousands of movies. With one row per movie and one column per attribute, most of the time to
//! read it would go to the messages of PostgreSQL's protocol; concatenated records cost a tenth of that. Values use
//! PostgreSQL's binary format: numbers in network byte order, arrays with their own header.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

/// Epoch of PostgreSQL's dates and timestamps.
const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).expect("it is a day");

/// The bytes are not a valid record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DecodeError;

/// Decodes the values of concatenated records one after the other.
#[derive(Debug)]
pub(super) struct RecordDecoder<'a> {
    rest: &'a [u8],
}

impl<'a> RecordDecoder<'a> {
    pub(super) fn new(records: &'a [u8]) -> Self {
        Self { rest: records }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn i16(&mut self) -> Result<i16, DecodeError> {
        self.bytes().map(i16::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.bytes().map(i64::from_be_bytes)
    }

    pub(super) fn f64(&mut self) -> Result<f64, DecodeError> {
        self.bytes().map(f64::from_be_bytes)
    }

    pub(super) fn f64s<const N: usize>(&mut self) -> Result<[f64; N], DecodeError> {
        let mut numbers = [0.0; N];
        for number in &mut numbers {
            *number = self.f64()?;
        }
        Ok(numbers)
    }

    pub(super) fn day(&mut self) -> Result<NaiveDate, DecodeError> {
        let days = self.i32()?;
        let magnitude = Days::new(days.unsigned_abs().into());
        let day = if days < 0 { EPOCH.checked_sub_days(magnitude) } else { EPOCH.checked_add_days(magnitude) };
        day.ok_or(DecodeError)
    }

    pub(super) fn time(&mut self) -> Result<DateTime<Utc>, DecodeError> {
        let since = TimeDelta::microseconds(self.i64()?);
        EPOCH.and_time(chrono::NaiveTime::MIN).and_utc().checked_add_signed(since).ok_or(DecodeError)
    }

    /// A `text[]`.
    pub(super) fn texts(&mut self) -> Result<Vec<&'a str>, DecodeError> {
        self.array(|element| std::str::from_utf8(element).map_err(|_| DecodeError))
    }

    /// A `bigint[]` of ids that fit 32 bits.
    pub(super) fn codes(&mut self) -> Result<Vec<u32>, DecodeError> {
        self.array(|element| {
            let id = i64::from_be_bytes(element.try_into().map_err(|_| DecodeError)?);
            u32::try_from(id).map_err(|_| DecodeError)
        })
    }

    /// A one-dimensional or empty array without NULLs.
    fn array<T>(&mut self, decode: impl Fn(&'a [u8]) -> Result<T, DecodeError>) -> Result<Vec<T>, DecodeError> {
        let (dimensions, _has_nulls, _element_type) = (self.i32()?, self.i32()?, self.i32()?);
        let length = match dimensions {
            0 => 0,
            1 => {
                let (length, _first_index) = (self.i32()?, self.i32()?);
                length
            }
            _ => return Err(DecodeError),
        };
        (0..length)
            .map(|_| {
                // NULL has length -1, which fails the conversion.
                let length = usize::try_from(self.i32()?).map_err(|_| DecodeError)?;
                let (element, rest) = self.rest.split_at_checked(length).ok_or(DecodeError)?;
                self.rest = rest;
                decode(element)
            })
            .collect()
    }

    fn i32(&mut self) -> Result<i32, DecodeError> {
        self.bytes().map(i32::from_be_bytes)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(DecodeError)?;
        self.rest = rest;
        Ok(*bytes)
    }
}
