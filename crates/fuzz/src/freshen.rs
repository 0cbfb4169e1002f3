//! What a 304, a HEAD response or another part changes of a stored response.

use forebay_policy::fields::strip_hop_by_hop;
use forebay_policy::profile::SetCookie;
use forebay_policy::update::{
    Freshens, HeadEffect, StoredHead, combinable, conditions, freshens, has_validator, head_effect, update,
};
use http::StatusCode;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, SET_COOKIE, TRANSFER_ENCODING,
};

use crate::input::{message, two};

/// Freshening: another strong entity tag never freshens, nor is it combined; an update made twice is one; what frames the
/// stored bytes stays, fields of a connection and unwanted cookies do not come in. A request that validates carries the stored
/// validators.
///
/// # Panics
/// Where that does not hold.
pub fn freshen(data: &[u8]) {
    let (stored, new) = two(data);
    let (mut stored, new) = (message(stored), message(new));
    strip_hop_by_hop(&mut stored);
    check_identity(&stored, &new);
    for cookies in [SetCookie::Refuse, SetCookie::Strip, SetCookie::Store] {
        check_update(&stored, &new, cookies);
    }
    check_conditions(&stored, &new);
    check_head(&stored, &new);
}

fn check_identity(stored: &HeaderMap, new: &HeaderMap) {
    let strong = |fields: &HeaderMap| {
        let text = fields.get(ETAG)?.to_str().ok()?.to_owned();
        let valid = text.len() > 2
            && text.bytes().filter(|&byte| byte == b'"').count() == 2
            && !text.contains([' ', '\t']);
        (valid && text.starts_with('"') && text.ends_with('"') && fields.get_all(ETAG).iter().count() == 1)
            .then_some(text)
    };
    if let (Some(own), Some(other)) = (strong(stored), strong(new)) {
        assert_eq!(freshens(stored, new) == Freshens::Yes, own == other);
        assert_eq!(combinable(stored, new), own == other);
    }
    assert_eq!(combinable(stored, new), combinable(new, stored) && combinable(stored, new));
    if combinable(stored, new) {
        assert!(has_validator(stored) && has_validator(new));
    }
    // A 304 that says nothing is about what was asked for.
    assert_eq!(freshens(stored, &HeaderMap::new()), Freshens::Yes);
}

fn check_update(stored: &HeaderMap, new: &HeaderMap, cookies: SetCookie) {
    let updated = update(stored, new, cookies);
    assert_eq!(update(&updated, new, cookies), updated, "an update made twice is one");
    for name in [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_RANGE] {
        assert!(updated.get_all(&name).iter().eq(stored.get_all(&name)), "{name}");
    }
    if cookies != SetCookie::Store {
        assert!(updated.get_all(SET_COOKIE).iter().eq(stored.get_all(SET_COOKIE)));
    }
    assert!(!updated.contains_key(CONNECTION) && !updated.contains_key(TRANSFER_ENCODING));
    for name in updated.keys() {
        let lines = || updated.get_all(name).iter();
        assert!(lines().eq(stored.get_all(name)) || lines().eq(new.get_all(name)), "{name}: all or nothing");
    }
    let places: Vec<_> = updated.keys().filter(|name| stored.contains_key(*name)).collect();
    let before: Vec<_> = stored.keys().filter(|name| updated.contains_key(*name)).collect();
    assert_eq!(places, before, "each name keeps its place");
}

fn check_conditions(stored: &HeaderMap, request: &HeaderMap) {
    let mut request = request.clone();
    conditions(stored, &mut request);
    let carried = request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE);
    assert_eq!(carried, has_validator(stored));
    if let Some(tag) = request.get(IF_NONE_MATCH) {
        assert_eq!(Some(tag), stored.get(ETAG));
    }
    if let Some(modified) = request.get(IF_MODIFIED_SINCE) {
        assert_eq!(Some(modified), stored.get(LAST_MODIFIED));
    }
}

fn check_head(stored: &HeaderMap, head: &HeaderMap) {
    let kept = StoredHead { status: StatusCode::OK, fields: stored, length: Some(7) };
    assert_eq!(head_effect(kept, StatusCode::NOT_FOUND, head), HeadEffect::Nothing);
    if head_effect(kept, StatusCode::OK, head) == HeadEffect::Freshen {
        let same = |name| !head.contains_key(&name) || head.get_all(&name).iter().eq(stored.get_all(&name));
        assert!(same(ETAG) && same(LAST_MODIFIED));
        assert!(head.get(CONTENT_LENGTH).is_none_or(|length| length.as_bytes().ends_with(b"7")));
    }
    let mut own = stored.clone();
    own.remove(CONTENT_LENGTH);
    assert_eq!(head_effect(kept, StatusCode::OK, &own), HeadEffect::Freshen);
}
