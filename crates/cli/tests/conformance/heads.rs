//! HEAD: answered from what is stored for GET, and what its answers do to that.

use crate::support::{Cache, ok, reply};

const FRESH: &str = "Cache-Control: max-age=60";
const STALE: [&str; 2] = ["Cache-Control: max-age=60", "Age: 100"];

fn head(fields: &[&str]) -> crate::support::Reply {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let date = crate::support::date(0);
    crate::support::exactly(&format!("HTTP/1.1 200 OK\r\nDate: {date}\r\n{fields}\r\n"))
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.1
//= type=test
//# The response to a GET request is cacheable; a cache MAY use it to satisfy subsequent GET and
//# HEAD requests unless otherwise indicated by the Cache-Control header field (Section 5.2 of
//# [CACHING]).
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2
//= type=test
//# The HEAD method is identical to GET except that the server MUST NOT send content in the
//# response.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2
//= type=test
//# The server SHOULD send the same header fields in response to a HEAD request as it would have
//# sent if the request method had been GET.
#[tokio::test]
async fn head_is_answered_from_what_is_stored_for_get() {
    let cache = Cache::start().await;
    let path = cache.path([ok(&[FRESH, "X-A: 1"], "hello")]);
    cache.get(&path, &[]).await;
    let answer = cache.send("HEAD", &path, &[]).await;
    assert_eq!((answer.status(), answer.field("content-length"), answer.field("x-a")), (200, "5", "1"));
    assert_eq!((answer.body.as_str(), cache.asked(&path).len()), ("", 1));
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.3.2
//= type=test
//# The response to a HEAD request is cacheable; a cache MAY use it to satisfy subsequent HEAD
//# requests unless otherwise indicated by the Cache-Control header field (Section 5.2 of
//# [CACHING]).
#[tokio::test]
async fn an_answer_to_head_never_answers_get() {
    let cache = Cache::start().await;
    let path = cache.path([head(&[FRESH, "Content-Length: 5"]), ok(&[FRESH], "hello")]);
    cache.send("HEAD", &path, &[]).await;
    assert_eq!(cache.get(&path, &[]).await.body, "hello");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.5
//= type=test
//# When a cache makes an inbound HEAD request for a target URI and receives a 200 (OK) response,
//# the cache SHOULD update or invalidate each of its stored GET responses that could have been
//# chosen for that request (see Section 4.1).
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.3.5
//= type=test
//# If a cache updates a stored response with the metadata provided in a HEAD response, the cache
//# MUST use the header fields provided in the HEAD response to update the stored response (see
//# Section 3.2).
#[tokio::test]
async fn an_answer_to_head_freshens_or_invalidates_what_is_stored_for_get() {
    let cache = Cache::start().await;
    let cases: &[(&[&str], &[&str], bool)] = &[
        (&["ETag: \"a\""], &["ETag: \"a\"", "Content-Length: 5"], true),
        (&["ETag: \"a\""], &["ETag: \"a\""], true),
        (&["ETag: \"a\""], &["ETag: \"b\"", "Content-Length: 5"], false),
        (&["ETag: \"a\""], &["ETag: \"a\"", "Content-Length: 6"], false),
        (
            &["Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"],
            &["Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT"],
            false,
        ),
    ];
    for (old, new, freshens) in cases {
        let path = cache.path([
            ok(&[&STALE, *old].concat(), "first"),
            head(&[&[FRESH, "X-New: 1"], *new].concat()),
            ok(&[FRESH], "again"),
        ]);
        cache.get(&path, &[]).await;
        cache.send("HEAD", &path, &[]).await;
        let answer = cache.get(&path, &[]).await;
        let expected = if *freshens { ("first", "1") } else { ("again", "") };
        assert_eq!((answer.body.as_str(), answer.field("x-new")), expected, "{old:?} {new:?}");
    }
}

#[tokio::test]
async fn another_status_to_head_changes_nothing_that_is_stored() {
    let cache = Cache::start().await;
    let tag = "ETag: \"a\"";
    let path = cache.path([
        ok(&[FRESH, tag], "first"),
        crate::support::exactly("HTTP/1.1 410 Gone\r\nCache-Control: no-store\r\n\r\n"),
        reply(200, &[FRESH], "again"),
    ]);
    cache.get(&path, &[]).await;
    assert_eq!(cache.send("HEAD", &path, &["Cache-Control: no-cache"]).await.status(), 410);
    assert_eq!(cache.get(&path, &[]).await.body, "first");
}
