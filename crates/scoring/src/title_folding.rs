//! Folding of titles: two texts that a reader would call the same have the same folded form.

use unicode_normalization::UnicodeNormalization;

/// Returns the form of a title in which titles are searched and compared. It ignores
///
/// - case, by Unicode's case mappings, in the same way for all languages: `ß` is `ss`, `ς` is `σ`, `İ` and `ı` are `i`;
/// - accents of Latin, Greek and Cyrillic letters, and Hebrew and Arabic vowel points: `é` is `e`, `ö` is `o`, `й` is
///   `и`. Marks of other scripts, such as the voicing marks of kana and the vowel signs of Indic scripts, are kept,
///   because they make another letter;
/// - how a character is written: composed or decomposed, half-width or full-width, as a ligature, as a superscript;
/// - the shape of quotation marks and dashes, and invisible characters such as soft hyphens and direction marks.
///
/// Letters that many keyboards lack become what people type in their place: `ø` is `o`, `ł` is `l`, `đ` and `ð` are
/// `d`, `æ` is `ae`, `þ` is `th`. Folding a folded text changes nothing.
///
/// The database stores folded titles, so a change of this function needs a migration that empties
/// `cinegraph.folded_titles` and `cinegraph.folded_names`, and queues every title.
///
/// ```
/// # use cinegraph_scoring::fold_title;
/// assert_eq!(fold_title("AMÉLIE"), fold_title("Ame\u{301}lie"));
/// assert_eq!(fold_title("Trollhättan – “Åsa’s” Straße"), "trollhattan - \"asa's\" strasse");
/// ```
#[must_use]
pub fn fold_title(title: &str) -> String {
    if title.is_ascii() {
        return title.to_ascii_lowercase();
    }
    // Before its case is folded, the text is decomposed canonically: this puts the marks of a letter into their standard
    // order, which must be done while the iota below a Greek letter is still a mark, because case folding turns it into
    // a letter. Only then are compatibility forms replaced: some become marks themselves, such as the half-width voicing
    // mark, and must stay behind that iota, as they do in upper case. Others have a case only once they are replaced,
    // such as the bold `𝐀`, hence the second folding of case.
    let decomposed = title.nfd().flat_map(folded_case).nfkd().flat_map(folded_case).nfkd();
    let mut folded = String::with_capacity(title.len());
    for character in decomposed {
        match simplified(character) {
            Simplified::Nothing => {}
            Simplified::Text(text) => folded.push_str(text),
            Simplified::Same => folded.push(character),
        }
    }
    // Composes letters with the marks that were kept, such as a kana and its voicing mark.
    folded.nfc().collect()
}

/// Folds the case of one character: to lower case, to upper case, and to lower case again. The upper case makes
/// different small forms of a letter equal, such as `σ` and `ς`. The lower case before it is for `ẞ`: this capital
/// letter stays as it is in upper case, but its small form `ß` becomes `SS`.
fn folded_case(character: char) -> impl Iterator<Item = char> {
    character.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// What replaces a character after decomposition and case folding.
enum Simplified {
    Same,
    Nothing,
    Text(&'static str),
}

/// The replacement of a character that is decomposed and in lower case.
fn simplified(character: char) -> Simplified {
    Simplified::Text(match character {
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ŧ' => "t",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        '\u{2018}'..='\u{201B}' | '\u{02B9}' | '\u{02BB}'..='\u{02BD}' | '\u{2032}' => "'",
        '\u{201C}'..='\u{201F}' | '\u{00AB}' | '\u{00BB}' => "\"",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
        // Accents, the vowel points of Hebrew and Arabic, which most texts leave out, and the Arabic tatweel, which
        // only stretches a word.
        '\u{0300}'..='\u{036F}'
        | '\u{0483}'..='\u{0487}'
        | '\u{0591}'..='\u{05BD}'
        | '\u{05BF}'
        | '\u{05C1}'..='\u{05C2}'
        | '\u{05C4}'..='\u{05C5}'
        | '\u{05C7}'
        | '\u{0640}'
        | '\u{064B}'..='\u{065F}'
        | '\u{0670}'
        | '\u{1AB0}'..='\u{1AFF}'
        | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}'
        | '\u{FE20}'..='\u{FE2F}'
        // Invisible: soft hyphen, joiners, direction marks, variation selectors.
        | '\u{00AD}'
        | '\u{061C}'
        | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}'
        | '\u{E0000}'..='\u{E0FFF}' => return Simplified::Nothing,
        _ => return Simplified::Same,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::char::is_combining_mark;

    use super::*;

    /// The ways in which the same text may be written.
    fn forms(text: &str) -> [String; 6] {
        let (composed, decomposed): (String, String) = (text.nfc().collect(), text.nfd().collect());
        let (upper, lower) = (composed.to_uppercase(), decomposed.to_lowercase());
        [lower.to_uppercase(), upper.to_lowercase(), upper, lower, composed, decomposed]
    }

    /// Describes a form of the text that folds to another result than the text; `None` if all fold alike.
    fn violated(text: &str) -> Option<String> {
        let folded = fold_title(text);
        let wrong =
            |other: String| (fold_title(&other) != folded).then(|| format!("{text:?} as {other:?}: {folded:?}"));
        forms(text).into_iter().chain([folded.clone()]).find_map(wrong)
    }

    /// Whether a character is the iota below a Greek letter, or a letter with it. In upper case it is a letter of its
    /// own: marks of other scripts that follow it then belong to it, and are not put into one order with the marks of
    /// the letter above it.
    fn has_iota_below(character: char) -> bool {
        [character].into_iter().nfd().any(|part| part == '\u{345}')
    }

    /// The marks, and the characters that can be written in another way.
    fn with_other_forms() -> Vec<char> {
        let has_other_form =
            |text: &str| !text.nfkd().eq(text.chars()) || text.to_uppercase() != text || text.to_lowercase() != text;
        ('\0'..='\u{1FFFF}')
            .filter(|&character| is_combining_mark(character) || has_other_form(&character.to_string()))
            .filter(|&character| !has_iota_below(character))
            .collect()
    }

    #[test]
    fn every_character_folds_like_its_other_forms() {
        // The other planes contain only Han characters, which have no case and no marks.
        let violations: Vec<_> = ('\0'..='\u{1FFFF}')
            .chain('\u{E0000}'..='\u{E0FFF}')
            .filter_map(|character| violated(&character.to_string()))
            .collect();
        assert!(violations.is_empty(), "{}: {:#?}", violations.len(), &violations[..violations.len().min(40)]);
    }

    proptest! {
        #[test]
        fn any_text_folds_like_its_other_forms(text in any::<String>()) {
            prop_assume!(!text.contains(has_iota_below));
            prop_assert_eq!(violated(&text), None);
        }

        #[test]
        fn marks_in_any_order_fold_like_their_other_forms(
            text in "[a-zßıİσςØøЙйїがｶﾞあกำदि\u{5d0}\u{627}\u{300}-\u{345}\u{5b0}-\u{5bc}\u{64b}-\u{655}\u{3099}\u{309a}\u{ff9e}\u{200d}\u{ad}\u{1100}-\u{11ff}]{0,12}",
        ) {
            prop_assert_eq!(violated(&text), None);
        }

        #[test]
        fn characters_with_other_forms_fold_alike_beside_each_other(
            characters in prop::collection::vec(prop::sample::select(with_other_forms()), 0..5),
        ) {
            prop_assert_eq!(violated(&characters.into_iter().collect::<String>()), None);
        }
    }

    #[test]
    fn titles_fold_to_what_is_typed() {
        for (title, expected) in [
            ("The Third Man", "the third man"),
            ("Café ÉTOILE", "cafe etoile"),
            ("Ame\u{301}lie", "amelie"),
            ("Æon Flux", "aeon flux"),
            ("Ordet – Carl Th. Dreyer’s", "ordet - carl th. dreyer's"),
            ("Brødre", "brodre"),
            ("Łódź", "lodz"),
            ("Đường về nhà", "duong ve nha"),
            ("Mu\u{31b}a \u{110}o\u{309}", "mua do"),
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("STRAẞE", "strasse"),
            ("ŞİMDİ KIRMIZI", "simdi kirmizi"),
            ("şimdi kırmızı", "simdi kirmizi"),
            ("ΟΔΟΣ", "οδοσ"),
            ("Οδός", "οδοσ"),
            ("Андрей Рублёв", "андреи рублев"),
            ("Андреи\u{306} Рубле\u{308}в", "андреи рублев"),
            ("ﾄﾞﾗｺﾞﾝ", "ドラゴン"),
            ("カ\u{3099}ンダム", "ガンダム"),
            ("ＡＫＩＲＡ　２", "akira 2"),
            ("ﬁn de siècle", "fin de siecle"),
            ("शोले", "शोले"),
            ("שָׁלוֹם", "שלום"),
            ("الرِّسالة", "الرسالة"),
            ("\u{2067}السلام\u{2069}", "السلام"),
            ("괴\u{11bc}", "굉"),
            ("\u{1F468}\u{200D}\u{1F467}", "\u{1F468}\u{1F467}"),
            ("", ""),
        ] {
            assert_eq!(fold_title(title), expected, "{title}");
        }
    }

    #[test]
    fn letters_that_only_look_alike_stay_different() {
        for (one, other) in
            [("か", "が"), ("कि", "के"), ("กา", "กำ"), ("и", "i"), ("シ", "ツ"), ("ö", "oe"), ("あ", "ア")]
        {
            assert_ne!(fold_title(one), fold_title(other));
        }
    }
}
