//! View models of the templates.

#![expect(clippy::trivially_copy_pass_by_ref, clippy::unused_self, reason = "templates call them so")]

use askama::Template;

use super::assets;
use super::page_query::PageQuery;
use super::problem::PageError;
use super::queries::{Frame, Part, Prediction, Ranking};

/// Key, name and meaning of the five criteria, in their order.
pub(super) const CRITERIA: [(&str, &str, &str); 5] = [
    ("popular", "Popular opinion", "What audiences rated it"),
    ("critical", "Critical acclaim", "What reviewers rated it"),
    ("industry", "Industry recognition", "Nominations and awards"),
    ("cultural", "Cultural impact", "Other lists and popularity"),
    ("people", "People quality", "Track record of its cast and crew"),
];

/// Parameters that the weights form replaces. Includes `profile`, which custom weights exclude.
const WEIGHT_FIELDS: &[&str] = &["popular", "critical", "industry", "cultural", "people", "profile"];

/// Parameters that the filter form replaces.
const FILTER_FIELDS: &[&str] = &["decade", "list", "genre", "country", "q", "min"];

/// The current page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Predictions,
    Additions,
    Validation,
    None,
}

impl Tab {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Additions => "/additions",
            Self::Validation => "/validation",
            Self::Predictions | Self::None => "/",
        }
    }
}

/// Header, navigation and controls of every page.
pub(super) struct Chrome {
    pub(super) tab: Tab,
    pub(super) address: PageQuery,
    pub(super) frame: Frame,
    /// Whether the API explorer is served.
    pub(super) explorer: bool,
}

/// A link to the same page in another state.
pub(super) struct Choice {
    pub(super) href: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) weights: String,
    pub(super) chosen: bool,
}

/// One of the five weights.
pub(super) struct Slider {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) percent: String,
}

impl Chrome {
    pub(super) fn asset(&self, name: &str) -> String {
        assets::path(name)
    }

    pub(super) fn scripts(&self) -> impl Iterator<Item = String> {
        assets::scripts()
    }

    /// Link to another page with the same weight selection, list and decade.
    pub(super) fn to(&self, path: &str) -> String {
        self.address.at_start().unfiltered().link(path)
    }

    /// Target of the page's forms.
    pub(super) fn path(&self) -> &'static str {
        self.tab.path()
    }

    /// The selected profile; none for custom weights or an unknown profile.
    pub(super) fn profile(&self) -> Option<&super::queries::Profile> {
        let mut profiles = self.frame.profiles.iter();
        match self.address.profile.as_str() {
            _ if self.address.is_tuned() => None,
            "" => profiles.find(|profile| profile.is_default),
            name => profiles.find(|profile| profile.name == name),
        }
    }

    pub(super) fn profile_name(&self) -> &str {
        self.profile().map_or("your weights", |profile| &profile.name)
    }

    pub(super) fn profiles(&self) -> Vec<Choice> {
        let chosen = self.profile().map(|profile| &profile.name);
        let choice = |profile: &super::queries::Profile| Choice {
            // Unnamed, so that the link follows a change of the default profile.
            href: self.address.under(if profile.is_default { "" } else { &profile.name }).link(self.path()),
            name: profile.name.clone(),
            description: profile.description.clone().unwrap_or_default(),
            weights: profile.weights.percents().map(|percent| percent.to_string()).join(","),
            chosen: chosen == Some(&profile.name),
        };
        self.frame.profiles.iter().map(choice).collect()
    }

    pub(super) fn sliders(&self) -> Vec<Slider> {
        let profile = self.profile().map_or([0.0; 5], |profile| profile.weights.percents());
        let address = &self.address;
        let custom = [&address.popular, &address.critical, &address.industry, &address.cultural, &address.people];
        let all = CRITERIA.into_iter().zip(custom).zip(profile);
        let slider = |(((key, name, meaning), custom), percent): (((_, _, _), &String), f64)| {
            let custom = if custom.is_empty() { "0".to_owned() } else { custom.clone() };
            let percent = if address.is_tuned() { custom } else { percent.to_string() };
            Slider { key, name, meaning, percent }
        };
        all.map(slider).collect()
    }

    pub(super) fn list_name(&self) -> &str {
        let key = self.address.list();
        self.frame.lists.iter().find(|list| list.key == key).map_or(key, |list| &list.name)
    }

    /// Decades that have movies, latest first.
    pub(super) fn decades(&self) -> Vec<i32> {
        let list = self.frame.lists.iter().find(|list| list.key == self.address.list());
        let mut decades: Vec<i32> = list.iter().flat_map(|list| &list.decades).map(|of| of.decade).collect();
        let selected = self.decade();
        if !decades.contains(&selected) {
            decades.push(selected);
        }
        decades.sort_unstable_by(|one, other| other.cmp(one));
        decades
    }

    pub(super) fn decade(&self) -> i32 {
        self.address.decade().unwrap_or_default()
    }

    pub(super) fn is_decade(&self, decade: &i32) -> bool {
        self.decade() == *decade
    }

    /// Hidden fields of a form: all parameters except `but`.
    pub(super) fn hidden_fields(&self, but: &[&str]) -> Vec<(String, String)> {
        self.address.hidden_fields(but)
    }

    fn film_link(&self, film: &Prediction) -> String {
        self.to(&format!("/films/{}", film.movie.id))
    }
}

/// The segment of one criterion in the bar of a score.
pub(super) struct Segment {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) start: String,
    pub(super) width: String,
    pub(super) points: String,
}

/// Formats a number with one decimal.
pub(super) fn one_decimal(number: f64) -> String {
    format!("{number:.1}")
}

impl Prediction {
    fn score_text(&self) -> String {
        one_decimal(self.score)
    }

    fn likelihood_text(&self) -> String {
        format!("{:.0}", self.likelihood)
    }

    fn segments(&self) -> Vec<Segment> {
        Self::segments_of(&self.breakdown)
    }

    pub(super) fn segments_of(breakdown: &[Part]) -> Vec<Segment> {
        let mut start = 0.0;
        let mut segment = |((key, name, _), points): ((_, _, _), f64)| {
            let segment = Segment {
                key,
                name,
                start: format!("{start:.2}"),
                width: format!("{points:.2}"),
                points: one_decimal(points),
            };
            start += points;
            segment
        };
        let points = breakdown.iter().map(|part| part.contribution).chain(std::iter::repeat(0.0));
        CRITERIA.into_iter().zip(points).map(&mut segment).collect()
    }

    fn genres(&self) -> String {
        self.movie.genres.iter().map(|genre| genre.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn is_direct(&self) -> bool {
        self.source == "DIRECT_QUERY"
    }
}

/// Movies, best first.
#[derive(Template)]
#[template(path = "list.html")]
pub(super) struct ListPage {
    pub(super) page: Chrome,
    pub(super) ranking: Ranking,
    pub(super) stale: bool,
    /// Template row for the scripts.
    pub(super) placeholder_row: Prediction,
}

impl ListPage {
    fn next(&self) -> Option<String> {
        let info = &self.ranking.page_info;
        let cursor = info.end_cursor.as_deref().filter(|_| info.has_next_page)?;
        Some(self.page.address.next(cursor).link(self.page.path()))
    }

    fn previous(&self) -> Option<String> {
        let address = &self.page.address;
        (!address.after.is_empty()).then(|| address.previous().link(self.page.path()))
    }

    fn end_cursor(&self) -> &str {
        let info = &self.ranking.page_info;
        info.end_cursor.as_deref().filter(|_| info.has_next_page).unwrap_or_default()
    }

    fn is_predictions(&self) -> bool {
        self.page.tab == Tab::Predictions
    }
}

/// An error, with links to retry and to the start page.
#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct ProblemPage {
    pub(super) page: Chrome,
    pub(super) problem: PageError,
    /// Link to the failed page.
    pub(super) again: String,
}

/// An empty prediction with one part per criterion.
pub(super) fn placeholder_row() -> Prediction {
    let part = || Part::default();
    Prediction { rank: Some(0), breakdown: std::iter::repeat_with(part).take(5).collect(), ..Prediction::default() }
}
