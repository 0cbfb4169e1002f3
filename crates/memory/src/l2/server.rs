//! The shared server, as tests see it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use forebay_core::key::Key;
use forebay_core::l2::Position;

use super::MemoryL2;
use super::data::{Data, Kept, Settings};
use super::faults::Faults;

/// A namespace in a server that all its clients share. Clones are the same server.
#[derive(Clone)]
pub struct MemoryServer {
    data: Arc<Mutex<Data>>,
    settings: Arc<Settings>,
}

/// A state to go back to.
#[derive(Clone)]
pub struct Snapshot(Kept);

impl MemoryServer {
    /// An empty server.
    #[must_use]
    pub fn new() -> Self {
        Self::with_settings(Settings::default())
    }

    /// An empty server with other limits.
    #[must_use]
    pub fn with_settings(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Self { data: Arc::new(Mutex::new(Data::new(Arc::clone(&settings)))), settings }
    }

    /// A new client, without faults.
    #[must_use]
    pub fn client(&self) -> MemoryL2 {
        let wire = self.with(|data| data.bus.attach());
        MemoryL2 { server: self.clone(), faults: Arc::new(Faults::default()), wire }
    }

    /// Loses everything. Nobody is told; the next open begins another incarnation.
    pub fn flush(&self) {
        self.with(|data| data.kept = Kept::default());
    }

    /// Loses position and log but keeps the frames, as an eviction of the metadata does.
    pub fn lose_metadata(&self) {
        self.with(|data| {
            let frames = std::mem::take(&mut data.kept.frames);
            data.kept = Kept { frames, ..Kept::default() };
        });
    }

    /// Loses who is there, as an eviction of that key does.
    pub fn forget_instances(&self) {
        self.with(Data::forget_instances);
    }

    /// The state now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.with(|data| Snapshot(data.kept.clone()))
    }

    /// Goes back to an earlier state, as a failover to a replica that lagged or a restart from an old dump does. Clients
    /// stay connected; a test that wants more cuts them itself.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.with(|data| data.kept = snapshot.0.clone());
    }

    /// Gives the server a name, which subscribers are told from their next subscription on. Another name is another server.
    pub fn rename(&self, name: &str) {
        self.with(|data| data.bus.rename(name));
    }

    /// Sets the server's own clock back.
    pub fn step_clock_back(&self, by: Duration) {
        self.with(|data| data.clock.step_back(by));
    }

    /// Replaces each frame by what `change` makes of it.
    pub fn corrupt(&self, mut change: impl FnMut(Key, &[u8]) -> Vec<u8>) {
        self.with(|data| {
            for (key, held) in &mut data.kept.frames {
                held.frame = change(*key, &held.frame).into();
            }
        });
    }

    /// Loses one frame, as an eviction does.
    pub fn evict(&self, key: Key) {
        self.with(|data| data.kept.frames.remove(&key));
    }

    /// The frame under the key, were it looked up now.
    #[must_use]
    pub fn frame(&self, key: Key) -> Option<Bytes> {
        self.with(|data| data.lookup(key).frame)
    }

    /// The position, were it looked up now.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.with(|data| data.kept.position)
    }

    /// How many frames there are, expired ones that nobody has looked up since included.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.with(|data| data.kept.frames.len())
    }

    /// How many fill leases there are, those that have run out included.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.with(|data| data.kept.leases.len())
    }

    /// How many idents the log holds.
    #[must_use]
    pub fn log_len(&self) -> usize {
        self.with(|data| data.kept.log.len())
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn with<T>(&self, step: impl FnOnce(&mut Data) -> T) -> T {
        step(&mut self.data.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for MemoryServer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryServer").field("position", &self.position()).finish_non_exhaustive()
    }
}
