//! The layers: which module may import which, which crate may depend on what, and who may contain SQL.

mod circles;

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer, and the layers and crates of ours that it may import. `cli` may import all; `main` and `lib` are not
/// layers.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    (
        "app",
        &[
            "breaker",
            "cache",
            "clock",
            "config",
            "embedded_postgres",
            "graphql",
            "http",
            "jobs",
            "scoring",
            "services",
            "store",
            "telemetry",
            "versions",
        ],
    ),
    ("http", &["clock", "config", "digest", "graphql", "proof", "telemetry"]),
    ("graphql", &["cache", "clock", "digest", "scoring", "services", "store", "telemetry", "versions"]),
    ("jobs", &["clock", "services", "store", "telemetry", "versions"]),
    (
        "services",
        &[
            "breaker",
            "cache",
            "clock",
            "config",
            "datagen",
            "list_formats",
            "scoring",
            "store",
            "telemetry",
            "versions",
        ],
    ),
    ("cache", &["breaker", "clock", "telemetry", "versions"]),
    ("store", &["breaker", "clock", "datagen", "scoring", "telemetry", "versions"]),
    ("breaker", &["telemetry"]),
    ("clock", &[]),
    ("config", &[]),
    ("digest", &[]),
    ("proof", &[]),
    ("telemetry", &[]),
    ("versions", &["clock", "scoring"]),
];

/// The crates without I/O, and all that they may depend on.
const PURE_CRATES: &[(&str, &[&str])] = &[
    ("datagen", &["chrono", "rand", "rand_chacha", "serde_json"]),
    ("list-formats", &["csv", "serde", "serde_json", "thiserror"]),
    ("scoring", &["chrono", "memchr", "serde", "serde_json", "sha2", "thiserror", "unicode-normalization"]),
];

const SQL: &[&str] = &["SELECT ", "INSERT ", "UPDATE ", "DELETE "];

#[test]
fn imports_point_down_the_layers() {
    let mut violations = Vec::new();
    for file in sources() {
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(layer, _)| *layer == file.layer) else {
            assert!(["cli", "lib", "main"].contains(&file.layer.as_str()), "no rule for {}", file.path.display());
            continue;
        };
        for (line, named) in file.imported_layers() {
            if named != file.layer && !allowed.contains(&named.as_str()) {
                violations.push(format!("{}: {} imports {named}", file.at(line), file.layer));
            }
        }
    }
    assert!(violations.is_empty(), "imports that point up or aside:\n{}", violations.join("\n"));
}

#[test]
fn resolvers_use_types_of_the_store_and_never_the_store() {
    let resolves = |file: &Source| file.layer == "graphql";
    let mut found = words(&["store::Store", "sqlx"], resolves);
    for file in sources().into_iter().filter(resolves) {
        for (place, _) in file.code.match_indices("crate::store::{") {
            if group(&file.code[place + "crate::store::".len()..]).contains(&"Store") {
                found.push(format!("{}: Store", file.at(line_of(&file.code, place))));
            }
        }
    }
    assert!(found.is_empty(), "the store in a resolver:\n{}", found.join("\n"));
}

#[test]
fn pure_crates_depend_on_no_runtime_and_no_database() {
    for (name, allowed) in PURE_CRATES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(name).join("Cargo.toml");
        let manifest = fs::read_to_string(path).unwrap();
        let (_, dependencies) = manifest.split_once("[dependencies]\n").unwrap();
        let lines = dependencies.lines().take_while(|line| !line.is_empty());
        let found: Vec<_> = lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
        assert_eq!(found, *allowed, "{name}");
    }
}

#[test]
fn sql_is_only_in_the_store() {
    let elsewhere = |file: &Source| file.layer != "store";
    let mut found = Vec::new();
    for file in sources().into_iter().filter(elsewhere) {
        for (line, text) in &file.texts {
            if SQL.iter().any(|keyword| text.contains(keyword)) {
                found.push(format!("{}: {text:?}", file.at(*line)));
            }
        }
    }
    assert!(found.is_empty(), "SQL outside of the store:\n{}", found.join("\n"));
}

#[test]
fn the_cache_does_not_know_what_it_caches() {
    let domain = ["Scope", "Decade", "Movie", "Prediction", "Profile", "Weights"];
    let names_or_tests = |file: &Source| ["labels.rs", "tests.rs"].iter().any(|name| file.path.ends_with(name));
    let found = words(&domain, |file| file.layer == "cache" && !names_or_tests(file));
    assert!(found.is_empty(), "words of the domain in the cache:\n{}", found.join("\n"));
}

#[test]
fn lexer_separates_code_from_strings_and_comments() {
    let source = Source::read(
        PathBuf::from("src/http/router.rs"),
        "// crate::store\nuse crate::{graphql::Api, telemetry};\nlet _ = ('\"', \"crate::cli \\\" SELECT 1\");\n\
         fn of<'a>(x: &'a u8) { super::health(); super::super::app::start() }\nr#\"UPDATE \"x\"\"#\n\
         use cinegraph_datagen::Table;\n#[cfg(test)]\nmod tests { use crate::cli; }",
    );
    let named = source.imported_layers();
    assert_eq!(
        named,
        [(2, "graphql".to_owned()), (2, "telemetry".to_owned()), (4, "app".to_owned()), (6, "datagen".to_owned())]
    );
    assert_eq!(source.texts, [(3, "crate::cli \\\" SELECT 1".to_owned()), (5, "UPDATE \"x\"".to_owned())]);
}

/// The lines that contain one of these words, in files that `of` selects.
fn words(words: &[&str], of: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in sources().into_iter().filter(of) {
        for word in words {
            for (place, _) in file.code.match_indices(word) {
                let is_identifier_char = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                let (before, after) = (&file.code[..place], &file.code[place + word.len()..]);
                if !is_identifier_char(before.chars().next_back()) && !is_identifier_char(after.chars().next()) {
                    found.push(format!("{}: {word}", file.at(line_of(&file.code, place))));
                }
            }
        }
    }
    found
}

/// One source file without its unit tests: its code, and the text of its string literals.
struct Source {
    path: PathBuf,
    layer: String,
    /// Modules below the crate's root.
    depth: usize,
    /// Comments removed and string literals emptied; line numbers stay the same.
    code: String,
    texts: Vec<(usize, String)>,
}

impl Source {
    fn read(path: PathBuf, text: &str) -> Self {
        let inside: Vec<_> = path.iter().skip(1).map(|part| part.to_string_lossy().into_owned()).collect();
        let layer = inside[0].trim_end_matches(".rs").to_owned();
        let depth = if inside.last().is_some_and(|file| file == "mod.rs") { inside.len() - 1 } else { inside.len() };
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let (code, texts) = separated(text);
        Self { path, layer, depth, code, texts }
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The layers that `crate::…`, or enough `super::` to leave the layer, import, and the crates `cinegraph_…`; with
    /// their lines.
    fn imported_layers(&self) -> Vec<(usize, String)> {
        let root = "super::".repeat(self.depth);
        let mut places: Vec<_> = self.code.match_indices("crate::").map(|(at, path)| at + path.len()).collect();
        places.extend(self.code.match_indices(&root).map(|(at, path)| at + path.len()));
        places.sort_unstable();
        let mut named = Vec::new();
        for place in places {
            let rest = &self.code[place..];
            let names = if rest.starts_with('{') { group(rest) } else { vec![word(rest)] };
            named.extend(names.into_iter().map(|name| (line_of(&self.code, place), name.to_owned())));
        }
        let crates =
            self.code.match_indices("cinegraph_").map(|(at, prefix)| (at, word(&self.code[at + prefix.len()..])));
        named.extend(crates.map(|(at, name)| (line_of(&self.code, at), name.to_owned())));
        named.retain(|(_, name)| !name.is_empty());
        named
    }
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") && path.file_name().unwrap() != "tests.rs" {
                let text = fs::read_to_string(&path).unwrap();
                files.push(Source::read(path.strip_prefix(root).unwrap().to_owned(), &text));
            }
        }
    }
    assert!(files.len() > 50, "only {} files found", files.len());
    files
}

/// The first names in `{a::b, c}`.
fn group(text: &str) -> Vec<&str> {
    let (mut depth, mut names, mut first) = (0, Vec::new(), true);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => first = true,
            c if first && depth == 1 && !c.is_whitespace() => {
                names.push(word(&text[at..]));
                first = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// The identifier at the start of a text.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn line_of(text: &str, place: usize) -> usize {
    1 + text[..place].matches('\n').count()
}

/// Code without comments, its string literals emptied, and those literals with their lines.
fn separated(text: &str) -> (String, Vec<(usize, String)>) {
    let (mut code, mut texts, mut rest) = (String::new(), Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        let line = || line_of(text, text.len() - rest.len());
        let hashes = rest.strip_prefix('r').map_or(0, |raw| raw.len() - raw.trim_start_matches('#').len());
        let raw = rest.strip_prefix('r').is_some_and(|raw| raw[hashes..].starts_with('"')) && !code.ends_with(is_word);
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if raw {
            let start = hashes + 2;
            let end = format!("\"{}", "#".repeat(hashes));
            let length = rest[start..].find(&end).unwrap_or(rest.len() - start);
            texts.push((line(), rest[start..start + length].to_owned()));
            start + length + end.len()
        } else if c == '"' {
            let length = closing(&rest[1..], '"');
            texts.push((line(), rest[1..=length].to_owned()));
            length + 2
        } else if let Some(length) = char_literal(rest) {
            length
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.extend(rest[..taken].chars().filter(|c| *c == '\n'));
        rest = &rest[taken..];
    }
    (code, texts)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The end of an open literal.
fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().find(|(_, c)| {
        let closes = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    end.map_or(text.len(), |(at, _)| at)
}

/// Length of the character literal at the start of a text; `None` for anything else, such as a lifetime.
fn char_literal(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    let length = closing(inside, '\'');
    (first == '\\' || length == first.len_utf8()).then_some(length + 2)
}
