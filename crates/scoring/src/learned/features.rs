//! The table of features: what the model may look at, in which unit, and in which direction it may count.

use super::awards::{CategoryGroup, Organization};
use super::model::Variant;

/// Version of the table below, of how its values are computed (which [`super::GENRES`] and [`super::CategoryGroup::of`]
/// belong to), and of the layout of a stored model, to be raised with each change of any. A stored model of another
/// version is refused.
pub const FEATURE_VERSION: u32 = 2;

/// What a reader sees contributions of: features of one group repeat each other, so that only their sum has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// How the audience rates the movie.
    Audience,
    /// Critics.
    Critics,
    /// Nominations and wins.
    Awards,
    /// How well known the movie is.
    Fame,
    /// Budget and revenue.
    Money,
    /// The directors' other works.
    Director,
    /// The cast's other works.
    Cast,
    /// Other lists.
    Lists,
    /// Language, genres and year.
    Origin,
}

impl Group {
    /// All groups, in the order of the enum.
    pub const ALL: [Self; 9] = [
        Self::Audience,
        Self::Critics,
        Self::Awards,
        Self::Fame,
        Self::Money,
        Self::Director,
        Self::Cast,
        Self::Lists,
        Self::Origin,
    ];
}

/// How a feature may count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// More never lowers the score.
    Up,
    /// Any shape.
    Free,
}

/// What the movies are ranked by in a [`Measure::Place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The mean of the ratings, shrunk to the decade's mean where votes are few.
    Quality,
    /// Votes.
    Fame,
    /// Nominations and wins.
    Prestige,
}

/// The movies among which a movie is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// Movies of the year.
    Year,
    /// Movies of the decade.
    Decade,
    /// Movies of the decade in the same language.
    Language,
    /// Movies of the decade in one of the movie's genres: the one in which it is placed best.
    Genre,
}

/// A number that is known of a movie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovieValue {
    /// IMDb's rating, shrunk to the decade's mean where votes are few.
    ImdbRating,
    /// TMDb's, likewise.
    TmdbRating,
    /// Votes on IMDb.
    ImdbVotes,
    /// Votes on TMDb.
    TmdbVotes,
    /// TMDb's popularity.
    Popularity,
    /// Metascore.
    Metascore,
    /// Tomatometer.
    Tomatometer,
    /// Budget.
    Budget,
    /// Revenue.
    Revenue,
}

/// Whose other works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The directors'.
    Director,
    /// The cast's.
    Cast,
}

/// What about the other works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonRecord {
    /// Their number.
    Works,
    /// Their mean quality.
    Mean,
    /// The best one's quality.
    Best,
    /// Their prestige.
    Prestige,
    /// Their nominations for main prizes.
    TopNominations,
    /// Their list memberships.
    Lists,
    /// The movie's own quality above the best other work's.
    Lead,
}

/// How a feature's value is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The number itself.
    Raw(MovieValue),
    /// Share of the decade's known numbers that are lower, half of the equal ones counted; 0 to 1.
    Share(MovieValue),
    /// −ln(rank): 0 for the first, lower for others. A movie without an award has no place by prestige.
    Place(By, Within),
    /// Main prize of an organization: 0 none, 1 nominated, 2 won.
    Top(Organization),
    /// Nominations plus wins by an organization: a nomination that was won counts twice.
    Nominations(Organization),
    /// Nominations plus wins of the Academy in a group of categories.
    Academy(CategoryGroup),
    /// Nominations by all organizations.
    AllNominations,
    /// Wins of all organizations.
    AllWins,
    /// Nominations for main prizes, of all organizations.
    AllTop,
    /// Other works.
    People(Role, PersonRecord),
    /// 1 if the original language is this one, else 0.
    Language([u8; 2]),
    /// Share of the decade's movies that have the same language, 0 to 1.
    LanguageShare,
    /// 1 if the movie has this one of [`super::GENRES`], else 0.
    Genre(u8),
    /// Years since the decade's first.
    YearOfDecade,
    /// The list at this place of [`super::DecadeInputs::lists`]: 0 not on it, 1 on it, up to 2 for the first position.
    OnList(u8),
    /// Number of other lists that the movie is on.
    Lists,
    /// −ln(position) on the list where the position is best.
    BestPosition,
}

/// One feature of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Stable key.
    pub key: &'static str,
    /// Name for people, as a sentence begins with it.
    pub name: &'static str,
    /// Group whose contribution it is part of.
    pub group: Group,
    /// Direction in which it may count.
    pub direction: Direction,
    /// How it is computed. The unit follows from it.
    pub measure: Measure,
}

impl Feature {
    /// Whether only models with other lists as inputs have the feature.
    #[must_use]
    pub fn needs_lists(&self) -> bool {
        matches!(
            self.measure,
            Measure::OnList(_) | Measure::Lists | Measure::BestPosition | Measure::People(_, PersonRecord::Lists)
        )
    }

    /// The features of a variant, in the order of the table.
    pub fn of_variant(variant: Variant) -> impl Iterator<Item = &'static Self> {
        FEATURES.iter().filter(move |feature| variant == Variant::WithLists || !feature.needs_lists())
    }

    /// The feature with this key.
    #[must_use]
    pub fn with_key(key: &str) -> Option<&'static Self> {
        FEATURES.iter().find(|feature| feature.key == key)
    }
}

const fn up(key: &'static str, name: &'static str, group: Group, measure: Measure) -> Feature {
    Feature { key, name, group, direction: Direction::Up, measure }
}

const fn free(key: &'static str, name: &'static str, group: Group, measure: Measure) -> Feature {
    Feature { key, name, group, direction: Direction::Free, measure }
}

use By::{Fame, Prestige, Quality};
use CategoryGroup as C;
use Measure::{
    Academy, AllNominations, AllTop, AllWins, BestPosition, Genre, Language, LanguageShare, Lists, Nominations, OnList,
    People, Place, Raw, Share, Top, YearOfDecade,
};
use Organization as O;
use PersonRecord as R;
use Role::{Cast, Director};
use Within as W;

/// All features.
#[rustfmt::skip]
pub static FEATURES: &[Feature] = &[
    up("imdb_rating", "IMDb rating", Group::Audience, Raw(MovieValue::ImdbRating)),
    up("imdb_rating_share", "IMDb rating", Group::Audience, Share(MovieValue::ImdbRating)),
    up("tmdb_rating", "TMDb rating", Group::Audience, Raw(MovieValue::TmdbRating)),
    up("tmdb_rating_share", "TMDb rating", Group::Audience, Share(MovieValue::TmdbRating)),
    up("quality_in_year", "best rated", Group::Audience, Place(Quality, W::Year)),
    up("quality_in_decade", "best rated", Group::Audience, Place(Quality, W::Decade)),
    up("quality_in_language", "best rated", Group::Audience, Place(Quality, W::Language)),
    up("quality_in_genre", "best rated", Group::Audience, Place(Quality, W::Genre)),

    up("imdb_votes", "IMDb votes", Group::Fame, Raw(MovieValue::ImdbVotes)),
    up("imdb_votes_share", "IMDb votes", Group::Fame, Share(MovieValue::ImdbVotes)),
    up("tmdb_votes_share", "TMDb votes", Group::Fame, Share(MovieValue::TmdbVotes)),
    up("popularity_share", "TMDb popularity", Group::Fame, Share(MovieValue::Popularity)),
    up("fame_in_year", "best known", Group::Fame, Place(Fame, W::Year)),
    up("fame_in_decade", "best known", Group::Fame, Place(Fame, W::Decade)),
    up("fame_in_language", "best known", Group::Fame, Place(Fame, W::Language)),
    up("fame_in_genre", "best known", Group::Fame, Place(Fame, W::Genre)),

    up("metascore", "Metascore", Group::Critics, Raw(MovieValue::Metascore)),
    up("metascore_share", "Metascore", Group::Critics, Share(MovieValue::Metascore)),
    up("tomatometer", "Tomatometer", Group::Critics, Raw(MovieValue::Tomatometer)),
    up("tomatometer_share", "Tomatometer", Group::Critics, Share(MovieValue::Tomatometer)),

    free("budget_share", "Budget", Group::Money, Share(MovieValue::Budget)),
    free("revenue_share", "Revenue", Group::Money, Share(MovieValue::Revenue)),

    up("academy_top", "Academy Award for Best Picture", Group::Awards, Top(O::Academy)),
    up("academy_directing", "Academy Award for directing", Group::Awards, Academy(C::Directing)),
    up("academy_acting", "Academy Awards for acting", Group::Awards, Academy(C::Acting)),
    up("academy_writing", "Academy Awards for writing", Group::Awards, Academy(C::Writing)),
    up("academy_international", "Academy Award for international movies", Group::Awards, Academy(C::International)),
    up("academy_other", "other Academy Awards", Group::Awards, Academy(C::Other)),
    up("cannes_top", "Palme d'Or", Group::Awards, Top(O::Cannes)),
    up("venice_top", "Golden Lion", Group::Awards, Top(O::Venice)),
    up("berlin_top", "Golden Bear", Group::Awards, Top(O::Berlin)),
    up("bafta_top", "BAFTA Award for Best Film", Group::Awards, Top(O::Bafta)),
    up("golden_globes_top", "Golden Globe for Best Motion Picture", Group::Awards, Top(O::GoldenGlobes)),
    up("cesar_top", "César for Best Film", Group::Awards, Top(O::Cesar)),
    up("academy", "Academy Awards", Group::Awards, Nominations(O::Academy)),
    up("cannes", "Cannes", Group::Awards, Nominations(O::Cannes)),
    up("venice", "Venice", Group::Awards, Nominations(O::Venice)),
    up("berlin", "Berlin", Group::Awards, Nominations(O::Berlin)),
    up("bafta", "BAFTA Awards", Group::Awards, Nominations(O::Bafta)),
    up("golden_globes", "Golden Globes", Group::Awards, Nominations(O::GoldenGlobes)),
    up("critics_choice", "Critics' Choice Awards", Group::Awards, Nominations(O::CriticsChoice)),
    up("spirit", "Independent Spirit Awards", Group::Awards, Nominations(O::Spirit)),
    up("cesar", "César Awards", Group::Awards, Nominations(O::Cesar)),
    up("sundance", "Sundance", Group::Awards, Nominations(O::Sundance)),
    up("other_awards", "other awards", Group::Awards, Nominations(O::Other)),
    up("nominations", "award nominations", Group::Awards, AllNominations),
    up("wins", "awards won", Group::Awards, AllWins),
    up("top_nominations", "nominations for main prizes", Group::Awards, AllTop),
    up("prestige_in_year", "most honoured", Group::Awards, Place(Prestige, W::Year)),
    up("prestige_in_decade", "most honoured", Group::Awards, Place(Prestige, W::Decade)),
    up("prestige_in_language", "most honoured", Group::Awards, Place(Prestige, W::Language)),
    up("prestige_in_genre", "most honoured", Group::Awards, Place(Prestige, W::Genre)),

    free("director_works", "other movies by the director", Group::Director, People(Director, R::Works)),
    up("director_mean", "mean rating of the director's other movies", Group::Director, People(Director, R::Mean)),
    up("director_best", "best rating of the director's other movies", Group::Director, People(Director, R::Best)),
    up("director_prestige", "prestige of the director's other movies", Group::Director, People(Director, R::Prestige)),
    up("director_top", "main-prize nominations of the director's other movies", Group::Director, People(Director, R::TopNominations)),
    free("director_lead", "rating above the director's best other movie", Group::Director, People(Director, R::Lead)),
    up("director_lists", "list places of the director's other movies", Group::Lists, People(Director, R::Lists)),
    free("cast_works", "other movies of the cast", Group::Cast, People(Cast, R::Works)),
    up("cast_mean", "mean rating of the cast's other movies", Group::Cast, People(Cast, R::Mean)),
    up("cast_best", "best rating of the cast's other movies", Group::Cast, People(Cast, R::Best)),
    up("cast_prestige", "prestige of the cast's other movies", Group::Cast, People(Cast, R::Prestige)),
    up("cast_lists", "list places of the cast's other movies", Group::Lists, People(Cast, R::Lists)),

    free("language_share", "share of movies in the same language", Group::Origin, LanguageShare),
    free("english", "in English", Group::Origin, Language(*b"en")),
    free("french", "in French", Group::Origin, Language(*b"fr")),
    free("japanese", "in Japanese", Group::Origin, Language(*b"ja")),
    free("italian", "in Italian", Group::Origin, Language(*b"it")),
    free("drama", "drama", Group::Origin, Genre(0)),
    free("comedy", "comedy", Group::Origin, Genre(1)),
    free("action", "action", Group::Origin, Genre(4)),
    free("crime", "crime", Group::Origin, Genre(5)),
    free("horror", "horror", Group::Origin, Genre(7)),
    free("science_fiction", "science fiction", Group::Origin, Genre(8)),
    free("animation", "animation", Group::Origin, Genre(13)),
    free("documentary", "documentary", Group::Origin, Genre(16)),
    free("western", "western", Group::Origin, Genre(17)),
    free("year_of_decade", "year within the decade", Group::Origin, YearOfDecade),

    up("lists", "other lists", Group::Lists, Lists),
    up("best_position", "position on another list", Group::Lists, BestPosition),
    up("list_1", "on another list", Group::Lists, OnList(0)),
    up("list_2", "on another list", Group::Lists, OnList(1)),
    up("list_3", "on another list", Group::Lists, OnList(2)),
    up("list_4", "on another list", Group::Lists, OnList(3)),
    up("list_5", "on another list", Group::Lists, OnList(4)),
    up("list_6", "on another list", Group::Lists, OnList(5)),
    up("list_7", "on another list", Group::Lists, OnList(6)),
    up("list_8", "on another list", Group::Lists, OnList(7)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_are_unique_and_lists_are_only_in_the_variant_with_lists() {
        let keys: HashSet<_> = FEATURES.iter().map(|feature| feature.key).collect();
        assert_eq!(keys.len(), FEATURES.len());
        assert!(Feature::of_variant(Variant::WithoutLists).all(|feature| feature.group != Group::Lists));
        assert_eq!(Feature::of_variant(Variant::WithoutLists).count(), 77);
        assert_eq!(Feature::of_variant(Variant::WithLists).count(), 89);
    }
}
