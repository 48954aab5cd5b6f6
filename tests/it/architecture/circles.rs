//! No two files use each other, directly or by way of others, so that each can be understood after those that it uses.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, is_word, sources};

#[test]
fn files_do_not_use_each_other_in_circles() {
    let files = sources();
    let modules = Modules::new(&files);
    let uses = modules.uses();
    let mut circular = Vec::new();
    for (file, used) in &uses {
        for (other, item) in used {
            if reaches(&uses, other, file) {
                circular.push(format!("{} uses {item} of {}", modules.path(file), modules.path(other)));
            }
        }
    }
    assert!(circular.is_empty(), "files that use each other in circles:\n{}", circular.join("\n"));
}

#[test]
fn uses_are_resolved_to_the_file_that_defines_the_item() {
    let files = [
        ("src/lib.rs", "pub mod a; pub mod b;"),
        ("src/a/mod.rs", "mod one; mod two; pub use one::{Item, other as Renamed}; fn f() { two::g::<u8>() }"),
        ("src/a/one.rs", "use super::two; fn f() -> two::Kind { std::mem::take() }"),
        ("src/a/two.rs", "use crate::b::{self, B, deep::{Deep}}; fn f(_: b::C, _: super::Renamed) {}"),
        ("src/b.rs", "use crate::a::Item as It; struct B; fn f() { It::new() }"),
    ];
    let files = files.map(|(path, text)| Source::read(path.into(), text));
    let uses = Modules::new(&files).uses();
    let used = |module: &str| uses[module].keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(used("a"), ["a::two"]);
    assert_eq!(used("a::one"), ["a::two"]);
    assert_eq!(used("a::two"), ["a::one", "b"]);
    assert_eq!(used("b"), ["a::one"]);
    assert!(reaches(&uses, "b", "a::two") && reaches(&uses, "a::two", "b") && !reaches(&uses, "b", "a"));
}

/// By module: the modules whose items it uses, each with the name of one such item.
type Uses = BTreeMap<String, BTreeMap<String, String>>;

fn reaches(uses: &Uses, from: &str, to: &str) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        if module == to {
            return true;
        }
        if seen.insert(module) {
            next.extend(uses[module].keys().map(String::as_str));
        }
    }
    false
}

/// The files of the crate by module path, such as `http::page`.
struct Modules<'a>(BTreeMap<String, Module<'a>>);

struct Module<'a> {
    file: &'a Source,
    /// What its `use` declarations import or re-export: local name and path.
    imports: BTreeMap<&'a str, Vec<&'a str>>,
    /// Paths in its imports and in the rest of its code. Re-exports use nothing.
    paths: Vec<Vec<&'a str>>,
}

impl<'a> Modules<'a> {
    fn new(files: &'a [Source]) -> Self {
        let files = files.iter().filter(|file| file.layer != "main");
        Self(files.map(|file| (module_path(file), Module::read(file))).collect())
    }

    fn path(&self, module: &str) -> String {
        self.0[module].file.path.display().to_string()
    }

    fn uses(&self) -> Uses {
        let used = |(name, module): (&String, &Module)| {
            let defined = module.paths.iter().filter_map(|path| self.definition(name, path, 0));
            (name.clone(), defined.filter(|(other, _)| other != name).collect())
        };
        self.0.iter().map(used).collect()
    }

    /// The module that defines what `path` means in `module`, and the item's name; none for other crates.
    fn definition(&self, module: &str, path: &[&str], depth: usize) -> Option<(String, String)> {
        let (first, rest) = path.split_first()?;
        match *first {
            _ if depth > 20 => None,
            "crate" => self.definition_below("", rest, depth),
            "self" => self.definition_below(module, rest, depth),
            "super" => {
                let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
                let is_path = rest.first().is_some_and(|next| *next == "super");
                if is_path { self.definition(parent, rest, depth) } else { self.definition_below(parent, rest, depth) }
            }
            _ if self.0.contains_key(&child(module, first)) => self.definition_below(module, path, depth),
            name => {
                let import = self.0[module].imports.get(name)?;
                self.definition(module, &[import, rest].concat(), depth + 1)
            }
        }
    }

    /// The same for a path from `module` down.
    fn definition_below(&self, module: &str, path: &[&str], depth: usize) -> Option<(String, String)> {
        let Some((first, rest)) = path.split_first() else { return Some((module.to_owned(), "itself".to_owned())) };
        let below = child(module, first);
        if self.0.contains_key(&below) {
            self.definition_below(&below, rest, depth)
        } else if self.0.get(module)?.imports.contains_key(first) {
            self.definition(module, path, depth)
        } else {
            Some((module.to_owned(), (*first).to_owned()))
        }
    }
}

impl<'a> Module<'a> {
    fn read(file: &'a Source) -> Self {
        let (mut imports, mut paths) = (BTreeMap::new(), Vec::new());
        let mut rest = file.code.as_str();
        while let Some(start) = rest.find("use ") {
            let before = &rest[..start];
            let (tree, after) = rest[start + 4..].split_once(';').unwrap_or_default();
            paths.extend(paths_in(before));
            let mut imported = Vec::new();
            expand(tree, &[], &mut imported);
            let visibility = before.rsplit(['\n', ';', '}']).next().unwrap_or_default();
            if !visibility.trim_start().starts_with("pub") {
                paths.extend(imported.iter().map(|(_, path)| path.clone()));
            }
            imports.extend(imported);
            rest = after;
        }
        paths.extend(paths_in(rest));
        Self { file, imports, paths }
    }
}

/// The local names and paths that a tree such as `a::{b, c as d}` declares, after `prefix`.
fn expand<'a>(tree: &'a str, prefix: &[&'a str], imports: &mut Vec<(&'a str, Vec<&'a str>)>) {
    let tree = tree.trim();
    if let Some((path, group)) = tree.split_once('{') {
        let prefix =
            [prefix, &path.split("::").map(str::trim).filter(|name| !name.is_empty()).collect::<Vec<_>>()].concat();
        let (mut depth, group) = (0, group.trim_end().trim_end_matches('}'));
        let separates = |c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        };
        group.split(separates).for_each(|part| expand(part, &prefix, imports));
    } else if !tree.is_empty() {
        let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias.trim())));
        let mut names: Vec<_> = [prefix, &path.split("::").map(str::trim).collect::<Vec<_>>()].concat();
        if names.len() > 1 {
            names.pop_if(|last| *last == "self");
        }
        imports.push((alias.unwrap_or(names[names.len() - 1]), names));
    }
}

/// Paths of at least two names in code.
fn paths_in(code: &str) -> impl Iterator<Item = Vec<&str>> {
    let words = code.split(|c| !is_word(c) && c != ':').filter(|word| word.contains("::"));
    words.map(|path| path.split("::").filter(|name| !name.is_empty()).collect())
}

fn child(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

fn module_path(file: &Source) -> String {
    let path = file.path.with_extension("");
    let names = path.iter().skip(1).map(|name| name.to_string_lossy()).filter(|name| name != "mod" && name != "lib");
    names.collect::<Vec<_>>().join("::")
}
