//! Secrets: text that is shown only on explicit request.

use std::fmt;

use serde::Deserialize;

const MASK: &str = "****";

/// A password, a token, or a URL that may hold one. Printing it in any way gives `****`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for code that must send or compare it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// The URL with its password masked. Masks too much rather than too little: text that is not a URL is masked whole.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return MASK.to_owned() };
    // A password may itself hold an @, so the last one ends it, wherever it stands.
    let rest = match rest.rsplit_once('@') {
        Some((user, place)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{MASK}@{place}"),
            None => rest.to_owned(),
        },
        None => rest.to_owned(),
    };
    let Some((place, parameters)) = rest.split_once('?') else { return format!("{scheme}://{rest}") };
    let parameters: Vec<_> = parameters.split('&').map(without_secret_value).collect();
    format!("{scheme}://{place}?{}", parameters.join("&"))
}

fn without_secret_value(parameter: &str) -> String {
    let Some((name, _)) = parameter.split_once('=') else { return parameter.to_owned() };
    // `pass%77ord` is a password too, so a value is shown only when its name is written plainly.
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    // A key may be written into the URL instead of the name of its file.
    let is_secret = name.contains("password") || name.contains("key");
    if is_plain && !is_secret { parameter.to_owned() } else { format!("{name}={MASK}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_a_secret_shows_none_of_it() {
        let secret = Secret::from("s3cr3t".to_owned());
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "**** **** Some(****)");
        assert_eq!(secret.expose(), "s3cr3t");
    }

    #[test]
    fn only_the_password_of_a_url_is_masked() {
        for (url, shown) in [
            ("postgres://ann:s3cr3t@db:5432/films", "postgres://ann:****@db:5432/films"),
            ("postgres://ann@db:5432/films", "postgres://ann@db:5432/films"),
            ("postgres://db/films", "postgres://db/films"),
            ("postgres:///films?host=/run/postgresql", "postgres:///films?host=/run/postgresql"),
            (
                "postgres://ann@db/films?password=s3cr3t&sslmode=require",
                "postgres://ann@db/films?password=****&sslmode=require",
            ),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn no_form_of_a_password_gets_through() {
        for url in [
            "postgres://ann:s3cr3t@s3cr3t@db/films",
            "postgres://ann:s3cr3t/s3cr3t@db/films",
            "postgres://ann:s3cr3t?s3cr3t@db/films",
            "postgres://ann:s3cr3t#s3cr3t@db/films",
            "postgres:///films?pass%77ord=s3cr3t",
            "postgres:///films?sslpassword=s3cr3t",
            "postgres:///films?sslkey=s3cr3t",
            "postgres:///films?ssl-key=s3cr3t",
            "postgres:///films?password=s3cr3t@s3cr3t",
            "postgres:///films?password=s3cr3t:s3cr3t@s3cr3t",
            "postgres:///films?password=s3cr3t?password=s3cr3t",
            "host=db password=s3cr3t",
            "ann:s3cr3t@db",
        ] {
            let shown = without_password(url);
            assert!(!shown.contains("s3cr3t"), "{url} was shown as {shown}");
        }
    }
}
