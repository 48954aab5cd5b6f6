//! Checks the parts and parameters of connection URLs. The drivers would reject or ignore faults themselves, but are
//! not careful with secrets: sqlx logs parameters that it does not know, with their values.

use std::net::IpAddr;

use url::Url;

/// Parameters of a database URL that sqlx knows. `options[…]`, which it knows as well, is checked apart.
const DATABASE_PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Values of `sslmode`, as sqlx knows them.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Values of `protocol`, as the client of Redis knows them.
const REDIS_PROTOCOLS: [&str; 4] = ["2", "3", "resp2", "resp3"];

/// Why a connection URL is rejected. Messages show the names of parameters but no values, since any value may be a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// The URL cannot be parsed, most often because of a special character in the password.
    #[error("is not a valid URL ({0}); percent-encode special characters in each part, such as / as %2F")]
    Malformed(url::ParseError),
    /// The URL ends with a fragment, which sqlx ignores and the client of Redis takes for an option. Most often the `#`
    /// is a part of the password.
    #[error("has a #, after which the rest would be ignored; percent-encode it as %23")]
    Fragment,
    /// The URL can be parsed, but a special character, most often a `/` in the password, ends a part too early, so that
    /// an `@` is in the path.
    #[error(
        "has an @ in its path, most often because a / in the password is not encoded; percent-encode special characters \
         in each part: / as %2F, @ as %40"
    )]
    Unencoded,
    /// The parameter `sslpassword`: the password of an encrypted key, which sqlx does not support.
    #[error("has the parameter sslpassword, but encrypted keys are not supported: store the key of sslkey unencrypted")]
    KeyPassword,
    /// An unknown parameter: its name, and the supported names.
    #[error("has the parameter {0}, which is not supported; supported are {1}")]
    UnknownParameter(String, String),
    /// An unknown parameter whose name may be a part of a secret, so that the message does not show it.
    #[error(
        "has a parameter that is not supported; if it is not one, a part before it has a special character that must be \
         percent-encoded, such as ? as %3F"
    )]
    UnnamedParameter,
    /// An unsupported value of a parameter: the name of the parameter, and the values that are supported.
    #[error("has an unsupported value for the parameter {0}; expected {1}")]
    Value(String, String),
    /// The database of a Redis URL is not a number.
    #[error("has a path that is not the number of a Redis database, such as /0")]
    RedisDatabase,
    /// The URL has no host.
    #[error("names no host")]
    NoHost,
}

/// Checks a URL of PostgreSQL. It needs no host, because sqlx has a default.
pub(super) fn check_database_url(text: &str) -> Result<(), UrlFault> {
    let url = parse(text)?;
    for (name, value) in url.query_pairs() {
        if name == "sslpassword" {
            return Err(UrlFault::KeyPassword);
        }
        // `options[jit]=off` changes a setting of PostgreSQL for each session.
        let is_session_setting = name.starts_with("options[") && name.ends_with(']');
        if !is_session_setting && !DATABASE_PARAMETERS.contains(&name.as_ref()) {
            return Err(unknown(&url, &name, DATABASE_PARAMETERS));
        }
        check_database_parameter(&name, &value)?;
    }
    Ok(())
}

/// Checks the value of a parameter. Only values whose type sqlx would reject are checked.
fn check_database_parameter(name: &str, value: &str) -> Result<(), UrlFault> {
    let fault = |expected: &str| Err(UrlFault::Value(name.to_owned(), expected.to_owned()));
    match name {
        "sslmode" | "ssl-mode" if !SSL_MODES.contains(&value.to_ascii_lowercase().as_str()) => {
            fault(&format!("one of {}", SSL_MODES.join(", ")))
        }
        "port" if value.parse::<u16>().is_err() => fault("the number of a port"),
        "hostaddr" if value.parse::<IpAddr>().is_err() => fault("an IP address"),
        "statement-cache-capacity" if value.parse::<usize>().is_err() => fault("a number of statements"),
        _ => Ok(()),
    }
}

/// Checks a URL of Redis.
pub(super) fn check_redis_url(text: &str) -> Result<(), UrlFault> {
    let url = parse(text)?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(UrlFault::NoHost);
    }
    let database = url.path().trim_matches('/');
    if !database.is_empty() && database.parse::<i64>().is_err() {
        return Err(UrlFault::RedisDatabase);
    }
    for (name, value) in url.query_pairs() {
        if name != "protocol" {
            return Err(unknown(&url, &name, &["protocol"]));
        }
        if !REDIS_PROTOCOLS.contains(&value.as_ref()) {
            return Err(UrlFault::Value("protocol".to_owned(), format!("one of {}", REDIS_PROTOCOLS.join(", "))));
        }
    }
    Ok(())
}

/// Parses a URL, and checks what applies to PostgreSQL and Redis alike.
fn parse(text: &str) -> Result<Url, UrlFault> {
    let url = Url::parse(text).map_err(UrlFault::Malformed)?;
    if url.fragment().is_some() {
        return Err(UrlFault::Fragment);
    }
    // An @ in the path: in `postgres://ann:12/34@db`, the unencoded / of the password 12/34 ends the host, so that
    // `ann` is taken for the host, 12 for the port, and the rest for the path.
    if url.username().is_empty() && url.password().is_none() && url.path().contains('@') {
        return Err(UrlFault::Unencoded);
    }
    Ok(url)
}

/// The fault of an unknown parameter. The name may be the rest of a password that contains an unencoded `?`. This is
/// likely if an `@` follows, if the name has no value, or if it has special characters; the name is not shown then.
fn unknown(url: &Url, name: &str, supported: &[&str]) -> UrlFault {
    let query = url.query().unwrap_or_default();
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let has_value = query.split('&').any(|pair| pair.split_once('=').is_some_and(|(written, _)| written == name));
    if is_plain && has_value && !query.contains('@') {
        UrlFault::UnknownParameter(name.to_owned(), supported.join(", "))
    } else {
        UrlFault::UnnamedParameter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "kestrel";

    #[test]
    fn supported_urls_are_accepted() {
        for url in [
            "postgres://ann:s3cr3t@db:5432/films",
            "postgresql://ann:s3%2Fcr%40t@[::1]:5432/films",
            "postgres://ann@%2Frun%2Fpostgresql/films",
            "postgres:///films?host=/run/postgresql&user=ann&password=a@b",
            "postgres://ann@db/films?sslmode=verify-full&sslrootcert=/a.pem&sslcert=/b.pem&sslkey=/c.pem",
            "postgres://ann@db/films?ssl-mode=REQUIRE&statement-cache-capacity=10&hostaddr=::1&port=6000",
            "postgres://ann@db/films?options[jit]=on&options=-c%20work_mem=1MB&application_name=x&dbname=y",
            "postgres://ann:s3cr3t@s3cr3t@db/a%40b",
        ] {
            assert_eq!(check_database_url(url), Ok(()), "{url}");
        }
        for url in ["redis://r", "redis://:p%2F@r:6379/0", "rediss://ann:p@[::1]:6379/1/", "redis://r/?protocol=resp3"]
        {
            assert_eq!(check_redis_url(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn refused_parameters_are_named_without_their_value() {
        for (parameter, expected) in [
            ("sslpassword=kestrel", "has the parameter sslpassword, but encrypted keys are not supported"),
            ("ssl%70assword=kestrel", "has the parameter sslpassword, but"),
            ("sslmode=disable&passfile=kestrel", "has the parameter passfile, which is not supported"),
            ("Password=kestrel", "has the parameter Password, which is not supported"),
            ("sslmode=kestrel", "has an unsupported value for the parameter sslmode; expected one of disable,"),
            ("ssl-mode=kestrel", "has an unsupported value for the parameter ssl-mode; expected"),
            ("port=kestrel", "has an unsupported value for the parameter port"),
            ("hostaddr=kestrel", "has an unsupported value for the parameter hostaddr"),
            ("statement-cache-capacity=kestrel", "has an unsupported value for the parameter statement-cache-capacity"),
            ("kestrel", "has a parameter that is not supported"),
            ("kes%74rel=1", "has a parameter that is not supported"),
            ("options[kestrel=1", "has a parameter that is not supported"),
            ("password=a#kestrel", "has a #"),
        ] {
            let error = check_database_url(&format!("postgres://ann@db/films?{parameter}")).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{parameter}: {error}");
            assert!(!error.contains(SECRET), "{error}");
        }
        for (rest, expected) in [
            ("r?password=kestrel", "has the parameter password, which is not supported; supported are protocol"),
            ("r?protocol=kestrel", "has an unsupported value for the parameter protocol"),
            ("r/kestrel", "has a path"),
            ("r#kestrel", "has a #"),
            ("/0", "names no host"),
        ] {
            let error = check_redis_url(&format!("redis://{rest}")).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{rest}: {error}");
            assert!(!error.contains(SECRET), "{error}");
        }
    }

    #[test]
    fn passwords_that_are_not_encoded_are_refused_and_not_shown() {
        for password in
            ["7/kestrel", "k/kestrel", "7?kestrel", "7?kestrel=1", "7?a&kestrel=1", "k?kestrel", "7#kestrel"]
        {
            let database = check_database_url(&format!("postgres://ann:{password}@db/films"));
            let redis = check_redis_url(&format!("redis://ann:{password}@r/0"));
            for error in [database, redis].map(|checked| checked.unwrap_err().to_string()) {
                assert!(!error.contains(SECRET), "{password}: {error}");
                assert!(error.contains("percent-encode") || error.contains("Redis database"), "{password}: {error}");
            }
        }
    }
}
