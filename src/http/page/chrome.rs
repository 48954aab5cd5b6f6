//! The frame of every page: header, navigation and controls.

#![expect(clippy::trivially_copy_pass_by_ref, clippy::unused_self, reason = "templates call them so")]

use super::assets;
use super::criteria::{CRITERIA, Criterion};
use super::learned::{LearnedKind, Models, RankingChoice, Summary};
use super::numbers::whole_percentages;
use super::page_query::PageQuery;
use super::queries::{Frame, ListDecade, PageInfo, Profile};

/// Parameters that the weights form replaces. They include `profile` and `ranking`, because a URL has custom weights, a
/// profile or a learned ranking; `probability` belongs to the latter.
pub(super) const WEIGHT_FIELDS: &[&str] =
    &["popular", "critical", "industry", "cultural", "people", "profile", "ranking", "probability"];

/// Parameters that the filter form replaces.
pub(super) const FILTER_FIELDS: &[&str] =
    &["decade", "list", "genre", "country", "preferred", "q", "min", "probability"];

/// The parameter that the list form of a page without filters replaces.
pub(super) const LIST_FIELD: &[&str] = &["list"];

/// The navigation item of the current page; `None` for pages outside the navigation, such as that of a movie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Predictions,
    Decades,
    Additions,
    Validation,
    /// The search box of the header.
    Search,
    None,
}

impl Tab {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Decades => "/decades",
            Self::Additions => "/additions",
            Self::Validation => "/validation",
            Self::Search => "/search",
            Self::Predictions | Self::None => "/",
        }
    }
}

/// Header, navigation and controls of every page.
pub(super) struct Chrome {
    pub(super) tab: Tab,
    /// The navigation item that a page outside the navigation belongs to.
    pub(super) part_of: Tab,
    pub(super) query: PageQuery,
    pub(super) frame: Frame,
    /// The learned rankings of the list.
    pub(super) models: Models,
    /// Whether the API explorer is served.
    pub(super) explorer: bool,
    /// Whether posters are loaded from another server, whose notice must be shown.
    pub(super) has_posters: bool,
    /// Address at which people reach the pages; `None` if it is unknown.
    pub(super) public_url: Option<String>,
}

/// A profile to choose: a link to the same page, ranked by that profile.
pub(super) struct Choice {
    pub(super) href: String,
    pub(super) name: String,
    pub(super) description: String,
    /// Percentages in criterion order, separated by commas, for the scripts.
    pub(super) weights: String,
    pub(super) chosen: bool,
}

/// A filter that is set.
pub(super) struct Token {
    /// Name of its parameter.
    pub(super) name: &'static str,
    pub(super) text: String,
    /// To the same page without the filter.
    pub(super) href: String,
}

/// One of the five weights.
pub(super) struct Slider {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) percent: String,
    /// Its share of the score.
    pub(super) share: String,
}

impl Chrome {
    pub(super) fn asset(&self, name: &str) -> String {
        assets::path(name)
    }

    /// Address of a page with host, if that is known.
    pub(super) fn public_address(&self, path: &str) -> String {
        let base = self.public_url.as_deref().unwrap_or_default();
        format!("{}{path}", base.trim_end_matches('/'))
    }

    pub(super) fn scripts(&self) -> impl Iterator<Item = String> {
        assets::scripts()
    }

    /// Fields of the search form that keep the weight selection, list and decade.
    pub(super) fn search_fields(&self) -> Vec<(String, String)> {
        self.query.on_first_page().without_filters().hidden_fields(&[])
    }

    /// The text in the search box.
    pub(super) fn searched(&self) -> &str {
        if self.tab == Tab::Search { &self.query.q } else { "" }
    }

    /// Link to another page with the same weight selection, list and decade.
    pub(super) fn link_to(&self, path: &str) -> String {
        self.query.on_first_page().without_filters().link(path)
    }

    /// Link to the predictions of a decade; of the default one without a decade.
    pub(super) fn predictions_link(&self, decade: Option<i32>) -> String {
        let decade = decade.map(|decade| decade.to_string()).unwrap_or_default();
        PageQuery { decade, ..self.query.on_first_page().without_filters() }.link("/")
    }

    /// Target of the page's forms.
    pub(super) fn path(&self) -> &'static str {
        self.tab.path()
    }

    /// The learned ranking that ranks; `None` for the formula, which also ranks while the selected one is not served.
    pub(super) fn learned(&self) -> Option<LearnedKind> {
        self.query.learned().filter(|kind| self.models.of(*kind).is_some_and(|summary| summary.served))
    }

    pub(super) fn is_learned(&self) -> bool {
        self.learned().is_some()
    }

    /// Name of the selected learned ranking and why it does not rank; `None` if it does, or the formula is selected.
    pub(super) fn unavailable(&self) -> Option<(&'static str, &str)> {
        let selected = self.query.learned().filter(|_| !self.is_learned())?;
        Some((selected.name(), self.models.of(selected).map_or("it was not trained for this list", Summary::why_not)))
    }

    /// The rankings to choose from; empty if no ranking of the list was trained.
    pub(super) fn rankings(&self) -> Vec<RankingChoice> {
        let Some(formula_recall) = self.models.formula_recall() else { return vec![] };
        let formula = RankingChoice {
            href: self.query.with_formula().link(self.path()),
            parameter: "",
            label: "Formula",
            name: "",
            note: format!("finds {formula_recall}"),
            title: "Weighted sums of five criteria; the figure is that of the best profile".to_owned(),
            available: true,
            chosen: !self.is_learned(),
        };
        let learned = |kind| Some(self.learned_choice(kind, self.models.of(kind)?));
        [formula].into_iter().chain(LearnedKind::ALL.into_iter().filter_map(learned)).collect()
    }

    fn learned_choice(&self, kind: LearnedKind, summary: &Summary) -> RankingChoice {
        let (href, note, title) = if summary.served {
            let title = match kind {
                LearnedKind::WithLists => "A model that has learned from this list, and also uses other lists",
                LearnedKind::WithoutLists => "A model that has learned from this list; better for recent films",
            };
            (self.query.with_learned(kind).link(self.path()), format!("finds {}", summary.recall()), title)
        } else {
            (self.model_link(kind), "not available: why?".to_owned(), summary.why_not())
        };
        RankingChoice {
            href,
            parameter: kind.parameter(),
            label: kind.label(),
            name: kind.name(),
            note,
            title: title.to_owned(),
            available: summary.served,
            chosen: self.learned() == Some(kind),
        }
    }

    /// Link to the model card of a learned ranking of the list.
    pub(super) fn model_link(&self, kind: LearnedKind) -> String {
        self.query.with_learned(kind).without_filters().link("/model")
    }

    /// Link to the model card of the selected learned ranking, or of the one with other lists.
    pub(super) fn card_link(&self) -> String {
        self.link_to("/model")
    }

    /// The selected profile; `None` for custom weights, an unknown profile or a learned ranking.
    pub(super) fn profile(&self) -> Option<&Profile> {
        let mut profiles = self.frame.profiles.iter();
        match self.query.profile.as_str() {
            _ if self.query.has_custom_weights() || self.is_learned() => None,
            "" => profiles.find(|profile| profile.is_default),
            name => profiles.find(|profile| profile.name == name),
        }
    }

    /// Whether custom weights rank.
    pub(super) fn is_custom(&self) -> bool {
        self.query.has_custom_weights() && !self.is_learned()
    }

    /// What ranks: the profile, the weights or the learned ranking.
    pub(super) fn ranking_name(&self) -> &str {
        if let Some(learned) = self.learned() {
            return learned.name();
        }
        self.profile().map_or("your weights", |profile| &profile.name)
    }

    pub(super) fn profiles(&self) -> Vec<Choice> {
        let chosen = self.profile().map(|profile| &profile.name);
        let choice = |profile: &Profile| Choice {
            // The link to the default profile does not name it, so that it stays a link to the default if that changes.
            href: self.query.with_profile(if profile.is_default { "" } else { &profile.name }).link(self.path()),
            name: profile.name.clone(),
            description: profile.description.clone().unwrap_or_default(),
            weights: profile.weights.percents().map(|percent| percent.to_string()).join(","),
            chosen: chosen == Some(&profile.name),
        };
        self.frame.profiles.iter().map(choice).collect()
    }

    pub(super) fn sliders(&self) -> Vec<Slider> {
        let profile_percents = self.profile().map_or([0.0; 5], |profile| profile.weights.percents());
        let query = &self.query;
        let custom = [&query.popular, &query.critical, &query.industry, &query.cultural, &query.people];
        let all = CRITERIA.into_iter().zip(custom).zip(profile_percents);
        let slider = |((Criterion { key, name, meaning, api }, custom), percent): ((Criterion, &String), f64)| {
            // A missing custom weight counts as 0, as in `selection_variables`.
            let custom = if custom.is_empty() { "0".to_owned() } else { custom.clone() };
            let percent = if query.has_custom_weights() { custom } else { percent.to_string() };
            let meaning = if self.frame.lacks_data(api) { "Too little data: it does not count" } else { meaning };
            Slider { key, name, meaning, percent, share: String::new() }
        };
        let mut sliders: Vec<Slider> = all.map(slider).collect();
        let weights: Vec<f64> = sliders.iter().map(|slider| slider.percent.parse().unwrap_or(0.0)).collect();
        for (slider, share) in sliders.iter_mut().zip(whole_percentages(&weights)) {
            slider.share = format!("{share} %");
        }
        sliders
    }

    /// Names of the criteria that do not count for lack of data; empty if all of them count.
    pub(super) fn criteria_without_data(&self) -> String {
        let missing = CRITERIA.into_iter().filter(|criterion| self.frame.lacks_data(criterion.api));
        missing.map(|criterion| criterion.name.to_lowercase()).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn list_name(&self) -> &str {
        let key = self.query.list();
        self.frame.lists.iter().find(|list| list.key == key).map_or(key, |list| &list.name)
    }

    /// The decades of the list, as the API returns them.
    fn decades_of_list(&self) -> impl Iterator<Item = &ListDecade> {
        let list = self.frame.lists.iter().find(|list| list.key == self.query.list());
        list.into_iter().flat_map(|list| &list.decades)
    }

    /// Number of movies of a decade on the list.
    pub(super) fn listed(&self, decade: &i32) -> u32 {
        self.decades_of_list().find(|listed| listed.decade == *decade).map_or(0, |listed| listed.listed)
    }

    /// Link to the same page in the nearest decade before the selected one.
    pub(super) fn earlier(&self) -> Option<String> {
        let decade = self.decades().into_iter().find(|decade| *decade < self.decade())?;
        Some(self.query.with_decade(decade).link(self.path()))
    }

    /// Link to the same page in the nearest decade after the selected one.
    pub(super) fn later(&self) -> Option<String> {
        let decade = self.decades().into_iter().rfind(|decade| *decade > self.decade())?;
        Some(self.query.with_decade(decade).link(self.path()))
    }

    /// The filters that are set, each with a link that removes it.
    pub(super) fn tokens(&self) -> Vec<Token> {
        let text = |name, value: &str| match name {
            "country" => {
                let mut countries = self.frame.countries.iter();
                countries.find(|country| country.code == value).map_or(value, |country| &country.name).to_owned()
            }
            "preferred" => format!("Preferred by {value}"),
            "q" => format!("“{value}”"),
            "min" => format!("Score ≥ {value}"),
            "probability" => format!("Probability ≥ {value} %"),
            _ => value.to_owned(),
        };
        let set = self.query.filters().into_iter().filter(|_| self.tab == Tab::Predictions);
        set.map(|(name, value, without)| Token { name, text: text(name, value), href: without.link(self.path()) })
            .collect()
    }

    /// Decades that have movies, latest first.
    pub(super) fn decades_with_movies(&self) -> Vec<i32> {
        let mut decades: Vec<i32> = self.decades_of_list().map(|listed| listed.decade).collect();
        decades.sort_unstable_by(|one, other| other.cmp(one));
        decades
    }

    /// Decades that have movies, latest first. Includes the selected decade even if it has none, so that the form
    /// keeps it.
    pub(super) fn decades(&self) -> Vec<i32> {
        let mut decades = self.decades_with_movies();
        let selected = self.decade();
        if !decades.contains(&selected) {
            decades.push(selected);
        }
        decades.sort_unstable_by(|one, other| other.cmp(one));
        decades
    }

    /// The selected decade; 0 if the decade in the URL is not a number. In that case the page shows an error.
    pub(super) fn decade(&self) -> i32 {
        self.query.decade().unwrap_or_default()
    }

    pub(super) fn is_decade(&self, decade: &i32) -> bool {
        self.decade() == *decade
    }

    /// Hidden fields of a form: all parameters except `but`.
    pub(super) fn hidden_fields(&self, but: &[&str]) -> Vec<(String, String)> {
        self.query.hidden_fields(but)
    }

    /// Value of `aria-current` for a navigation item; empty if the page does not belong to it.
    pub(super) fn current(&self, item: Tab) -> &'static str {
        match item {
            item if item == self.tab => "page",
            item if item == self.part_of => "true",
            _ => "",
        }
    }

    /// Link to the next page of the list at `path`; `None` on the last one.
    pub(super) fn next(&self, info: &PageInfo, path: &str) -> Option<String> {
        let cursor = info.end_cursor.as_deref().filter(|_| info.has_next_page)?;
        Some(self.query.next(cursor).link(path))
    }

    /// Link to the previous page of the list at `path`; `None` on the first one.
    pub(super) fn previous(&self, path: &str) -> Option<String> {
        (!self.query.after.is_empty()).then(|| self.query.previous().link(path))
    }

    pub(super) fn person_link(&self, slug: &str) -> String {
        self.link_to(&format!("/people/{slug}"))
    }

    pub(super) fn movie_link(&self, slug: &str) -> String {
        self.link_to(&format!("/films/{slug}"))
    }
}
