//! `POST /invalidate`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use forebay::{All, Event, InvalidateError, Key, Path, Pattern, Prefix, Receipt, Tag, Target};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::backstage::Backstage;
use super::failure::Failure;

/// What is to be invalidated.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Order {
    tags: Vec<String>,
    events: Vec<String>,
    keys: Vec<String>,
    paths: Vec<String>,
    prefixes: Vec<String>,
    patterns: Vec<String>,
    all: bool,
    soft: bool,
    everywhere: bool,
}

impl Order {
    fn read(fields: &HeaderMap, body: &Bytes) -> Result<Self, Failure> {
        // A page in somebody's browser can send anything but this content type.
        if !is_json(fields) {
            let wanted = "content-type: application/json is needed";
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, wanted));
        }
        let order: Self = serde_json::from_slice(body)
            .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        let wrong = |problem: String| Err(Failure::new(StatusCode::BAD_REQUEST, problem));
        match order.len() {
            0 => wrong(
                "nothing to invalidate: tags, events, keys, paths, prefixes, patterns or all is needed"
                    .to_owned(),
            ),
            MAX_TARGETS.. => wrong(format!("at most {} targets at once", MAX_TARGETS - 1)),
            _ => Ok(order),
        }
    }

    fn len(&self) -> usize {
        let named = [&self.tags, &self.events, &self.keys, &self.paths, &self.prefixes, &self.patterns];
        named.into_iter().map(Vec::len).sum::<usize>() + usize::from(self.all)
    }

    fn targets(self) -> Vec<Target> {
        let tags = self.tags.into_iter().map(|tag| Tag(tag).into());
        let events = self.events.into_iter().map(|event| Event(event).into());
        let keys = self.keys.into_iter().map(|key| Key(key).into());
        let paths = self.paths.into_iter().map(|path| Path(path).into());
        let prefixes = self.prefixes.into_iter().map(|prefix| Prefix(prefix).into());
        let patterns = self.patterns.into_iter().map(|pattern| Pattern(pattern).into());
        let all = self.all.then(|| All.into());
        let targets = tags.chain(events).chain(keys).chain(paths).chain(prefixes).chain(patterns).chain(all);
        if self.soft {
            targets.map(|target| Target::Soft(Box::new(target))).collect()
        } else {
            targets.collect()
        }
    }
}

fn is_json(fields: &HeaderMap) -> bool {
    let kind = fields.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

pub(super) async fn invalidate(
    State(backstage): State<Backstage>,
    fields: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    let order = Order::read(&fields, &body)?;
    let (targets, all, soft, everywhere) = (order.len(), order.all, order.soft, order.everywhere);
    let invalidate = backstage.cache.invalidate(order.targets());
    let done = if everywhere { invalidate.everywhere().await } else { invalidate.await };
    let confirmed = |receipt: Receipt, holds: bool| {
        let mut answer = json!({ "seq": receipt.to_string(), "confirmed": true });
        if everywhere {
            answer["everywhere"] = holds.into();
        }
        Json(answer)
    };
    match done {
        Ok(receipt) => {
            tracing::info!(targets, all, soft, everywhere, %receipt, "invalidated");
            Ok(confirmed(receipt, true).into_response())
        }
        Err(InvalidateError::NotEverywhere { receipt, .. }) => {
            tracing::warn!(targets, all, soft, everywhere, %receipt, "invalidated, perhaps not everywhere");
            Ok((StatusCode::ACCEPTED, confirmed(receipt, false)).into_response())
        }
        Err(InvalidateError::Target(error)) => Err(Failure::new(StatusCode::BAD_REQUEST, error.to_string())),
        Err(error) => {
            tracing::warn!(targets, all, soft, %error, "invalidation not confirmed");
            let answer = json!({ "seq": null, "confirmed": false });
            Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
        }
    }
}

/// One more than is accepted.
const MAX_TARGETS: usize = 1001;
