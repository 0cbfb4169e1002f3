//! Labels: the tags and events that a route's answers carry, or that a change names, as templates.

use forebay_core::tag::{Event, Tag, Target};

use crate::error::RouteError;
use crate::template::{Params, Template};

/// Tags and events with placeholders, in the order in which they were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    tags: Vec<Template>,
    events: Vec<Template>,
}

impl Labels {
    pub(crate) fn tag(&mut self, text: &str) -> Result<(), RouteError> {
        self.tags.push(Template::parse(text)?);
        Ok(())
    }

    pub(crate) fn event(&mut self, text: &str) -> Result<(), RouteError> {
        self.events.push(Template::parse(text)?);
        Ok(())
    }

    /// The targets for these parameters, or what is missing to make one.
    pub(crate) fn fill(&self, params: &Params) -> Result<Vec<Target>, MissingName> {
        let tags = self.tags.iter().map(|tag| Ok(Tag(filled(tag, params)?).into()));
        let events = self.events.iter().map(|event| Ok(Event(filled(event, params)?).into()));
        tags.chain(events).collect()
    }

    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.tags.iter().chain(&self.events)
    }

    /// What was given as tags, for people.
    pub(crate) fn tag_texts(&self) -> Vec<&str> {
        self.tags.iter().map(Template::text).collect()
    }

    /// What was given as events, for people.
    pub(crate) fn event_texts(&self) -> Vec<&str> {
        self.events.iter().map(Template::text).collect()
    }
}

/// A parameter that a template names and the path does not have.
#[derive(Debug)]
pub(crate) struct MissingName {
    pub(crate) template: String,
    pub(crate) name: String,
}

fn filled(template: &Template, params: &Params) -> Result<String, MissingName> {
    template.fill(params).map_err(|name| MissingName { template: template.text().into(), name: name.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_events_are_filled_each_as_what_it_is() {
        let mut labels = Labels::default();
        labels.tag("article:{id}").unwrap();
        labels.event("article.update.{id}").unwrap();
        let params: Params = [("id", "42")].into_iter().collect();
        let expected: [Target; 2] = [Tag("article:42").into(), Event("article.update.42").into()];
        assert_eq!(labels.fill(&params).unwrap(), expected);
        let missing = labels.fill(&Params::default()).unwrap_err();
        assert_eq!((missing.template.as_str(), missing.name.as_str()), ("article:{id}", "id"));
        assert!(labels.event("update.{").is_err());
    }
}
