//! Decodes escapes of Unicode characters in the string literals of a document before async-graphql parses it. Its
//! parser knows `\u` with four digits, but neither `\u{…}` nor two surrogates that together are one character.

use std::borrow::Cow;

use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Request, ServerError};

use super::document::{position, skip_string};

/// Returns the parsed document of a request, which is parsed at the first call. Before that, replaces in
/// `request.query` the escapes that async-graphql does not know.
///
/// # Errors
/// The syntax error, with its position.
pub(super) fn parsed_query(request: &mut Request) -> Result<&ExecutableDocument, ServerError> {
    if let Cow::Owned(decoded) = decoded(&request.query)? {
        request.query = decoded;
    }
    request.parsed_query()
}

/// The document with its variable-width escapes and pairs of surrogates replaced by their characters; borrowed if there
/// are none. Comments and block strings, which have no such escapes, stay as they are. A literal that becomes shorter
/// is followed by spaces, so that every token keeps its line and column.
///
/// # Errors
/// The syntax error of the first escape in a string literal that is no Unicode character.
fn decoded(query: &str) -> Result<Cow<'_, str>, ServerError> {
    if !query.contains("\\u") {
        return Ok(Cow::Borrowed(query));
    }
    let bytes = query.as_bytes();
    let mut text = String::new();
    // The text before this offset is already in `text`.
    let (mut copied, mut at) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'#' => at += bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len() - at),
            b'"' => {
                let end = bytes.len() - skip_string(&bytes[at..]).len();
                // Block strings have no such escapes, and the parser reports a literal without an end.
                let is_simple = !bytes[at..].starts_with(b"\"\"\"") && end > at + 1 && bytes[end - 1] == b'"';
                if let (true, Some(literal)) = (is_simple, query.get(at..end)) {
                    let decoded = decoded_literal(literal).map_err(|offset| no_character(query, at + offset))?;
                    if let Some(decoded) = decoded {
                        text.push_str(&query[copied..at]);
                        text.push_str(&decoded);
                        copied = end;
                    }
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(query));
    }
    text.push_str(&query[copied..]);
    Ok(Cow::Owned(text))
}

/// Decodes the escapes in a string literal that the parser does not know, and appends spaces so that the number of
/// characters stays the same. `None` if there is no such escape.
///
/// # Errors
/// The offset of the first escape that is no Unicode character.
fn decoded_literal(literal: &str) -> Result<Option<String>, usize> {
    let mut text = String::new();
    // The literal before `copied` is already in `text`, which is `saved` characters shorter than that part of the
    // literal.
    let (mut copied, mut at, mut saved) = (0, 0, 0);
    while let Some(found) = literal[at..].find('\\') {
        let start = at + found;
        if literal.as_bytes().get(start + 1) != Some(&b'u') {
            // Another escape. Its second character may be a backslash, and is skipped as a whole.
            at = start + 1 + literal[start + 1..].chars().next().map_or(0, char::len_utf8);
            continue;
        }
        let Escape { character, length, is_known } = Escape::at(&literal[start..]).ok_or(start)?;
        at = start + length;
        if is_known {
            continue;
        }
        text.push_str(&literal[copied..start]);
        let mut buffer = [0; 4];
        let plain = match character {
            // As plain characters, these would end the literal or begin an escape.
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            plain => plain.encode_utf8(&mut buffer),
        };
        text.push_str(plain);
        saved += length - plain.chars().count();
        copied = at;
    }
    if copied == 0 {
        return Ok(None);
    }
    text.push_str(&literal[copied..]);
    text.extend(std::iter::repeat_n(' ', saved));
    Ok(Some(text))
}

/// An escape that begins with `\u`.
struct Escape {
    character: char,
    /// Length in bytes.
    length: usize,
    /// Whether the parser knows escapes of this form.
    is_known: bool,
}

impl Escape {
    /// The escape that `text` starts with; `None` if it is no Unicode character.
    fn at(text: &str) -> Option<Self> {
        let after = text.strip_prefix("\\u")?;
        if let Some(braced) = after.strip_prefix('{') {
            let digits = &braced[..braced.find('}')?];
            let is_hex = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            // Any number of zeros may precede the digits that count.
            let significant = digits.trim_start_matches('0');
            let code = if significant.is_empty() { Some(0) } else { u32::from_str_radix(significant, 16).ok() };
            let character = code.filter(|_| is_hex).and_then(char::from_u32)?;
            return Some(Self { character, length: "\\u{}".len() + digits.len(), is_known: false });
        }
        let first = unit(after)?;
        if let Some(character) = char::from_u32(first.into()) {
            return Some(Self { character, length: "\\u0000".len(), is_known: true });
        }
        // `unit` has found that the first four bytes are digits.
        let second = unit(after[4..].strip_prefix("\\u")?)?;
        let character = char::decode_utf16([first, second]).next()?.ok()?;
        Some(Self { character, length: "\\u0000\\u0000".len(), is_known: false })
    }
}

/// The UTF-16 code unit whose four hexadecimal digits `text` starts with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

/// The error for the escape at an offset of the document.
fn no_character(query: &str, at: usize) -> ServerError {
    let problem = "the escape \\u in a string is not followed by the code of a Unicode character";
    ServerError { locations: vec![position(query, at)], ..ServerError::new(problem, None) }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::types::{DocumentOperations, OperationDefinition, Selection};
    use async_graphql::{Pos, Value};
    use async_graphql_value::Value as Literal;
    use proptest::prelude::*;

    use super::*;

    /// The value of the string argument of the first field, as execution sees it.
    fn argument_of(query: &str) -> Result<String, ServerError> {
        let mut request = Request::new(query);
        let document = parsed_query(&mut request)?;
        let DocumentOperations::Single(operation) = &document.operations else { panic!("{query}") };
        let OperationDefinition { selection_set, .. } = &operation.node;
        let Selection::Field(field) = &selection_set.node.items[0].node else { panic!("{query}") };
        match &field.node.arguments[0].1.node {
            Literal::String(text) => Ok(text.clone()),
            other => panic!("{other}"),
        }
    }

    /// The position of the last field.
    fn last_field(query: &str) -> Pos {
        let mut request = Request::new(query);
        let document = parsed_query(&mut request).unwrap();
        let DocumentOperations::Single(operation) = &document.operations else { panic!("{query}") };
        operation.node.selection_set.node.items.last().unwrap().pos
    }

    /// A character in one of the forms in which it can be written in a string literal.
    fn escaped(character: char, form: u8) -> String {
        let mut units = [0; 2];
        match (form % 5, character) {
            (0, '"' | '\\') => format!("\\{character}"),
            (0, '\n' | '\r') => format!("\\u{{{:x}}}", u32::from(character)),
            (0, plain) => plain.to_string(),
            (1, character) => character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04X}")).collect(),
            (2, character) => character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            (3, character) => format!("\\u{{{:X}}}", u32::from(character)),
            (_, character) => format!("\\u{{{:0>9x}}}", u32::from(character)),
        }
    }

    proptest! {
        #[test]
        fn every_string_is_read_back_whatever_the_form_of_its_escapes(
            characters in prop::collection::vec((any::<char>(), any::<u8>()), 0..40),
            after in "[ a-z]{0,5}",
        ) {
            let text: String = characters.iter().map(|(character, _)| *character).collect();
            let literal: String = characters.iter().map(|(character, form)| escaped(*character, *form)).collect();
            let query = format!("{{ x(a: \"{literal}\"){after}\n y }} # \\uD83C \\u{{}}");
            prop_assert_eq!(argument_of(&query), Ok(text), "{}", query);
        }

        #[test]
        fn any_text_is_refused_or_parsed_with_its_positions(text in r#"[\\u{}"0-9D8a-f#\n ]{0,40}"#) {
            let query = format!("{{ x(a: \"{text}\") y }}");
            let _ = parsed_query(&mut Request::new(&query));
            let _ = parsed_query(&mut Request::new(text));
        }

        #[test]
        fn tokens_after_an_escape_keep_their_position(characters in prop::collection::vec(any::<char>(), 0..20)) {
            let width = |form| {
                let literal: String = characters.iter().map(|character| escaped(*character, form)).collect();
                let query = format!("{{ x(a: \"{literal}\") last }}");
                (last_field(&query).column, query.chars().count() - "last }".len() + 1)
            };
            for form in 1..5 {
                let (column, expected) = width(form);
                prop_assert_eq!(column, expected);
            }
        }
    }

    #[test]
    fn other_documents_are_not_copied() {
        for query in [
            "{ x }",
            r#"{ x(a: "\u0041\\u{1F3AC}\\\u00e9\n") }"#,
            r#"{ x(a: """\uD83C\uDFAC \u{1F3AC} \""" \u{} """) } # "\u{1F3AC}" \u{}"#,
            "# \\u{110000}\r{ x }",
            r#"{ x(a: "\u{41}"#,
            "{ x(a: \"\\u{41}\n\") }",
        ] {
            assert!(matches!(decoded(query), Ok(Cow::Borrowed(_))), "{query}");
        }
    }

    #[test]
    fn escapes_that_are_no_character_are_syntax_errors_where_they_are() {
        for escape in [
            r"\uD83C",
            r"\uDFAC",
            r"\uDFAC\uD83C",
            r"\uD83C\n",
            r"\uD83C\u0041",
            r"\uD83C\u{DFAC}",
            r"\u{D83C}\u{DFAC}",
            r"\u{110000}",
            r"\u{ffffffffffffffffffff}",
            r"\u{}",
            r"\u{",
            r"\u{12",
            r"\u{+1}",
            r"\u{1 }",
            r"\u{1F3AC",
            r"\u",
            r"\u12",
            r"\u12é4",
            r"\u 123",
        ] {
            let query = format!("{{ x(a: \"\\u{{1F3AC}}\",\n b: \"é\\\\\\uD83C\\uDFAC{escape}\") }}");
            let error = argument_of(&query).unwrap_err();
            assert_eq!(error.locations, [Pos { line: 2, column: 21 }], "{query}");
        }
    }

    #[test]
    fn characters_that_would_end_a_literal_stay_escaped() {
        let query = r#"{ x(a: "\u{22}) { y } #\u{5C}\u{A}\u{000d}\u{0}\\\u{5c}") }"#;
        assert_eq!(argument_of(query).unwrap(), "\") { y } #\\\n\r\0\\\\");
        assert_eq!(Value::from(argument_of(r#"{ x(a: "") y(b: "\u{1F600}") }"#).unwrap()), Value::from(""));
    }
}
