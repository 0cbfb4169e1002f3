//! Vary, and how the request fields that it names are written into keys.

use std::collections::BTreeSet;

use forebay_policy::profile::VaryNames;
use forebay_policy::reason::Reason;
use forebay_policy::variant::{MAX_VARY_NAMES, Vary, VaryAllow, write_field};
use http::header::{
    ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HeaderMap, HeaderName, HeaderValue, VARY,
};

use crate::input::{lines_of, message, two};

/// Vary: sorted, each name once, no more than allowed, none that is not permitted, nothing where there is a `*`. Field values:
/// what is written is its own normal form, absent and empty differ, and lists of preferences keep every weight.
///
/// # Panics
/// Where that does not hold.
pub fn vary(data: &[u8]) {
    let (names, request) = two(data);
    let response = lines_of(&VARY, names);
    let listed = check_vary(&response, &VaryAllow::default());
    let any = check_vary(&response, &VaryAllow::of(VaryNames::Any));
    assert!(listed.is_none() || listed == any, "what is permitted to fewer is permitted to all");

    let request = message(request);
    for name in request.keys() {
        check_field(&request, name);
    }
    assert_eq!(written(&request, &HeaderName::from_static("x-absent-field-of-no-input")), [0]);
}

fn check_vary(response: &HeaderMap, allow: &VaryAllow) -> Option<Vary> {
    let lines = || response.get_all(VARY).iter().map(HeaderValue::as_bytes);
    let stars = lines().any(|line| line == b"*");
    match Vary::parse(response, allow) {
        Ok(vary) => {
            assert!(!stars && vary.names().len() <= MAX_VARY_NAMES);
            assert!(vary.names().windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
            for name in vary.names() {
                assert!(allow.permits(name));
                let stands = |line: &[u8]| {
                    line.to_ascii_lowercase()
                        .windows(name.as_str().len())
                        .any(|part| part == name.as_str().as_bytes())
                };
                assert!(lines().any(stands), "{name}");
            }
            assert_eq!(Vary::from_names(vary.names().to_vec()).as_ref(), Ok(&vary));
            Some(vary)
        }
        Err(reason) => {
            assert!(!stars || reason == Reason::VaryStar);
            None
        }
    }
}

fn written(request: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let mut out = Vec::new();
    write_field(request, name, &mut |piece| out.extend_from_slice(piece));
    out
}

fn check_field(request: &HeaderMap, name: &HeaderName) {
    let form = written(request, name);
    assert_eq!(form.first(), Some(&1));
    // With a quoted string that is open at the end of a line, the lines together say something else than one by one.
    let lines = || request.get_all(name).iter();
    let single = lines().count() == 1 || !lines().any(|line| line.as_bytes().contains(&b'"'));
    if single {
        let normal = HeaderValue::from_bytes(&form[1..]).expect("pieces of field values, and commas");
        let mut again = HeaderMap::new();
        again.insert(name, normal);
        assert_eq!(written(&again, name), form, "{name}");
        if [ACCEPT_ENCODING, ACCEPT_LANGUAGE, ACCEPT_CHARSET].contains(name) {
            check_weights(request, &again, name);
        }
    }
}

/// Every name keeps its weights; refusals of what nobody offers, which Accept-Encoding does not need, aside.
fn check_weights(request: &HeaderMap, normal: &HeaderMap, name: &HeaderName) {
    let (Some(mut asked), Some(kept)) = (weights(request, name), weights(normal, name)) else { return };
    if *name == ACCEPT_ENCODING && !asked.iter().any(|(name, _)| name == "*") {
        asked.retain(|(name, weight)| *weight > 0 || name == "identity");
    }
    assert_eq!(asked, kept);
}

/// Names in lower case with their weights in thousandths; nothing where a member is written in any other way.
fn weights(fields: &HeaderMap, name: &HeaderName) -> Option<BTreeSet<(String, u32)>> {
    let mut out = BTreeSet::new();
    for line in fields.get_all(name) {
        for member in line.to_str().ok()?.split(',') {
            let member = member.trim_matches([' ', '\t']).to_lowercase();
            if member.is_empty() {
                continue;
            }
            let (name, weight) = match member.split_once(';') {
                Some((name, weight)) => {
                    (name.trim_matches([' ', '\t']), thousandths(weight.trim_matches([' ', '\t']))?)
                }
                None => (&*member, 1000),
            };
            let token = |byte: u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            (!name.is_empty() && name.bytes().all(token)).then(|| out.insert((name.to_owned(), weight)))?;
        }
    }
    (out.len() <= 16).then_some(out)
}

fn thousandths(weight: &str) -> Option<u32> {
    let number = weight.strip_prefix("q=")?;
    let plain = number.len() <= 5
        && number.starts_with(['0', '1'])
        && number.bytes().skip(2).all(|byte| byte.is_ascii_digit());
    let dotted = number.len() == 1 || number.as_bytes().get(1) == Some(&b'.');
    let value: f64 = (plain && dotted).then(|| number.parse().ok())??;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    (0.0..=1.0).contains(&value).then(|| (value * 1000.0).round() as u32)
}
