//! The list of them all.

/// Every target under the name of its corpus.
pub const TARGETS: [(&str, fn(&[u8])); 15] = [
    ("age", crate::age),
    ("cache_control", crate::cache_control),
    ("cache_status", crate::cache_status),
    ("conditions", crate::conditions),
    ("date", crate::date),
    ("exchange", crate::exchange),
    ("frame", crate::frame),
    ("freshen", crate::freshen),
    ("groups", crate::groups),
    ("key", crate::key),
    ("location", crate::location),
    ("parts", crate::parts),
    ("range", crate::range),
    ("targeted", crate::targeted),
    ("vary", crate::vary),
];
