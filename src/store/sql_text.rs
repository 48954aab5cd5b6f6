//! Reads the operation and the table of a statement from its SQL text, for the attributes of its span.

/// Keywords after which a statement names a table.
const BEFORE_TABLE: [&str; 4] = ["FROM", "JOIN", "INTO", "UPDATE"];

/// The first keyword of a statement, after its comments.
pub(super) fn operation(sql: &str) -> &str {
    Tokens(sql).find(|token| is_name(token)).unwrap_or_default()
}

/// The table that a statement reads or writes, as written, with its schema; `None` if there are several, or none. Finds
/// only tables that follow one of [`BEFORE_TABLE`], not those that follow a comma or `USING`.
pub(super) fn collection(sql: &str) -> Option<&str> {
    let tokens: Vec<&str> = Tokens(sql).collect();
    let at = |index: Option<usize>| index.and_then(|index| tokens.get(index)).copied().unwrap_or_default();
    let is = |token: &str, keyword: &str| token.eq_ignore_ascii_case(keyword);
    // Names of subqueries: `WITH name AS (…), name (columns) AS (…)`.
    let is_defined = |table: &str| {
        let defines = |(index, token): (usize, &&str)| {
            let (before, after) = (at(index.checked_sub(1)), at(Some(index + 1)));
            *token == table
                && (["WITH", "RECURSIVE", ","].iter().any(|keyword| is(before, keyword)))
                && (is(after, "AS") || after == "(")
        };
        tokens.iter().enumerate().any(defines)
    };
    let mut tables = (0..tokens.len()).filter_map(|index| {
        let (before, two_before) = (at(index.checked_sub(1)), at(index.checked_sub(2)));
        let keyword = BEFORE_TABLE.iter().find(|keyword| is(tokens[index], keyword))?;
        // No table follows in `IS DISTINCT FROM`, `extract(decade FROM …)`, `FOR UPDATE` and `DO UPDATE SET`. One does
        // in `(SELECT FROM …)`, a subquery without columns, in which FROM is also the second word after a parenthesis.
        let is_no_table = is(before, "DISTINCT")
            || *keyword == "FROM" && two_before == "(" && !is(before, "SELECT")
            || *keyword == "UPDATE" && (is(before, "FOR") || is(before, "DO"));
        let name = if is(at(Some(index + 1)), "ONLY") { index + 2 } else { index + 1 };
        let table = at(Some(name));
        // A function, such as `FROM unnest(…)`. After INTO, columns follow in parentheses.
        let is_function = at(Some(name + 1)) == "(" && *keyword != "INTO";
        (!is_no_table && !is_function && is_name(table) && !is(table, "LATERAL") && !is_defined(table)).then_some(table)
    });
    let first = tables.next()?;
    tables.all(|table| table == first).then_some(first)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// The words and signs of a statement, without comments and texts in quotes.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let rest = self.0.trim_start();
            let first = rest.chars().next()?;
            let skipped = match first {
                '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
                '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
                _ => 0,
            };
            if skipped > 0 {
                self.0 = &rest[skipped..];
                continue;
            }
            let is_part = |part: char| part.is_alphanumeric() || "_.$".contains(part);
            let length = rest.find(|part| !is_part(part)).filter(|length| *length > 0).unwrap_or(if is_part(first) {
                rest.len()
            } else {
                first.len_utf8()
            });
            let (token, rest) = rest.split_at(length);
            self.0 = rest;
            return Some(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_is_the_first_keyword_after_comments() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT"),
            ("-- A comment.\n  -- Another, indented.\n\n/* one\n more */ SELECT 1", "SELECT"),
            ("--no space\n(SELECT 1) UNION ALL (SELECT 2)", "SELECT"),
            ("/* a */-- b\r\n\tWITH a AS (SELECT 1) DELETE FROM b", "WITH"),
            ("insert into a values (1)", "insert"),
            ("-- nothing", ""),
            ("", ""),
        ] {
            assert_eq!(operation(sql), expected, "{sql}");
        }
    }

    #[test]
    fn every_statement_in_a_file_has_an_operation() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql")).unwrap();
        let known = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "CREATE"];
        for file in files {
            let path = file.unwrap().path();
            let sql = std::fs::read_to_string(&path).unwrap();
            assert!(known.contains(&operation(&sql)), "{}: {:?}", path.display(), operation(&sql));
            let table = collection(&sql).unwrap_or("none");
            assert!(
                table.len() > 3 && table.chars().all(|part| part.is_ascii_lowercase() || "_.".contains(part)),
                "{table}"
            );
        }
    }

    #[test]
    fn the_collection_is_the_one_table_of_a_statement() {
        for (sql, expected) in [
            ("SELECT a FROM public.movies AS m WHERE b IS DISTINCT FROM c", Some("public.movies")),
            ("SELECT extract(decade FROM release_date) FROM movies", Some("movies")),
            (
                "INSERT INTO cinegraph.tasks (task) SELECT unnest FROM unnest($1) ON CONFLICT DO UPDATE SET a = 1",
                Some("cinegraph.tasks"),
            ),
            ("WITH found AS (SELECT FROM movies FOR UPDATE) SELECT * FROM found JOIN movies ON true", Some("movies")),
            ("SELECT 'FROM nothing' -- FROM nowhere\nFROM movies", Some("movies")),
            ("SELECT 1 FROM a JOIN b ON true", None),
            ("SELECT 1", None),
        ] {
            assert_eq!(collection(sql), expected, "{sql}");
        }
    }
}
