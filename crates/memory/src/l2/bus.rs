//! The bus: from the server to each client's subscribers, over a wire that a test can cut.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use forebay_core::l2::Notice;
use tokio::sync::mpsc::Sender;

/// The server's end: all wires that still have a client, and what the server calls itself.
#[derive(Default)]
pub(super) struct Bus(Vec<Weak<Wire>>, Name);

/// What a server calls itself, if it does.
type Name = Arc<Mutex<Option<String>>>;

impl Bus {
    pub(super) fn attach(&mut self) -> Arc<Wire> {
        let wire = Arc::new(Wire { server: Arc::clone(&self.1), ..Wire::default() });
        self.0.push(Arc::downgrade(&wire));
        wire
    }

    pub(super) fn rename(&mut self, name: &str) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
    }

    pub(super) fn publish(&mut self, message: &Notice) {
        self.0.retain(|wire| match wire.upgrade() {
            Some(wire) => {
                wire.message(message);
                true
            }
            None => false,
        });
    }

    pub(super) fn call_for_reports(&self) {
        self.0.iter().filter_map(Weak::upgrade).for_each(|wire| wire.call_for_report());
    }
}

/// The wire to one client.
#[derive(Default)]
pub(super) struct Wire {
    state: Mutex<State>,
    server: Name,
}

#[derive(Default)]
struct State {
    subscribers: Vec<Subscriber>,
    cut: bool,
    to_drop: usize,
    held: Option<VecDeque<Notice>>,
}

struct Subscriber {
    sender: Sender<Notice>,
    lagging: bool,
}

impl Wire {
    pub(super) fn subscribe(&self, sender: Sender<Notice>) {
        let mut state = self.state();
        let mut subscriber = Subscriber { sender, lagging: false };
        if !state.cut {
            subscriber.deliver(Notice::Subscribed);
            if let Some(server) = self.server() {
                subscriber.deliver(server);
            }
        }
        state.subscribers.push(subscriber);
    }

    fn message(&self, message: &Notice) {
        let mut state = self.state();
        if state.cut {
            return;
        }
        if state.to_drop > 0 {
            state.to_drop -= 1;
            return;
        }
        match &mut state.held {
            Some(held) => held.push_back(message.clone()),
            None => state.deliver(message),
        }
    }

    /// Lost like a message; not kept back, since it may come again.
    fn call_for_report(&self) {
        let mut state = self.state();
        if state.to_drop > 0 {
            state.to_drop -= 1;
        } else if !state.cut && state.held.is_none() {
            state.deliver(&Notice::Report);
        }
    }

    pub(super) fn deliver(&self, notice: Notice) {
        self.state().deliver(&notice);
    }

    pub(super) fn drop_next(&self, count: usize) {
        self.state().to_drop += count;
    }

    pub(super) fn hold(&self) {
        self.state().held.get_or_insert_default();
    }

    pub(super) fn release(&self) {
        let mut state = self.state();
        for message in state.held.take().unwrap_or_default() {
            state.deliver(&message);
        }
    }

    pub(super) fn disconnect(&self) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.cut, true) {
            if let Some(held) = &mut state.held {
                held.clear();
            }
            state.deliver(&Notice::Lost);
        }
    }

    pub(super) fn reconnect(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.cut) {
            state.deliver(&Notice::Subscribed);
            self.server().iter().for_each(|server| state.deliver(server));
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        !self.state().cut
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the server calls itself.
    fn server(&self) -> Option<Notice> {
        let name = self.server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        name.map(|name| Notice::Server(Some(name)))
    }
}

impl State {
    fn deliver(&mut self, notice: &Notice) {
        self.subscribers.retain_mut(|subscriber| subscriber.deliver(notice.clone()));
    }
}

impl Subscriber {
    /// Delivers a notice, or [`Notice::Lagged`] in the last free place, or nothing until there is room again. False
    /// when nobody listens any more.
    fn deliver(&mut self, notice: Notice) -> bool {
        let room = self.sender.capacity();
        let notice = match room {
            0 => return !self.sender.is_closed(),
            1 if self.lagging => return !self.sender.is_closed(),
            1 => Notice::Lagged,
            _ => notice,
        };
        self.lagging = room == 1;
        // Only this wire sends, under its lock: the room cannot shrink meanwhile.
        self.sender.try_send(notice).is_ok()
    }
}
