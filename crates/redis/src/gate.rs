//! Who may use Redis: instances of one configuration in a namespace, and of those that go together with it.
//!
//! **Invariant:** no operation gets a connection before it is known that this instance is admitted.

use std::fmt;
use std::sync::Arc;

use forebay_core::l2::{Admission, Census, L2Error};
use tokio::sync::watch;

/// Shut until the census has admitted this instance. All of its connections have the same.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<watch::Sender<Known>>);

#[derive(Clone, Debug)]
struct Known {
    census: Arc<Census>,
    /// Why the last census could not be made.
    trouble: Option<L2Error>,
}

impl Gate {
    pub(crate) fn shut(own: impl fmt::Display) -> Self {
        let census = Census { own: own.to_string(), admission: Admission::Pending, strangers: Vec::new() };
        Self(Arc::new(watch::Sender::new(Known { census: Arc::new(census), trouble: None })))
    }

    /// Whether an operation may go through.
    pub(crate) fn check(&self) -> Result<(), L2Error> {
        let known = self.0.borrow();
        match known.census.admission {
            Admission::Admitted => Ok(()),
            Admission::Refused => Err(L2Error::Refused(known.census.strangers.join(", "))),
            _ => Err(known.trouble.clone().unwrap_or_else(|| {
                L2Error::Unavailable("it is not known yet who else is in the namespace".into())
            })),
        }
    }

    /// Waits for the first census, or for what keeps it from being made.
    pub(crate) async fn tried(&self) {
        let is_tried =
            |known: &Known| known.census.admission != Admission::Pending || known.trouble.is_some();
        // The sender is in `self`: this cannot fail.
        drop(self.0.subscribe().wait_for(is_tried).await);
    }

    pub(crate) fn census(&self) -> Arc<Census> {
        Arc::clone(&self.0.borrow().census)
    }

    /// What a census has brought.
    pub(crate) fn set(&self, admission: Admission, strangers: Vec<String>) {
        self.0.send_modify(|known| {
            known.trouble = None;
            let own = known.census.own.clone();
            let census = Census { own, admission, strangers };
            if *known.census != census {
                known.census = Arc::new(census);
            }
        });
    }

    /// It could not be made: what was known holds on.
    pub(crate) fn trouble(&self, why: L2Error) {
        self.0.send_modify(|known| known.trouble = Some(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_through_before_it_is_known_to_be_admitted_nor_when_it_is_refused() {
        let gate = Gate::shut("1a2b3c4d");
        assert!(matches!(gate.check(), Err(L2Error::Unavailable(_))));
        gate.trouble(L2Error::Timeout);
        assert_eq!(gate.check(), Err(L2Error::Timeout));
        gate.set(Admission::Admitted, Vec::new());
        assert_eq!(gate.check(), Ok(()));
        gate.trouble(L2Error::Timeout);
        assert_eq!(gate.check(), Ok(()), "a census that fails changes nothing");
        gate.set(Admission::Refused, vec!["deadbeef".into()]);
        assert_eq!(gate.check(), Err(L2Error::Refused("deadbeef".into())));
    }
}
