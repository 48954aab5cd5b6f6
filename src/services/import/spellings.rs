//! Known spellings of names, so that names that differ in letters, spaces or signs only are one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::full_names;
use super::metric_names::folded;
use super::values::is_invisible;
use crate::store::StoredNames;

/// Genres that TMDb names differently than IMDb and others.
const GENRES: [(&str, &str); 4] =
    [("scifi", "Science Fiction"), ("sf", "Science Fiction"), ("musical", "Music"), ("romantic", "Romance")];

/// What a name is a name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Vocabulary {
    Genres,
    Organizations,
    Lists,
    /// Of one organization each.
    Categories,
}

/// The spelling of each name: that of the database, of TMDb, or of the first row that has the name.
#[derive(Debug)]
pub(super) struct Spellings(HashMap<(Vocabulary, String), String>);

impl Spellings {
    /// Those of the database and those that files usually have.
    pub(super) fn new(stored: &StoredNames) -> Self {
        let mut spellings = Self(HashMap::new());
        spellings.add(Vocabulary::Genres, full_names::GENRES.iter().map(|(name, _)| *name));
        spellings
            .add(Vocabulary::Organizations, full_names::ORGANIZATIONS.iter().flat_map(|(short, name)| [*short, *name]));
        spellings.add(Vocabulary::Lists, full_names::LISTS.iter().map(|(key, _)| *key));
        spellings.add(Vocabulary::Genres, stored.genres.iter().map(String::as_str));
        spellings.add(Vocabulary::Organizations, stored.organizations.iter().map(String::as_str));
        spellings.add(Vocabulary::Lists, stored.lists.iter().map(String::as_str));
        for (organization, category) in &stored.categories {
            spellings.of(Vocabulary::Categories, organization, category);
        }
        let others = GENRES.map(|(other, name)| ((Vocabulary::Genres, other.to_owned()), name.to_owned()));
        spellings.0.extend(others);
        spellings
    }

    fn add<'a>(&mut self, vocabulary: Vocabulary, names: impl Iterator<Item = &'a str>) {
        for name in names {
            self.of(vocabulary, "", name);
        }
    }

    /// The spelling of a name, which becomes that of `name` if it is new; and whether it is new. `scope` is the
    /// organization of a category.
    pub(super) fn of(&mut self, vocabulary: Vocabulary, scope: &str, name: &str) -> (&str, bool) {
        let key = match vocabulary {
            Vocabulary::Genres => folded(name),
            // Signs matter in these: `a-1` and `a_1` may be two lists.
            _ => name.replace(|c: char| c.is_whitespace() || is_invisible(c), "").to_lowercase(),
        };
        // A name of signs only.
        let key = if key.is_empty() { name.to_owned() } else { key };
        let key = if scope.is_empty() { key } else { format!("{}\n{key}", scope.to_lowercase()) };
        match self.0.entry((vocabulary, key)) {
            Entry::Occupied(known) => (known.into_mut(), false),
            Entry::Vacant(new) => (new.insert(name.to_owned()), true),
        }
    }
}
