//! Titles as programs write them.

/// `Heat (1995)`: the title and the year.
pub(crate) fn title_and_year(text: &str) -> Option<(&str, i32)> {
    let (title, year) = text.strip_suffix(')')?.rsplit_once('(')?;
    let year = Some(year).filter(|year| year.len() == 4)?.parse().ok().filter(|year| *year > 1800)?;
    Some((title.trim(), year)).filter(|(title, _)| !title.is_empty())
}

/// Replaces the HTML entities that exports leave in titles, such as `&amp;` and `&#39;`.
pub(crate) fn without_entities(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let entity = after.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        if let Some((character, after)) = entity {
            plain.push(character);
            rest = after;
        } else {
            plain.push('&');
            rest = after;
        }
    }
    plain + rest
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).filter(|character| !character.is_control())
        }
    }
}
