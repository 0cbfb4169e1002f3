//! Which route a request belongs to, and how an inner and an outer layer of one cache get along.
//!
//! An outer layer does the looking up and the storing; an inner one, on a route, only hands its options up with the response.
//! The outer layer remembers them, so from the second request on it knows them in advance.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use http::{Extensions, request};

use crate::axum::{matched_path, params};
use crate::hub::Hub;
use crate::route::{Route, RouteOptions};
use crate::rules::Rules;
use crate::template::Params;

/// One service's view: the cache, and where its routes come from.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) hub: Arc<Hub>,
    pub(super) routes: Routes,
}

#[derive(Clone)]
pub(super) enum Routes {
    /// From the rules table, where one of its patterns matches, else from inner layers. The slot holds what has been
    /// learned for the one path this service stands on.
    Outer(Option<Arc<Rules>>, Arc<Slot>),
    /// These, labelled at the first request.
    Own(Arc<RouteOptions>, Arc<OnceLock<Arc<Route>>>),
}

/// A matched path and its route.
pub(super) type Slot = OnceLock<(Box<str>, Arc<Route>)>;

/// What an outer layer knows of a request's route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Everything, and no inner layer is in play.
    Plain,
    /// What an inner layer has handed up before, or a rule says: an inner layer has no more to add.
    Settled,
    /// Nothing yet: the first response will tell.
    Learning,
    /// Nothing, ever: the request does not say which route it will match.
    Blind,
}

/// In a request: an outer layer of the same cache has it in hand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outer {
    /// The inner layer only hands its options up.
    Leads,
    /// The inner layer does the work, since the outer one cannot learn what it needs.
    Blind,
}

/// In a response: the options of the inner layer that it came through.
#[derive(Clone)]
pub(super) struct HandedUp(pub(super) Arc<Route>, pub(super) Option<Box<str>>);

/// In a response: an inner layer has dealt with it, whatever came of it.
#[derive(Clone, Copy)]
pub(super) struct Handled;

impl Scope {
    /// The route of a request, and what is known of it. No allocation and no shared counter once the route is known.
    pub(super) fn route(&self, parts: &request::Parts) -> (Cow<'_, Arc<Route>>, Known) {
        match &self.routes {
            Routes::Own(options, slot) => (Cow::Borrowed(self.own(options, slot, parts)), Known::Plain),
            Routes::Outer(rules, slot) => {
                match rules.as_ref().and_then(|rules| rules.route(parts.uri.path())) {
                    Some(route) => (Cow::Borrowed(route), Known::Settled),
                    None => self.learned(slot, parts),
                }
            }
        }
    }

    fn own<'a>(
        &self,
        options: &RouteOptions,
        slot: &'a OnceLock<Arc<Route>>,
        parts: &request::Parts,
    ) -> &'a Arc<Route> {
        slot.get_or_init(|| self.hub.annotated(options.clone(), matched_path(parts)))
    }

    fn learned<'a>(&'a self, slot: &'a Slot, parts: &request::Parts) -> (Cow<'a, Arc<Route>>, Known) {
        let Some(path) = matched_path(parts) else { return (Cow::Borrowed(&self.hub.plain), Known::Blind) };
        let here = slot.get().filter(|(known, _)| **known == *path).map(|(_, route)| Cow::Borrowed(route));
        let Some(route) = here.or_else(|| self.hub.learned(path).map(Cow::Owned)) else {
            return (Cow::Borrowed(&self.hub.plain), Known::Learning);
        };
        if slot.get().is_none() {
            // Another request may have been first: it has put the same in.
            drop(slot.set((path.into(), Arc::clone(&route))));
        }
        let known = if route.annotated { Known::Settled } else { Known::Plain };
        (route, known)
    }

    /// What an inner layer hands up with its response.
    pub(super) fn hand_up(&self, parts: &request::Parts) -> Option<HandedUp> {
        match &self.routes {
            Routes::Own(options, slot) => Some(HandedUp(
                Arc::clone(self.own(options, slot, parts)),
                matched_path(parts).map(Into::into),
            )),
            Routes::Outer(..) => None,
        }
    }

    /// Tells inner layers of the same cache that this one has the request in hand.
    pub(super) fn mark(&self, parts: &mut request::Parts, known: Known) {
        let outer = match known {
            Known::Plain => return,
            Known::Settled | Known::Learning => Outer::Leads,
            Known::Blind => Outer::Blind,
        };
        parts.extensions.insert(outer);
    }

    /// Whether an outer layer of the same cache has this request in hand.
    pub(super) fn outer(&self, parts: &request::Parts) -> Option<Outer> {
        match &self.routes {
            Routes::Own(..) => parts.extensions.get().copied(),
            Routes::Outer(..) => None,
        }
    }

    /// Takes what an inner layer has handed up. The route is remembered for the path only if both layers see the same path.
    pub(super) fn learn(
        &self,
        known: Known,
        path: Option<&str>,
        response: &mut Extensions,
    ) -> Option<Arc<Route>> {
        if known != Known::Learning {
            return None;
        }
        let path = path?;
        match response.remove::<HandedUp>() {
            Some(HandedUp(route, inner)) if inner.as_deref() == Some(path) => {
                self.hub.learn(path, &route);
                Some(route)
            }
            Some(HandedUp(..)) => {
                self.hub.report(format!(
                    "the cache's layer sees {path:?} where its annotated route has another path: \
                     add it with `Router::layer` to the router that holds the routes"
                ));
                None
            }
            None => {
                let route = self.hub.unannotated(path);
                self.hub.learn(path, &route);
                Some(route)
            }
        }
    }

    /// The parameters of the request's path: the rule's own, or the router's.
    pub(super) fn params(&self, parts: &request::Parts) -> Params {
        let ruled = match &self.routes {
            Routes::Outer(Some(rules), _) => rules.params(parts.uri.path()),
            Routes::Outer(None, _) | Routes::Own(..) => None,
        };
        ruled.unwrap_or_else(|| params(parts))
    }
}
