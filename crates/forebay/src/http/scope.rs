//! Which route a request belongs to, and how an inner and an outer layer of one cache get along.
//!
//! An outer layer does the looking up and the storing; an inner one, on a route, only hands its options up with the response.
//! The outer layer remembers them, so from the second request on it knows them in advance.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use http::request;

use super::key;
use super::said::{HandedUp, Outer, Said, Wish, Word};
use crate::axum::{matched_path, params, rewrite};
use crate::hub::{Hub, Memory};
use crate::route::{Partition, Route, RouteOptions};
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

/// What has been learned, the newest last. Nearly always it is one: a service stands on one path, with one route inside.
pub(super) type Slot = OnceLock<Box<Learned>>;

pub(super) struct Learned {
    path: Box<str>,
    route: Arc<Route>,
    newer: Slot,
}

/// What a layer knows of a request's route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Everything: the layer is the route's annotation.
    Own,
    /// A rule holds for it.
    Ruled,
    /// What an inner layer has handed up before.
    Annotated,
    /// No inner layer has said anything so far.
    Unannotated,
    /// Nothing yet: the first response will tell.
    Learning,
    /// Nothing, ever: the request does not say which route it will match.
    Blind,
}

/// What a layer does with a request that an outer one has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Everything, as if there were no outer one.
    Serve,
    /// It says what holds for its route.
    HandUp,
    /// Nothing.
    StepAside,
}

/// What a key was made by.
pub(super) struct Used<'a> {
    pub(super) known: Known,
    pub(super) route: &'a Arc<Route>,
    pub(super) partition: &'a Partition,
}

/// What comes of what inner layers have said about an answer.
pub(super) enum Heard {
    /// This holds for it.
    Route(Arc<Route>),
    /// The key is made otherwise than it was: it is neither stored nor shared.
    LookAgain,
    /// It is not stored.
    Refused(&'static str),
}

impl Scope {
    /// The route of a request, and what is known of it. No allocation and no shared counter once the route is known.
    pub(super) fn route(&self, parts: &request::Parts) -> (Cow<'_, Arc<Route>>, Known) {
        match &self.routes {
            Routes::Own(options, slot) => (Cow::Borrowed(self.own(options, slot, parts)), Known::Own),
            Routes::Outer(rules, slot) => {
                match rules.as_ref().and_then(|rules| rules.route(parts.uri.path())) {
                    Some(route) => (Cow::Borrowed(route), Known::Ruled),
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
        let route = match newest(slot, path) {
            Some(route) => Cow::Borrowed(route),
            None => match self.hub.learned(path) {
                Some(route) => {
                    append(slot, path, &route);
                    Cow::Owned(route)
                }
                None => return (Cow::Borrowed(&self.hub.plain), Known::Learning),
            },
        };
        let known = if route.annotated { Known::Annotated } else { Known::Unannotated };
        (route, known)
    }

    /// What is left to do under an outer layer.
    pub(super) fn part_under(&self, outer: &Outer) -> Part {
        match (&self.routes, outer.wish) {
            // Another cache, or a layer that learns for itself.
            _ if outer.hub != self.hub.id => Part::Serve,
            (Routes::Outer(..), _) | (Routes::Own(..), Wish::Work) => Part::Serve,
            (Routes::Own(..), Wish::Options) => Part::HandUp,
            (Routes::Own(..), Wish::Nothing) => Part::StepAside,
        }
    }

    /// Tells the outer layer what holds for this route, and does to the request what the route wants.
    pub(super) fn hand_up(&self, parts: &mut request::Parts) {
        let Routes::Own(options, slot) = &self.routes else { return };
        let route = self.own(options, slot, parts);
        if let Some(query) = route.query.as_ref().and_then(|names| key::filtered(&parts.uri, names)) {
            rewrite(&mut parts.uri, &mut parts.extensions, &query);
        }
        if let Some(outer) = Outer::of(parts) {
            let path = matched_path(parts).map(Into::into);
            let partition = route.partition(parts);
            outer.say(Word::Options(HandedUp { route: Arc::clone(route), path, partition }));
        }
    }

    /// Tells inner layers that this one has the request in hand.
    pub(super) fn mark(&self, parts: &mut request::Parts, known: Known, said: Said) {
        let wish = match known {
            Known::Own => Wish::Nothing,
            Known::Ruled | Known::Annotated | Known::Unannotated | Known::Learning => Wish::Options,
            Known::Blind => Wish::Work,
        };
        Outer::mark(parts, self.hub.id, wish, said);
    }

    /// Makes sense of what inner layers have said about an answer, and remembers it.
    pub(super) fn hear(&self, used: Used<'_>, path: Option<&str>, word: Word) -> Heard {
        match (used.known, word) {
            (_, Word::Handled) => Heard::Refused("inner-layer"),
            (_, Word::Twice) => self.mistake(path, "has two annotations"),
            (Known::Own | Known::Ruled | Known::Blind | Known::Unannotated, Word::Nothing) => {
                Heard::Route(Arc::clone(used.route))
            }
            // Somebody in between has answered: that is not what was annotated.
            (Known::Annotated, Word::Nothing) => Heard::Refused("not-annotated"),
            (Known::Learning, Word::Nothing) => match path {
                // Without room it is found out again each time.
                Some(path) => {
                    let route = self.hub.unannotated(path);
                    self.learn(path, &route);
                    Heard::Route(route)
                }
                None => Heard::Route(Arc::clone(used.route)),
            },
            (_, Word::Options(said)) => self.compare(used, path, said),
        }
    }

    /// Compares what an annotation says with what was assumed when the key was made.
    fn compare(&self, used: Used<'_>, path: Option<&str>, said: HandedUp) -> Heard {
        let alike = said.route.keys_like(used.route);
        if alike && said.partition != *used.partition {
            return self.mistake(path, "has another principal than the layer outside of it sees");
        }
        match (used.known, path) {
            (Known::Ruled, _) if alike => Heard::Route(Arc::clone(used.route)),
            (Known::Ruled, _) => self.mistake(path, "is annotated otherwise than its rule says"),
            (_, Some(path)) if said.path.as_deref() == Some(path) => {
                if alike && used.route.annotated {
                    return Heard::Route(said.route);
                }
                match self.learn(path, &said.route) {
                    _ if alike => Heard::Route(said.route),
                    Memory::Kept => Heard::LookAgain,
                    Memory::Full => Heard::Refused("too-many-routes"),
                }
            }
            _ => self.mistake(
                path,
                "is another path inside: add the layer with `Router::layer` to the router that holds the routes",
            ),
        }
    }

    fn learn(&self, path: &str, route: &Arc<Route>) -> Memory {
        let memory = self.hub.learn(path, route);
        if let (Memory::Kept, Routes::Outer(_, slot)) = (memory, &self.routes) {
            append(slot, path, route);
        }
        memory
    }

    fn mistake(&self, path: Option<&str>, what: &str) -> Heard {
        self.hub.report(format!("the route {:?} {what}", path.unwrap_or("-")));
        Heard::Refused("annotation")
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

/// The newest route that was learned for a path.
fn newest<'a>(slot: &'a Slot, path: &str) -> Option<&'a Arc<Route>> {
    let all = std::iter::successors(slot.get(), |learned| learned.newer.get());
    all.filter(|learned| *learned.path == *path).last().map(|learned| &learned.route)
}

/// Adds what was learned. Beyond [`MAX_LEARNED`] a slot is full, and what is in there wrongly is not stored by.
fn append(mut slot: &Slot, path: &str, route: &Arc<Route>) {
    for _ in 0..MAX_LEARNED {
        let mut mine = None;
        let learned = slot.get_or_init(|| {
            mine = Some(());
            Box::new(Learned { path: path.into(), route: Arc::clone(route), newer: OnceLock::new() })
        });
        if mine.is_some() || Arc::ptr_eq(&learned.route, route) {
            return;
        }
        slot = &learned.newer;
    }
}

const MAX_LEARNED: usize = 8;
