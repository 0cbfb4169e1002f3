//! Two ways to drop a tag, by hand: an index from tag to keys, and a generation that outdates what came before it.

use std::collections::{HashMap, HashSet};
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;

use crate::subjects::{TagStore, Work};

pub(super) fn all() -> Vec<Box<dyn TagStore>> {
    vec![Box::new(Generation::default()), Box::new(Index::default())]
}

/// Entries carry the generation in which they were stored; dropping the tag starts the next one.
struct Generation {
    entries: Cache<u64, (Arc<str>, u64)>,
    generations: HashMap<Arc<str>, AtomicU64>,
}

impl Default for Generation {
    fn default() -> Self {
        let generations = HashMap::from([(Arc::from(TAG), AtomicU64::new(0))]);
        Self { entries: Cache::new(ROOM), generations }
    }
}

impl TagStore for Generation {
    fn name(&self) -> &'static str {
        "floor: generation bump"
    }

    fn fill(&mut self, entries: u64) -> Work<'_> {
        let tag: Arc<str> = Arc::from(TAG);
        let now = self.generations[TAG].load(Ordering::Acquire);
        for id in 0..entries {
            self.entries.insert(id, (tag.clone(), now));
        }
        Box::pin(ready(()))
    }

    fn drop_tag(&mut self) -> Work<'_> {
        self.generations[TAG].fetch_add(1, Ordering::AcqRel);
        Box::pin(ready(()))
    }

    fn serves(&mut self) -> Pin<Box<dyn Future<Output = bool> + '_>> {
        let served = self.entries.get(&0).is_some_and(|(tag, stored)| {
            self.generations.get(&tag).is_some_and(|now| now.load(Ordering::Acquire) == stored)
        });
        Box::pin(ready(served))
    }
}

/// An index that knows the keys of each tag.
struct Index {
    entries: Cache<u64, ()>,
    keys: Mutex<HashMap<Arc<str>, HashSet<u64>>>,
}

impl Default for Index {
    fn default() -> Self {
        Self { entries: Cache::new(ROOM), keys: Mutex::default() }
    }
}

impl TagStore for Index {
    fn name(&self) -> &'static str {
        "floor: tag -> keys index"
    }

    fn fill(&mut self, entries: u64) -> Work<'_> {
        for id in 0..entries {
            self.entries.insert(id, ());
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            keys.entry(Arc::from(TAG)).or_default().insert(id);
        }
        Box::pin(ready(()))
    }

    fn drop_tag(&mut self) -> Work<'_> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(TAG);
        for key in keys.unwrap_or_default() {
            self.entries.invalidate(&key);
        }
        Box::pin(ready(()))
    }

    fn serves(&mut self) -> Pin<Box<dyn Future<Output = bool> + '_>> {
        Box::pin(ready(self.entries.contains_key(&0)))
    }
}

const TAG: &str = "articles";
const ROOM: u64 = 1_000_000;
