//! Metrics of HTTP requests: the values of their labels.

use crate::telemetry::label;

label! {
    /// An HTTP method: one that the service supports, or any other.
    Method { Get = "GET", Post = "POST", Options = "OPTIONS", Other = "_OTHER" }
}

label! {
    /// How a request to `/graphql` counts for the availability objective (SLO).
    Slo { Good = "good", Bad = "bad", Excluded = "excluded" }
}

label! {
    /// A browser timing of the predictions page.
    PagePhase { Ttfb = "ttfb", FirstList = "first_list", Rerank = "rerank" }
}
