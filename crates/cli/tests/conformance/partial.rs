//! Parts that the origin sends: stored, reused for what they hold, combined, completed.

use crate::support::{Cache, Reply, ok, reply};

const BODY: &str = "0123456789";
const TAG: &str = "ETag: \"a\"";

fn part(at: &str, fields: &[&str]) -> Reply {
    let (first, last) = at.split_once('-').unwrap();
    let (first, last) = (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap());
    let range = format!("Content-Range: bytes {at}/10");
    reply(206, &[&["Cache-Control: max-age=600", &range], fields].concat(), &BODY[first..=last])
}

fn range(at: &str) -> String {
    format!("Range: bytes={at}")
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
//= type=test
//# A cache MUST NOT use an incomplete response to answer requests unless the response has been
//# made complete, or the request is partial and specifies a range wholly within the incomplete
//# response.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
//= type=test
//# Likewise, a 206 (Partial Content) response MAY be stored as if it were an incomplete 200 (OK)
//# response.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//= type=test
//# A server MAY ignore the Range header field.
#[tokio::test]
async fn a_part_answers_what_it_holds_and_nothing_else() {
    let cache = Cache::start().await;
    let path =
        cache.path([part("5-9", &[TAG]), part("0-1", &[]), ok(&[TAG, "Cache-Control: max-age=60"], BODY)]);
    for at in ["-5", "5-9", "6-8", "6-", "-1", "9-9", "5-"] {
        let answer = cache.get(&path, &[&range(at)]).await;
        let first = if at == "9-9" || at == "-1" {
            9
        } else {
            answer.field("content-range").as_bytes()[6] as usize - 48
        };
        let last = if at == "6-8" { 8 } else { 9 };
        assert_eq!((answer.status(), answer.body.as_str()), (206, &BODY[first..=last]), "{at}");
        assert_eq!(answer.field("content-range"), format!("bytes {first}-{last}/10"), "{at}");
    }
    assert_eq!(cache.asked(&path).len(), 1);
    // Without a validator in common nothing is combined.
    assert_eq!(cache.get(&path, &[&range("0-1")]).await.body, "01");
    let whole = cache.get(&path, &[]).await;
    assert_eq!((whole.status(), whole.body.as_str()), (200, BODY));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.4
//= type=test
//# A cache MAY combine these ranges into a single stored response, and reuse that response to
//# satisfy later requests, if they all share the same strong validator and the cache complies with
//# the client requirements in Section 15.3.7.3 of [HTTP].
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-3.4
//= type=test
//# When combining the new response with one or more stored responses, a cache MUST update the
//# stored response header fields using the header fields provided in the new response, as per
//# Section 3.2.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
//= type=test
//# These ranges can only be safely combined if they all have in common the same strong validator
//# (Section 8.8.1).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
//= type=test
//# The combined response content consists of the union of partial content ranges within the new
//# response and all of the matching stored responses.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
//= type=test
//# If the union consists of the entire range of the representation, then the client MUST process
//# the combined response as if it were a complete 200 (OK) response, including a Content-Length
//# header field that reflects the complete length.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7.3
//= type=test
//# If all of the matching stored responses are 206 responses, then the stored response with the
//# most recent header fields is used as the source of header fields for the combined response,
//# except that the client MUST use other header fields provided in the new response, aside from
//# Content-Range, to replace all instances of the corresponding header fields in the stored
//# response.
#[tokio::test]
async fn parts_with_one_strong_tag_are_combined() {
    let cache = Cache::start().await;
    let path = cache.path([
        part("0-3", &[TAG, "X-A: 1"]),
        part("4-6", &[TAG, "X-A: 2"]),
        part("7-9", &[TAG, "X-A: 3"]),
    ]);
    for at in ["0-3", "4-6"] {
        cache.get(&path, &[&range(at)]).await;
    }
    let answer = cache.get(&path, &[&range("2-5")]).await;
    assert_eq!((answer.status(), answer.body.as_str(), answer.field("x-a")), (206, "2345", "2"));
    assert_eq!(cache.asked(&path).len(), 2);
    cache.get(&path, &[&range("7-9")]).await;
    let whole = cache.get(&path, &[]).await;
    assert_eq!((whole.status(), whole.body.as_str()), (200, BODY));
    assert_eq!(
        (whole.field("content-range"), whole.field("content-length"), whole.field("x-a")),
        ("", "10", "3")
    );
    assert_eq!(cache.asked(&path).len(), 3);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//= type=test
//# The recipient of an invalid Content-Range MUST NOT attempt to recombine the received content
//# with a stored representation.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//= type=test
//# A Content-Range field value is invalid if it contains a range-resp that has a last-pos value
//# less than its first-pos value, or a complete-length value less than or equal to its last-pos
//# value.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3.2
//= type=test
//# two entity tags are equivalent if both are not weak and their opaque-tags match
//# character-by-character.
#[tokio::test]
async fn parts_that_may_be_of_two_representations_are_never_combined() {
    let cache = Cache::start().await;
    let cases: &[(&[&str], &[&str])] = &[
        (&[TAG], &["ETag: \"b\""]),
        (&["ETag: W/\"a\""], &["ETag: W/\"a\""]),
        (&["ETag: W/\"a\""], &[TAG]),
        (&[TAG], &[]),
        (&[], &[]),
    ];
    for (old, new) in cases {
        let path =
            cache.path([part("0-4", old), part("5-9", new), ok(&["Cache-Control: no-store"], "whole")]);
        cache.get(&path, &[&range("0-4")]).await;
        cache.get(&path, &[&range("5-9")]).await;
        assert_eq!(cache.get(&path, &[]).await.body, "whole", "{old:?} {new:?}");
    }
    for broken in
        ["bytes 9-5/10", "bytes 5-9/4", "bytes 5-9", "bytes 5-7/10", "bytes */10", "5-9/10", "bytes 5-9/x"]
    {
        let field = format!("Content-Range: {broken}");
        let broken = reply(206, &["Cache-Control: max-age=600", TAG, &field], "56789");
        let path = cache.path([part("0-4", &[TAG]), broken, ok(&["Cache-Control: no-store"], "whole")]);
        cache.get(&path, &[&range("0-4")]).await;
        cache.get(&path, &[&range("5-9")]).await;
        assert_eq!(cache.get(&path, &[]).await.body, "whole", "{field}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-3.3
//= type=test
//# A cache MAY complete a stored incomplete response by making a subsequent range request (Section
//# 14.2 of [HTTP]) and combining the successful response with the stored response, as defined in
//# Section 3.4.
#[tokio::test]
async fn a_request_for_the_whole_is_never_answered_with_a_part() {
    let cache = Cache::start().await;
    let path = cache.path([part("0-4", &[TAG]), ok(&[TAG, "Cache-Control: max-age=60"], BODY)]);
    cache.get(&path, &[&range("0-4")]).await;
    for _ in 0..2 {
        let answer = cache.get(&path, &[]).await;
        assert_eq!((answer.status(), answer.body.as_str(), answer.field("content-range")), (200, BODY, ""));
    }
}

#[tokio::test]
async fn a_206_to_a_request_without_range_is_not_stored() {
    let cache = Cache::start().await;
    let path = cache.path([part("0-4", &[TAG]), ok(&[], "whole")]);
    cache.get(&path, &[]).await;
    assert_eq!(cache.get(&path, &[]).await.body, "whole");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.1
//= type=test
//# MAY send the Last-Modified value (using If-Unmodified-Since or If-Range) if the request is for
//# a subrange, a single stored response is being validated, and that response contains only a
//# Last-Modified value (not an entity tag).
#[tokio::test]
async fn a_stale_part_answers_nothing_by_itself() {
    let cache = Cache::start().await;
    let old = ["Age: 700", TAG];
    let path = cache.path([part("0-4", &old), part("0-4", &[TAG, "X-New: 1"])]);
    cache.get(&path, &[&range("0-4")]).await;
    assert_eq!(cache.get(&path, &[&range("0-4")]).await.field("x-new"), "1");
}

#[tokio::test]
async fn parts_and_a_416_of_the_origin_pass_as_they_are() {
    let cache = Cache::start().await;
    let several = ["Content-Type: multipart/byteranges; boundary=x", "Cache-Control: max-age=60"];
    let text = "--x\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n--x--\r\n";
    let path = cache.path([reply(206, &several, text), reply(206, &several, "again")]);
    let answer = cache.get(&path, &[&range("0-0,5-5")]).await;
    assert_eq!((answer.status(), answer.body.as_str()), (206, text));
    assert_eq!(cache.get(&path, &[&range("0-0,5-5")]).await.body, "again");
    let unsatisfied = ["Content-Range: bytes */10", "Cache-Control: max-age=60"];
    let path = cache.path([reply(416, &unsatisfied, "no"), ok(&[], BODY)]);
    let answer = cache.get(&path, &[&range("50-")]).await;
    assert_eq!((answer.status(), answer.field("content-range")), (416, "bytes */10"));
    assert_eq!(cache.get(&path, &[]).await.body, BODY);
}
