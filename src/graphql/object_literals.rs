//! Rejects object literals that name a field twice, as the specification requires. async-graphql's parser keeps only
//! the last of the two values, so this check must read the text.

use std::collections::HashSet;

use async_graphql::ServerError;

use super::document::{is_name_byte, position, skip_string};
use super::error::error_with_code;
use super::error_code::ErrorCode;

/// An open bracket: the names of the fields read so far if it opened an object literal, `None` if it opened anything
/// else.
type Bracket<'a> = Option<HashSet<&'a str>>;

/// Checks in one pass that no object literal of a document without syntax errors names a field twice.
///
/// # Errors
/// The validation error for the first field that is named twice.
pub(super) fn check_unique_fields(query: &str) -> Result<(), ServerError> {
    let bytes = query.as_bytes();
    let mut open: Vec<Bracket<'_>> = Vec::new();
    // A selection set is never inside parentheses, and an object literal always is.
    let mut parentheses = 0_usize;
    // The last name read, with its offset. If a colon follows in an object literal, it is the name of a field.
    let mut name: Option<(usize, &str)> = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let mut next = at + 1;
        match byte {
            b'#' => next = end_of(bytes, at, |byte| !matches!(byte, b'\n' | b'\r')),
            b'"' => next = bytes.len() - skip_string(&bytes[at..]).len(),
            b'(' | b'[' | b'{' => {
                parentheses += usize::from(byte == b'(');
                open.push((byte == b'{' && parentheses > 0).then(HashSet::new));
            }
            b')' | b']' | b'}' => {
                parentheses = parentheses.saturating_sub(usize::from(byte == b')'));
                open.pop();
            }
            b':' => {
                if let (Some((start, name)), Some(Some(fields))) = (name.take(), open.last_mut())
                    && !fields.insert(name)
                {
                    return Err(named_twice(query, start, name));
                }
            }
            _ if is_name_byte(byte) => {
                next = end_of(bytes, at, is_name_byte);
                name = query.get(at..next).map(|text| (at, text));
            }
            _ => {}
        }
        at = next;
    }
    Ok(())
}

/// The offset of the first byte, from `at` on, that `belongs` does not accept.
fn end_of(bytes: &[u8], at: usize, belongs: fn(u8) -> bool) -> usize {
    bytes[at..].iter().position(|&byte| !belongs(byte)).map_or(bytes.len(), |length| at + length)
}

fn named_twice(query: &str, at: usize, name: &str) -> ServerError {
    let problem = format!("the input field \"{name}\" is given twice in one object");
    ServerError { locations: vec![position(query, at)], ..error_with_code(ErrorCode::ValidationFailed, problem) }
}

#[cfg(test)]
mod tests {
    use async_graphql::Pos;

    use super::*;

    #[test]
    fn a_field_given_twice_in_one_object_is_refused() {
        for query in [
            "{ a(filter: {min: 1, min: 2}) }",
            "{ a(filter: [{x: {y: 1, z: [{}], y : 2}}]) }",
            "query($f: F = {min: 1 max: 2, # min\n min: 3}) { a(f: $f) }",
            "{ a @d(of: {x: \"}\", x: 1}) }",
        ] {
            assert!(check_unique_fields(query).is_err(), "{query}");
        }
        let error = check_unique_fields("{\n a(f: {b: 1, b: 2}) }").unwrap_err();
        assert_eq!(error.locations, [Pos { line: 2, column: 14 }]);
        assert!(error.message.contains("\"b\""));
    }

    #[test]
    fn equal_names_elsewhere_are_allowed() {
        for query in [
            "{ x: a(f: {min: 1}) y: a(f: {min: 1}) }",
            "{ a(f: {x: {x: 1}, y: {x: x}, z: [{x: $x}, {x: true}]}) { x: b x: b } }",
            "{ a(f: {x: \"x: 1, x: 2\", y: \"\"\"x: \\\"\"\" x:\"\"\"}) } # (f: {x: 1, x: 2})",
            "query($x: Int, $y: Int) { a(x: 1) { b(x: 1, f: {}) { x: c } } }",
        ] {
            assert_eq!(check_unique_fields(query), Ok(()), "{query}");
        }
    }
}
