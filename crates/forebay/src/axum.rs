//! What an axum router tells about a request, and what a handler can say with axum's means.
//!
//! Without the `axum` feature a request has no matched path and no parameters.

#[cfg(not(feature = "axum"))]
use http::Extensions;
use http::Uri;
#[cfg(not(feature = "axum"))]
use http::request::Parts;
use http::uri::PathAndQuery;

#[cfg(not(feature = "axum"))]
use crate::template::Params;

#[cfg(feature = "axum")]
mod enabled {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use ::axum::extract::{FromRequestParts, MatchedPath, OriginalUri, RawPathParams};
    use ::axum::response::{IntoResponseParts, ResponseParts};
    use http::request::Parts;
    use http::{Extensions, Uri};

    use crate::cached::Cached;
    use crate::template::Params;

    /// The route's path as the router knows it.
    pub(crate) fn matched_path(parts: &Parts) -> Option<&str> {
        parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str)
    }

    /// The path's parameters, percent-decoded as the handler sees them.
    pub(crate) fn params(parts: &Parts) -> Params {
        // The extractor wants the parts mutably and async, but only copies out of the extensions.
        let mut copy = http::Request::new(()).into_parts().0;
        copy.extensions = parts.extensions.clone();
        let extract = pin!(<RawPathParams as FromRequestParts<()>>::from_request_parts(&mut copy, &()));
        match extract.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(params)) => params.iter().collect(),
            Poll::Ready(Err(_)) | Poll::Pending => Params::default(),
        }
    }

    /// The URI that the client asked for: a router that is nested in another sees a shorter path.
    #[inline]
    pub(crate) fn asked_for(parts: &Parts) -> &Uri {
        parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri)
    }

    /// Gives the request another query, also where axum keeps the URI for handlers below a nested router.
    pub(crate) fn rewrite(uri: &mut Uri, extensions: &mut Extensions, query: &str) {
        if let Some(OriginalUri(original)) = extensions.get_mut::<OriginalUri>() {
            *original = super::with_query(original, query);
        }
        *uri = super::with_query(uri, query);
    }

    impl IntoResponseParts for Cached {
        type Error = std::convert::Infallible;

        fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
            response.extensions_mut().insert(self);
            Ok(response)
        }
    }
}

#[cfg(feature = "axum")]
pub(crate) use self::enabled::{asked_for, matched_path, params, rewrite};

#[cfg(not(feature = "axum"))]
pub(crate) fn matched_path(_: &Parts) -> Option<&str> {
    None
}

#[cfg(not(feature = "axum"))]
pub(crate) fn params(_: &Parts) -> Params {
    Params::default()
}

#[cfg(not(feature = "axum"))]
pub(crate) fn asked_for(parts: &Parts) -> &Uri {
    &parts.uri
}

#[cfg(not(feature = "axum"))]
pub(crate) fn rewrite(uri: &mut Uri, _: &mut Extensions, query: &str) {
    *uri = with_query(uri, query);
}

/// The URI with this query, or without one if it is empty.
fn with_query(uri: &Uri, query: &str) -> Uri {
    let path = uri.path();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut parts = uri.clone().into_parts();
    // Pieces of a valid URI, put together again: cannot fail, and if it did the request would stay as it was.
    parts.path_and_query = PathAndQuery::try_from(target).ok().or(parts.path_and_query);
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}
