//! Section 4.1: Vary and the variant part of the key.

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
    for values in [&["a, b"][..], &["a,b"], &["a", "b"], &[" a\t, b "]] {
        assert_eq!(written("accept", values), "\u{1}a,b", "{values:?}");
    }
    assert_eq!(
        written("accept", &["a;t=\"x , y\" , b"]),
        "\u{1}a;t=\"x , y\",b",
        "not inside quoted strings"
    );
    assert_eq!(written("accept", &["A"]), "\u{1}A", "nothing is known of case");
    assert_eq!(written("accept", &["a,,b"]), "\u{1}a,,b", "nor of empty members");
}

//= https://www.rfc-editor.org/rfc/rfc9111#section-4.1
//= type=test
//# normalizing both header field values in a way that is known to have identical semantics,
//# according to the header field's specification (e.g., reordering field values when order is not
//# significant; case-normalization, where values are defined to be case-insensitive)
#[test]
fn preference_lists_ignore_case_and_whitespace() {
    for name in ["accept-encoding", "accept-language"] {
        for values in [&["GZIP;Q=0.5, br"][..], &["gzip ; q=0.5 ,, br,"], &["gzip;q=0.5", "BR"]] {
            assert_eq!(written(name, values), "\u{1}gzip;q=0.5,br", "{name} {values:?}");
        }
    }
    let long = "A".repeat(100);
    assert_eq!(written("accept-language", &[&long]), format!("\u{1}{}", "a".repeat(100)));
    assert_ne!(written("accept-encoding", &["g zip"]), written("accept-encoding", &["gzip"]));
}
