//! `Cache-Seq`: what a client has changed it sees on every instance.

use forebay_core::entry::Assurance;
use forebay_core::instance::Receipt;
use forebay_core::seen::{Reflects, Seen};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use crate::hub::{Hub, Tokens};

/// The field of responses that have changed something, and of the requests of whoever has seen one.
pub(super) const CACHE_SEQ: HeaderName = HeaderName::from_static("cache-seq");

/// What a request's client has seen, where that is heard.
pub(super) fn seen(hub: &Hub, request: &HeaderMap) -> Option<Seen> {
    let token = match hub.tokens {
        Tokens::Honoured => request.get(CACHE_SEQ)?,
        Tokens::Ignored => return None,
    };
    Seen::parse(token.as_bytes())
}

/// How sure the answer to a request has to be: L2 is asked once where its client has seen more than this instance.
pub(super) fn assurance(hub: &Hub, request: &HeaderMap) -> Assurance {
    let reflects = seen(hub, request).map(|seen| hub.tiers.instance().reflects(&seen));
    if reflects == Some(Reflects::Unknown) { Assurance::Sought } else { Assurance::Bounded }
}

/// What a layer inside has told the client already. It is taken out of the answer: what is stored of it is for others, too.
pub(super) fn take(hub: &Hub, response: &mut HeaderMap) -> Option<Seen> {
    match hub.tokens {
        Tokens::Honoured => Seen::parse(response.remove(CACHE_SEQ)?.as_bytes()),
        Tokens::Ignored => None,
    }
}

/// Tells the client of a confirmed change, and of what it knows beside that: what it was told inside, and by earlier answers.
pub(super) fn tell(
    hub: &Hub,
    response: &mut HeaderMap,
    receipt: Option<&Receipt>,
    inside: Option<Seen>,
    client: Option<&Seen>,
) {
    let changed = match hub.tokens {
        Tokens::Honoured => receipt.and_then(Seen::of),
        Tokens::Ignored => return,
    };
    let Some(newest) = changed.or_else(|| inside.clone()) else { return };
    let seen = inside.as_ref().into_iter().chain(client).fold(newest, Seen::with);
    if let Ok(token) = HeaderValue::try_from(seen.to_string()) {
        response.insert(CACHE_SEQ, token);
    }
}
