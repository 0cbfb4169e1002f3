//! How much memory there is for bodies on their way into the cache.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use forebay_core::event::{Event, Names, Recorder};

/// What all bodies together may take that are being collected, or have been and wait for a slow client.
pub(crate) struct Room {
    taken: AtomicUsize,
    most: usize,
    recorder: Recorder,
}

/// Whether there was room for more of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Taken {
    Fits,
    /// It is no longer collected. What the client has yet to take counts until it has.
    Full,
}

/// What one body takes, for as long as this lives.
pub(crate) struct Share {
    room: Arc<Room>,
    taken: AtomicUsize,
}

impl Room {
    pub(crate) fn new(most: usize, names: &Names) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), most, recorder: Recorder::new(names.clone()) })
    }

    pub(crate) fn share(self: &Arc<Self>) -> Arc<Share> {
        Arc::new(Share { room: Arc::clone(self), taken: AtomicUsize::new(0) })
    }
}

impl Share {
    /// Takes so many bytes, which are there already: one addition for all bodies, one for this one.
    pub(crate) fn take(&self, bytes: usize) -> Taken {
        self.taken.fetch_add(bytes, Relaxed);
        let before = self.room.taken.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) <= self.room.most {
            return Taken::Fits;
        }
        self.room.recorder.observe(&Event::Full("collected"));
        Taken::Full
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(*self.taken.get_mut(), Relaxed);
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({} of {} bytes)", self.taken.load(Relaxed), self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_body_takes_is_free_again_when_it_is_over() {
        let room = Room::new(10, &Names::new("cache", "test"));
        let (a, b) = (room.share(), room.share());
        assert_eq!((a.take(6), b.take(4)), (Taken::Fits, Taken::Fits));
        assert_eq!(b.take(1), Taken::Full);
        drop(a);
        assert_eq!(b.take(5), Taken::Fits);
        drop(b);
        assert_eq!(format!("{room:?}"), "Room(0 of 10 bytes)");
    }
}
