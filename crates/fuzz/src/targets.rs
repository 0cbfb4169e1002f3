//! The list of them all.

/// Feeds a parser these bytes, and panics where what must hold of the answer does not.
pub type Target = fn(&[u8]);

/// Every target under the name of its corpus.
pub const TARGETS: [(&str, Target); 15] = [
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
