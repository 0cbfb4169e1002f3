//! RFC 9875: groups of responses, and the tags of CDNs beside them.

use std::borrow::Cow;

use forebay_policy::groups::{MAX_GROUP_BYTES, MAX_GROUPS, groups, invalidated_groups, tags};
use http::{HeaderMap, HeaderValue, Method};

use crate::support::fields;

fn check(value: &str, expected: &[&str]) {
    assert_eq!(groups(&fields(&[("cache-groups", value)])), expected, "{value}");
}

//= https://www.rfc-editor.org/rfc/rfc9875#section-2
//= type=test
//# The Cache-Groups response header field is a List of Strings (Sections 3.1 and 3.3.3 of
//# [STRUCTURED-FIELDS]).
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-2
//= type=test
//# The ordering of members is not significant. Unrecognised Parameters are to be ignored.
#[test]
fn groups_are_a_list_of_strings_with_or_without_parameters() {
    check("\"scripts\"", &["scripts"]);
    check("\"a\", \"b\";x=1;y,\t\"c\"", &["a", "b", "c"]);
    check("\"with \\\"quotes\\\" and \\\\\"", &["with \"quotes\" and \\"]);
    check("\"\"", &[""]);
    let lines = fields(&[("cache-groups", "\"a\""), ("cache-groups", "\"b\"")]);
    assert_eq!(groups(&lines), ["a", "b"]);
}

//= https://www.rfc-editor.org/rfc/rfc9875#section-2.1
//= type=test
//# Two responses stored in the same cache are considered to belong to the same group when all of the
//# following conditions are met: They both contain a Cache-Groups response header field that contains
//# the same String (in any position in the List), when compared character-by-character (case sensitive).
#[test]
fn groups_are_told_apart_by_every_character() {
    check("\"Scripts\", \"scripts\", \" scripts\"", &["Scripts", "scripts", " scripts"]);
}

#[test]
fn what_is_no_list_of_strings_names_no_group() {
    for value in
        ["", "scripts", "\"a\", b", "\"a\", 1", "\"a\",", "\"a", "\"a\" \"b\"", "(\"a\" \"b\")", "a=\"b\""]
    {
        check(value, &[]);
    }
    let mut response = HeaderMap::new();
    response.insert("cache-groups", HeaderValue::from_bytes(b"\"a\", \"\xc3\xbc\"").unwrap());
    assert!(groups(&response).is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc9875#section-2
//= type=test
//# Implementations MUST support at least 32 groups in a field value, with up to at least 32 characters
//# in each member.
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//= type=test
//# Implementations MUST support at least 32 groups in a field value, with up to at least 32 characters
//# in each member.
#[test]
fn many_long_groups_are_read_and_absurdly_many_or_long_ones_are_not() {
    let list = |count: usize, length: usize| {
        let members = (0..count).map(|number| format!("\"{number:0>length$}\""));
        members.collect::<Vec<_>>().join(", ")
    };
    let read = |value: &str| groups(&fields(&[("cache-groups", value)])).len();
    assert_eq!(read(&list(32, 32)), 32);
    assert_eq!(read(&list(10_000, 5)), MAX_GROUPS);
    assert_eq!(read(&list(2, MAX_GROUP_BYTES)), 2);
    assert_eq!(read(&list(2, MAX_GROUP_BYTES + 1)), 0);
    let answer = fields(&[("cache-group-invalidation", &list(32, 32))]);
    assert_eq!(invalidated_groups(&Method::PUT, &answer).len(), 32);
}

//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//= type=test
//# The Cache-Group-Invalidation header field MUST be ignored on responses to requests that have a safe
//# method (e.g., GET; see Section 9.2.1 of [HTTP]).
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//= type=test
//# The Cache-Group-Invalidation response header field is a List of Strings (Sections 3.1 and 3.3.3 of
//# [STRUCTURED-FIELDS]).
//
//= https://www.rfc-editor.org/rfc/rfc9875#section-3
//= type=test
//# The ordering of members is not significant. Unrecognised Parameters are to be ignored.
#[test]
fn only_answers_to_unsafe_methods_invalidate_groups() {
    let answer = fields(&[("cache-group-invalidation", "\"eurovision-results\", \"australia\";x")]);
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        assert_eq!(invalidated_groups(&method, &answer), ["eurovision-results", "australia"], "{method}");
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
        assert_eq!(invalidated_groups(&method, &answer), <[Cow<'_, str>; 0]>::default(), "{method}");
    }
    let answer = fields(&[("cache-group-invalidation", "\"a\", b")]);
    assert!(invalidated_groups(&Method::POST, &answer).is_empty());
}

#[test]
fn surrogate_keys_are_separated_by_space_and_cache_tags_by_commas() {
    let response = fields(&[
        ("surrogate-key", "article-42  front\tarticle-42,x"),
        ("surrogate-key", "more"),
        ("cache-tag", "a, b c,,d"),
    ]);
    assert_eq!(tags(&response), ["article-42", "front", "article-42,x", "more", "a", "b c", "d"]);
    let many = vec!["k"; 10_000].join(" ");
    let long = "x".repeat(MAX_GROUP_BYTES + 1);
    assert_eq!(tags(&fields(&[("surrogate-key", &many), ("cache-tag", &long)])).len(), MAX_GROUPS);
}
