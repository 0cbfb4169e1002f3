//! Who waits on this instance for what another one is fetching.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::key::Key;

/// The requests of one instance that wait for the end of others' fill leases.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<HashMap<Key, Vec<Arc<Notify>>>>);

impl Waiters {
    /// Begins to listen for the end of the key's lease. To be called before the lease is claimed: an end that comes before
    /// anyone waits for it is kept.
    pub(crate) fn register(self: &Arc<Self>, key: Key) -> Waiting {
        let bell = Arc::new(Notify::new());
        self.table().entry(key).or_default().push(Arc::clone(&bell));
        Waiting { waiters: Arc::clone(self), key, bell }
    }

    /// Wakes whoever waits for this key.
    pub(crate) fn wake(&self, key: Key) {
        for bell in self.table().get(&key).into_iter().flatten() {
            bell.notify_one();
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Key, Vec<Arc<Notify>>>> {
        // No code that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's place among the waiters. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Waiting {
    waiters: Arc<Waiters>,
    key: Key,
    bell: Arc<Notify>,
}

impl Waiting {
    /// Waits until the bus has told of an end that was not waited for yet.
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub(crate) async fn released(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut table = self.waiters.table();
        let Some(bells) = table.get_mut(&self.key) else { return };
        bells.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
        if bells.is_empty() {
            table.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key::from_bytes([1; 16]);

    #[tokio::test]
    async fn an_end_wakes_all_who_wait_for_the_key_and_is_kept_for_those_who_will() {
        let waiters = Arc::new(Waiters::default());
        let other = waiters.register(Key::from_bytes([2; 16]));
        let [first, second] = [waiters.register(KEY), waiters.register(KEY)];
        waiters.wake(KEY);
        first.released().await;
        second.released().await;
        let unwoken = tokio::select! {
            biased;
            () = other.released() => false,
            () = first.released() => false,
            () = std::future::ready(()) => true,
        };
        assert!(unwoken, "one end wakes each of them once, and nobody else");
    }

    #[test]
    fn whoever_leaves_leaves_nothing_behind() {
        let waiters = Arc::new(Waiters::default());
        let [first, second] = [waiters.register(KEY), waiters.register(KEY)];
        drop(first);
        assert_eq!(waiters.table()[&KEY].len(), 1);
        drop(second);
        assert!(waiters.table().is_empty());
    }
}
