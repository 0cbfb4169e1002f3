//! Age and Expires, whole and broken.

use crate::support::{Cache, age, date, dated, ok};

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.1
//= type=test
//# Although it is defined as a singleton header field, a cache encountering a message with a
//# list-based Age field value SHOULD use the first member of the field value, discarding
//# subsequent ones.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-5.1
//= type=test
//# If the field value (after discarding additional members, as per above) is invalid (e.g., it
//# contains something other than a non-negative integer), a cache SHOULD ignore the field.
#[tokio::test]
async fn the_first_member_of_age_counts_and_a_broken_one_does_not() {
    let cache = Cache::start().await;
    let cases: &[(&[&str], bool)] = &[
        (&["Age: 0"], true),
        (&["Age: 59"], true),
        (&["Age: 60"], false),
        (&["Age: 7200"], false),
        (&["age:\t7200 "], false),
        (&["Age: 7200, 0"], false),
        (&["Age: 7200", "Age: 0"], false),
        (&["Age: 0, 7200"], true),
        (&["Age: 0", "Age: 7200"], true),
        (&["Age: abc"], true),
        (&["Age: -7200"], true),
        (&["Age: 7200.5"], true),
        (&["Age: 7200;x=1"], true),
        (&["Age: \"7200\""], true),
        (&["Age:"], true),
        (&["Age: 4294967296"], false),
    ];
    for (ages, reused) in cases {
        let fields = [&["Cache-Control: max-age=60"], *ages].concat();
        assert_eq!(cache.reuses(&fields).await, *reused, "{ages:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4
//= type=test
//# When a stored response is used to satisfy a request without validation, a cache MUST generate
//# an Age header field (Section 5.1), replacing any present in the response with a value equal to
//# the stored response's current_age; see Section 4.2.3.
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
//= type=test
//# The current_age of a stored response can then be calculated by adding the time (in seconds)
//# since the stored response was last validated by the origin server to the corrected_initial_age.
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
//= type=test
//# the "apparent_age": response_time minus date_value, if the implementation's clock is reasonably
//# well synchronized to the origin server's clock. If the result is negative, the result is
//# replaced by zero.
#[tokio::test]
async fn what_is_reused_says_how_old_it_is() {
    let cache = Cache::start().await;
    let old = dated("Date", -30);
    let cases: &[(&[&str], u64)] = &[(&[], 0), (&["Age: 20"], 20), (&[&old], 30), (&[&old, "Age: 50"], 50)];
    for (fields, least) in cases {
        let path = cache.path([ok(&[&["Cache-Control: max-age=600"], *fields].concat(), "x")]);
        cache.get(&path, &[]).await;
        let answer = cache.get(&path, &[]).await;
        assert!((*least..least + 5).contains(&age(&answer)), "{fields:?}: {answer:?}");
        assert_eq!(cache.asked(&path).len(), 1);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2
//= type=test
//# The calculation to determine if a response is fresh is: response_is_fresh = (freshness_lifetime
//# > current_age)
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
//= type=test
//# If the Expires response header field (Section 5.3) is present, use its value minus the value of
//# the Date response header field (using the time the message was received if it is not present,
//# as per Section 6.6.1 of [HTTP]), or
#[tokio::test]
async fn expires_counts_from_date_and_not_from_the_clock_here() {
    let cache = Cache::start().await;
    let (old, future, past, soon) =
        (dated("Date", -3600), dated("Expires", 600), dated("Expires", -600), dated("Expires", 7200));
    let tomorrow = dated("Date", 86_400);
    let cases: &[(&[&str], bool)] = &[
        (&[&future], true),
        (&[&past], false),
        (&[&dated("Expires", 0)], false),
        (&[&old, &soon], true),
        // Of 50 minutes from its making, an hour is over.
        (&[&old, &past], false),
        // In the future for this clock, but in the past of the origin's own.
        (&[&tomorrow, &future], false),
        (&[&old, &future, "Age: 5000"], false),
    ];
    for (fields, reused) in cases {
        assert_eq!(cache.reuses(fields).await, *reused, "{fields:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-5.3
//= type=test
//# A cache recipient MUST interpret invalid date formats, especially the value "0", as
//# representing a time in the past (i.e., "already expired").
#[tokio::test]
async fn a_broken_expires_is_in_the_past() {
    let cache = Cache::start().await;
    let proper = date(86_400);
    let time = &proper[17..25];
    let broken = [
        "0".to_owned(),
        "-1".to_owned(),
        String::new(),
        "never".to_owned(),
        "86400".to_owned(),
        "2099-01-01T00:00:00Z".to_owned(),
        proper.replace("GMT", "PST"),
        proper.replace("GMT", "+0000"),
        proper.replace(" GMT", ""),
        proper.replace(time, "25:00:00"),
        proper.replace(time, "1:00:00"),
        proper.replace(time, "12:60:00"),
        proper.replace(',', ""),
        proper.replace(' ', "  "),
        proper.replace(' ', "-"),
        format!("\"{proper}\""),
        format!("{proper}, {proper}"),
        format!("{proper} x"),
    ];
    // A heuristic must not bring back what a broken Expires takes away.
    let modified = dated("Last-Modified", -1_000_000);
    for expires in broken {
        let expires = format!("Expires: {expires}");
        assert!(!cache.reuses(&[&expires]).await, "{expires}");
        assert!(!cache.reuses(&[&expires, &modified]).await, "{expires}");
    }
    assert!(!cache.reuses(&[&dated("Expires", 86_400), "Expires: 0"]).await);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
//= type=test
//# A recipient that parses a timestamp value in an HTTP field MUST accept all three HTTP-date
//# formats.
#[tokio::test]
async fn expires_counts_in_each_of_the_three_forms_of_a_date() {
    let cache = Cache::start().await;
    for expires in
        ["Fri, 01 Jan 2038 00:00:00 GMT", "Friday, 01-Jan-38 00:00:00 GMT", "Fri Jan  1 00:00:00 2038"]
    {
        assert!(cache.reuses(&[&format!("Expires: {expires}")]).await, "{expires}");
    }
    assert!(!cache.reuses(&["Expires: Sunday, 06-Nov-94 08:49:37 GMT"]).await);
    assert!(!cache.reuses(&["Expires: Sun Nov  6 08:49:37 1994"]).await);
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
//= type=test
//# A recipient with a clock that receives a response message without a Date header field MUST
//# record the time it was received and append a corresponding Date header field to the message's
//# header section if it is cached or forwarded downstream.
//
//= https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
//= type=test
//# A recipient with a clock that receives a response with an invalid Date header field value MAY
//# replace that value with the time that response was received.
#[tokio::test]
async fn what_has_no_date_gets_one_and_keeps_it() {
    let cache = Cache::start().await;
    let path = cache.path([crate::support::exactly(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx",
    )]);
    let first = cache.get(&path, &[]).await.field("date").to_owned();
    assert!([date(0), date(-1), date(-2)].contains(&first), "{first}");
    let second = cache.get(&path, &[]).await;
    assert_eq!((second.field("date"), cache.asked(&path).len()), (first.as_str(), 1));
    assert!(cache.reuses(&["Cache-Control: max-age=60", "Date: yesterday"]).await);
    let long_ago = date(-100);
    let path = cache.path([ok(&["Cache-Control: max-age=600", &format!("Date: {long_ago}")], "x")]);
    for _ in 0..2 {
        assert_eq!(cache.get(&path, &[]).await.field("date"), long_ago);
    }
}
