//! The frame of every page: header, navigation and controls.

#![expect(clippy::trivially_copy_pass_by_ref, clippy::unused_self, reason = "templates call them so")]

use super::assets;
use super::criteria::CRITERIA;
use super::page_query::PageQuery;
use super::queries::{Frame, Profile};

/// Parameters that the weights form replaces. They include `profile`, because a URL has a profile or custom weights,
/// not both.
pub(super) const WEIGHT_FIELDS: &[&str] = &["popular", "critical", "industry", "cultural", "people", "profile"];

/// Parameters that the filter form replaces.
pub(super) const FILTER_FIELDS: &[&str] = &["decade", "list", "genre", "country", "q", "min"];

/// The navigation item of the current page; `None` for pages outside the navigation, such as that of a movie.
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
    pub(super) query: PageQuery,
    pub(super) frame: Frame,
    /// Whether the API explorer is served.
    pub(super) explorer: bool,
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
    pub(super) fn link_to(&self, path: &str) -> String {
        self.query.on_first_page().without_filters().link(path)
    }

    /// Target of the page's forms.
    pub(super) fn path(&self) -> &'static str {
        self.tab.path()
    }

    /// The selected profile; `None` for custom weights or an unknown profile.
    pub(super) fn profile(&self) -> Option<&Profile> {
        let mut profiles = self.frame.profiles.iter();
        match self.query.profile.as_str() {
            _ if self.query.has_custom_weights() => None,
            "" => profiles.find(|profile| profile.is_default),
            name => profiles.find(|profile| profile.name == name),
        }
    }

    pub(super) fn profile_name(&self) -> &str {
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
        let slider = |(((key, name, meaning), custom), percent): (((_, _, _), &String), f64)| {
            // A missing custom weight counts as 0, as in `selection_variables`.
            let custom = if custom.is_empty() { "0".to_owned() } else { custom.clone() };
            let percent = if query.has_custom_weights() { custom } else { percent.to_string() };
            Slider { key, name, meaning, percent }
        };
        all.map(slider).collect()
    }

    pub(super) fn list_name(&self) -> &str {
        let key = self.query.list();
        self.frame.lists.iter().find(|list| list.key == key).map_or(key, |list| &list.name)
    }

    /// Decades that have movies, latest first. Includes the selected decade even if it has none, so that the form
    /// keeps it.
    pub(super) fn decades(&self) -> Vec<i32> {
        let list = self.frame.lists.iter().find(|list| list.key == self.query.list());
        let mut decades: Vec<i32> = list.iter().flat_map(|list| &list.decades).map(|listed| listed.decade).collect();
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

    pub(super) fn movie_link(&self, id: &str) -> String {
        self.link_to(&format!("/films/{id}"))
    }
}
