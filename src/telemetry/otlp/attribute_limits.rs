//! Limits of attributes in messages: those that the SDK does not apply.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;

/// The limits of a signal's attributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttributeLimits {
    /// Maximum number of attributes.
    pub(super) count: u32,
    /// Maximum length of a text, in characters; `None` without a limit.
    pub(super) value_length: Option<u32>,
}

impl AttributeLimits {
    /// Shortens the values of a span, its events and its links. The SDK limits their number.
    pub(super) fn apply_to_span(&self, span: &mut Span) {
        self.shorten(&mut span.attributes);
        for event in &mut span.events {
            self.shorten(&mut event.attributes);
        }
        for link in &mut span.links {
            self.shorten(&mut link.attributes);
        }
    }

    /// Removes attributes beyond the limit, and shortens values.
    pub(super) fn apply_to_log(&self, record: &mut LogRecord) {
        let limit = usize::try_from(self.count).unwrap_or(usize::MAX);
        let removed = record.attributes.len().saturating_sub(limit);
        record.attributes.truncate(limit);
        record.dropped_attributes_count += u32::try_from(removed).unwrap_or(u32::MAX);
        self.shorten(&mut record.attributes);
    }

    fn shorten(&self, attributes: &mut [KeyValue]) {
        let Some(limit) = self.value_length.and_then(|limit| usize::try_from(limit).ok()) else { return };
        attributes.iter_mut().filter_map(|attribute| attribute.value.as_mut()).for_each(|value| truncate(value, limit));
    }
}

fn truncate(value: &mut AnyValue, limit: usize) {
    match &mut value.value {
        Some(Value::StringValue(text)) => {
            if let Some((end, _)) = text.char_indices().nth(limit) {
                text.truncate(end);
            }
        }
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(|value| truncate(value, limit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &str, value: &str) -> KeyValue {
        let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let mut span = Span { attributes: vec![text("a", "déjà vu"), text("b", "ok")], ..Span::default() };

        AttributeLimits { count: 1, value_length: Some(4) }.apply_to_span(&mut span);

        assert_eq!(span.attributes, [text("a", "déjà"), text("b", "ok")]);
    }

    #[test]
    fn removed_attributes_of_a_log_line_are_counted() {
        let mut record = LogRecord { attributes: vec![text("a", "1"), text("b", "2")], ..LogRecord::default() };

        AttributeLimits { count: 1, value_length: None }.apply_to_log(&mut record);

        assert_eq!(record.attributes, [text("a", "1")]);
        assert_eq!(record.dropped_attributes_count, 1);
    }
}
