//! The root fields of the schema: how their responses are cached and counted, and how their resolvers are measured.

use async_graphql::Context;
use tracing::Instrument;

use super::error::ApiError;
use super::metrics::GraphqlMetrics;
use crate::cache::{DependencyScope, ReadMode};
use crate::telemetry::Status;
use Caching::{Cacheable, Prediction, Uncacheable};

/// How the responses of a root field are cached and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caching {
    /// Cached while the data that it was derived from is current.
    Cacheable,
    /// Cacheable, and counted as a prediction in the metrics of the prediction objective.
    Prediction,
    /// Never cached: `status` reports the state of this moment; mutations and subscriptions have effects or no end.
    Uncacheable,
}

/// Every root field, by name. A unit test compares them with the schema.
const FIELDS: [(&str, Caching); 36] = [
    ("confirmedAdditions", Prediction),
    ("countries", Cacheable),
    ("createProfile", Uncacheable),
    ("criteriaWithoutData", Cacheable),
    ("dataOrigin", Cacheable),
    ("decadeValidation", Cacheable),
    ("defaults", Cacheable),
    ("deleteList", Uncacheable),
    ("deleteProfile", Uncacheable),
    ("genres", Cacheable),
    ("importList", Uncacheable),
    ("invalidateCache", Uncacheable),
    ("list", Cacheable),
    ("lists", Cacheable),
    ("metricSources", Cacheable),
    ("model", Cacheable),
    ("movie", Cacheable),
    ("movies", Cacheable),
    ("moviesByIds", Cacheable),
    ("node", Cacheable),
    ("nodes", Cacheable),
    ("people", Cacheable),
    ("person", Cacheable),
    ("prediction", Prediction),
    ("predictionStream", Uncacheable),
    ("predictionUpdates", Uncacheable),
    ("predictions", Prediction),
    ("profile", Cacheable),
    ("profileComparison", Cacheable),
    ("profiles", Cacheable),
    ("refreshScores", Uncacheable),
    ("setDefaultProfile", Uncacheable),
    ("setTargetList", Uncacheable),
    ("status", Uncacheable),
    ("updateProfile", Uncacheable),
    ("validation", Cacheable),
];

/// Names of all root fields, as metric labels.
pub const ROOT_FIELDS: &[&str] = &{
    let mut names = [""; FIELDS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = FIELDS[index].0;
        index += 1;
    }
    names
};

/// Names of the root fields that are subscriptions, as metric labels.
pub const SUBSCRIPTION_FIELDS: &[&str] = &["predictionStream", "predictionUpdates"];

// Each root field has metric series of its own, so there must be few. 40 is a choice that leaves room for more fields.
const _: () = assert!(ROOT_FIELDS.len() <= 40, "at most 40 root fields");

/// Whether the response to a query with these root fields may be cached.
pub(super) fn are_cacheable(fields: &[&str]) -> bool {
    all(fields, |caching| caching != Uncacheable)
}

/// Whether a response with these root fields counts as a prediction in the metrics.
pub(super) fn are_predictions(fields: &[&str]) -> bool {
    all(fields, |caching| caching == Prediction)
}

/// Whether `accepts` holds for the caching of every field. False if there is no field, or an unknown one.
fn all(fields: &[&str], accepts: impl Fn(Caching) -> bool) -> bool {
    let holds = |field: &&str| FIELDS.iter().any(|(name, caching)| name == field && accepts(*caching));
    !fields.is_empty() && fields.iter().all(holds)
}

/// Instruments a root field of a query. A nullable field transposes the result to `Option<Result<_>>`: for an error,
/// async-graphql then returns null for this field only. For `Result<Option<_>>` it would return null for all of `data`.
///
/// Not async, because an async function would store the resolver's future twice,
/// see [`instrument_field`].
pub(super) fn query_field<T>(
    ctx: &Context<'_>,
    resolve: impl Future<Output = Result<T, ApiError>>,
) -> impl Future<Output = Result<T, ApiError>> {
    instrument_field("Query", ctx, resolve)
}

/// Instruments a root field: records one span, one duration and one outcome, even if the client disconnects.
pub(super) async fn instrument_field<T>(
    of_type: &str,
    ctx: &Context<'_>,
    resolve: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let metrics = ctx.data_unchecked::<GraphqlMetrics>();
    let field = metrics.field_name(ctx.field().name());
    // Background refreshes execute root fields as well and must not count as requests.
    let is_request = DependencyScope::current().is_none_or(|scope| scope.mode() == ReadMode::Request);
    let measured = is_request.then(|| metrics.field(field));
    let span = tracing::info_span!(
        "resolve",
        otel.name = format!("resolve {of_type}.{field}"),
        graphql.processing.r#type = "resolve",
        graphql.field.schema_coordinate = format!("{of_type}.{field}"),
    );
    // Boxed: otherwise this future would hold the resolver's future twice, as its argument and as the future that it
    // awaits.
    let result = Box::pin(resolve).instrument(span).await;
    if let Some(measured) = measured {
        measured.finish(if result.is_ok() { Status::Ok } else { Status::Error });
    }
    result
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_schema;
    use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};

    use super::*;

    /// Root types and their fields, from the schema.
    fn schema_fields() -> Vec<(String, String)> {
        let document = parse_schema(crate::graphql::sdl()).unwrap();
        let mut fields = Vec::new();
        for definition in document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let (name, TypeKind::Object(object)) = (definition.node.name.node, definition.node.kind) else { continue };
            if ["Query", "Mutation", "Subscription"].contains(&name.as_str()) {
                let field_names = object.fields.iter().map(|field| field.node.name.node.to_string());
                fields.extend(field_names.map(|field| (name.to_string(), field)));
            }
        }
        fields
    }

    #[test]
    fn every_root_field_of_the_schema_has_exactly_one_entry() {
        let mut expected: Vec<_> = schema_fields().into_iter().map(|(_, field)| field).collect();
        expected.sort_unstable();
        assert_eq!(ROOT_FIELDS, expected);
    }

    #[test]
    fn subscription_fields_are_those_of_the_schema() {
        let of_schema = schema_fields().into_iter().filter(|(root, _)| root == "Subscription").map(|(_, field)| field);
        assert_eq!(SUBSCRIPTION_FIELDS, of_schema.collect::<Vec<_>>());
    }

    #[test]
    fn only_query_fields_are_cacheable() {
        for (root, field) in schema_fields() {
            let allowed = root == "Query" && field != "status";
            assert_eq!(are_cacheable(&[&field]), allowed, "{root}.{field}");
        }
        assert!(
            !are_cacheable(&[]) && !are_cacheable(&["movie", "status"]) && are_cacheable(&["movie", "predictions"])
        );
    }
}
