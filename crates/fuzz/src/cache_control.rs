//! Cache-Control, of responses and of requests.

use forebay_policy::directives::{CacheControl, MaxStale, RequestDirectives};
use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};

use crate::input::{lines_of, two};

/// Cache-Control: more lines never permit more, neither order nor case matters, no time is over 2^31 seconds, and where
/// there are no quotes a naive reading comes to the same.
///
/// # Panics
/// Where that does not hold.
pub fn cache_control(data: &[u8]) {
    let whole = lines_of(&CACHE_CONTROL, data);
    let (read, asked) = (CacheControl::parse(&whole), RequestDirectives::parse(&whole));
    assert!(times(&read).into_iter().flatten().all(|seconds| seconds <= MAX));
    assert!([asked.max_age, asked.min_fresh].into_iter().flatten().all(|seconds| seconds <= MAX));
    assert!(!asked.malformed || asked.no_cache, "what cannot be read asks for the most");

    let part = lines_of(&CACHE_CONTROL, two(data).0);
    check_restricts(&read, &CacheControl::parse(&part));
    check_asks(&asked, &RequestDirectives::parse(&part));

    for same in [changed(&whole, reversed), changed(&whole, upper)] {
        assert_eq!(CacheControl::parse(&same), read);
        assert_eq!(RequestDirectives::parse(&same), asked);
    }
    if !data.iter().any(|byte| matches!(byte, b'"')) {
        let joined = changed(&whole, joined);
        assert_eq!(CacheControl::parse(&joined), read);
        assert_eq!(RequestDirectives::parse(&joined), asked);
        check_naive(&whole, &read);
    }
}

const MAX: u32 = 1 << 31;

fn times(read: &CacheControl) -> [Option<u32>; 4] {
    [read.max_age, read.s_maxage, read.stale_while_revalidate, read.stale_if_error]
}

fn flags(read: &CacheControl) -> [bool; 9] {
    [
        read.no_store,
        read.no_cache,
        read.private,
        read.public,
        read.must_revalidate,
        read.proxy_revalidate,
        read.must_understand,
        read.immutable,
        read.malformed,
    ]
}

/// A flag stays, and a time becomes no longer.
fn check_restricts(whole: &CacheControl, part: &CacheControl) {
    assert!(flags(part).into_iter().zip(flags(whole)).all(|(part, whole)| whole || !part));
    for (part, whole) in times(part).into_iter().zip(times(whole)) {
        assert!(part.is_none_or(|part| whole.is_some_and(|whole| whole <= part)));
    }
}

fn check_asks(whole: &RequestDirectives, part: &RequestDirectives) {
    let flags =
        |asked: &RequestDirectives| [asked.no_cache, asked.no_store, asked.only_if_cached, asked.malformed];
    assert!(flags(part).into_iter().zip(flags(whole)).all(|(part, whole)| whole || !part));
    assert!(part.max_age.is_none_or(|part| whole.max_age.is_some_and(|whole| whole <= part)));
    assert!(part.min_fresh.is_none_or(|part| whole.min_fresh.is_some_and(|whole| whole >= part)));
    match (part.max_stale, whole.max_stale) {
        (None, _) | (Some(MaxStale::Any), Some(_)) => {}
        (Some(MaxStale::UpTo(part)), Some(MaxStale::UpTo(whole))) => assert!(whole <= part),
        (Some(_), _) => panic!("more stale with more lines"),
    }
}

fn changed(fields: &HeaderMap, change: impl Fn(Vec<&[u8]>) -> Vec<Vec<u8>>) -> HeaderMap {
    let lines = fields.get_all(CACHE_CONTROL).iter().map(HeaderValue::as_bytes).collect();
    let mut out = HeaderMap::new();
    for line in change(lines).iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        out.append(CACHE_CONTROL, line);
    }
    out
}

fn reversed(lines: Vec<&[u8]>) -> Vec<Vec<u8>> {
    lines.into_iter().rev().map(<[u8]>::to_vec).collect()
}

fn upper(lines: Vec<&[u8]>) -> Vec<Vec<u8>> {
    lines.into_iter().map(<[u8]>::to_ascii_uppercase).collect()
}

fn joined(lines: Vec<&[u8]>) -> Vec<Vec<u8>> {
    vec![lines.join(&b" , "[..])]
}

/// Where nothing is quoted a comma separates, wherever it stands.
fn check_naive(fields: &HeaderMap, read: &CacheControl) {
    let lines = fields.get_all(CACHE_CONTROL).iter().map(HeaderValue::as_bytes);
    let members = lines.flat_map(|line| line.split(|&byte| byte == b','));
    let members: Vec<&[u8]> = members.map(trimmed).filter(|member| !member.is_empty()).collect();
    assert_eq!(read.malformed, !members.iter().all(|member| is_directive(member)));
    let named = |name: &str| members.iter().any(|member| is_directive(member) && name_of(member) == name);
    assert_eq!(read.no_store, named("no-store"));
    assert_eq!(read.private, named("private"));
    assert_eq!(read.no_cache, named("no-cache"));
    let said = members.iter().filter(|member| is_directive(member) && name_of(member) == "max-age");
    assert_eq!(read.max_age, said.map(|member| naive_seconds(member)).min());
}

fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', inner @ ..] | [inner @ .., b' ' | b'\t'] = bytes {
        bytes = inner;
    }
    bytes
}

/// The name of a directive, in lower case.
fn name_of(member: &[u8]) -> String {
    let name = member.split(|&byte| byte == b'=').next().unwrap_or_default();
    String::from_utf8_lossy(trimmed(name)).to_lowercase()
}

fn is_directive(member: &[u8]) -> bool {
    let mut sides = member.splitn(2, |&byte| byte == b'=').map(trimmed);
    let name = sides.next().is_some_and(|name| !name.is_empty() && is_token(name));
    name && sides.next().is_none_or(is_token)
}

/// Whether these bytes are a token, or none.
fn is_token(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte))
}

fn naive_seconds(member: &[u8]) -> u32 {
    let Some(at) = member.iter().position(|&byte| byte == b'=') else { return 0 };
    if at > 0 && matches!(member[at - 1], b' ' | b'\t') {
        return 0;
    }
    let digits = &member[at + 1..];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let significant: String =
        digits.iter().map(|&digit| char::from(digit)).skip_while(|&digit| digit == '0').collect();
    if significant.len() > 10 {
        return MAX;
    }
    significant.parse().map_or(0, |seconds: u64| u32::try_from(seconds.min(u64::from(MAX))).unwrap_or(MAX))
}
