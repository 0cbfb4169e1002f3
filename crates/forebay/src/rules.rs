//! The rules table: what holds for which paths, said in one place.

use std::sync::Arc;

use crate::error::RouteError;
use crate::hub::Hub;
use crate::route::{Route, RouteOptions, templates};
use crate::template::{Params, PathPattern};

/// Rules, in the order in which they are tried.
pub(crate) struct Rules(Vec<(PathPattern, Arc<Route>)>);

impl Rules {
    pub(crate) fn new(hub: &Hub, rules: &[(String, RouteOptions)]) -> Result<Self, RouteError> {
        rules.iter().map(|(pattern, options)| rule(hub, pattern, options)).collect::<Result<_, _>>().map(Self)
    }

    /// The route of the first rule that a path matches.
    pub(crate) fn route(&self, path: &str) -> Option<&Arc<Route>> {
        self.0.iter().find(|(pattern, _)| pattern.matches(path)).map(|(_, route)| route)
    }

    /// The path's parameters under that rule.
    pub(crate) fn params(&self, path: &str) -> Option<Params> {
        self.0.iter().find(|(pattern, _)| pattern.matches(path)).map(|(pattern, _)| pattern.params(path))
    }
}

fn rule(hub: &Hub, text: &str, options: &RouteOptions) -> Result<(PathPattern, Arc<Route>), RouteError> {
    options.check()?;
    let pattern = PathPattern::parse(text)?;
    for template in templates(options) {
        if let Some(name) = template.names().find(|name| !pattern.names().any(|known| known == *name)) {
            return Err(RouteError::UnknownName {
                template: template.text().into(),
                name: name.into(),
                path: text.into(),
            });
        }
    }
    let route = hub.route(options.clone(), pattern.text());
    Ok((pattern, Arc::new(route)))
}
