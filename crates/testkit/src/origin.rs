//! An origin whose every answer says which version of the data it saw, that counts its calls, and that holds them
//! at a gate until the test lets them go on: so a test decides what happens before what, without sleeping.
//!
//! ```
//! use forebay_testkit::origin::{Answer, CountingOrigin};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let origin = CountingOrigin::new();
//! origin.hold("/a");
//! let slow = tokio::spawn({
//!     let origin = origin.clone();
//!     async move { origin.answer("/a").await }
//! });
//! origin.arrived("/a", 1).await; // it has read the data by now ...
//! assert_eq!(origin.write("/a"), 1); // ... so it will not see this write,
//! origin.release("/a");
//! assert_eq!(slow.await.unwrap(), Answer { key: "/a".into(), version: 0 });
//! assert_eq!(origin.answer("/a").await.version, 1); // and the next call does.
//! assert_eq!(origin.calls("/a"), 2);
//! # }
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

/// A source of versioned answers; clones share everything. Each key starts at version 0.
#[derive(Debug, Clone, Default)]
pub struct CountingOrigin(Arc<watch::Sender<HashMap<String, Resource>>>);

impl CountingOrigin {
    /// An origin with every gate open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One call: it is counted and reads the data, then waits at the key's gate, then answers with what it read.
    /// That is the order in which a slow origin is dangerous: its answer may be older than a write that is done.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped at the gate stays counted.
    pub async fn answer(&self, key: &str) -> Answer {
        let mut number = 0;
        let mut version = 0;
        self.change(key, |resource| {
            resource.calls += 1;
            number = resource.calls;
            version = resource.version;
        });
        self.wait_until(key, |resource| resource.gate.lets_pass(number)).await;
        Answer { key: key.to_owned(), version }
    }

    /// Changes the data behind a key and returns its new version.
    pub fn write(&self, key: &str) -> u64 {
        let mut version = 0;
        self.change(key, |resource| {
            resource.version += 1;
            version = resource.version;
        });
        version
    }

    /// How often this key was asked for.
    #[must_use]
    pub fn calls(&self, key: &str) -> u64 {
        self.0.borrow().get(key).map_or(0, |resource| resource.calls)
    }

    /// How often anything was asked for.
    #[must_use]
    pub fn total_calls(&self) -> u64 {
        self.0.borrow().values().map(|resource| resource.calls).sum()
    }

    /// Waits until this key has been asked for `calls` times, held ones included.
    pub async fn arrived(&self, key: &str, calls: u64) {
        self.wait_until(key, |resource| resource.calls >= calls).await;
    }

    /// Closes the key's gate for every call that has not arrived yet.
    pub fn hold(&self, key: &str) {
        self.change(key, |resource| resource.gate = Gate::After(resource.calls));
    }

    /// Lets the next `calls` held or future calls through a closed gate, in the order of their arrival.
    pub fn let_through(&self, key: &str, calls: u64) {
        self.change(key, |resource| {
            if let Gate::After(number) = &mut resource.gate {
                *number += calls;
            }
        });
    }

    /// Opens the key's gate.
    pub fn release(&self, key: &str) {
        self.change(key, |resource| resource.gate = Gate::Open);
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut Resource)) {
        self.0.send_modify(|resources| change(resources.entry(key.to_owned()).or_default()));
    }

    async fn wait_until(&self, key: &str, condition: impl Fn(&Resource) -> bool) {
        let met = |resources: &HashMap<String, Resource>| resources.get(key).is_some_and(&condition);
        // Fails only when the sender is gone, and `self` holds it.
        let _ = self.0.subscribe().wait_for(met).await;
    }
}

#[derive(Debug, Default)]
struct Resource {
    version: u64,
    calls: u64,
    gate: Gate,
}

#[derive(Debug, Default)]
enum Gate {
    #[default]
    Open,
    /// Closed for calls with a higher number than this.
    After(u64),
}

impl Gate {
    fn lets_pass(&self, number: u64) -> bool {
        match self {
            Self::Open => true,
            Self::After(last) => number <= *last,
        }
    }
}

/// What the origin answers. Its body is text and can be read back from whatever the cache served.
///
/// ```
/// use forebay_testkit::origin::Answer;
///
/// let answer = Answer { key: "/a?q=b c".into(), version: 7 };
/// assert_eq!(&answer.body()[..], b"7 /a?q=b c");
/// assert_eq!(Answer::read(&answer.body()), Some(answer));
/// assert_eq!(Answer::read(b"something else"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for.
    pub key: String,
    /// How many writes the data had seen.
    pub version: u64,
}

impl Answer {
    /// The answer as a response body.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.to_string().into()
    }

    /// Reads a body back; nothing where it is none of an origin's.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let (version, key) = std::str::from_utf8(body).ok()?.split_once(' ')?;
        Some(Self { key: key.to_owned(), version: version.parse().ok()? })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_pass_the_gate_in_the_order_of_their_arrival() {
        let origin = CountingOrigin::new();
        assert_eq!(origin.answer("k").await.version, 0);
        origin.hold("k");
        let mut calls = Vec::new();
        for arrived in 2..=4 {
            let origin = origin.clone();
            calls.push(tokio::spawn({
                let origin = origin.clone();
                async move { origin.answer("k").await.version }
            }));
            origin.arrived("k", arrived).await;
            origin.write("k");
        }
        origin.let_through("k", 2);
        let third = calls.pop().unwrap();
        for (version, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), version as u64);
        }
        assert!(!third.is_finished());
        origin.release("k");
        assert_eq!(third.await.unwrap(), 2);
        assert_eq!((origin.calls("k"), origin.calls("other"), origin.total_calls()), (4, 0, 4));
    }

    #[tokio::test]
    async fn a_closed_gate_holds_its_own_key_only() {
        let origin = CountingOrigin::new();
        origin.hold("held");
        assert_eq!(origin.answer("free").await.key, "free");
    }
}
