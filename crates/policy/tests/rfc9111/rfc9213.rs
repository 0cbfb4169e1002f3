//! RFC 9213: fields that are targeted at this cache.

use forebay_policy::directives::CacheControl;
use forebay_policy::fields::strip_surrogate_fields;
use forebay_policy::freshness::Source;
use forebay_policy::profile::Policy;
use forebay_policy::reason::Reason;
use forebay_policy::windows::Stale;
use http::{HeaderName, HeaderValue};

use crate::support::{Case, Fields, fields, seconds};

const FRESH: (&str, &str) = ("cache-control", "max-age=600");
const NO_STORE: (&str, &str) = ("cache-control", "no-store");
const EXPIRES: (&str, &str) = ("expires", "Thu, 01 Jan 2026 00:10:00 GMT");

fn targeted(value: &str) -> Case {
    Case::response(&[("cdn-cache-control", value), NO_STORE, EXPIRES])
}

fn parse(value: &str) -> CacheControl {
    let name = HeaderName::from_static("cdn-cache-control");
    CacheControl::of_response(&fields(&[("cdn-cache-control", value)]), &[name])
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# When a cache that implements this specification receives a response with one or more of the header
//# field names on its target list, the cache MUST select the first (in target-list order) field with a
//# valid, non-empty value and use its value to determine the caching policy for the response, and it
//# MUST ignore the Cache-Control and Expires header fields in that response, unless no valid,
//# non-empty value is available from the listed header fields.
#[test]
fn the_first_targeted_field_with_a_value_takes_the_place_of_cache_control_and_expires() {
    targeted("max-age=60").stored_for(60);
    targeted("none").refused(Reason::NoFreshness);
    Case::response(&[FRESH, EXPIRES, ("cdn-cache-control", "max-age=0")]).refused(Reason::Expired);
    Case::response(&[FRESH, ("cdn-cache-control", "none")]).route(30).stored_for(30);

    let mut policy = Policy::origin();
    policy.targeted.insert(0, HeaderName::from_static("forebay-cache-control"));
    let case = |first: &str, second: &str| {
        let lines = [("cdn-cache-control", second), ("forebay-cache-control", first), FRESH];
        Case::response(&lines).policy(policy.clone())
    };
    case("max-age=1", "max-age=2").stored_for(1);
    case("", "max-age=2").stored_for(2);
    case("max-age=\"", "max-age=2").stored_for(2);
    case("max-age=\"", ",").stored_for(600);
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# Targeted fields that are not on a cache's target list MUST NOT change that cache's behavior and
//# MUST be passed through.
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.4
//= type=test
//# However, this suffix MUST NOT be used on its own to identify targeted fields; it is only a
//# convention.
#[test]
fn a_field_that_is_not_on_the_list_means_nothing_and_stays() {
    let other = ("example-cache-control", "no-store");
    Case::response(&[other, FRESH]).stored_for(600);
    let mut response = fields(&[
        other,
        ("cdn-cache-control", "max-age=1"),
        ("surrogate-control", "max-age=1"),
        ("surrogate-key", "a b"),
        ("cache-tag", "a, b"),
        ("cache-groups", "\"a\""),
        FRESH,
    ]);
    let before = response.clone();
    strip_surrogate_fields(&mut response, &Policy::origin());
    assert_eq!(response, before);
    strip_surrogate_fields(&mut response, &Policy::proxy());
    assert_eq!(response, fields(&[other, ("cache-groups", "\"a\""), FRESH]));
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
//= type=test
//# If a targeted field in a given response is empty, or a parsing error is encountered, that field
//# MUST be ignored by the cache (i.e., it behaves as if the field were not present, likely falling
//# back to other cache-control mechanisms present).
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
//= type=test
//# Targeted fields are Dictionary Structured Fields (Section 3.2 of [STRUCTURED-FIELDS]).
#[test]
fn what_is_no_dictionary_is_ignored_as_a_whole() {
    for value in [
        "",
        " ",
        "max-age=60,",
        ",max-age=60",
        "max-age=60,,no-store",
        "Max-Age=60",
        "max-age =60",
        "max-age= 60",
        "max-age=60 no-store",
        "max-age=60; Q",
        "max-age=60;",
        "max-age=\"60",
        "max-age='60'",
        "max-age=6.0000",
        "max-age=1234567890123456",
        "max-age=1.",
        "max-age=-",
        "max-age=?2",
        "max-age=@1.5",
        "max-age=@",
        "max-age=:Zg",
        "max-age=:Zg=!:",
        "max-age=:Z:",
        "max-age=:Zm9v=:",
        "max-age=:Zm8==:",
        "max-age=%\"%zz\"",
        "max-age=%\"%ff\"",
        "max-age=%\"a",
        "max-age=(1 2",
        "max-age=(1,2)",
        "max-age=60, &",
        "1max-age=60",
        "x=\"a\\b\"",
        "=60",
    ] {
        targeted(value).refused(Reason::NoStore);
        Case::response(&[("cdn-cache-control", value), FRESH]).stored_for(600);
    }
    let mut case = targeted("max-age=60");
    case.response.insert("cdn-cache-control", HeaderValue::from_bytes(b"max-age=60, x=\"\xff\"").unwrap());
    case.refused(Reason::NoStore);
    let twice = [("cdn-cache-control", "max-age=60"), ("cdn-cache-control", ""), NO_STORE];
    Case::response(&twice).refused(Reason::NoStore);
}

#[test]
fn members_of_every_type_are_read_over() {
    for member in [
        "x",
        "x=?0",
        "x=1",
        "x=-1.5",
        "x=token/with:all*",
        "x=*",
        "x=\"a \\\"quoted\\\\ string, no-store\"",
        "x=:Zm9v:",
        "x=:Zm9vYg==:",
        "x=:Zm9vYg:",
        "x=:Zm9vYg=:",
        "x=::",
        "x=@1659578233",
        "x=%\"f%c3%bc%c3%bc\"",
        "x=(1 \"a\";b c;d=1);e",
        "x=()",
        "x=( 1  2 )",
        "*_-.9=1",
        "x;a;b=?0;c=\"no-store\"",
    ] {
        targeted(&format!("{member}, max-age=60")).stored_for(60);
        targeted(&format!("max-age=60\t , \t{member}")).stored_for(60);
    }
    let lines = [("cdn-cache-control", "x=1"), ("cdn-cache-control", "max-age=60"), NO_STORE];
    Case::response(&lines).stored_for(60);
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
//= type=test
//# Implementations SHOULD NOT consume values that violate these inferred constraints.
#[test]
fn a_time_that_is_no_integer_makes_the_response_stale() {
    for value in ["60.5", "60.0", "\"60\"", "sixty", "?1", "?0", ":NjA=:", "@60", "(60)", "-60"] {
        targeted(&format!("max-age={value}")).refused(Reason::Expired);
    }
    targeted("max-age").refused(Reason::Expired);
    targeted("max-age=999999999999999").stored_for(2_147_483_648);
}

//= https://www.rfc-editor.org/rfc/rfc9651#section-4.2.2
//= type=test
//# Note that when duplicate Dictionary keys are encountered, all but the last instance are ignored.
#[test]
fn the_last_of_several_members_with_one_key_counts() {
    targeted("max-age=60, max-age=120").stored_for(120);
    targeted("max-age=60, max-age=x").refused(Reason::Expired);
    targeted("no-store, max-age=60, no-store=?0").stored_for(60);
    targeted("max-age=60, no-store=?0, no-store").refused(Reason::NoStore);
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.1
//= type=test
//# Parameters received on cache directives are to be ignored, unless other handling is explicitly
//# specified.
#[test]
fn parameters_say_nothing() {
    targeted("max-age=60;max-age=1;no-store, public;private").stored_for(60);
    targeted("no-store;a=?0").refused(Reason::NoStore);
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# Caches that use a targeted field MUST implement the semantics of the following cache directives:
//# max-age
#[test]
fn a_targeted_max_age_gives_freshness() {
    let lifetime = targeted("max-age=60").stored();
    assert_eq!((lifetime.freshness, lifetime.source), (seconds(60), Source::CacheControl));
    targeted("s-maxage=30, max-age=60").stored_for(30);
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# Caches that use a targeted field MUST implement the semantics of the following cache directives:
//# must-revalidate
#[test]
fn a_targeted_must_revalidate_forbids_stale_answers() {
    let windows = |value: &str| targeted(value).stored().windows;
    assert_eq!(windows("max-age=60, stale-if-error=9, must-revalidate").stale, Stale::Forbidden);
    assert_eq!(windows("max-age=60, stale-if-error=9, must-revalidate=?0").error, seconds(9));
    assert_eq!(windows("max-age=60, stale-while-revalidate=8").refresh, seconds(8));
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# Caches that use a targeted field MUST implement the semantics of the following cache directives:
//# no-store
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# Caches that use a targeted field MUST implement the semantics of the following cache directives:
//# no-cache
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# Caches that use a targeted field MUST implement the semantics of the following cache directives:
//# private
//
//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# In particular, no-store and no-cache make max-age inoperative, and unrecognized
//# extension directives are ignored.
#[test]
fn what_forbids_is_heard_in_any_form_but_false() {
    for (name, reason) in
        [("no-store", Reason::NoStore), ("no-cache", Reason::NoCache), ("private", Reason::Private)]
    {
        for value in ["", "=?1", "=\"set-cookie\"", "=1", "=x", "=(a b)"] {
            let lines: Fields<'_> =
                &[("cdn-cache-control", &format!("max-age=60, {name}{value}, extension=1")), FRESH];
            Case::response(lines).refused(reason);
        }
        targeted(&format!("max-age=60, {name}=?0")).stored_for(60);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9213#section-2.2
//= type=test
//# Furthermore, they SHOULD implement other cache directives (including extension cache directives)
//# that they support in the Cache-Control response header field.
#[test]
fn all_directives_of_cache_control_are_read() {
    let all = parse(
        "max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4, no-store, no-cache, private, public, \
         must-revalidate, proxy-revalidate, must-understand, immutable",
    );
    assert_eq!((all.max_age, all.s_maxage), (Some(1), Some(2)));
    assert_eq!((all.stale_while_revalidate, all.stale_if_error), (Some(3), Some(4)));
    assert!(all.no_store && all.no_cache && all.private && all.public && all.must_revalidate);
    assert!(all.proxy_revalidate && all.must_understand && all.immutable && all.targeted && !all.malformed);
    let permissions = parse("public=1, must-understand=x, immutable=\"\"");
    assert!(!permissions.public && !permissions.must_understand && !permissions.immutable);
}
