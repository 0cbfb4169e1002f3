//! For how long a response is fresh, by this crate and by `http-cache-semantics`: equal, but for what is listed here with
//! the sentence that decides it.

use std::time::Duration;

use forebay_policy::profile::{Heuristic, Policy, SetCookie, Validated};
use forebay_policy::storable::Storability;
use http::{HeaderMap, Request, Response};
use http_cache_semantics::{CacheOptions, CachePolicy};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use crate::support::{Case, credentials, fields, now};

/// A response to GET, as far as the two might see it differently.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    lines: Vec<(&'static str, String)>,
    authorized: bool,
    no_store: bool,
}

impl Answer {
    fn of(lines: &[(&'static str, &str)]) -> Self {
        let lines = lines.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { status: 200, lines, authorized: false, no_store: false }
    }

    fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    fn response(&self) -> HeaderMap {
        fields(&self.lines.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>())
    }

    fn request(&self) -> HeaderMap {
        let authorization = self.authorized.then_some(("authorization", "Bearer a"));
        let cache_control = self.no_store.then_some(("cache-control", "no-store"));
        fields(&authorization.into_iter().chain(cache_control).collect::<Vec<_>>())
    }

    /// The values of a field, in order.
    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(move |(line, _)| *line == name).map(|(_, value)| value.as_str())
    }

    /// The members of Cache-Control, as somebody reads them who knows no quoted strings.
    fn directives(&self) -> impl Iterator<Item = &str> {
        self.all("cache-control").flat_map(|line| line.split(',')).map(str::trim)
    }

    fn says(&self, name: &str) -> bool {
        self.directives().any(|directive| directive.split('=').next() == Some(name))
    }

    /// For how many seconds the response answers without validation, by this crate.
    fn ours(&self) -> u64 {
        let mut policy = Policy::proxy();
        policy.heuristic = Some(Heuristic { percent: 10, cap: Duration::MAX });
        policy.store_request_errors = true;
        policy.set_cookie = SetCookie::Store;
        policy.validated = Validated::Pass;
        policy.targeted.clear();
        let mut case = Case::response(&[]).status(self.status).policy(policy);
        (case.request, case.response) = (self.request(), self.response());
        case.credentials = credentials(&case.request);
        match case.judge() {
            Storability::Storable(lifetime) => {
                lifetime.freshness.saturating_sub(lifetime.initial_age).as_secs()
            }
            _ => 0,
        }
    }

    /// The same, by the other one.
    fn theirs(&self) -> u64 {
        let mut request = Request::get("http://shop.example/").body(()).expect("a request");
        *request.headers_mut() = self.request();
        let mut response = Response::builder().status(self.status).body(()).expect("a response");
        *response.headers_mut() = self.response();
        let policy = CachePolicy::new_options(&request, &response, now(), CacheOptions::default());
        policy.time_to_live(now()).as_secs()
    }
}

/// What the two see differently: a name, when it is, and an answer that shows it with what ours and theirs make of it.
struct Difference {
    what: &'static str,
    applies: fn(&Answer) -> bool,
    shown_by: fn() -> Answer,
    ours: u64,
    theirs: u64,
}

const EXPIRES: &str = "Thu, 01 Jan 2026 00:01:40 GMT";

const DIFFERENCES: [Difference; 17] = [
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2
    //= type=test
    //# Cache directives are identified by a token, to be compared case-insensitively, and have an optional
    //# argument that can use both token and quoted-string syntax.
    Difference {
        what: "names in capitals",
        applies: |answer| answer.directives().any(|directive| directive.contains(char::is_uppercase)),
        shown_by: || Answer::of(&[("cache-control", "Max-Age=60")]),
        ours: 60,
        theirs: 0,
    },
    Difference {
        what: "quoted strings that hide a directive",
        applies: |answer| answer.all("cache-control").any(|line| line.contains('"')),
        shown_by: || Answer::of(&[("cache-control", "max-age=60, x=\"a, no-store, b\"")]),
        ours: 60,
        theirs: 0,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
    //= type=test
    //# Caches are encouraged to consider responses that have invalid freshness information (e.g., a
    //# max-age directive with non-integer content) to be stale.
    Difference {
        what: "a time without a value",
        applies: |answer| answer.directives().any(|directive| ["max-age", "s-maxage"].contains(&directive)),
        shown_by: || Answer::of(&[("cache-control", "max-age"), ("expires", EXPIRES)]),
        ours: 0,
        theirs: 100,
    },
    Difference {
        what: "a time with a sign or space",
        applies: |answer| answer.directives().any(|directive| directive.contains(['+', ' '])),
        shown_by: || Answer::of(&[("cache-control", "max-age=+60")]),
        ours: 0,
        theirs: 60,
    },
    Difference {
        what: "what is no Cache-Control",
        applies: |answer| answer.all("cache-control").any(|line| line.contains(';')),
        shown_by: || Answer::of(&[("cache-control", "s-maxage=60, public; x")]),
        ours: 0,
        theirs: 60,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.1
    //= type=test
    //# When there is more than one value present for a given directive (e.g., two Expires header field
    //# lines or multiple Cache-Control: max-age directives), either the first occurrence should be used
    //# or the response should be considered stale.
    Difference {
        what: "several times",
        applies: |answer| {
            let times = |name: &str| answer.directives().filter(|said| said.starts_with(name)).count();
            times("max-age=") > 1 || times("s-maxage=") > 1 || answer.all("expires").count() > 1
        },
        shown_by: || Answer::of(&[("cache-control", "max-age=600, max-age=60")]),
        ours: 60,
        theirs: 600,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-1.2.2
    //= type=test
    //# If a cache receives a delta-seconds value greater than the greatest integer it can represent,
    //# or if any of its subsequent calculations overflows, the cache MUST consider the value to be
    //# 2147483648 (2^31) or the greatest positive integer it can conveniently represent.
    Difference {
        what: "a time that overflows",
        applies: |answer| answer.directives().any(|directive| directive.len() > 24),
        shown_by: || Answer::of(&[("cache-control", "max-age=99999999999999999999")]),
        ours: 2_147_483_648,
        theirs: 0,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.8
    //= type=test
    //# The proxy-revalidate response directive indicates that once the response has become stale, a shared
    //# cache MUST NOT reuse that response to satisfy another request until it has been successfully
    //# validated by the origin, as defined by Section 4.3.
    Difference {
        what: "proxy-revalidate while the response is fresh",
        applies: |answer| answer.says("proxy-revalidate"),
        shown_by: || Answer::of(&[("cache-control", "max-age=60, proxy-revalidate")]),
        ours: 60,
        theirs: 0,
    },
    //= https://www.rfc-editor.org/rfc/rfc8246#section-2
    //= type=test
    //# The immutable extension only applies during the freshness lifetime of the stored response.
    Difference {
        what: "immutable without a time",
        applies: |answer| answer.says("immutable"),
        shown_by: || Answer::of(&[("cache-control", "immutable")]),
        ours: 0,
        theirs: 86_400,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.3
    //= type=test
    //# When a cache that implements the must-understand directive receives a response that includes it,
    //# the cache SHOULD ignore the no-store directive if it understands and implements the status code's
    //# caching requirements.
    Difference {
        what: "must-understand",
        applies: |answer| answer.says("must-understand"),
        shown_by: || Answer::of(&[("cache-control", "max-age=60, must-understand, no-store")]),
        ours: 60,
        theirs: 0,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-3
    //= type=test
    //# the response status code is final (see Section 15 of [HTTP]);
    Difference {
        what: "a final status code that is not on their list",
        applies: |answer| {
            ![200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501].contains(&answer.status)
        },
        shown_by: || Answer::of(&[("cache-control", "max-age=60")]).status(503),
        ours: 60,
        theirs: 0,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-7.3
    //= type=test
    //# Note that the Set-Cookie response header field [COOKIE] does not inhibit caching; a cacheable
    //# response with a Set-Cookie header field can be (and often is) used to satisfy subsequent requests
    //# to caches.
    Difference {
        what: "cookies, where the policy stores them",
        applies: |answer| answer.all("set-cookie").next().is_some(),
        shown_by: || Answer::of(&[("cache-control", "max-age=60"), ("set-cookie", "a=1")]),
        ours: 60,
        theirs: 0,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.4
    //= type=test
    //# Note: Because the meaning of "Pragma: no-cache" in responses was never specified, it does not
    //# provide a reliable replacement for "Cache-Control: no-cache" in them.
    Difference {
        what: "Pragma",
        applies: |answer| answer.all("pragma").next().is_some(),
        shown_by: || Answer::of(&[("pragma", "no-cache"), ("expires", EXPIRES)]),
        ours: 100,
        theirs: 0,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2.3
    //= type=test
    //# the "apparent_age": response_time minus date_value, if the implementation's clock is reasonably
    //# well synchronized to the origin server's clock.
    Difference {
        what: "an age that only Date tells",
        applies: |answer| answer.all("date").any(|date| date.contains("2025")),
        shown_by: || {
            let date = ("date", "Wed, 31 Dec 2025 23:59:30 GMT");
            Answer::of(&[("cache-control", "max-age=60"), date])
        },
        ours: 30,
        theirs: 60,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-5.1
    //= type=test
    //# Although it is defined as a singleton header field, a cache encountering a message with a
    //# list-based Age field value SHOULD use the first member of the field value, discarding subsequent
    //# ones.
    Difference {
        what: "a list of ages",
        applies: |answer| answer.all("age").any(|age| age.contains(',')),
        shown_by: || Answer::of(&[("cache-control", "max-age=60"), ("age", "10, 20")]),
        ours: 50,
        theirs: 60,
    },
    //= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    //= type=test
    //# A recipient that parses a timestamp value in an HTTP field MUST accept all three HTTP-date formats.
    Difference {
        what: "dates in the obsolete forms",
        applies: |answer| answer.all("expires").any(|date| date.contains("-26") || !date.contains(',')),
        shown_by: || Answer::of(&[("expires", "Thursday, 01-Jan-26 00:01:40 GMT")]),
        ours: 100,
        theirs: 0,
    },
    //= https://www.rfc-editor.org/rfc/rfc9111#section-4.2
    //= type=test
    //# A cache recipient SHOULD consider a date with a zone abbreviation other than "GMT" to be
    //# invalid for calculating expiration.
    Difference {
        what: "dates in other zones",
        applies: |answer| answer.all("expires").any(|date| date.contains("2026") && !date.ends_with("GMT")),
        shown_by: || Answer::of(&[("expires", "Thu, 01 Jan 2026 00:01:40 +0000")]),
        ours: 0,
        theirs: 100,
    },
];

#[test]
fn each_difference_is_one() {
    for difference in &DIFFERENCES {
        let answer = (difference.shown_by)();
        assert!((difference.applies)(&answer), "{}", difference.what);
        assert_eq!(answer.ours(), difference.ours, "{}: ours", difference.what);
        assert_eq!(answer.theirs(), difference.theirs, "{}: theirs", difference.what);
        assert_ne!(difference.ours, difference.theirs, "{}", difference.what);
    }
}

/// What both know.
const PLAIN_DIRECTIVES: [&str; 14] = [
    "max-age=60",
    "max-age=600",
    "max-age=0",
    "max-age=x",
    "max-age=-1",
    "max-age=1.5",
    "max-age='60'",
    "s-maxage=30",
    "public",
    "no-cache",
    "must-revalidate",
    "stale-while-revalidate=10",
    "x=1",
    "no-transform",
];

const ODD_DIRECTIVES: [&str; 15] = [
    "max-age=\"60\"",
    "max-age=+60",
    "max-age =60",
    "max-age",
    "max-age=99999999999999999999",
    "Max-Age=60",
    "s-maxage",
    "private",
    "private=\"x\"",
    "no-store",
    "proxy-revalidate",
    "must-understand",
    "immutable",
    "x=\"a, no-store, b\"",
    "x; y",
];

const PLAIN_DATES: [&str; 5] = [EXPIRES, "Thu, 01 Jan 2026 01:00:00 GMT", "0", "-1", ""];

const ODD_DATES: [&str; 3] =
    ["Thursday, 01-Jan-26 00:01:40 GMT", "Thu Jan  1 00:01:40 2026", "Thu, 01 Jan 2026 00:01:40 +0000"];

/// Mostly one of the plain values, so that most answers have none of the differences, and few have several.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    plain: &'static [T],
    odd: &'static [T],
) -> impl Strategy<Value = T> {
    prop_oneof![15 => select(plain), 1 => select(odd)]
}

fn line(
    name: &'static str,
    probability: f64,
    value: impl Strategy<Value = &'static str>,
) -> impl Strategy<Value = Option<(&'static str, String)>> {
    weighted(probability, value).prop_map(move |value| value.map(|value| (name, value.to_owned())))
}

fn answer() -> impl Strategy<Value = Answer> {
    let directives = vec(mostly(&PLAIN_DIRECTIVES, &ODD_DIRECTIVES), 0..4);
    let directives = directives.prop_map(|directives| ("cache-control", directives.join(", ")));
    let lines = (
        weighted(0.7, directives),
        line("expires", 0.4, mostly(&PLAIN_DATES, &ODD_DATES)),
        line("expires", 0.02, select(&PLAIN_DATES[..])),
        line(
            "date",
            0.7,
            mostly(&["Thu, 01 Jan 2026 00:00:00 GMT", "x"], &["Wed, 31 Dec 2025 23:59:30 GMT"]),
        ),
        line("age", 0.3, mostly(&["0", "10", "100", "-5", "x"], &["10, 20"])),
        line(
            "last-modified",
            0.5,
            select(vec!["Wed, 31 Dec 2025 23:00:00 GMT", "Thu, 01 Jan 2026 01:00:00 GMT", "x"]),
        ),
        line("set-cookie", 0.03, Just("a=1")),
        line("pragma", 0.03, Just("no-cache")),
    );
    let lines = lines.prop_map(|(a, b, c, d, e, f, g, h)| {
        [a, b, c, d, e, f, g, h].into_iter().flatten().collect::<Vec<_>>()
    });
    let status = mostly(&[200_u16, 200, 203, 204, 301, 302, 404, 405, 410, 501], &[201, 299, 500, 503]);
    (status, lines, prop::bool::weighted(0.3), prop::bool::weighted(0.05))
        .prop_map(|(status, lines, authorized, no_store)| Answer { status, lines, authorized, no_store })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn beside_the_listed_differences_both_say_the_same(answer in answer()) {
        let (ours, theirs) = (answer.ours(), answer.theirs());
        if DIFFERENCES.iter().all(|difference| !(difference.applies)(&answer)) {
            prop_assert_eq!(ours, theirs);
        }
    }
}
