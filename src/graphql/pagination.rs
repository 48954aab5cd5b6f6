//! Relay connections: page sizes, and cursors that are valid only for the ordered list that they were issued for.

use async_graphql::SimpleObject;
use async_graphql::connection::{CursorType, EmptyFields};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::error::ApiError;
use crate::scoring::{MovieId, Standing};
use crate::versions::Epoch;

/// Maximum page size. A choice. A cached page of `services::predictions` has as many movies.
pub const PAGE_MAX: i32 = 100;

/// Up to how many movies of a search are counted. A choice: the first 1,000 are found within some milliseconds, while
/// millions could match.
pub const COUNT_MAX: usize = 1_000;

/// Error text for a cursor that cannot be decoded.
pub(super) const INVALID_CURSOR: &str = "is not a valid cursor";

/// Error text for a cursor that was issued for other arguments.
const CURSOR_MISMATCH: &str =
    "is a cursor of another query: send the arguments of the previous page; only `first` may differ";

/// Error text for a cursor that was issued for the data of another epoch. In the present data, the ID in the cursor may
/// be that of another movie.
const CURSOR_OF_OTHER_EPOCH: &str =
    "is a cursor of an earlier state of the database, which was replaced: start again with the first page";

/// Version of the cursor layout, and first byte of every cursor. Cursors with another version are rejected instead of
/// being misread.
///
/// Words of 8 bytes follow: the epoch, the fingerprint of the list, and then score and ID in a [`Cursor`], or the ID in
/// an [`OrderedCursor`], whose last part is a text. Numbers are big-endian. The whole is encoded in Base64 for URLs.
const CURSOR_VERSION: u8 = 2;

pub(super) type Connection<Node, Fields = EmptyFields> = async_graphql::connection::Connection<Cursor, Node, Fields>;
pub(super) type Edge<Node> = async_graphql::connection::Edge<Cursor, Node, EmptyFields>;

/// Returns the page size that the argument `first` requests.
///
/// # Errors
/// `BAD_USER_INPUT` if `first` is not 1 to [`PAGE_MAX`].
pub(super) fn page_size(first: i32) -> Result<usize, ApiError> {
    bounded("first", first, PAGE_MAX)
}

/// Returns `given`, the value of the argument `field`, if it is 1 to `max`.
///
/// # Errors
/// `BAD_USER_INPUT` if it is not.
pub(super) fn bounded(field: &str, given: i32, max: i32) -> Result<usize, ApiError> {
    match usize::try_from(given) {
        Ok(count) if (1..=max).contains(&given) => Ok(count),
        _ => Err(ApiError::bad_input(field, format!("is {given}, expected 1 to {max}"))),
    }
}

/// The total count of a connection.
#[derive(SimpleObject)]
pub(super) struct CountFields {
    /// Number of items on all pages.
    pub(super) total_count: usize,
}

/// Identifies the ordered list that a cursor points into. A cursor of one list is invalid for all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CursorScope {
    /// Epoch of the data.
    epoch: Epoch,
    /// Fingerprint of everything else that determines the list's members and their order: the first 8 bytes of a
    /// SHA-256. It detects mistakes of clients and not attacks, so 8 bytes suffice.
    list: [u8; 8],
}

impl CursorScope {
    /// The scope of the list that `parts` determine.
    ///
    /// `epoch` must be read before the data is loaded. If the database is replaced during the load, the cursors then
    /// have the former epoch and are rejected. With an epoch that was read later, cursors into the old data would be
    /// accepted for the new data.
    pub(super) fn of(epoch: Epoch, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length distinguishes ("a", "bc") from ("ab", "c").
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let mut list = [0; 8];
        list.copy_from_slice(&hash.finalize()[..8]);
        Self { epoch, list }
    }

    fn from_words([epoch, list]: [[u8; 8]; 2]) -> Self {
        Self { epoch: Epoch::from_bits(u64::from_be_bytes(epoch)), list }
    }

    fn to_words(self) -> [[u8; 8]; 2] {
        [self.epoch.to_bits().to_be_bytes(), self.list]
    }

    /// Checks that a cursor of the scope `other` points into this list.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if it does not.
    fn check(self, other: Self) -> Result<(), ApiError> {
        if other.list != self.list {
            Err(ApiError::bad_input("after", CURSOR_MISMATCH))
        } else if other.epoch != self.epoch {
            Err(ApiError::bad_input("after", CURSOR_OF_OTHER_EPOCH))
        } else {
            Ok(())
        }
    }

    /// The standing that the cursor `after` points at; `None` without a cursor.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if it is not a cursor of this scope.
    pub(super) fn read(self, after: Option<&str>) -> Result<Option<Standing>, ApiError> {
        let Some(after) = after else { return Ok(None) };
        let cursor = Cursor::decode_cursor(after).map_err(|problem| ApiError::bad_input("after", problem))?;
        self.check(cursor.scope)?;
        Ok(Some(cursor.standing))
    }

    /// The position in a list ordered by a text that the cursor `after` points at.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if it is not a cursor of this scope.
    pub(super) fn read_ordered(self, after: &str) -> Result<OrderedCursor, ApiError> {
        let cursor = OrderedCursor::decode_cursor(after).map_err(|problem| ApiError::bad_input("after", problem))?;
        self.check(cursor.scope)?;
        Ok(cursor)
    }

    /// As [`read_ordered`](Self::read_ordered), the text and the ID of the position, which `as_id` wraps; `None` without a
    /// cursor.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if it is not a cursor of this scope.
    pub(super) fn place<Id>(
        self,
        after: Option<&str>,
        as_id: impl FnOnce(i64) -> Id,
    ) -> Result<Option<(String, Id)>, ApiError> {
        let cursor = after.map(|after| self.read_ordered(after)).transpose()?;
        Ok(cursor.map(|cursor| (cursor.order, as_id(cursor.id))))
    }

    pub(super) fn cursor(self, standing: Standing) -> Cursor {
        Cursor { scope: self, standing }
    }
}

/// A position in a ranking. Holds the score and ID of a movie and not its rank, so that the next page neither repeats
/// nor skips movies if others are added or removed before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cursor {
    scope: CursorScope,
    standing: Standing,
}

impl CursorType for Cursor {
    type Error = &'static str;

    fn decode_cursor(text: &str) -> Result<Self, Self::Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| INVALID_CURSOR)?;
        let [CURSOR_VERSION, rest @ ..] = bytes.as_slice() else { return Err(INVALID_CURSOR) };
        let words: [[u8; 8]; 4] = rest.as_chunks().0.try_into().map_err(|_| INVALID_CURSOR)?;
        let [epoch, list, score, id] = words;
        let standing = Standing { score: f64::from_be_bytes(score), id: MovieId(i64::from_be_bytes(id)) };
        // `as_chunks` ignores bytes after the last whole word, hence the check of the length. No score is NaN.
        if rest.len() != size_of_val(&words) || standing.score.is_nan() {
            return Err(INVALID_CURSOR);
        }
        Ok(Self { scope: CursorScope::from_words([epoch, list]), standing })
    }

    fn encode_cursor(&self) -> String {
        let mut bytes = vec![CURSOR_VERSION];
        bytes.extend(self.scope.to_words().as_flattened());
        bytes.extend(self.standing.score.to_be_bytes());
        bytes.extend(self.standing.id.0.to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// A position in a list of movies or people that is ordered by a text, such as their folded titles, then by ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderedCursor {
    pub(super) scope: CursorScope,
    /// The text that determines the order.
    pub(super) order: String,
    /// Database ID.
    pub(super) id: i64,
}

impl CursorType for OrderedCursor {
    type Error = &'static str;

    fn decode_cursor(text: &str) -> Result<Self, Self::Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| INVALID_CURSOR)?;
        let (&[epoch, list, id], order) = bytes
            .strip_prefix(&[CURSOR_VERSION])
            .and_then(|rest| {
                let (words, order) = rest.split_at_checked(size_of::<[[u8; 8]; 3]>())?;
                Some((<&[[u8; 8]; 3]>::try_from(words.as_chunks().0).ok()?, order))
            })
            .ok_or(INVALID_CURSOR)?;
        let order = String::from_utf8(order.to_vec()).map_err(|_| INVALID_CURSOR)?;
        // PostgreSQL texts cannot contain NUL: the query would fail with an internal error.
        if order.contains('\0') {
            return Err(INVALID_CURSOR);
        }
        Ok(Self { scope: CursorScope::from_words([epoch, list]), order, id: i64::from_be_bytes(id) })
    }

    fn encode_cursor(&self) -> String {
        let mut bytes = vec![CURSOR_VERSION];
        bytes.extend(self.scope.to_words().as_flattened());
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.order.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cursors_round_trip_and_are_bound_to_their_scope(score: f64, id: i64, epochs: [u64; 2], order in "[^\0]{0,9}") {
            prop_assume!(!score.is_nan());
            let [epoch, other] = epochs.map(Epoch::from_bits);
            let scope = CursorScope::of(epoch, &["a", "list"]);
            let standing = Standing { score, id: MovieId(id) };
            let text = scope.cursor(standing).encode_cursor();
            prop_assert_eq!(scope.read(Some(&text)).unwrap(), Some(standing));
            prop_assert!(CursorScope::of(epoch, &["al", "ist"]).read(Some(&text)).is_err());
            prop_assert_eq!(CursorScope::of(other, &["a", "list"]).read(Some(&text)).is_ok(), epoch == other);
            let cursor = OrderedCursor { scope, order, id };
            let text = cursor.encode_cursor();
            prop_assert_eq!(CursorScope::of(other, &["a", "list"]).read_ordered(&text).is_ok(), epoch == other);
            prop_assert_eq!(scope.read_ordered(&text).unwrap(), cursor);
        }

        #[test]
        fn malformed_cursors_are_rejected(text in ".{0,60}") {
            prop_assert!(CursorScope::of(Epoch::UNKNOWN, &[]).read(Some(&text)).is_err());
        }
    }
}
