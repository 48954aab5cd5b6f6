//! What a parsed document selects for execution, which part of its text may be logged, and functions that scan its
//! text.

use std::collections::HashSet;

use async_graphql::Pos;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType as ParsedType, Selection, SelectionSet,
};

use super::metrics::{GraphqlMetrics, OperationType};
use super::root_fields;

/// Maximum length of a logged operation name, in characters. A choice; there must be a limit because the client chooses
/// the name.
const NAME_LIMIT: usize = 64;

/// Maximum length of the document in a span, in bytes. A choice that bounds the size of traces.
const DOCUMENT_LIMIT: usize = 2048;

/// Metadata of the operation that a document selects for execution.
#[derive(Debug)]
pub(super) struct OperationInfo {
    pub(super) kind: OperationType,
    pub(super) name: Option<String>,
    pub(super) root_fields: Vec<&'static str>,
}

impl Default for OperationInfo {
    /// An operation that is not parsed yet.
    fn default() -> Self {
        Self { kind: OperationType::Unknown, name: None, root_fields: Vec::new() }
    }
}

impl OperationInfo {
    /// Metadata of the operation that `name` selects; the default if it selects none.
    pub(super) fn of(document: &ExecutableDocument, name: Option<&str>, metrics: &GraphqlMetrics) -> Self {
        let Some((document_name, definition)) = selected_operation(document, name) else { return Self::default() };
        let kind = match definition.ty {
            ParsedType::Query => OperationType::Query,
            ParsedType::Mutation => OperationType::Mutation,
            ParsedType::Subscription => OperationType::Subscription,
        };
        let mut fields = RootFields { document, metrics, spread: HashSet::new(), names: Vec::new() };
        fields.collect(&definition.selection_set.node);
        let name = document_name.map(|name| name.chars().take(NAME_LIMIT).collect());
        Self { kind, name, root_fields: fields.names }
    }

    pub(super) fn is_cacheable(&self) -> bool {
        self.kind == OperationType::Query && root_fields::are_cacheable(&self.root_fields)
    }

    pub(super) fn is_prediction(&self) -> bool {
        root_fields::are_predictions(&self.root_fields)
    }
}

/// The operation that async-graphql will execute, with its name in the document. `None` if `name` selects none, for
/// which async-graphql will reject the request.
pub(super) fn selected_operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Option<(Option<&'a str>, &'a OperationDefinition)> {
    match (&document.operations, name) {
        // `Single` is an operation without a name; the parser makes a single operation with a name `Multiple`.
        (DocumentOperations::Single(operation), None) => Some((None, &operation.node)),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(operations), Some(name)) => {
            operations.get_key_value(name).map(|(name, operation)| (Some(name.as_str()), &operation.node))
        }
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.iter();
            let only = all.next().filter(|_| all.next().is_none());
            only.map(|(name, operation)| (Some(name.as_str()), &operation.node))
        }
    }
}

/// Collects the distinct root fields of an operation, through fragments. Unknown fields become one `other`.
struct RootFields<'a> {
    document: &'a ExecutableDocument,
    metrics: &'a GraphqlMetrics,
    /// Fragments already visited. The document is not validated yet, so fragments may spread each other in a circle.
    spread: HashSet<&'a str>,
    names: Vec<&'static str>,
}

impl<'a> RootFields<'a> {
    fn collect(&mut self, set: &'a SelectionSet) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let name = self.metrics.field_name(&field.node.name.node);
                    if !self.names.contains(&name) {
                        self.names.push(name);
                    }
                }
                Selection::InlineFragment(fragment) => self.collect(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if let Some(fragment) = self.document.fragments.get(name)
                        && self.spread.insert(name)
                    {
                        self.collect(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
}

/// The document with its numbers and strings replaced by `?`, so that traces contain no user data; cut at
/// [`DOCUMENT_LIMIT`].
pub(super) fn redact_literals(query: &str) -> String {
    let mut text = String::with_capacity(query.len().min(DOCUMENT_LIMIT));
    let mut characters = query.char_indices().peekable();
    // Whether the last character belongs to a name or a variable. Digits that follow are part of it, and not a number.
    let mut in_word = false;
    while let Some((at, character)) = characters.next() {
        if text.len() >= DOCUMENT_LIMIT {
            break;
        }
        // Length of the literal that begins here; 0 if none does.
        let literal_bytes = match character {
            '"' => query.len() - at - skip_string(&query.as_bytes()[at..]).len(),
            '0'..='9' | '-' if !in_word => {
                let end = query[at..].find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
                end.unwrap_or(query.len() - at)
            }
            _ => 0,
        };
        if literal_bytes > 0 {
            text.push('?');
            while characters.peek().is_some_and(|(next, _)| *next < at + literal_bytes) {
                characters.next();
            }
        } else {
            text.push(character);
        }
        in_word = character.is_ascii_alphanumeric() || character == '_' || character == '$';
    }
    text
}

/// Whether a byte may be part of a name.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The line and column of a byte offset in the document, counted as the parser counts them.
pub(super) fn position(query: &str, at: usize) -> Pos {
    let before = query.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|character| !matches!(character, '\n' | '\r')).count() + 1;
    Pos { line, column }
}

/// The bytes after the string literal that `text` starts with; empty if the literal is unterminated.
pub(super) fn skip_string(text: &[u8]) -> &[u8] {
    if let Some(block) = text.strip_prefix(b"\"\"\"") {
        let mut from = 0;
        while let Some(end) = block[from..].windows(3).position(|bytes| bytes == b"\"\"\"") {
            let end = from + end;
            // `\"""` is an escape and does not end the string.
            if end == 0 || block[end - 1] != b'\\' {
                return &block[end + 3..];
            }
            from = end + 3;
        }
        return &[];
    }
    let mut bytes = text[1..].iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            // A line break ends an unterminated string; the parser reports the error.
            b'"' | b'\n' | b'\r' => return &text[at + 2..],
            _ => {}
        }
    }
    &[]
}
