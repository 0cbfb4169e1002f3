//! References to other URIs: Location and Content-Location.

use forebay_policy::invalidate::also_invalidated;
use forebay_policy::target::Target;
use http::header::{CONTENT_LOCATION, HeaderMap, LOCATION};
use http::uri::PathAndQuery;

use crate::input::{first_line, text, values};

/// What a reference resolves to: a path of this origin without dot segments, the one that the algorithm of RFC 3986 gives,
/// and the same again when it is resolved again.
///
/// # Panics
/// Where that does not hold.
pub fn location(data: &[u8]) {
    let (base, rest) = first_line(data);
    let (authority, rest) = first_line(rest);
    // What hyper lets through as the target of a request.
    let Ok(base) = PathAndQuery::try_from(base) else { return };
    let (base, authority) = (base.as_str(), text(authority));
    for scheme in [None, Some("http"), Some("https")] {
        let target = Target { scheme, authority, path: base };
        for reference in values(rest).filter_map(|value| value.to_str().ok().map(str::to_owned)) {
            check(target, &reference);
        }
    }
    check_named(Target { scheme: None, authority, path: base }, rest);
}

fn check(target: Target<'_>, reference: &str) {
    let Some(resolved) = target.resolve(reference) else { return };
    assert!(target.path.starts_with('/') && resolved.starts_with('/'), "{resolved}");
    assert!(!resolved.contains('#'), "{resolved}");
    let path = resolved.split('?').next().unwrap_or_default();
    // An empty reference, or a query alone, takes the path as it was asked for.
    let keeps_path = matches!(without_fragment(reference).as_bytes().first(), None | Some(b'?'));
    if !keeps_path {
        assert!(!path.split('/').any(|segment| matches!(segment, "." | "..")), "{resolved}");
        assert!(!has_blank(&resolved) || has_blank(target.path), "{resolved}");
        if !path.starts_with("//") && !has_blank(&resolved) {
            assert_eq!(target.resolve(&resolved).as_deref(), Some(&*resolved));
        }
    }
    if let Some(naive) = naive(target.path, reference) {
        assert_eq!(resolved, naive, "{reference} on {}", target.path);
    }
}

fn has_blank(text: &str) -> bool {
    !text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn without_fragment(reference: &str) -> &str {
    reference.split('#').next().unwrap_or_default()
}

/// RFC 3986 5.2.2 for a reference without scheme and authority.
fn naive(base: &str, reference: &str) -> Option<String> {
    let reference = without_fragment(reference);
    let first_segment = reference.split(['/', '?']).next().unwrap_or_default();
    if reference.starts_with("//") || first_segment.contains(':') {
        return None;
    }
    let (base_path, base_query) = split_query(base);
    let (path, query) = split_query(reference);
    let (path, query) = match path {
        "" => (base_path.to_owned(), query.or(base_query)),
        path if path.starts_with('/') => (remove_dot_segments(path), query),
        path => {
            let merged = format!("{}{path}", &base_path[..=base_path.rfind('/')?]);
            (remove_dot_segments(&merged), query)
        }
    };
    Some(query.map_or(path.clone(), |query| format!("{path}?{query}")))
}

fn split_query(text: &str) -> (&str, Option<&str>) {
    text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)))
}

/// RFC 3986 5.2.4, as it stands there, for a path that begins with a slash.
fn remove_dot_segments(path: &str) -> String {
    let (mut input, mut output) = (path.to_owned(), String::new());
    while !input.is_empty() {
        if input.starts_with("/./") || input == "/." {
            input = format!("/{}", input.get(3..).unwrap_or_default());
        } else if input.starts_with("/../") || input == "/.." {
            input = format!("/{}", input.get(4..).unwrap_or_default());
            output.truncate(output.rfind('/').unwrap_or(0));
        } else {
            let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
            output.push_str(&input[..end]);
            input.drain(..end);
        }
    }
    output
}

/// The answer's own target is not named again.
fn check_named(target: Target<'_>, lines: &[u8]) {
    let mut fields = HeaderMap::new();
    for (at, value) in values(lines).take(12).enumerate() {
        let name = if at % 2 == 0 { LOCATION } else { CONTENT_LOCATION };
        fields.append(name, value);
    }
    let named: Vec<_> = also_invalidated(target, &fields).collect();
    assert!(named.len() <= 8);
    assert!(named.iter().all(|path| path.starts_with('/') && path != target.path));
}
