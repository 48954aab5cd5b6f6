//! Records: what memory keeps of a film, end to end in one value, as `cinegraph.film_record` and the snapshot write it.
//!
//! A decade is tens of thousands of films, and one value each costs a tenth of a column for each thing about them. The
//! forms are those in which PostgreSQL sends values: numbers in network order, arrays behind a head of their own.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

/// Days and times count from 2000-01-01.
const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).expect("it is a day");

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DecodeError;

/// Reads one value after the other.
#[derive(Debug)]
pub(super) struct RowDecoder<'a> {
    rest: &'a [u8],
}

impl<'a> RowDecoder<'a> {
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

    /// A `bigint[]` of ids that are small.
    pub(super) fn codes(&mut self) -> Result<Vec<u32>, DecodeError> {
        self.array(|element| {
            let id = i64::from_be_bytes(element.try_into().map_err(|_| DecodeError)?);
            u32::try_from(id).map_err(|_| DecodeError)
        })
    }

    /// An array of one dimension, or none where it is empty, without NULLs.
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
                // -1 for NULL, which is no length.
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
