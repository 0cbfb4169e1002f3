//! Fingerprints of worlds: two worlds with the same one behave the same from there on.
//!
//! What cannot make a difference is left out, which is sound because of how the state machine uses it:
//!
//! * sequence numbers are compared, and the next is larger than all: only their order counts;
//! * an epoch is compared with the epoch floor and with those of pending idents, and the next is larger than all: only
//!   on which side of these it lies counts; a mark of [`Held::checked`](super::world::Held) is current or never again;
//! * generations are current or not;
//! * a moment that is due is due, and one that is further back than any bound reaches is past.

use super::disk::Disk;
use super::scenario::Scenario;
use super::world::{Flight, Freshness, Node, Stage, World, moment};
use crate::coherence::protocol::Ticket;
use crate::coherence::state::{Membership, Server, State};
use crate::coherence::{Action, Reply};
use crate::l2::{Message, Notice, Position};
use crate::tag::Ident;
use crate::time::Moment;

/// Collects what a world is and hashes it.
#[derive(Default)]
pub(super) struct Print {
    pub(super) bytes: Vec<u8>,
    /// Where in `bytes` the sequence numbers stand.
    pub(super) seqs: Vec<usize>,
    /// What epochs of the instance in question are compared with.
    pub(super) bounds: Vec<u64>,
    now: Moment,
    /// Moments before this one are all alike.
    past: Moment,
    /// The log is cut by age.
    ages: bool,
    /// What was acknowledged is forgotten by age.
    forgets: bool,
}

impl Print {
    pub(super) fn of(&mut self, world: &World, scenario: &Scenario) -> u128 {
        self.bytes.clear();
        self.seqs.clear();
        self.now = moment(world.now);
        self.ages = scenario.retention < Scenario::LONG;
        self.forgets = scenario.audit_window < Scenario::LONG;
        self.past = moment(world.now.saturating_sub(scenario.lease + scenario.grace + 1));
        self.world(world, scenario);
        for k in 0..2 {
            self.bound(&world.nodes[k]);
            self.node(world, k);
        }
        self.rank_seqs();
        let hash = blake3::hash(&self.bytes);
        let mut half = [0; 16];
        half.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_le_bytes(half)
    }

    fn world(&mut self, world: &World, scenario: &Scenario) {
        self.num(u64::from(world.now));
        self.seq(world.clock);
        self.num(u64::from(world.origin));
        self.disk(&world.l2);
        if world.left.failovers > 0 {
            self.disk(&world.replica);
            self.flag(world.copied);
        }
        let (new, old) = world.failover.unwrap_or_default();
        self.seq(new);
        self.seq(old);
        let fails_over = world.left.failovers > 0 || world.failover.is_some();
        for promise in world.promises {
            self.flag(promise.is_some());
            if let Some(promise) = promise {
                self.num(promise.by as u64);
                self.moment(moment(promise.since).max(self.past));
                self.seq(if fails_over { promise.seq } else { 0 });
                let flags = [promise.confirmed, promise.lost, promise.everywhere];
                flags.into_iter().for_each(|flag| self.flag(flag));
                self.num(if scenario.budget.waits > 0 { u64::from(promise.life) } else { 0 });
            }
        }
        self.budget(world);
    }

    fn disk(&mut self, disk: &Disk) {
        self.num(u64::from(disk.life));
        self.seq(disk.seq);
        self.seq(disk.floor);
        self.flag(disk.shape);
        for entry in disk.log {
            let (seq, at) = entry.unwrap_or_default();
            self.seq(seq);
            self.num(if self.ages { u64::from(at) } else { 0 });
        }
        self.flag(disk.frame.is_some());
        if let Some(frame) = disk.frame {
            self.num(u64::from(frame.value));
            self.position(frame.at);
        }
        self.moment(disk.roll.begun.map_or(self.past, |tick| moment(tick).max(self.past)));
        for noted in disk.roll.noted.into_iter().flatten() {
            self.moment(moment(noted.at).max(self.past));
            if let Some(at) = noted.applied {
                self.position(at);
            }
        }
    }

    fn budget(&mut self, world: &World) {
        let b = &world.left;
        let all = [
            b.ticks,
            b.writes,
            b.others,
            b.disconnects,
            b.losses,
            b.duplicates,
            b.swaps,
            b.lags,
            b.cuts,
            b.timeouts,
            b.moves,
            b.flushes,
            b.failovers,
            b.followers,
            b.lookups,
            b.waits,
        ];
        self.bytes.extend(all);
    }

    fn ticket(&mut self, ticket: Ticket, node: &Node) {
        self.moment(ticket.sent.max(self.past));
        self.seq(ticket.highest);
        self.epoch(ticket.epoch);
        self.flag(ticket.generation == node.state.generation);
    }

    fn node(&mut self, world: &World, k: usize) {
        let node = &*world.nodes[k];
        self.state(node);
        let flags = [node.subscribed, node.bus_up, node.commands_up];
        flags.into_iter().for_each(|flag| self.flag(flag));
        self.num(node.queue.len() as u64);
        node.queue.iter().for_each(|notice| self.notice(notice));
        self.reply(node.reply.as_ref());
        self.flag(node.held.is_some());
        if let Some(held) = node.held {
            self.num(u64::from(held.value));
            self.stamp(held.stamp);
            // Marks only grow: one that differs will never be equal again. (Both kinds, for the mutant's sake.)
            self.flag(held.checked == Some(node.state.epoch));
            self.flag(held.checked == Some(node.state.applied));
            self.flag(held.stale);
        }
        self.num(node.follower.map_or(0, |must| u64::from(must) + 1));
        self.moment(node.out_of_reach.map_or(self.past, |tick| moment(tick).max(self.past)));
        self.moment(node.bus_lost.map_or(self.past, |tick| moment(tick).max(self.past)));
        self.flight(node);
        for invalidation in world.invalidations.iter().filter(|i| i.by == k) {
            self.num(7);
            self.num(u64::from(invalidation.version));
            self.flag(invalidation.abandoned);
            self.ticket(invalidation.ticket, node);
            self.flag(invalidation.issued.is_some());
            if let Some(issued) = invalidation.issued {
                self.issued(issued);
            }
        }
    }

    fn state(&mut self, node: &Node) {
        self.knows(&node.state);
        self.waits(&node.state);
    }

    /// What it knows of the log and of the server.
    fn knows(&mut self, state: &State) {
        match state.membership {
            Membership::Joined(incarnation) => self.bytes.push(incarnation.0[0]),
            Membership::Alone | Membership::Apart | Membership::Refused => self.bytes.push(0),
        }
        [state.applied, state.read_up_to(), state.highest, state.floor]
            .into_iter()
            .for_each(|seq| self.seq(seq));
        let mut known: Vec<(Ident, u64)> = state.table.iter().collect();
        known.sort_unstable();
        self.num(known.len() as u64);
        for (ident, seq) in known {
            self.ident(ident);
            self.seq(seq);
        }
        let mut pending: Vec<(Ident, u64)> = state.pending.iter().collect();
        pending.sort_unstable();
        self.num(pending.len() as u64);
        for (ident, epoch) in pending {
            self.ident(ident);
            self.epoch(epoch);
        }
        self.num(state.shapes.len() as u64);
        self.flag(state.suspects);
        if let Server::Named(name) = &state.server {
            self.text(name.as_deref());
        }
        self.epoch(state.epoch_floor);
        self.num(state.recent.len() as u64);
        for (at, ident, seq) in &state.recent {
            self.moment(if self.forgets { *at } else { Moment::default() });
            self.ident(*ident);
            self.seq(*seq);
        }
        self.moment(
            state.forgot_recent.map_or(Moment::default(), |at| Moment::from_nanos(at.as_nanos() + 1)),
        );
    }

    /// What it waits for, and until when.
    fn waits(&mut self, state: &State) {
        self.moment(state.lease_until.max(self.past));
        self.moment(state.unsynced.unwrap_or_default().max(self.now));
        self.moment(state.next_poll.max(self.now));
        self.moment(state.wants.retry_at.max(self.now));
        let wants = state.wants;
        let wants = [wants.open, wants.audit, wants.bump, wants.catch_up, wants.poll_first];
        wants.into_iter().for_each(|want| self.flag(want));
        self.flag(state.owed.is_some());
        let (sent, seq) = state.owed.unwrap_or_default();
        self.moment(sent.max(self.past));
        self.seq(seq);
        // A poll sent from now on is later than any lapse noticed so far; only one in flight may be older.
        let in_flight = state.in_flight.as_ref();
        let older =
            state.lapse.is_some_and(|noticed| in_flight.is_some_and(|(ticket, _)| ticket.sent < noticed));
        self.flag(state.lapse.is_some());
        self.flag(older);
        self.flag(in_flight.is_some());
        if let Some((ticket, action)) = in_flight {
            self.moment(ticket.sent.max(self.past));
            self.seq(ticket.highest);
            self.flag(ticket.generation == state.generation);
            self.action(*ticket, action);
        }
    }

    fn action(&mut self, ticket: Ticket, action: &Action) {
        match action {
            Action::Open => self.num(0),
            Action::Poll => self.num(1),
            Action::CatchUp(after) => {
                self.num(2);
                self.seq(*after);
            }
            Action::Audit(asked) => {
                self.num(3);
                self.num(asked.len() as u64);
                for (ident, seq) in asked {
                    self.ident(*ident);
                    self.seq(*seq);
                }
            }
            Action::Reissue(idents, at_least) => {
                self.num(4);
                self.epoch(ticket.epoch);
                self.seq(*at_least);
                self.num(idents.len() as u64);
                let mut idents = idents.clone();
                idents.sort_unstable();
                idents.into_iter().for_each(|ident| self.ident(ident));
            }
        }
    }

    fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Subscribed => self.num(0),
            Notice::Lost => self.num(1),
            Notice::Lagged => self.num(2),
            Notice::Malformed => self.num(3),
            Notice::Report => self.num(5),
            Notice::Server(name) => {
                self.num(6);
                self.text(name.as_deref());
            }
            Notice::Message(Message { incarnation, seq, previous, idents }) => {
                self.num(4);
                self.position(Position { incarnation: *incarnation, seq: *seq });
                self.seq(*previous);
                self.num(idents.len() as u64);
                idents.iter().for_each(|ident| self.ident(*ident));
            }
            // No node of the search is told of any.
            Notice::Released(_) => self.num(5),
        }
    }

    fn reply(&mut self, reply: Option<&Reply>) {
        match reply {
            None => self.num(0),
            Some(Reply::Failed) => self.num(1),
            Some(Reply::Polled(None)) => self.num(2),
            Some(Reply::Polled(Some(position)) | Reply::Opened(position)) => {
                self.num(3);
                self.position(*position);
            }
            Some(Reply::Page(page)) => {
                self.num(4);
                self.position(page.position);
                self.seq(page.floor);
                self.seq(page.upto);
                self.num(page.idents.len() as u64);
                for (ident, seq) in &page.idents {
                    self.ident(*ident);
                    self.seq(*seq);
                }
            }
            Some(Reply::Scores(scores)) => {
                self.num(5);
                self.scores(scores);
            }
            Some(Reply::Issued(issued)) => {
                self.num(6);
                self.issued(*issued);
            }
            // No node of the search is refused.
            Some(Reply::Refused) => self.num(7),
        }
    }

    fn scores(&mut self, scores: &crate::l2::Scores) {
        self.position(scores.position);
        self.seq(scores.floor);
        self.num(scores.seqs.len() as u64);
        scores.seqs.iter().for_each(|seq| self.seq(seq.unwrap_or(0)));
        self.num(scores.shapes.len() as u64);
    }

    fn flight(&mut self, node: &Node) {
        let Some(Flight { ticket, local, position, must, must_here, stage }) = &node.flight else {
            return self.num(0);
        };
        let life = |life: &Option<crate::l2::Incarnation>| life.map_or(0, |life| u64::from(life.0[0]));
        match stage {
            Stage::Looked(frame) => {
                self.num(1);
                self.frame(frame.as_ref());
            }
            Stage::Asking(frame) => {
                self.num(2);
                self.frame(Some(frame));
            }
            Stage::Scored(frame, scores) => {
                self.num(3);
                self.frame(Some(frame));
                self.flag(scores.is_some());
                if let Some(scores) = scores {
                    self.scores(scores);
                }
            }
            Stage::Missed((stamp, lives)) => {
                self.num(4);
                self.stamp(*stamp);
                return self.num(life(lives));
            }
            Stage::Put(value, (stamp, lives), freshness) => {
                self.num(5);
                self.flag(*freshness == Freshness::Fresh);
                self.num(u64::from(*value));
                self.stamp(*stamp);
                return self.num(life(lives));
            }
            Stage::Store(value, stamp, incarnation) => {
                self.num(6);
                self.num(u64::from(*value));
                self.stamp(*stamp);
                return self.bytes.push(incarnation.0[0]);
            }
        }
        // From the fetch on, none of this is looked at again.
        self.ticket(*ticket, node);
        self.stamp(local.0);
        self.num(life(&local.1));
        self.flag(position.is_some());
        if let Some(position) = position {
            self.position(*position);
        }
        self.bytes.extend([*must, *must_here]);
    }

    fn frame(&mut self, frame: Option<&super::disk::Frame>) {
        self.flag(frame.is_some());
        if let Some(frame) = frame {
            self.num(u64::from(frame.value));
            self.position(frame.at);
        }
    }
}
