//! Text for people: characters that would command the terminal, or reorder the line, are shown as escapes.
//!
//! Titles and names come from files and databases of others. A terminal executes what it is sent: ESC sequences clear
//! the screen or rename the window, CR overwrites the line, and bidirectional controls make text read as another.

use std::borrow::Cow;

/// `text` of several lines: its line breaks and tabs stay.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    escaped(
        text,
        |character| is_command(character) && !matches!(character, '\n' | '\t'),
        |c| c.escape_unicode().to_string(),
    )
}

/// `text` that belongs in one line or one cell: line breaks and tabs are escaped as well, so that a name cannot add a
/// line that looks like one of the program.
pub(super) fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_command, |character| character.escape_unicode().to_string())
}

/// `json` with escapes of JSON, so that it has the same meaning. Its line breaks stay, which are between values only.
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

/// C0, DEL and C1 controls, and the controls of the Unicode bidirectional algorithm (UAX #9, table 4).
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
