//! What is looked at before an operation is parsed, and before it is validated, so that no document costs more than its
//! size. Pure: no schema is asked.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};

use super::operation::selected_operation;

/// How large a document may be, whatever it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Open brackets within each other, of any kind.
    pub nesting: usize,
    /// Names, numbers, texts and punctuation marks.
    pub tokens: usize,
    /// Fields, those of fragments counted wherever they are spread.
    pub fields: usize,
    /// Fields that are given another name, counted likewise.
    pub aliases: usize,
    /// Fields of the operation itself, counted likewise.
    pub root_fields: usize,
    /// Levels of fields, introspection not counted.
    pub depth: usize,
}

impl DocumentLimits {
    /// Whatever the size.
    pub const NONE: Self = Self {
        nesting: usize::MAX,
        tokens: usize::MAX,
        fields: usize::MAX,
        aliases: usize::MAX,
        root_fields: usize::MAX,
        depth: usize::MAX,
    };
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self { nesting: 32, tokens: 2_000, fields: 5_000, aliases: 30, root_fields: 30, depth: 20 }
    }
}

/// What a document has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LimitExceeded {
    /// Of what.
    pub(super) what: &'static str,
    /// How many it has; of what is not counted to its end, one more than allowed.
    pub(super) requested: usize,
    /// How many it may have.
    pub(super) allowed: usize,
}

impl LimitExceeded {
    fn check(what: &'static str, requested: usize, allowed: usize) -> Result<(), Self> {
        if requested > allowed { Err(Self { what, requested, allowed }) } else { Ok(()) }
    }
}

/// Counts brackets and tokens in one sweep, before a parser that recurses sees them.
pub(super) fn check_tokens(query: &str, limits: &DocumentLimits) -> Result<(), LimitExceeded> {
    let mut rest = query.as_bytes();
    let (mut nesting, mut tokens) = (0_usize, 0_usize);
    while let [first, after @ ..] = rest {
        rest = match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                rest = after;
                continue;
            }
            b'#' => {
                rest = after.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(&[], |end| &after[end..]);
                continue;
            }
            b'"' => skip_string(rest),
            b'{' | b'(' | b'[' => {
                nesting += 1;
                LimitExceeded::check("nesting", nesting, limits.nesting)?;
                after
            }
            b'}' | b')' | b']' => {
                nesting = nesting.saturating_sub(1);
                after
            }
            _ if is_of_word(*first) => {
                let end = after.iter().position(|&byte| !is_of_word(byte)).unwrap_or(after.len());
                &after[end..]
            }
            _ => after,
        };
        tokens += 1;
        LimitExceeded::check("tokens", tokens, limits.tokens)?;
    }
    Ok(())
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What follows the text that begins here; nothing if it has no end.
pub(super) fn skip_string(text: &[u8]) -> &[u8] {
    if let Some(block) = text.strip_prefix(b"\"\"\"") {
        let mut from = 0;
        while let Some(end) = block[from..].windows(3).position(|bytes| bytes == b"\"\"\"") {
            let end = from + end;
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
            // A text in one line ends with it: the parser says what is wrong.
            b'"' | b'\n' | b'\r' => return &text[at + 2..],
            _ => {}
        }
    }
    &[]
}

/// How large the chosen operation of a document is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) fields: usize,
    pub(super) aliases: usize,
    pub(super) depth: usize,
    /// Fields of the set itself, at its top.
    top: usize,
}

impl Size {
    /// Beside another one.
    fn add(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            depth: self.depth.max(other.depth),
            top: self.top.saturating_add(other.top),
        }
    }
}

/// Measures the operation that will be executed; each fragment once, however often it is spread. Nothing is measured
/// where none will be executed: the library says why.
pub(super) fn measure(
    document: &ExecutableDocument,
    name: Option<&str>,
    limits: &DocumentLimits,
) -> Result<Size, LimitExceeded> {
    let Some((_, operation)) = selected_operation(document, name) else { return Ok(Size::default()) };
    let mut measuring = Measurer { document, fragments: HashMap::new() };
    let size = measuring.set(&operation.selection_set.node);
    LimitExceeded::check("fields", size.fields, limits.fields)?;
    LimitExceeded::check("aliases", size.aliases, limits.aliases)?;
    LimitExceeded::check("root fields", size.top, limits.root_fields)?;
    LimitExceeded::check("depth", size.depth, limits.depth)?;
    Ok(size)
}

struct Measurer<'a> {
    document: &'a ExecutableDocument,
    /// None while it is being measured: a fragment within itself counts nothing, and validation refuses it.
    fragments: HashMap<&'a str, Option<Size>>,
}

impl<'a> Measurer<'a> {
    fn set(&mut self, set: &'a SelectionSet) -> Size {
        set.items.iter().fold(Size::default(), |size, selection| {
            size.add(match &selection.node {
                Selection::Field(field) => self.field(&field.node),
                Selection::InlineFragment(fragment) => self.set(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            })
        })
    }

    fn field(&mut self, field: &'a Field) -> Size {
        let below = self.set(&field.selection_set.node);
        let introspects = field.name.node.starts_with("__");
        Size {
            fields: below.fields.saturating_add(1),
            aliases: below.aliases.saturating_add(usize::from(field.alias.is_some())),
            depth: if introspects { 0 } else { below.depth + 1 },
            top: 1,
        }
    }

    fn fragment(&mut self, name: &'a str) -> Size {
        if let Some(measured) = self.fragments.get(name) {
            return measured.unwrap_or_default();
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Size::default() };
        self.fragments.insert(name, None);
        let size = self.set(&fragment.node.selection_set.node);
        self.fragments.insert(name, Some(size));
        size
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use proptest::prelude::*;

    use super::*;

    fn scanned(query: &str) -> Result<(), LimitExceeded> {
        check_tokens(query, &DocumentLimits { nesting: 3, tokens: 10, ..DocumentLimits::default() })
    }

    fn instrument_field(query: &str) -> Result<Size, LimitExceeded> {
        measure(&parse_query(query).unwrap(), None, &DocumentLimits::default())
    }

    #[test]
    fn brackets_and_tokens_are_counted_outside_of_texts_and_comments() {
        assert_eq!(scanned("{ a { b { c } } }"), Ok(()));
        assert_eq!(scanned("{{{{"), Err(LimitExceeded { what: "nesting", requested: 4, allowed: 3 }));
        assert_eq!(scanned("{ a(b: [{ c: 1 }]) }").unwrap_err().what, "nesting");
        assert_eq!(scanned(r#"{ a(b: "((((((\"((((") } # ((((("#), Ok(()));
        assert_eq!(scanned("{ a(b: \"\"\"(((( \\\"\"\" ((((\"\"\") }"), Ok(()));
        assert_eq!(scanned("a b c d e f g h i j"), Ok(()));
        assert_eq!(scanned("a b c d e f g h i j k").unwrap_err().what, "tokens");
        assert_eq!(scanned("!!!!!!!!!!!").unwrap_err().what, "tokens");
    }

    #[test]
    fn fragments_count_where_they_are_spread() {
        let size = instrument_field("{ a: x { ...F } b: x { ...F } } fragment F on T { c: y { z } }").unwrap();
        assert_eq!(size, Size { fields: 6, aliases: 4, depth: 3, top: 2 });
    }

    #[test]
    fn introspection_has_no_depth() {
        let size = instrument_field("{ __schema { types { fields { type { name } } } } x { y } }").unwrap();
        assert_eq!(size.depth, 2);
    }

    #[test]
    fn fragments_that_spread_each_other_twice_cost_their_size() {
        let mut query = "{ ...F0 } ".to_owned();
        for n in 0..60 {
            query += &format!("fragment F{n} on Query {{ ...F{} ...F{} }} ", n + 1, n + 1);
        }
        query += "fragment F60 on Query { x }";
        assert_eq!(instrument_field(&query).unwrap_err().what, "fields");
        assert!(instrument_field("{ ...A } fragment A on Query { x ...B } fragment B on Query { ...A ...A }").is_ok());
    }

    #[test]
    fn each_limit_is_named() {
        let many = |start: &str, n: usize, end: &str| start.to_owned() + &"x ".repeat(n) + end;
        assert_eq!(instrument_field(&many("{ ", 31, "}")).unwrap_err().what, "root fields");
        let aliased: String = (0..31).map(|n| format!("a{n}: x ")).collect();
        assert_eq!(instrument_field(&format!("{{ y {{ {aliased} }} }}")).unwrap_err().what, "aliases");
        let deep = "{ x ".repeat(21) + &"}".repeat(21);
        assert_eq!(instrument_field(&deep), Err(LimitExceeded { what: "depth", requested: 21, allowed: 20 }));
        assert_eq!(instrument_field(&many("{ y { ", 5_000, "} }")).unwrap_err().what, "fields");
    }

    proptest! {
        #[test]
        fn a_sweep_ends_and_never_counts_more_than_there_is(query in r#"[{}\[\]()"\\# \na-z0-9!]{0,200}"#) {
            let limits = DocumentLimits { nesting: usize::MAX, tokens: query.len(), ..DocumentLimits::default() };
            prop_assert_eq!(check_tokens(&query, &limits), Ok(()));
        }
    }
}
