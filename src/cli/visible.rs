//! Escapes the characters of a text that a terminal would execute, or that would reorder the line.
//!
//! Titles and names come from files and databases that others wrote. In a terminal, ESC sequences clear the screen or
//! rename the window, CR overwrites the line, and bidirectional controls make a text look like another one.

use std::borrow::Cow;

/// Escapes control characters in a text of several lines. Line breaks and tabs stay.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    escaped(
        text,
        |character| is_command(character) && !matches!(character, '\n' | '\t'),
        |c| c.escape_unicode().to_string(),
    )
}

/// Escapes control characters in a text for one line or one cell. Line breaks and tabs are escaped as well, so that a
/// name from data cannot add a line that looks as if the program had printed it.
pub(super) fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_command, |character| character.escape_unicode().to_string())
}

/// Escapes control characters in JSON as JSON does, so that its meaning stays the same. Line breaks stay: in JSON they
/// occur only between values.
pub(super) fn visible_json(json: &str) -> Cow<'_, str> {
    escaped(json, |character| is_command(character) && character != '\n', |c| format!("\\u{:04x}", u32::from(c)))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_escaped(character) {
            shown.push_str(&escape(character));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal may execute the character (C0, DEL and C1 controls), or it reorders text (the controls of the
/// Unicode bidirectional algorithm, UAX #9, table 4).
fn is_command(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_are_escaped_and_letters_of_every_script_stay() {
        for (text, shown) in [
            ("\u{1b}[2JNight Tram", "\\u{1b}[2JNight Tram"),
            ("\u{1b}]0;owned\u{7}", "\\u{1b}]0;owned\\u{7}"),
            ("Rails\rOver", "Rails\\u{d}Over"),
            ("\u{9b}2J\u{7f}\0", "\\u{9b}2J\\u{7f}\\u{0}"),
            ("\u{202e}ytilaer\u{202c}", "\\u{202e}ytilaer\\u{202c}"),
            ("\u{200e}\u{200f}\u{61c}\u{2066}\u{2069}", "\\u{200e}\\u{200f}\\u{61c}\\u{2066}\\u{2069}"),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(visible_line(text), shown);
        }
        for text in ["Amélie", "איש אחד", "千と千尋の神隠し", "می‌خواهم", "👩‍🚀", "C:\\u{1b}", ""]
        {
            assert!(matches!(visible_line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn line_breaks_and_tabs_stay_in_text_and_not_in_a_line() {
        assert_eq!(visible("a\n\tb"), "a\n\tb");
        assert_eq!(visible_line("a\n\tb"), "a\\u{a}\\u{9}b");
    }

    proptest! {
        #[test]
        fn json_keeps_its_meaning(text: String, command in any::<char>().prop_filter("", |c| is_command(*c))) {
            let value = serde_json::json!({ "title": format!("{text}{command}") });
            let shown = visible_json(&serde_json::to_string_pretty(&value).unwrap()).into_owned();
            prop_assert!(!shown.replace('\n', "").contains(is_command));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }

        #[test]
        fn nothing_that_commands_a_terminal_is_left(text: String, command in any::<char>().prop_filter("", |c| is_command(*c))) {
            let mixed = format!("{text}{command}{text}");
            prop_assert!(!visible_line(&mixed).contains(is_command));
            prop_assert!(!visible(&mixed).replace(['\n', '\t'], "").contains(is_command));
        }

        #[test]
        fn other_text_stays(text in "[^\\p{Cc}\\p{Bidi_Control}]*") {
            prop_assert_eq!(visible_line(&text), text.as_str());
        }
    }
}
