//! Section 4.1: Vary and the variant part of the key.

use forebay_policy::profile::VaryNames;
use forebay_policy::reason::Reason;
use forebay_policy::variant::{Vary, VaryAllow, write_field};
use http::HeaderName;

use crate::support::{Fields, fields};

fn names(lines: Fields<'_>) -> Result<Vec<String>, Reason> {
    let vary = Vary::parse(&fields(lines), &VaryAllow::default())?;
    Ok(vary.names().iter().map(|name| name.as_str().to_owned()).collect())
}

fn written(name: &'static str, values: &[&str]) -> String {
    let lines: Vec<_> = values.iter().map(|value| (name, *value)).collect();
    let mut out = Vec::new();
    write_field(&fields(&lines), &HeaderName::from_static(name), &mut |bytes| out.extend_from_slice(bytes));
    String::from_utf8(out).expect("what went in as text")
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# A stored response with a Vary header field value containing a member "*" always fails to match.
#[test]
fn a_star_anywhere_refuses() {
    for value in ["*", "accept, *", " * ,accept", "x-unknown, *"] {
        assert_eq!(names(&[("vary", value)]), Err(Reason::VaryStar), "{value}");
    }
    assert_eq!(names(&[("vary", "accept"), ("vary", "*")]), Err(Reason::VaryStar));
}

#[test]
fn names_are_sorted_lower_case_and_each_once() {
    assert_eq!(names(&[]).unwrap(), [""; 0]);
    assert_eq!(names(&[("vary", ", ,")]).unwrap(), [""; 0]);
    let several: Fields<'_> = &[("vary", "Origin,  ACCEPT"), ("vary", "accept\t,, Accept-Encoding")];
    assert_eq!(names(several).unwrap(), ["accept", "accept-encoding", "origin"]);
}

#[test]
fn what_the_key_must_not_hold_refuses() {
    for value in [
        "cookie",
        "Authorization",
        "user-agent",
        "accept, x-user",
        "a b",
        "accept, \"accept\"",
        "acc\u{e9}pt",
    ] {
        assert_eq!(names(&[("vary", value)]), Err(Reason::VaryUnkeyed), "{value}");
    }
    let allow = VaryAllow::default().with(http::header::COOKIE).with(http::header::USER_AGENT);
    let parse = |value| Vary::parse(&fields(&[("vary", value)]), &allow).map(|vary| vary.names().len());
    assert_eq!(parse("cookie"), Err(Reason::VaryUnkeyed), "even where a route declares it");
    assert_eq!(parse("user-agent"), Ok(1));
}

#[test]
fn more_than_eight_names_refuse() {
    let list = |count: usize| (0..count).map(|n| format!("accept-{n}")).collect::<Vec<_>>().join(",");
    assert_eq!(names(&[("vary", &list(8))]).unwrap().len(), 8);
    assert_eq!(names(&[("vary", &list(9))]), Err(Reason::VaryTooMany));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# If (after any normalization that might take place) a header field is absent from a request, it
//# can only match another request if it is also absent there.
#[test]
fn absent_and_empty_are_different() {
    assert_eq!(written("accept", &[]), "\0");
    assert_eq!(written("accept", &[""]), "\u{1}");
    assert_eq!(written("accept-language", &[]), "\0");
    assert_eq!(written("accept-language", &[""]), "\u{1}");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# combining multiple header field lines with the same field name (see Section 5.2 of [HTTP])
//
//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# adding or removing whitespace, where allowed in the header field's syntax
#[test]
fn lines_and_whitespace_around_commas_make_no_difference() {
    for name in ["accept", "x-plan"] {
        for values in [&["a, b"][..], &["a,b"], &["a", "b"], &[" a\t, b "]] {
            assert_eq!(written(name, values), "\u{1}a,b", "{name} {values:?}");
        }
        let quoted = written(name, &["a;t=\"x , y\" , b"]);
        assert_eq!(quoted, "\u{1}a;t=\"x , y\",b", "not inside quoted strings");
    }
    assert_eq!(written("x-plan", &["A; B"]), "\u{1}A; B", "nothing is known of case");
    assert_eq!(written("x-plan", &["a,,b"]), "\u{1}a,,b", "nor of empty members");
}

#[track_caller]
fn same(name: &'static str, values: &[&str], expected: &str) {
    assert_eq!(written(name, values), format!("\u{1}{expected}"), "{name} {values:?}");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# normalizing both header field values in a way that is known to have identical semantics,
//# according to the header field's specification (e.g., reordering field values when order is not
//# significant; case-normalization, where values are defined to be case-insensitive)
#[test]
fn preference_lists_that_mean_the_same_are_the_same() {
    for name in ["accept-encoding", "accept-language", "accept-charset"] {
        for values in [
            &["GZIP;Q=0.5, br"][..],
            &["gzip ; q=0.500 ,, br;q=1.000,"],
            &["gzip;q=0.5", "BR"],
            &["br, gzip;q=0.50"],
            &["br, br;q=1, gzip;q=0.5, Br"],
        ] {
            same(name, values, "br,gzip;q=0.5");
        }
        same(name, &["a;q=0.001, b;q=0.01, c;q=0.1, d;q=0.999"], "d;q=0.999,c;q=0.1,b;q=0.01,a;q=0.001");
        same(name, &["*;q=0.3, a"], "a,*;q=0.3");
        let long = "A".repeat(100);
        same(name, &[&long], &"a".repeat(100));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4
//= type=test
//# Note that some recipients treat the order in which language tags are listed as an indication of
//# descending priority, particularly for tags that are assigned equal quality values (no value is the
//# same as q=1).
#[test]
fn the_order_of_languages_with_the_same_weight_is_kept() {
    same("accept-language", &["en, de"], "en,de");
    same("accept-language", &["de, en"], "de,en");
    same("accept-encoding", &["gzip, br"], "br,gzip");
    same("accept-encoding", &["br, gzip"], "br,gzip");
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3
//= type=test
//# If the representation's content coding is one of the content codings listed in the
//# Accept-Encoding field value, then it is acceptable unless it is accompanied by a qvalue of 0.
#[test]
fn a_refused_coding_is_left_out_where_nothing_would_allow_it() {
    same("accept-encoding", &["gzip, br;q=0"], "gzip");
    same("accept-encoding", &["br;q=0"], "");
    same("accept-encoding", &["gzip, br;q=0, identity;q=0, zstd;q=0"], "gzip,identity;q=0");
    same("accept-encoding", &["br;q=0, *;q=0.5"], "*;q=0.5,br;q=0");
    same("accept-encoding", &["gzip, *;q=0"], "gzip,*;q=0");
    same("accept-language", &["en, en-us;q=0"], "en,en-us;q=0");
}

#[test]
fn lists_that_mean_different_things_are_different() {
    for name in ["accept-encoding", "accept-language"] {
        for (one, other) in [
            ("gzip", "br"),
            ("gzip;q=0.5, br", "gzip, br;q=0.5"),
            ("g zip", "gzip"),
            ("gzip;q=0.5", "gzip;q=0.51"),
            ("gzip;q=1.5", "gzip"),
            ("gzip;q=x", "gzip"),
            ("gzip;q=0.5;x=1", "gzip;q=0.5"),
            ("gzip;level=1", "gzip"),
            ("", "gzip"),
        ] {
            assert_ne!(written(name, &[one]), written(name, &[other]), "{name}: {one} / {other}");
        }
    }
}

#[test]
fn a_list_that_is_broken_or_too_long_is_written_as_it_came() {
    same("accept-encoding", &["br,  GZIP;q=2"], "br,GZIP;q=2");
    same("accept-encoding", &["b;q=0.1234, a;q=.5"], "b;q=0.1234,a;q=.5");
    let names = |count: usize| (0..count).rev().map(|n| format!("c{n:02}")).collect::<Vec<_>>();
    let mut sorted = names(16);
    sorted.reverse();
    same("accept-encoding", &[&names(16).join(", ")], &sorted.join(","));
    same("accept-encoding", &[&names(17).join(", ")], &names(17).join(","));
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# adding or removing whitespace, where allowed in the header field's syntax
#[test]
fn media_ranges_are_read_without_case_and_whitespace() {
    for value in ["text/html;q=0.8,*/*", "Text/HTML ; Q=0.8 , */*", ",text/html;q=0.8,,*/*,"] {
        same("accept", &[value], "text/html;q=0.8,*/*");
    }
    same("accept", &["text/x; Format=Flowed"], "text/x;format=Flowed");
    same("accept", &["Text/X; a=\"B ; C\""], "Text/X; a=\"B ; C\"");
    same("accept", &["b/b, a/a"], "b/b,a/a");
}

#[test]
fn a_policy_may_let_a_response_vary_on_anything_but_star() {
    let parse = |value: &str| Vary::parse(&fields(&[("vary", value)]), &VaryAllow::of(VaryNames::Any));
    for name in ["user-agent", "cookie", "authorization", "x-unknown"] {
        assert_eq!(parse(name).map(|vary| vary.names().len()), Ok(1), "{name}");
    }
    assert_eq!(parse("cookie, *"), Err(Reason::VaryStar));
    assert_eq!(parse("a b"), Err(Reason::VaryUnkeyed));
}
