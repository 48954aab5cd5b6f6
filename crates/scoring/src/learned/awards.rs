//! Award organizations and groups of their categories.

/// Organizations that have features of their own; the others share [`Organization::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Organization {
    /// Academy Awards.
    Academy,
    /// Cannes Film Festival.
    Cannes,
    /// Venice Film Festival.
    Venice,
    /// Berlin International Film Festival.
    Berlin,
    /// BAFTA Awards.
    Bafta,
    /// Golden Globes.
    GoldenGlobes,
    /// Critics' Choice Awards.
    CriticsChoice,
    /// Independent Spirit Awards.
    Spirit,
    /// César Awards.
    Cesar,
    /// Sundance Film Festival.
    Sundance,
    /// Any other organization.
    Other,
}

impl Organization {
    /// All organizations, in the order of the enum.
    pub const ALL: [Self; 11] = [
        Self::Academy,
        Self::Cannes,
        Self::Venice,
        Self::Berlin,
        Self::Bafta,
        Self::GoldenGlobes,
        Self::CriticsChoice,
        Self::Spirit,
        Self::Cesar,
        Self::Sundance,
        Self::Other,
    ];

    /// The organization with this abbreviation (`festival_organizations.abbreviation`).
    #[must_use]
    pub fn of(abbreviation: &str) -> Self {
        match abbreviation {
            "AMPAS" => Self::Academy,
            "CFF" => Self::Cannes,
            "VIFF" => Self::Venice,
            "BIFF" => Self::Berlin,
            "BAFTA" => Self::Bafta,
            "HFPA" => Self::GoldenGlobes,
            "CCA" => Self::CriticsChoice,
            "FISA" => Self::Spirit,
            "CESAR" => Self::Cesar,
            "SFF" => Self::Sundance,
            _ => Self::Other,
        }
    }
}

/// What a category honours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CategoryGroup {
    /// The main prize for a movie: Best Picture, Palme d'Or, Golden Lion.
    Top,
    /// Directing.
    Directing,
    /// Acting.
    Acting,
    /// Writing.
    Writing,
    /// Best movie of another country or language.
    International,
    /// Everything else: music, camera, side sections, honorary awards.
    Other,
}

/// Main prizes of the festivals, whose other prizes contain words like "best film" as well.
const FESTIVAL_TOP: [&str; 6] = [
    "palme d'or",
    "grand prize of the festival",
    "golden lion",
    "mussolini cup",
    "grand international award",
    "golden berlin bear",
];

/// Sundance's main prize. Elsewhere, a prize of this name is the second one.
const SUNDANCE_TOP: &str = "grand jury prize";

/// Main prizes of the academies and critics. What names a part of a year's movies only ("best animated film") is not
/// one.
const ACADEMY_TOP: [&str; 6] = [
    "best picture",
    "best motion picture",
    "best film",
    "best feature",
    "unique and artistic picture",
    "people's choice",
];

/// Words that make a prize one for part of a year's movies, or for part of a movie. ("Musical" is no such word: it names
/// half of a Golden Globe.)
const PARTIAL: [&str; 23] = [
    "short",
    "animat",
    "documentar",
    "television",
    "children",
    "family",
    "debut",
    "first",
    "youth",
    "young",
    "queer",
    "midnight",
    "special mention",
    "editing",
    "editor",
    "film music",
    "sound",
    "cameraman",
    "promoting",
    "european community",
    "european union",
    "tv award",
    "little golden lion",
];

/// Words of the other groups. The first that the name contains decides.
const WORDS: [(&str, CategoryGroup); 20] = [
    ("foreign", CategoryGroup::International),
    ("international feature", CategoryGroup::International),
    ("international film", CategoryGroup::International),
    ("not in the english", CategoryGroup::International),
    ("non-english", CategoryGroup::International),
    ("screenplay", CategoryGroup::Writing),
    ("writ", CategoryGroup::Writing),
    ("scénario", CategoryGroup::Writing),
    ("actor", CategoryGroup::Acting),
    ("actress", CategoryGroup::Acting),
    ("acting", CategoryGroup::Acting),
    ("performance", CategoryGroup::Acting),
    ("newcomer", CategoryGroup::Acting),
    ("volpi cup", CategoryGroup::Acting),
    ("lead", CategoryGroup::Acting),
    ("supporting", CategoryGroup::Acting),
    ("assistant director", CategoryGroup::Other),
    ("art direction", CategoryGroup::Other),
    ("direct", CategoryGroup::Directing),
    ("réalisateur", CategoryGroup::Directing),
];

impl CategoryGroup {
    /// The group of a category name, in any case.
    #[must_use]
    pub fn of(organization: Organization, category: &str) -> Self {
        use Organization::{Berlin, Cannes, Sundance, Venice};
        let name = category.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        // The first Mussolini Cups for foreign movies were Venice's main prize.
        let festival = matches!(organization, Cannes | Venice | Berlin | Sundance);
        let main = has(&FESTIVAL_TOP) || organization == Sundance && name.contains(SUNDANCE_TOP);
        if festival && main && !has(&PARTIAL) {
            return Self::Top;
        }
        let other = WORDS.iter().find(|(word, _)| name.contains(word)).map(|(_, group)| *group);
        match other {
            // A Golden Globe "for a performance in a motion picture" is one for acting.
            Some(group) => group,
            None if !festival && has(&ACADEMY_TOP) && !has(&PARTIAL) => Self::Top,
            None => Self::Other,
        }
    }
}

/// Nominations of one movie by one organization in one group of categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Award {
    /// Who nominated.
    pub organization: Organization,
    /// For what.
    pub group: CategoryGroup,
    /// Nominations, including wins.
    pub nominations: u16,
    /// Nominations that were won.
    pub wins: u16,
}

impl Award {
    /// What the award adds to a movie's prestige: a nomination 1, a win 2 more, and five times that for a main prize.
    #[must_use]
    pub fn prestige(self) -> u32 {
        let factor = if self.group == CategoryGroup::Top { 5 } else { 1 };
        factor * (u32::from(self.nominations) + 2 * u32::from(self.wins))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_belong_to_the_group_of_what_they_honour() {
        use CategoryGroup::{Acting, Directing, International, Other, Top, Writing};
        for (organization, category, group) in [
            ("AMPAS", "BEST PICTURE", Top),
            ("AMPAS", "DIRECTING", Directing),
            ("AMPAS", "ART DIRECTION (Color)", Other),
            ("AMPAS", "ACTRESS IN A LEADING ROLE", Acting),
            ("AMPAS", "WRITING (Adapted Screenplay)", Writing),
            ("AMPAS", "INTERNATIONAL FEATURE FILM", International),
            ("AMPAS", "ANIMATED FEATURE FILM", Other),
            ("CFF", "palme d'or", Top),
            ("CFF", "palme d'or - best short film", Other),
            ("CFF", "best director", Directing),
            ("VIFF", "pasinetti award: best film", Other),
            ("VIFF", "golden lion: best film", Top),
            ("HFPA", "golden globe: best motion picture - drama", Top),
            ("HFPA", "golden globe: best performance by an actor in a motion picture - drama", Acting),
            ("BAFTA", "bafta film award: best film not in the english language", International),
            ("CESAR", "césar: best film (meilleur film)", Top),
            ("SFF", "grand jury prize: documentary", Other),
            ("SFF", "grand jury prize: world cinema - dramatic", Top),
            ("VIFF", "silver lion: grand jury prize", Other),
            ("VIFF", "little golden lion", Other),
            ("BIFF", "silver berlin bear: grand jury prize", Other),
            ("BAFTA", "bafta film award: best film", Top),
            ("BAFTA", "bafta film award: best film editing", Other),
            ("BAFTA", "bafta film award: best film music", Other),
            ("BAFTA", "bafta tv award: best film cameraman", Other),
            ("BAFTA", "bafta tv award: best film editor", Other),
            ("BAFTA", "bafta tv award: best film sound", Other),
            ("HFPA", "golden globe: best motion picture - musical or comedy", Top),
            ("HFPA", "golden globe: best film promoting international understanding", Other),
            ("CESAR", "césar: best film of the european community", Other),
            ("a new one", "prize of the mayor", Other),
        ] {
            assert_eq!(CategoryGroup::of(Organization::of(organization), category), group, "{organization} {category}");
        }
    }
}
