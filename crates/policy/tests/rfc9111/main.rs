//! RFC 9111, section by section: each test cites the sentence that it proves.

mod cache_status;
mod dates;
mod differences;
mod properties;
mod properties_reuse;
mod properties_store;
mod request_directives;
mod rfc9110_partial;
mod rfc9110_range;
mod rfc9213;
mod rfc9875;
mod rfc5861;
mod section_3;
mod section_3_2;
mod section_4;
mod section_4_1;
mod section_4_2;
mod section_4_2_2;
mod section_4_3;
mod section_4_3_4;
mod section_4_4;
mod section_5_2;
mod section_5_2_1;
mod security;
mod support;
