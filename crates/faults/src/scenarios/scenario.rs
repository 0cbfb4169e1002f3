//! What a scenario is.

use std::pin::Pin;

use crate::error::Error;
use crate::setting::Setting;
use crate::stage::Stage;

/// One scenario.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// Its name on the command line: F1, F6a.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) setting: fn() -> Setting,
    /// The fault. It takes `pace.during`, more or less; reads and writes go on beside it.
    pub(crate) act: for<'a> fn(&'a mut Stage) -> Acting<'a>,
    pub(crate) runs: Runs,
}

/// In which runs a scenario takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    /// In all of them.
    Everywhere,
    /// Not in the short one.
    Full,
    /// Not in the short one, and only on Forebay: what it breaks the baseline does not have.
    FullAlone,
    /// In all of them, and only on Forebay.
    Alone,
}

impl Runs {
    pub(crate) fn in_short(self) -> bool {
        matches!(self, Self::Everywhere | Self::Alone)
    }

    pub(crate) fn on_baseline(self) -> bool {
        matches!(self, Self::Everywhere | Self::Full)
    }
}

/// A scenario's doing.
pub(crate) type Acting<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;
