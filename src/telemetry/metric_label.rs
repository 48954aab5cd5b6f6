//! Labels of metrics. Their sets of values are closed, so that the number of series is bounded. Each area that records
//! metrics defines its labels with [`label!`].

/// A closed set of label values.
pub trait Label: Copy + 'static {
    /// All values, in declaration order.
    const ALL: &'static [Self];

    /// The label value in `/metrics`.
    fn as_str(self) -> &'static str;

    /// The index in [`Self::ALL`].
    fn index(self) -> usize;
}

/// Defines an enum whose values are label values: `Variant = "text in /metrics"`.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant),+
        }

        impl $crate::telemetry::Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

pub(crate) use label;

label! {
    /// Whether a piece of work succeeded.
    Status { Ok = "ok", Error = "error" }
}
