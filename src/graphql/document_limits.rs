//! Limits on documents, checked before parsing and before validation, so that the cost of a document is linear in its
//! size. Pure: needs no schema.

use std::collections::HashMap;

use async_graphql::ServerError;
use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};

use super::document::{is_name_byte, selected_operation, skip_string};
use super::error::too_complex;

/// Limits on the size of a document, independent of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Nesting depth of brackets of any kind.
    pub nesting: usize,
    /// Number of tokens: names, numbers, strings and punctuators.
    pub tokens: usize,
    /// Number of fields. Those of a fragment count at every spread.
    pub fields: usize,
    /// Number of fields with an alias, counted in the same way.
    pub aliases: usize,
    /// Number of root fields, counted in the same way.
    pub root_fields: usize,
    /// Nesting depth of fields. Introspection fields and those within them do not count.
    pub depth: usize,
}

impl DocumentLimits {
    /// No limits.
    pub const NONE: Self = Self {
        nesting: usize::MAX,
        tokens: usize::MAX,
        fields: usize::MAX,
        aliases: usize::MAX,
        root_fields: usize::MAX,
        depth: usize::MAX,
    };
}

/// Limits that the documents of the service's own clients keep. The movie page has the most aliases and root fields:
/// one per profile, at most 25. GraphiQL's introspection query has the most nesting of brackets. The other limits are
/// several times what these documents need.
impl Default for DocumentLimits {
    fn default() -> Self {
        Self { nesting: 32, tokens: 2_000, fields: 5_000, aliases: 30, root_fields: 30, depth: 20 }
    }
}

/// A limit that a document exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LimitExceeded {
    /// Name of the limit.
    pub(super) what: &'static str,
    /// The document's count; `allowed` + 1 for nesting and tokens, whose count stops at the limit.
    pub(super) requested: usize,
    /// The maximum.
    pub(super) allowed: usize,
}

impl LimitExceeded {
    fn check(what: &'static str, requested: usize, allowed: usize) -> Result<(), Self> {
        if requested > allowed { Err(Self { what, requested, allowed }) } else { Ok(()) }
    }
}

impl From<LimitExceeded> for ServerError {
    fn from(LimitExceeded { what, requested, allowed }: LimitExceeded) -> Self {
        let (problem, figure) = match what {
            "depth" => {
                (format!("fields are nested {requested} levels deep, {allowed} are allowed: split the query"), what)
            }
            "root fields" => {
                (format!("the operation has {requested} root fields, {allowed} are allowed"), "rootFields")
            }
            // Counting stops at these limits, so the true figure is not known.
            "nesting" => (format!("brackets are nested more than {allowed} levels deep, the maximum"), what),
            "tokens" => (format!("the document has more than {allowed} tokens, the maximum"), what),
            _ => (format!("the operation has {requested} {what}, {allowed} are allowed"), what),
        };
        too_complex(problem, figure, requested, allowed)
    }
}

/// Checks nesting and tokens in one pass. This must happen before parsing: the parser is recursive, and deep nesting
/// could overflow its stack. `...` and numbers with a sign or a point count as several tokens.
///
/// # Errors
/// [`LimitExceeded`] at the first bracket or token beyond its limit.
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
            _ if is_name_byte(*first) => {
                let end = after.iter().position(|&byte| !is_name_byte(byte)).unwrap_or(after.len());
                &after[end..]
            }
            _ => after,
        };
        tokens += 1;
        LimitExceeded::check("tokens", tokens, limits.tokens)?;
    }
    Ok(())
}

/// Size of the selected operation of a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) fields: usize,
    pub(super) aliases: usize,
    pub(super) depth: usize,
    /// Fields at the top level of the selection set, whose limit is that of root fields.
    top: usize,
}

impl Size {
    /// The size of two sibling selections together.
    fn add(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            depth: self.depth.max(other.depth),
            top: self.top.saturating_add(other.top),
        }
    }
}

/// Measures the selected operation. Each fragment is measured once, however often it is spread, so the time is linear
/// in the document's size. Returns the empty size if no operation is selected; async-graphql reports that error later.
///
/// # Errors
/// [`LimitExceeded`] if a count is beyond its limit.
pub(super) fn measure(
    document: &ExecutableDocument,
    name: Option<&str>,
    limits: &DocumentLimits,
) -> Result<Size, LimitExceeded> {
    let Some((_, operation)) = selected_operation(document, name) else { return Ok(Size::default()) };
    let mut measuring = Measurer { document, fragments: HashMap::new() };
    let size = measuring.selection_set(&operation.selection_set.node);
    LimitExceeded::check("fields", size.fields, limits.fields)?;
    LimitExceeded::check("aliases", size.aliases, limits.aliases)?;
    LimitExceeded::check("root fields", size.top, limits.root_fields)?;
    LimitExceeded::check("depth", size.depth, limits.depth)?;
    Ok(size)
}

struct Measurer<'a> {
    document: &'a ExecutableDocument,
    /// Sizes of the fragments that were reached, by name. `None` while the fragment is being measured: a circular
    /// spread counts as empty, and validation rejects it later.
    fragments: HashMap<&'a str, Option<Size>>,
}

impl<'a> Measurer<'a> {
    fn selection_set(&mut self, set: &'a SelectionSet) -> Size {
        set.items.iter().fold(Size::default(), |size, selection| {
            size.add(match &selection.node {
                Selection::Field(field) => self.field(&field.node),
                Selection::InlineFragment(fragment) => self.selection_set(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            })
        })
    }

    fn field(&mut self, field: &'a Field) -> Size {
        let below = self.selection_set(&field.selection_set.node);
        let introspects = field.name.node.starts_with("__");
        Size {
            fields: below.fields.saturating_add(1),
            aliases: below.aliases.saturating_add(usize::from(field.alias.is_some())),
            // Introspection queries of tools nest `ofType` deeper than the limit of depth. The limits of fields and of
            // nested brackets bound such queries.
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
        let size = self.selection_set(&fragment.node.selection_set.node);
        self.fragments.insert(name, Some(size));
        size
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use proptest::prelude::*;

    use super::*;

    fn checked(query: &str) -> Result<(), LimitExceeded> {
        check_tokens(query, &DocumentLimits { nesting: 3, tokens: 10, ..DocumentLimits::default() })
    }

    fn measured_size(query: &str) -> Result<Size, LimitExceeded> {
        measure(&parse_query(query).unwrap(), None, &DocumentLimits::default())
    }

    #[test]
    fn brackets_and_tokens_in_strings_and_comments_are_not_counted() {
        assert_eq!(checked("{ a { b { c } } }"), Ok(()));
        assert_eq!(checked("{{{{"), Err(LimitExceeded { what: "nesting", requested: 4, allowed: 3 }));
        assert_eq!(checked("{ a(b: [{ c: 1 }]) }").unwrap_err().what, "nesting");
        assert_eq!(checked(r#"{ a(b: "((((((\"((((") } # ((((("#), Ok(()));
        assert_eq!(checked("{ a(b: \"\"\"(((( \\\"\"\" ((((\"\"\") }"), Ok(()));
        assert_eq!(checked("a b c d e f g h i j"), Ok(()));
        assert_eq!(checked("a b c d e f g h i j k").unwrap_err().what, "tokens");
        assert_eq!(checked("!!!!!!!!!!!").unwrap_err().what, "tokens");
    }

    #[test]
    fn fragments_count_where_they_are_spread() {
        let size = measured_size("{ a: x { ...F } b: x { ...F } } fragment F on T { c: y { z } }").unwrap();
        assert_eq!(size, Size { fields: 6, aliases: 4, depth: 3, top: 2 });
    }

    #[test]
    fn introspection_does_not_count_as_depth() {
        let size = measured_size("{ __schema { types { fields { type { name } } } } x { y } }").unwrap();
        assert_eq!(size.depth, 2);
    }

    #[test]
    fn exponential_and_circular_fragments_are_measured_in_linear_time() {
        let mut query = "{ ...F0 } ".to_owned();
        for n in 0..60 {
            query += &format!("fragment F{n} on Query {{ ...F{} ...F{} }} ", n + 1, n + 1);
        }
        query += "fragment F60 on Query { x }";
        assert_eq!(measured_size(&query).unwrap_err().what, "fields");
        assert!(measured_size("{ ...A } fragment A on Query { x ...B } fragment B on Query { ...A ...A }").is_ok());
    }

    #[test]
    fn errors_name_the_exceeded_limit() {
        let many = |start: &str, n: usize, end: &str| start.to_owned() + &"x ".repeat(n) + end;
        assert_eq!(measured_size(&many("{ ", 31, "}")).unwrap_err().what, "root fields");
        let aliased: String = (0..31).map(|n| format!("a{n}: x ")).collect();
        assert_eq!(measured_size(&format!("{{ y {{ {aliased} }} }}")).unwrap_err().what, "aliases");
        let deep = "{ x ".repeat(21) + &"}".repeat(21);
        assert_eq!(measured_size(&deep), Err(LimitExceeded { what: "depth", requested: 21, allowed: 20 }));
        assert_eq!(measured_size(&many("{ y { ", 5_000, "} }")).unwrap_err().what, "fields");
    }

    proptest! {
        #[test]
        fn token_count_never_exceeds_the_bytes(query in r#"[{}\[\]()"\\# \na-z0-9!]{0,200}"#) {
            let limits = DocumentLimits { nesting: usize::MAX, tokens: query.len(), ..DocumentLimits::default() };
            prop_assert_eq!(check_tokens(&query, &limits), Ok(()));
        }
    }
}
