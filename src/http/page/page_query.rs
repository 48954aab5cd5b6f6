//! The state of a page, encoded in its URL: every state has a link, which works without scripts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::learned::LearnedKind;
use super::problem::PageError;
use super::queries::Defaults;

/// Separates the cursors in [`PageQuery::trail`]. Cursors are base64url, so they do not contain it.
const CURSOR_SEPARATOR: char = '.';

/// Maximum number of cursors in [`PageQuery::trail`], which keeps URLs short. From the oldest of these pages, the way
/// back leads to the first page.
const TRAIL_MAX: usize = 20;

/// The query of a page's URL. All fields are text, because a form sends empty fields as empty strings; an empty string
/// counts as missing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct PageQuery {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) decade: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) list: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) profile: String,
    /// The learned ranking, as [`LearnedKind::parameter`]; empty for the formula.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) ranking: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) popular: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) critical: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) industry: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) cultural: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) people: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) genre: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) country: String,
    /// Who likes the films better: `critics` or `audiences`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) preferred: String,
    /// Text that titles must contain.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) q: String,
    /// Minimum score.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) min: String,
    /// Minimum probability in percent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) probability: String,
    /// Cursor after which this page of the list starts; empty on the first page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) after: String,
    /// The `after` of the pages before this one, oldest first, for the link back. API cursors lead only forwards.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) trail: String,
    /// What the URL leaves out; known once the frame of the page has loaded.
    #[serde(skip)]
    pub(super) defaults: Defaults,
}

impl PageQuery {
    /// Parses the part of a URL after `?`; ignores unknown parameters. With a learned ranking, it also ignores what only
    /// the formula has: profile, weights and minimum score. Without one, it ignores the minimum probability.
    ///
    /// # Errors
    /// [`PageError`] if a parameter occurs twice, or the ranking is unknown.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, PageError> {
        let parsed: Self =
            serde_urlencoded::from_str(query.unwrap_or_default()).map_err(|_| PageError::invalid_link("query"))?;
        match (parsed.ranking.as_str(), parsed.learned()) {
            ("", _) => Ok(Self { probability: String::new(), ..parsed }),
            (_, Some(_)) => Ok(Self { profile: String::new(), min: String::new(), ..parsed.without_weights() }),
            (_, None) => Err(PageError::invalid_link("ranking")),
        }
    }

    /// The learned ranking to rank by; `None` for the formula.
    pub(super) fn learned(&self) -> Option<LearnedKind> {
        LearnedKind::ALL.into_iter().find(|kind| kind.parameter() == self.ranking)
    }

    pub(super) fn list(&self) -> &str {
        if self.list.is_empty() { &self.defaults.list } else { &self.list }
    }

    pub(super) fn decade(&self) -> Result<i32, PageError> {
        match self.decade.as_str() {
            "" => Ok(self.defaults.decade),
            text => text.parse().map_err(|_| PageError::invalid_link("decade")),
        }
    }

    /// Parameter, GraphQL field and text of each weight, in criterion order.
    fn weights(&self) -> [(&'static str, &'static str, &str); 5] {
        [
            ("popular", "popularOpinion", &self.popular),
            ("critical", "criticalAcclaim", &self.critical),
            ("industry", "industryRecognition", &self.industry),
            ("cultural", "culturalImpact", &self.cultural),
            ("people", "peopleQuality", &self.people),
        ]
    }

    /// Whether the URL has custom weights: at least one of the five.
    pub(super) fn has_custom_weights(&self) -> bool {
        self.weights().iter().any(|(_, _, text)| !text.is_empty())
    }

    pub(super) fn has_filter(&self) -> bool {
        [&self.genre, &self.country, &self.preferred, &self.q, &self.min, &self.probability]
            .iter()
            .any(|text| !text.is_empty())
    }

    /// GraphQL variables of a search for films of all years.
    ///
    /// # Errors
    /// As [`selection_variables`](Self::selection_variables).
    pub(super) fn search_variables(&self) -> Result<Map<String, Value>, PageError> {
        let mut variables = self.selection_variables()?;
        variables.insert("search".to_owned(), self.q.as_str().into());
        if !self.after.is_empty() {
            variables.insert("after".to_owned(), self.after.as_str().into());
        }
        Ok(variables)
    }

    /// GraphQL variables for the target list and what to rank by: `list`, and `ranking`, `weights` or `profile`. Without
    /// these, the API uses the default profile. If some custom weights are missing, they are 0.
    ///
    /// # Errors
    /// [`PageError`] if a weight is not a number.
    pub(super) fn selection_variables(&self) -> Result<Map<String, Value>, PageError> {
        let mut variables = Map::new();
        variables.insert("list".to_owned(), self.list().into());
        if let Some(learned) = self.learned() {
            variables.insert("ranking".to_owned(), learned.api().into());
        } else if self.has_custom_weights() {
            let mut weights = Map::new();
            for (name, argument, text) in self.weights() {
                weights.insert(argument.to_owned(), parse_number(name, text)?.unwrap_or(0.0).into());
            }
            variables.insert("weights".to_owned(), weights.into());
        } else if !self.profile.is_empty() {
            variables.insert("profile".to_owned(), self.profile.as_str().into());
        }
        Ok(variables)
    }

    /// GraphQL variables for a page of the list.
    ///
    /// # Errors
    /// [`PageError`] if the decade, a minimum or a weight is not a number.
    pub(super) fn page_variables(&self) -> Result<Map<String, Value>, PageError> {
        let mut variables = self.selection_variables()?;
        variables.insert("decade".to_owned(), self.decade()?.into());
        if self.has_filter() {
            let one = |text: &str| if text.is_empty() { Value::Null } else { json!([text]) };
            let preferred = match self.preferred.as_str() {
                "" => Value::Null,
                "critics" => "CRITICS".into(),
                "audiences" => "AUDIENCES".into(),
                _ => return Err(PageError::invalid_link("preferred")),
            };
            let title = if self.q.is_empty() { Value::Null } else { self.q.as_str().into() };
            let filter = json!({
                "minScore": parse_number("min", &self.min)?,
                "minProbability": parse_number("probability", &self.probability)?.map(|percent| percent / 100.0),
                "genres": one(&self.genre),
                "countries": one(&self.country),
                "preferredBy": preferred,
                "titleContains": title,
            });
            variables.insert("filter".to_owned(), filter);
        }
        if !self.after.is_empty() {
            variables.insert("after".to_owned(), self.after.as_str().into());
        }
        Ok(variables)
    }

    /// The same state on the first page.
    pub(super) fn on_first_page(&self) -> Self {
        Self { after: String::new(), trail: String::new(), ..self.clone() }
    }

    /// The next page, which starts after `cursor`.
    pub(super) fn next(&self, cursor: &str) -> Self {
        let mut trail: Vec<&str> = self.trail.split(CURSOR_SEPARATOR).filter(|text| !text.is_empty()).collect();
        if !self.after.is_empty() {
            trail.push(&self.after);
        }
        // The oldest cursors are dropped.
        let dropped = trail.len().saturating_sub(TRAIL_MAX);
        let trail = trail[dropped..].join(&CURSOR_SEPARATOR.to_string());
        Self { after: cursor.to_owned(), trail, ..self.clone() }
    }

    /// The previous page; the first page if the trail is empty.
    pub(super) fn previous(&self) -> Self {
        let (trail, after) = self.trail.rsplit_once(CURSOR_SEPARATOR).unwrap_or(("", &self.trail));
        Self { after: after.to_owned(), trail: trail.to_owned(), ..self.clone() }
    }

    /// The same state, ranked by a profile, on the first page: cursors are valid for one ranking only.
    pub(super) fn with_profile(&self, profile: &str) -> Self {
        Self { profile: profile.to_owned(), ..self.without_custom_weights().with_formula() }
    }

    /// The same state, ranked by the formula, on the first page.
    pub(super) fn with_formula(&self) -> Self {
        Self { ranking: String::new(), probability: String::new(), ..self.on_first_page() }
    }

    /// The same state, ranked by a learned ranking, on the first page.
    pub(super) fn with_learned(&self, kind: LearnedKind) -> Self {
        let none = String::new;
        let learned = Self { profile: none(), min: none(), ..self.without_custom_weights() };
        Self { ranking: kind.parameter().to_owned(), ..learned }
    }

    /// The same state without custom weights, on the first page.
    pub(super) fn without_custom_weights(&self) -> Self {
        self.on_first_page().without_weights()
    }

    fn without_weights(self) -> Self {
        let none = String::new;
        let partial = Self { popular: none(), critical: none(), industry: none(), ..self };
        Self { cultural: none(), people: none(), ..partial }
    }

    /// The same state in another decade, on the first page.
    pub(super) fn with_decade(&self, decade: i32) -> Self {
        Self { decade: decade.to_string(), ..self.on_first_page() }
    }

    /// The filters that are set: names and values of their parameters, and the same state without each, on the first
    /// page.
    pub(super) fn filters(&self) -> Vec<(&'static str, &str, Self)> {
        let first = self.on_first_page();
        let none = String::new;
        let all = [
            ("genre", &self.genre, Self { genre: none(), ..first.clone() }),
            ("country", &self.country, Self { country: none(), ..first.clone() }),
            ("preferred", &self.preferred, Self { preferred: none(), ..first.clone() }),
            ("q", &self.q, Self { q: none(), ..first.clone() }),
            ("min", &self.min, Self { min: none(), ..first.clone() }),
            ("probability", &self.probability, Self { probability: none(), ..first }),
        ];
        let set = all.into_iter().filter(|(_, value, _)| !value.is_empty());
        set.map(|(name, value, without)| (name, value.as_str(), without)).collect()
    }

    /// The same state without filters.
    pub(super) fn without_filters(&self) -> Self {
        let none = String::new;
        let partial = Self { genre: none(), country: none(), q: none(), ..self.clone() };
        Self { preferred: none(), min: none(), probability: none(), ..partial }
    }

    /// The link to `path` in this state.
    pub(super) fn link(&self, path: &str) -> String {
        match serde_urlencoded::to_string(self) {
            Ok(query) if !query.is_empty() => format!("{path}?{query}"),
            _ => path.to_owned(),
        }
    }

    /// Names and values of the parameters for the hidden fields of a form, except those in `but`. The cursors are left
    /// out, because the form leads to the first page.
    pub(super) fn hidden_fields(&self, but: &[&str]) -> Vec<(String, String)> {
        let text = serde_urlencoded::to_string(self.on_first_page()).unwrap_or_default();
        let mut parts: Vec<(String, String)> = serde_urlencoded::from_str(&text).unwrap_or_default();
        parts.retain(|(name, _)| !but.contains(&name.as_str()));
        parts
    }
}

/// Parses the number in the parameter `name`; `None` if it is empty.
///
/// # Errors
/// [`PageError`] if `text` is not a finite number.
fn parse_number(name: &'static str, text: &str) -> Result<Option<f64>, PageError> {
    match text {
        "" => Ok(None),
        // JSON cannot represent infinities or NaN.
        text => {
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(Some).ok_or(PageError::invalid_link(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_round_trip() {
        let query = "decade=1990&profile=Critics+Choice&genre=Sci-Fi+%26+Fantasy&q=am%C3%A9lie&min=40";
        let address = PageQuery::parse(Some(query)).unwrap();

        assert_eq!(address.link("/"), format!("/?{query}"));
    }

    #[test]
    fn previous_reverses_next() {
        let first = PageQuery::default();
        let third = first.next("a").next("b");

        assert_eq!(third.after, "b");
        assert_eq!(third.previous(), first.next("a"));
        assert_eq!(third.previous().previous(), first);
    }

    #[test]
    fn trail_is_bounded() {
        let far = (0..100).fold(PageQuery::default(), |address, page| address.next(&page.to_string()));

        let back = (0..TRAIL_MAX).fold(far.clone(), |address, _| address.previous());
        assert_eq!(back.after, "79");
        assert_eq!(back.previous(), PageQuery::default());
        assert!(far.link("/").len() < 200);
    }

    #[test]
    fn missing_weights_are_zero() {
        let tuned =
            PageQuery::parse(Some("profile=Balanced&people=30&cultural=")).unwrap().selection_variables().unwrap();

        assert_eq!(tuned["weights"]["peopleQuality"], 30.0);
        assert_eq!(tuned["weights"]["culturalImpact"], 0.0);
        assert!(!tuned.contains_key("profile"), "weights and a profile exclude each other");
    }

    #[test]
    fn a_learned_ranking_and_a_profile_exclude_each_other() {
        let learned = PageQuery::parse(Some("ranking=learned&profile=Balanced&people=30&min=40&q=a")).unwrap();
        let formula = learned.with_profile("Balanced");

        assert_eq!(learned.link("/"), "/?ranking=learned&q=a");
        assert_eq!(learned.selection_variables().unwrap()["ranking"], "LEARNED");
        assert_eq!(formula.link("/"), "/?profile=Balanced&q=a");
        assert_eq!(formula.with_learned(LearnedKind::WithoutLists).link("/"), "/?ranking=learned-without-lists&q=a");
        assert!(PageQuery::parse(Some("ranking=best")).unwrap_err().text.contains("ranking"));
    }

    #[test]
    fn minimum_probability_is_a_percentage() {
        let learned = PageQuery::parse(Some("ranking=learned&probability=40")).unwrap().page_variables().unwrap();
        let formula = PageQuery::parse(Some("probability=40")).unwrap().page_variables().unwrap();

        assert_eq!(learned["filter"]["minProbability"], 0.4);
        assert!(!formula.contains_key("filter"), "the formula has no probabilities");
    }

    #[test]
    fn invalid_number_is_named() {
        let problem = PageQuery::parse(Some("min=inf")).unwrap().page_variables().unwrap_err();

        assert!(problem.text.contains("min"));
    }
}
