//! Posters, and the tiles in their place.

/// The poster of a film, or what stands in its place: a tile of the same size with the initial of the title and, if it is
/// large, the year.
pub(super) struct Poster {
    /// URL of the image, and of one with twice as many pixels in each direction, where screens need it.
    pub(super) image: Option<(String, Option<String>)>,
    pub(super) initial: String,
    pub(super) year: String,
    /// In CSS pixels.
    pub(super) size: (u32, u32),
}

impl Poster {
    /// The poster on the page of a film.
    pub(super) fn large(title: &str, year: Option<i32>, image: Option<String>, twice: Option<String>) -> Self {
        let year = year.map(|year| year.to_string()).unwrap_or_default();
        Self { image: image.map(|image| (image, twice)), initial: initial(title), year, size: (342, 513) }
    }

    /// The poster in a row of a list, whose image has enough pixels for any screen. The year stands beside it.
    pub(super) fn small(title: &str, image: Option<String>) -> Self {
        Self { image: image.map(|image| (image, None)), initial: initial(title), year: String::new(), size: (26, 39) }
    }
}

/// The first letter or digit of a title, after an article.
fn initial(title: &str) -> String {
    let words = title.split_whitespace();
    let is_article = |word: &&str| ["the", "a", "an"].iter().any(|article| word.eq_ignore_ascii_case(article));
    let rest = words.clone().skip_while(is_article).collect::<Vec<_>>().join(" ");
    let letter = |text: &str| text.chars().find(|character| character.is_alphanumeric());
    let letter = letter(&rest).or_else(|| letter(title));
    letter.map(|letter| letter.to_uppercase().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_is_the_first_letter_after_an_article() {
        for (title, expected) in [
            ("The Matrix", "M"),
            ("…And Justice for All", "A"),
            ("A", "A"),
            ("8½", "8"),
            ("七人の侍", "七"),
            ("", ""),
            ("élan", "É"),
        ] {
            assert_eq!(initial(title), expected, "{title}");
        }
    }
}
