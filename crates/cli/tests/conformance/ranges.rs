//! Ranges of what is stored whole.

use crate::support::{Answer, Cache, ok, reply};

const BODY: &str = "0123456789";

async fn stored(cache: &Cache, more: &[&str]) -> String {
    let fields = [&["Cache-Control: max-age=600", "ETag: \"a\"", "Content-Type: text/plain"], more].concat();
    let path = cache.path([ok(&fields, BODY)]);
    cache.get(&path, &[]).await;
    path
}

async fn part(cache: &Cache, path: &str, request: &[&str]) -> Answer {
    let answer = cache.get(path, request).await;
    assert_eq!(cache.asked(path).len(), 1, "{request:?}");
    answer
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# If all of the preconditions are true, the server supports the Range header field for the target
//# resource, the received Range field-value contains a valid ranges-specifier with a range-unit
//# supported for that target resource, and that ranges-specifier is satisfiable with respect to
//# the selected representation, the server SHOULD send a 206 (Partial Content) response with
//# content containing one or more partial representations that correspond to the satisfiable
//# range-spec(s) requested.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
//= type=test
//# If the last-pos value is absent, or if the value is greater than or equal to the current length
//# of the representation data, the byte range is interpreted as the remainder of the
//# representation (i.e., the server replaces the value of last-pos with a value that is one less
//# than the current length of the selected representation).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
//= type=test
//# If the selected representation is shorter than the specified suffix-length, the entire
//# representation is used.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.1
//= type=test
//# If a single part is being transferred, the server generating the 206 response MUST generate a
//# Content-Range header field, describing what range of the selected representation is enclosed,
//# and a content consisting of the range.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1
//= type=test
//# All range unit names are case-insensitive and ought to be registered within the "HTTP Range
//# Unit Registry", as defined in Section 16.5.1.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
//= type=test
//# A cache MUST NOT send a partial response to a client without explicitly marking it using the
//# 206 (Partial Content) status code.
#[tokio::test]
async fn a_single_range_is_answered_from_the_stored_response() {
    let cache = Cache::start().await;
    let path = stored(&cache, &["X-A: 1"]).await;
    for (range, content, at) in [
        ("bytes=0-1", "01", "bytes 0-1/10"),
        ("bytes=2-2", "2", "bytes 2-2/10"),
        ("bytes=5-", "56789", "bytes 5-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-100", BODY, "bytes 0-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
        ("bytes=8-99999999999999999999999999", "89", "bytes 8-9/10"),
        ("BYTES=0-0", "0", "bytes 0-0/10"),
        ("bytes= 0-1 ", "01", "bytes 0-1/10"),
    ] {
        let answer = part(&cache, &path, &[&format!("Range: {range}")]).await;
        assert_eq!((answer.status(), answer.body.as_str()), (206, content), "{range}");
        assert_eq!((answer.field("content-range"), answer.field("etag")), (at, "\"a\""), "{range}");
        assert_eq!(answer.field("content-length"), content.len().to_string());
        assert_eq!((answer.field("x-a"), answer.field("age").is_empty()), ("1", false));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.17
//= type=test
//# A server that generates a 416 response to a byte-range request SHOULD generate a Content-Range
//# header field specifying the current length of the selected representation (Section 14.4).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//= type=test
//# A server generating a 416 (Range Not Satisfiable) response to a byte-range request SHOULD send
//# a Content-Range header field with an unsatisfied-range value, as in the following example:
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
//= type=test
//# an int-range with a first-pos that is less than the current length of the selected
//# representation or
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.1.2
//= type=test
//# a suffix-range with a non-zero suffix-length.
#[tokio::test]
async fn what_cannot_be_satisfied_is_416_and_what_is_no_range_is_ignored() {
    let cache = Cache::start().await;
    let path = stored(&cache, &[]).await;
    for range in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999-", "bytes=10-,11-"] {
        let answer = part(&cache, &path, &[&format!("Range: {range}")]).await;
        assert_eq!((answer.status(), answer.field("content-range")), (416, "bytes */10"), "{range}");
        assert_ne!(answer.body, BODY);
    }
    for range in
        ["bytes=3-1", "bytes", "bytes=", "bytes=a-b", "bytes=--1", "bytes=0-1,5-2", "lines=0-1", "bytes=1"]
    {
        let answer = part(&cache, &path, &[&format!("Range: {range}")]).await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, BODY), "{range}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# If multiple parts are being transferred, the server generating the 206 response MUST generate
//# "multipart/byteranges" content, as defined in Section 14.6, and a Content-Type header field
//# containing the "multipart/byteranges" media type and its required boundary parameter.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# To avoid confusion with single-part responses, a server MUST NOT generate a Content-Range
//# header field in the HTTP header section of a multiple part response (this field will be sent in
//# each part instead).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# Within the header area of each body part in the multipart content, the server MUST generate a
//# Content-Range header field corresponding to the range being enclosed in that body part.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# If the selected representation would have had a Content-Type header field in a 200 (OK)
//# response, the server SHOULD generate that same Content-Type header field in the header area of
//# each body part.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# A server that generates a multipart response SHOULD send the parts in the same order that the
//# corresponding range-spec appeared in the received Range header field, excluding those ranges
//# that were deemed unsatisfiable or that were coalesced into other ranges.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.2
//= type=test
//# A server MUST NOT generate a multipart response to a request for a single range, since a client
//# that does not request multiple parts might not support multipart responses.
#[tokio::test]
async fn several_ranges_are_several_parts() {
    let cache = Cache::start().await;
    let long = BODY.repeat(100);
    let path = cache.path([ok(&["Cache-Control: max-age=600", "Content-Type: text/plain"], &long)]);
    cache.get(&path, &[]).await;
    let answer = part(&cache, &path, &["Range: bytes=0-1, 504-505, -1"]).await;
    let kind = answer.field("content-type").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap().trim_matches('"');
    assert_eq!((answer.status(), answer.field("content-range")), (206, ""));
    let parts: Vec<&str> = answer.body.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[4].trim_end()), (5, "--"), "{}", answer.body);
    for (part, (at, content)) in parts[1..4].iter().zip([("0-1", "01"), ("504-505", "45"), ("999-999", "9")])
    {
        let (head, body) = part.trim_start().split_once("\r\n\r\n").unwrap();
        let mut lines: Vec<String> = head.lines().map(str::to_ascii_lowercase).collect();
        lines.sort();
        let wanted = [format!("content-range: bytes {at}/1000"), "content-type: text/plain".to_owned()];
        assert_eq!((lines.as_slice(), body.trim_end()), (&wanted[..], content));
    }
    assert_eq!(answer.field("content-length"), answer.body.len().to_string());
    // Of two ranges one can be satisfied: that is one part.
    let answer = part(&cache, &path, &["Range: bytes=1-1, 5000-6000"]).await;
    assert_eq!((answer.body.as_str(), answer.field("content-range")), ("1", "bytes 1-1/1000"));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# If the entity-tag validator provided exactly matches the ETag field value for the selected
//# representation using the strong comparison function (Section 8.8.3.2), the condition is true.
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# A recipient of an If-Range header field MUST ignore the Range header field if the If-Range
//# condition evaluates to false.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# A server MUST ignore an If-Range header field received in a request that does not contain a
//# Range header field.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# Otherwise, the recipient SHOULD process the Range header field as requested.
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5
//= type=test
//# If the HTTP-date validator provided is not a strong validator in the sense defined by Section
//# 8.8.2.2, the condition is false.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
//= type=test
//# When the method is GET and both Range and If-Range are present, evaluate the If-Range
//# precondition:
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.2
//= type=test
//# A cache that implements partial responses to range requests, as defined in Section 14.2 of
//# [HTTP], also needs to evaluate a received If-Range header field (Section 13.1.5 of [HTTP]) with
//# respect to the cache's chosen response.
#[tokio::test]
async fn if_range_lets_a_range_through_only_where_nothing_has_changed() {
    let cache = Cache::start().await;
    let (at, date, earlier) = (
        "Sun, 06 Nov 1994 08:49:37 GMT",
        crate::support::dated("Date", -10),
        "Sat, 05 Nov 1994 08:49:37 GMT",
    );
    let modified = format!("Last-Modified: {at}");
    let now = crate::support::date(0);
    let (just_now, same_second) = (format!("Last-Modified: {now}"), format!("Date: {now}"));
    let close = [just_now.as_str(), &same_second];
    let range = "Range: bytes=0-0";
    let cases: &[(&[&str], &str, u16)] = &[
        (&[], "If-Range: \"a\"", 206),
        (&[], "If-Range: \"b\"", 200),
        (&[], "If-Range: W/\"a\"", 200),
        (&[&modified, &date], &format!("If-Range: {at}"), 206),
        (&[&modified, &date], &format!("If-Range: {earlier}"), 200),
        (&[&modified, &date], "If-Range: Mon, 07 Nov 1994 08:49:37 GMT", 200),
        (&close, &format!("If-Range: {now}"), 200),
        (&[], &format!("If-Range: {at}"), 200),
        (&[], "If-Range: a", 200),
    ];
    for (fields, condition, expected) in cases {
        let path = stored(&cache, fields).await;
        assert_eq!(
            part(&cache, &path, &[range, condition]).await.status(),
            *expected,
            "{fields:?} {condition}"
        );
        assert_eq!(part(&cache, &path, &[condition]).await.status(), 200);
    }
    let path = cache.path([ok(&["Cache-Control: max-age=600", "ETag: W/\"a\""], BODY)]);
    cache.get(&path, &[]).await;
    assert_eq!(part(&cache, &path, &[range, "If-Range: W/\"a\""]).await.status(), 200);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# The Range header field is evaluated after evaluating the precondition header fields defined in
//# Section 13.1, and only if the result in absence of the Range header field would be a 200 (OK)
//# response.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.1
//= type=test
//# Except when excluded below, a recipient cache or origin server MUST evaluate received request
//# preconditions after it has successfully performed its normal request checks and just before it
//# would process the request content (if any) or perform the action associated with the request
//# method.
#[tokio::test]
async fn conditions_come_before_ranges() {
    let cache = Cache::start().await;
    let path = stored(&cache, &[]).await;
    let range = "Range: bytes=0-1";
    assert_eq!(part(&cache, &path, &[range, "If-None-Match: \"a\""]).await.status(), 304);
    assert_eq!(part(&cache, &path, &[range, "If-None-Match: \"b\""]).await.status(), 206);
    assert_eq!(part(&cache, &path, &["Range: bytes=99-", "If-None-Match: \"a\""]).await.status(), 304);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# A server MUST ignore a Range header field received with a request method that is unrecognized
//# or for which range handling is not defined.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# For this specification, GET is the only method for which range handling is defined.
#[tokio::test]
async fn a_range_means_nothing_to_other_methods_and_statuses() {
    let cache = Cache::start().await;
    let path = stored(&cache, &[]).await;
    let head = cache.send("HEAD", &path, &["Range: bytes=0-1"]).await;
    assert_eq!((head.status(), head.field("content-length")), (200, "10"));
    let path = cache.path([reply(404, &["Cache-Control: max-age=60"], BODY)]);
    cache.get(&path, &[]).await;
    let answer = part(&cache, &path, &["Range: bytes=0-1"]).await;
    assert_eq!((answer.status(), answer.body.as_str()), (404, BODY));
}
