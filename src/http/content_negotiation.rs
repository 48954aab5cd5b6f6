//! Content negotiation: the media type of a response, and whether a request's media type and coding are supported.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};

use super::response_status::MediaType;

/// The media type of a subscription's events over HTTP, without parameters.
pub(super) const MULTIPART: &str = "multipart/mixed";

/// The supported media type that the client prefers; `None` if it accepts neither.
///
/// If the client accepts both with the same quality, the result is `application/graphql-response+json` if `Accept`
/// names this type, which shows that the client understands it. Otherwise (a wildcard, no `Accept` header) it is
/// `application/json`, which clients older than the "GraphQL over HTTP" specification expect.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<MediaType> {
    if !headers.contains_key(ACCEPT) {
        return Some(MediaType::Json);
    }
    let ranges = ranges(headers);
    let (graphql_named, graphql) = quality_of(&ranges, "application/graphql-response+json");
    let (_, json) = quality_of(&ranges, "application/json");
    if graphql == 0.0 && json == 0.0 {
        None
    } else if graphql > json || graphql == json && graphql_named {
        Some(MediaType::GraphqlResponse)
    } else {
        Some(MediaType::Json)
    }
}

/// Whether the client names HTML and prefers it to the API's media types, as browsers do when they open a URL.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let ranges = ranges(headers);
    let (named, html) = quality_of(&ranges, "text/html");
    let json = ["application/graphql-response+json", "application/json"].map(|name| quality_of(&ranges, name).1);
    named && json.iter().all(|quality| html > *quality)
}

/// Whether the client accepts the events of a subscription as parts of the response, as Apollo's protocol defines them.
/// A wildcard is not enough: clients that send one do not expect a stream.
pub(super) fn accepts_subscription_stream(headers: &HeaderMap) -> bool {
    ranges(headers).iter().any(|range| {
        range.name.eq_ignore_ascii_case(MULTIPART)
            && range.quality > 0.0
            && range.parameter("subscriptionSpec") == Some("1.0")
    })
}

/// The entries of all `Accept` headers.
fn ranges(headers: &HeaderMap) -> Vec<Range<'_>> {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(Range::of).collect()
}

/// Whether the client names the media type, and with which quality from 0 to 1 it accepts it; 0 means that it does not.
/// An entry with the name takes precedence over `application/*`, and that over `*/*` (RFC 9110, 12.5.1).
fn quality_of(ranges: &[Range<'_>], media_type: &str) -> (bool, f64) {
    let of = |name: &str| ranges.iter().find(|range| range.name.eq_ignore_ascii_case(name)).map(|range| range.quality);
    match of(media_type) {
        Some(quality) => (true, quality),
        None => (false, of("application/*").or_else(|| of("*/*")).unwrap_or(0.0)),
    }
}

/// One entry of an `Accept` header.
struct Range<'a> {
    name: &'a str,
    quality: f64,
    parameters: &'a str,
}

impl<'a> Range<'a> {
    fn of(entry: &'a str) -> Self {
        let mut parts = entry.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let parameters = entry.split_once(';').map_or("", |(_, parameters)| parameters);
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        // Without `q`, or with one that is no number, the quality is 1, the default of RFC 9110.
        let quality = quality.and_then(|quality| quality.parse().ok()).unwrap_or(1.0_f64);
        Self { name, quality: quality.clamp(0.0, 1.0), parameters }
    }

    /// The value of a parameter, without quotes; `None` if the entry does not have it.
    fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut parameters = self.parameters.split(';').filter_map(|parameter| parameter.split_once('='));
        let found = parameters.find(|(found, _)| found.trim().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().trim_matches('"'))
    }
}

/// Whether `Content-Type` declares JSON in UTF-8. JSON without `charset` is UTF-8.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/json"));
    named
        && parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
            !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

/// The unsupported codings that `Content-Encoding` declares for the body, in the order of the header; empty if the body
/// is not encoded. No compression is supported, because a small compressed body could decompress to many times the size
/// limit of a body.
pub(super) fn unsupported_codings(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(CONTENT_ENCODING).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    let codings = lines.flat_map(|line| line.split(',').map(|coding| coding.trim().to_owned()).collect::<Vec<_>>());
    codings.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of_accept(value: &'static str) -> Option<MediaType> {
        negotiate(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]))
    }

    #[test]
    fn quality_values_select_the_media_type() {
        let (graphql, json) = (Some(MediaType::GraphqlResponse), Some(MediaType::Json));
        assert_eq!(negotiate(&HeaderMap::new()), json);
        for (accept, expected) in [
            ("*/*", json),
            ("application/*", json),
            ("application/json", json),
            ("application/graphql-response+json", graphql),
            ("application/graphql-response+json, application/json", graphql),
            ("application/json, application/graphql-response+json", graphql),
            ("application/json, application/graphql-response+json;q=0.9", json),
            ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", graphql),
            ("text/html, */*;q=0.1", json),
            ("application/graphql-response+json, */*;q=0.1", graphql),
            ("APPLICATION/JSON", json),
            ("application/json;q=0, */*", graphql),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            assert_eq!(of_accept(accept), expected, "{accept}");
        }
    }

    #[test]
    fn subscription_streams_are_accepted_by_media_type_and_specification() {
        let accepts = |value: &'static str| {
            accepts_subscription_stream(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]))
        };
        for accept in [
            "multipart/mixed;subscriptionSpec=1.0",
            "multipart/mixed;subscriptionSpec=\"1.0\", application/json",
            "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9",
            "application/json, Multipart/Mixed; boundary=\"graphql\"; SubscriptionSpec=1.0; q=0.5",
        ] {
            assert!(accepts(accept), "{accept}");
        }
        for accept in [
            "multipart/mixed",
            "multipart/mixed;deferSpec=20220824, application/json",
            "multipart/mixed;subscriptionSpec=2.0",
            "multipart/mixed;subscriptionSpec=1.0;q=0",
            "application/json;subscriptionSpec=1.0",
            "multipart/*;subscriptionSpec=1.0",
            "*/*",
            "",
        ] {
            assert!(!accepts(accept), "{accept}");
        }
    }

    #[test]
    fn only_browsers_prefer_html() {
        let html =
            |value: &'static str| prefers_html(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]));
        for browser in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
            "text/html, */*;q=0.1",
            "TEXT/HTML",
        ] {
            assert!(html(browser), "{browser}");
        }
        for client in ["*/*", "application/json", "text/html, application/json", "text/*", "text/html;q=0", ""] {
            assert!(!html(client), "{client}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }

    #[test]
    fn every_coding_but_identity_is_unsupported() {
        let of = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| (CONTENT_ENCODING, HeaderValue::from_static(line)));
            let mut headers = HeaderMap::new();
            headers.extend(lines.map(|(name, value)| (Some(name), value)));
            unsupported_codings(&headers).join(" ")
        };
        for supported in [&[][..], &["identity"], &["IDENTITY"], &[""], &[" , identity ,"], &["identity", "identity"]] {
            assert_eq!(of(supported), "", "{supported:?}");
        }
        for (lines, expected) in [
            (&["gzip"][..], "gzip"),
            (&["GZip"], "GZip"),
            (&["deflate, gzip"], "deflate gzip"),
            (&["identity,br"], "br"),
            (&["identity", "zstd"], "zstd"),
            (&["unheard-of"], "unheard-of"),
        ] {
            assert_eq!(of(lines), expected, "{lines:?}");
        }
        let unreadable = HeaderValue::from_bytes(b"\xff").unwrap();
        assert_eq!(unsupported_codings(&HeaderMap::from_iter([(CONTENT_ENCODING, unreadable)])), ["\u{fffd}"]);
    }

    #[test]
    fn only_json_in_utf_8_is_accepted() {
        let read =
            |value: &'static str| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]));
        assert!(
            ["application/json", "Application/JSON; charset=UTF-8", "application/json;charset=\"utf-8\""]
                .map(read)
                .iter()
                .all(|yes| *yes)
        );
        assert!(
            !["text/plain", "application/json; charset=latin1", "multipart/form-data", ""]
                .map(read)
                .iter()
                .any(|yes| *yes)
        );
        assert!(!is_json(&HeaderMap::new()));
    }
}
