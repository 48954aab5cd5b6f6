//! The subscription root: one file per field, merged into one type.

mod open_subscription;
mod prediction_stream;
mod prediction_updates;

use async_graphql::MergedSubscription;

/// Live results, over WebSocket or as a multipart response to a POST.
#[derive(MergedSubscription, Default)]
pub struct Subscription(
    prediction_stream::PredictionStreamSubscription,
    prediction_updates::PredictionUpdatesSubscription,
);
