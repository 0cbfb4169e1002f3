//! What an instance does by itself: its driver acts, it hears the bus, its connections break.

use super::model::{Model, Step, Successors, spend};
use super::scenario::Scenario;
use super::world::{Node, TICK, World, moment};
use crate::coherence::{Action, Event, Failover, Reply};
use crate::l2::Notice;

impl Model<'_> {
    /// The driver asks for the next action and does it; the answer comes in a later step.
    pub(super) fn driver(&self, k: usize, out: &mut Successors) {
        let scenario = self.scenario;
        let busy = self.world.nodes[k].state.in_flight.is_some();
        if !busy {
            self.step(Step::Acts(k), out, |w| {
                let now = moment(w.now);
                let Some(action) = w.node(k).state.next_action(now) else { return true };
                let waits = if action == Action::Poll { scenario.slow_polls } else { scenario.slow_actions };
                w.node(k).reply = Some(answer(w, k, action, scenario));
                waits || answered(w, k)
            });
            return;
        }
        self.step(Step::Answered(k), out, |w| answered(w, k));
        if self.world.nodes[k].reply == Some(Reply::Failed) {
            return;
        }
        self.step(Step::AnswerLost(k), out, |w| {
            let node = &w.nodes[k];
            let polls = node.state.in_flight.as_ref().is_some_and(|(_, action)| *action == Action::Poll);
            let stands = node.commands_up || (polls && node.bus_up);
            if stands && !spend(&mut w.left.timeouts) {
                return false;
            }
            let now = w.now;
            let node = w.node(k);
            node.reply = None;
            note_failed_poll(node, &Reply::Failed);
            node.on_event(Event::Done(Reply::Failed), now);
            true
        });
    }

    pub(super) fn bus(&self, k: usize, out: &mut Successors) {
        let node = &self.world.nodes[k];
        let is_message = |n: usize| matches!(node.queue.get(n), Some(Notice::Message(_)));
        let deliver = |w: &mut World, keep: bool| {
            let now = w.now;
            let node = w.node(k);
            let Some(notice) = node.queue.pop_front() else { return false };
            if self.scenario.failover == Failover::Flush && notice == Notice::Lost {
                node.bus_lost = Some(now);
            }
            if keep {
                node.queue.push_front(notice.clone());
            }
            node.on_event(Event::Notice(notice), now);
            true
        };
        self.step(Step::Hears(k), out, |w| deliver(w, false));
        if is_message(0) {
            self.step(Step::MessageLost(k), out, |w| {
                spend(&mut w.left.losses) && w.node(k).queue.pop_front().is_some()
            });
            self.step(Step::MessageTwice(k), out, |w| spend(&mut w.left.duplicates) && deliver(w, true));
            self.step(Step::Lags(k), out, |w| {
                spend(&mut w.left.lags) && {
                    w.node(k).queue[0] = Notice::Lagged;
                    true
                }
            });
        }
        if is_message(0) && is_message(1) {
            self.step(Step::MessagesSwapped(k), out, |w| {
                spend(&mut w.left.swaps) && {
                    w.node(k).queue.swap(0, 1);
                    true
                }
            });
        }
        self.subscription(k, out);
    }

    /// The subscription ends and is renewed.
    fn subscription(&self, k: usize, out: &mut Successors) {
        let node = &self.world.nodes[k];
        if !node.subscribed {
            if node.bus_up {
                self.step(Step::Resubscribes(k), out, |w| {
                    w.resubscribe(k, self.scenario);
                    true
                });
            }
            return;
        }
        let disconnect = |w: &mut World, drops: bool| {
            let ends = spend(&mut w.left.disconnects);
            let node = w.node(k);
            node.subscribed = false;
            if drops {
                node.queue.retain(|notice| !matches!(notice, Notice::Message(_)));
            }
            node.queue.push_back(Notice::Lost);
            ends
        };
        self.step(Step::Disconnected(k), out, |w| disconnect(w, false));
        if !node.queue.is_empty() {
            self.step(Step::DisconnectedDroppingMessages(k), out, |w| disconnect(w, true));
        }
    }

    /// The connections break and are mended.
    pub(super) fn links(&self, k: usize, out: &mut Successors) {
        let node = &self.world.nodes[k];
        if !node.commands_up {
            self.step(Step::Reachable(k), out, |w| {
                let now = w.now;
                let node = w.node(k);
                if !node.bus_up {
                    node.out_of_reach = Some(now);
                }
                (node.bus_up, node.commands_up) = (true, true);
                true
            });
            return;
        }
        self.step(Step::CutOff(k), out, |w| {
            let cut = spend(&mut w.left.cuts);
            let node = w.node(k);
            (node.bus_up, node.commands_up) = (false, false);
            if node.subscribed {
                node.subscribed = false;
                node.queue.push_back(Notice::Lost);
            }
            cut
        });
        self.step(Step::CommandsCutOff(k), out, |w| {
            let cut = spend(&mut w.left.cuts);
            w.node(k).commands_up = false;
            cut
        });
    }
}

/// The answer to the action of instance `k` arrives.
pub(super) fn answered(w: &mut World, k: usize) -> bool {
    let now = w.now;
    let node = w.node(k);
    let Some(reply) = node.reply.take() else { return false };
    note_failed_poll(node, &reply);
    let issued = if let Reply::Issued(issued) = &reply { Some(issued.position.seq) } else { None };
    node.on_event(Event::Done(reply), now);
    w.confirm_queued(k, issued);
    true
}

/// That a poll failed is evidence that L2 was out of reach when it was sent, and of nothing later.
fn note_failed_poll(node: &mut Node, reply: &Reply) {
    if let (Some((ticket, Action::Poll)), Reply::Failed) = (&node.state.in_flight, reply) {
        let sent = (ticket.sent.as_nanos() / TICK) as u8;
        node.out_of_reach = node.out_of_reach.max(Some(sent));
    }
}

/// Does `action` of instance `k` and says what comes of it.
pub(super) fn answer(w: &mut World, k: usize, action: Action, scenario: &Scenario) -> Reply {
    let (commands, any) = (w.nodes[k].commands_up, w.nodes[k].commands_up || w.nodes[k].bus_up);
    if !any || !commands && action != Action::Poll {
        return Reply::Failed;
    }
    match action {
        Action::Poll => Reply::Polled(w.attend(k, scenario)),
        Action::Open => {
            w.open(scenario);
            w.attend(k, scenario).map_or(Reply::Failed, Reply::Opened)
        }
        Action::CatchUp(after) => w.page(after, scenario).map_or(Reply::Failed, Reply::Page),
        Action::Audit(asked) => {
            let idents: Vec<_> = asked.iter().map(|(ident, _)| *ident).collect();
            w.scores(&idents).map_or(Reply::Failed, Reply::Scores)
        }
        Action::Reissue(idents, at_least) => Reply::Issued(w.invalidate(&idents, at_least, scenario)),
    }
}
