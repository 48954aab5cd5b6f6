//! Secrets: text that is shown only on explicit request.

use std::fmt;

use serde::Deserialize;

/// What is shown in place of a secret. Its length is fixed, so that it does not tell the length of the secret.
const MASK: &str = "****";

/// A password, a token, or a URL that may contain one. `Debug` and `Display` print `****`.
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

/// The URL with `****` in place of its password and of parameters that may be secret. If in doubt, it masks too much: a
/// text that is not a URL is masked completely.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return MASK.to_owned() };
    // A password may contain an unencoded @, and also / or ?, so the last @ of the whole text ends it.
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

/// A parameter of a URL, with its value masked if it may be a secret.
fn without_secret_value(parameter: &str) -> String {
    let Some((name, _)) = parameter.split_once('=') else { return parameter.to_owned() };
    // `pass%77ord` means `password`, so the value of a name with encoded characters is masked.
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    // `sslkey` names a file, but somebody may write the key itself there.
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
