//! What the search does not say in words, and what must hold after any events at all.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Action, Event, FrameVerdict, Reply, Settings, State, Ticket};
use crate::entry::{Seq, Stamp};
use crate::key::Secrets;
use crate::l2::{Incarnation, Issued, Message, Notice, Page, Position, Scores};
use crate::tag::Ident;
use crate::time::Moment;

const X: Ident = Ident::from_bytes([1; 16]);
const LEASE: u64 = 2000;

fn settings() -> Settings {
    let mut settings = Settings::new(&Secrets::new("shop", None));
    settings.lease = Duration::from_millis(LEASE);
    settings
}

fn at(ms: u64) -> Moment {
    Moment::default().after(Duration::from_millis(ms))
}

fn position(seq: Seq) -> Position {
    Position { incarnation: Incarnation([7; 16]), seq }
}

fn message(previous: Seq, seq: Seq) -> Event {
    let incarnation = position(seq).incarnation;
    Event::Notice(Notice::Message(Message { incarnation, seq, previous, idents: vec![X] }))
}

fn issued(previous: Seq, seq: Seq) -> Issued {
    Issued { position: position(seq), previous, last: previous }
}

/// An instance that joined at `seq`, at the clock's start.
fn joined(seq: Seq) -> State {
    let mut state = State::apart(settings());
    assert_eq!(state.next_action(at(0)), Some(Action::Open));
    state.on_event(Event::Done(Reply::Opened(position(seq))), at(0));
    state
}

fn answer(state: &mut State, expected: &Action, reply: Reply, now: Moment) {
    assert_eq!(state.next_action(now).as_ref(), Some(expected));
    state.on_event(Event::Done(reply), now);
}

fn polled(seq: Seq) -> Reply {
    Reply::Polled(Some(position(seq)))
}

#[test]
fn a_message_that_overtakes_the_answer_to_a_poll_is_no_regression() {
    let mut state = joined(10);
    assert_eq!(state.next_action(at(500)), Some(Action::Poll));
    state.on_event(message(10, 11), at(501));
    let stamp = Stamp { seq: 11, epoch: state.ticket(at(501)).epoch };
    state.on_event(Event::Done(polled(10)), at(502));
    assert!(state.admits(stamp, &[X]), "L1 was thrown away");
    assert_eq!(state.serve_until(), at(500 + LEASE));
}

#[test]
fn a_lease_is_counted_from_when_its_poll_was_sent() {
    let mut state = joined(10);
    assert_eq!(state.next_action(at(500)), Some(Action::Poll));
    state.on_event(Event::Done(polled(10)), at(1900));
    assert_eq!(state.serve_until(), at(500 + LEASE));
}

#[test]
fn a_lease_waits_until_the_log_is_applied() {
    let mut state = joined(10);
    answer(&mut state, &Action::Poll, polled(11), at(500));
    assert_eq!(state.serve_until(), at(LEASE));
    let page = Page { position: position(11), floor: 0, upto: 11, idents: vec![(X, 11)] };
    answer(&mut state, &Action::CatchUp(10), Reply::Page(page), at(501));
    assert_eq!(state.serve_until(), at(500 + LEASE));
    assert!(!state.admits(Stamp { seq: 10, epoch: state.ticket(at(501)).epoch }, &[X]));
}

fn stamp(seq: Seq, epoch: u64) -> Stamp {
    Stamp { seq, epoch }
}

#[test]
fn a_confirmed_value_is_vouched_for_up_to_where_the_log_is_applied() {
    let mut state = joined(10);
    let begun = state.local_stamp();
    let entry = stamp(10, begun.epoch);
    state.on_event(message(10, 12), at(1));
    let asked = stamp(20, state.local_stamp().epoch);
    let y = [Ident::from_bytes([2; 16])];
    assert_eq!(state.confirmed(entry, asked, &y), stamp(12, asked.epoch), "the rest may not be here yet");
    assert_eq!(state.confirmed(entry, asked, &[X]), entry, "it has been invalidated, and stays so");
    assert_eq!(state.confirmed(stamp(15, asked.epoch), asked, &y).seq, 15, "L2 has vouched for more");
}

#[test]
fn what_was_asked_in_another_life_of_the_log_vouches_for_nothing() {
    let mut state = joined(1000);
    let asked = state.local_stamp();
    let other = Position { incarnation: Incarnation([8; 16]), seq: 10 };
    answer(&mut state, &Action::Poll, Reply::Polled(Some(other)), at(500));
    let entry = state.local_stamp();
    assert_eq!(entry.seq, 10);
    assert_eq!(state.confirmed(entry, asked, &[X]), entry, "1000 is beyond what this log has issued");
    assert_eq!(state.confirmed(asked, entry, &[X]), asked, "and dead");
}

#[test]
fn a_page_counts_when_the_log_has_been_read_to_its_end() {
    let mut state = joined(10);
    let entry = state.local_stamp();
    answer(&mut state, &Action::Poll, polled(12), at(500));
    let lookup = state.ticket(at(500));
    // X was invalidated at 11, and again after the poll: its place in the log is behind this page.
    let y = Ident::from_bytes([2; 16]);
    let page = |upto, ident| Page { position: position(13), floor: 0, upto, idents: vec![(ident, upto)] };
    answer(&mut state, &Action::CatchUp(10), Reply::Page(page(12, y)), at(501));
    assert_eq!(state.serve_until(), at(LEASE), "11 is not known yet");
    let framed = position(10);
    assert_eq!(state.judge_frame(lookup, position(12), framed, &[X]), FrameVerdict::AskLog);
    answer(&mut state, &Action::CatchUp(12), Reply::Page(page(13, X)), at(502));
    assert_eq!(state.serve_until(), at(500 + LEASE));
    assert!(!state.admits(entry, &[X]));
}

#[test]
fn a_failed_poll_excuses_serving_from_when_it_was_sent() {
    let mut state = joined(10);
    answer(&mut state, &Action::Poll, Reply::Failed, at(LEASE));
    assert_eq!(state.serve_until(), at(2 * LEASE));
    let mut slept = joined(10);
    assert_eq!(slept.next_action(at(1900)), Some(Action::Poll));
    slept.on_event(Event::Done(Reply::Failed), at(60_000));
    assert!(slept.serve_until() < at(60_000), "the process slept over the answer");
    assert_eq!(slept.next_action(at(60_000)), Some(Action::Poll), "it has to ask again, at once");
}

#[test]
fn only_a_poll_can_begin_the_grace() {
    let mut state = joined(10);
    answer(&mut state, &Action::Poll, polled(11), at(LEASE));
    answer(&mut state, &Action::CatchUp(10), Reply::Failed, at(LEASE + 1));
    assert_eq!(state.serve_until(), at(LEASE), "L2 answers polls: it can be reached");
}

#[test]
fn the_grace_ends_though_polls_go_on_failing() {
    let mut state = joined(10);
    let grace = state.settings.partition_grace;
    let mut now = at(LEASE);
    while now < at(LEASE).after(grace * 2) {
        answer(&mut state, &Action::Poll, Reply::Failed, now);
        now = state.deadline();
    }
    assert_eq!(state.serve_until(), at(LEASE).after(grace));
}

#[test]
fn a_lapse_is_noticed_though_another_try_has_to_wait() {
    let mut state = joined(10);
    answer(&mut state, &Action::Poll, Reply::Failed, at(LEASE - 1));
    assert_eq!(state.deadline(), at(LEASE));
    assert_eq!(state.next_action(at(LEASE)), Some(Action::Poll));
}

#[test]
fn what_is_missed_during_a_catch_up_is_caught_up_with_as_well() {
    let mut state = joined(10);
    state.on_event(Event::Notice(Notice::Lagged), at(1));
    assert_eq!(state.next_action(at(1)), Some(Action::CatchUp(10)));
    state.on_event(Event::Notice(Notice::Lagged), at(2));
    let page = Page { position: position(10), floor: 0, upto: 10, idents: vec![] };
    state.on_event(Event::Done(Reply::Page(page)), at(3));
    assert_eq!(state.next_action(at(3)), Some(Action::CatchUp(10)));
}

#[test]
fn a_second_reconnect_during_an_audit_calls_for_another() {
    let mut state = joined(10);
    state.on_event(message(10, 11), at(1));
    state.on_event(Event::Notice(Notice::Subscribed), at(2));
    let audit = Action::Audit(vec![(X, 11)]);
    assert_eq!(state.next_action(at(2)).as_ref(), Some(&audit));
    state.on_event(Event::Notice(Notice::Subscribed), at(3));
    let scores = Scores { position: position(11), floor: 0, seqs: vec![Some(11)], shapes: vec![] };
    state.on_event(Event::Done(Reply::Scores(scores)), at(4));
    assert_eq!(state.next_action(at(4)).as_ref(), Some(&audit));
}

#[test]
fn after_a_regression_what_was_lost_is_issued_again_above_every_number_seen() {
    let mut state = joined(10);
    state.on_event(message(10, 11), at(1));
    let held = Stamp { seq: 11, epoch: state.ticket(at(1)).epoch };
    answer(&mut state, &Action::Poll, polled(10), at(500));
    assert!(!state.admits(held, &[]), "L1 goes");
    let lost = Scores { position: position(10), floor: 0, seqs: vec![None], shapes: vec![] };
    answer(&mut state, &Action::Audit(vec![(X, 11)]), Reply::Scores(lost), at(501));
    answer(&mut state, &Action::Reissue(vec![X], 11), Reply::Issued(issued(10, 12)), at(502));
    answer(&mut state, &Action::Poll, polled(12), at(1000));
    assert_eq!(state.serve_until(), at(1000 + LEASE), "and all is well again");
    assert_eq!(state.next_action(at(1000)), None);
}

#[test]
fn what_the_instance_knows_overrules_a_log_that_has_lost_it() {
    let mut state = joined(10);
    let ticket = state.ticket(at(1));
    state.on_event(Event::Issued(ticket, vec![X], issued(10, 11)), at(1));
    // Another server has taken over at 10, and somebody has invalidated something else since.
    let (ticket, frame) = (state.ticket(at(2)), position(10));
    let scores = Scores { position: position(12), floor: 0, seqs: vec![None], shapes: vec![] };
    assert_eq!(state.judge_scores(ticket, frame, &[X], &scores), FrameVerdict::Dead);
    assert_eq!(state.judge_frame(ticket, position(12), frame, &[X]), FrameVerdict::Dead);
}

#[test]
fn a_confirmation_from_another_life_after_a_fresh_start_is_issued_again() {
    let mut state = joined(10);
    let ticket = state.ticket(at(1));
    let elsewhere = Position { incarnation: Incarnation([8; 16]), seq: 20 };
    answer(&mut state, &Action::Poll, Reply::Polled(Some(elsewhere)), at(500));
    state.on_event(Event::Issued(ticket, vec![X], issued(10, 11)), at(501));
    assert_eq!(state.incarnation(), Some(elsewhere.incarnation), "the old life is not gone back to");
    assert!(state.is_tainted(&[X]));
    assert_eq!(state.next_action(at(501)), Some(Action::Reissue(vec![X], 20)));
}

#[test]
fn an_invalidation_queued_while_an_older_one_is_confirmed_stays_queued() {
    let mut state = joined(10);
    let older = state.ticket(at(1));
    state.on_event(Event::Unconfirmed(vec![X]), at(2));
    state.on_event(Event::Issued(older, vec![X], issued(10, 11)), at(3));
    assert!(state.is_tainted(&[X]));
    let newer = state.ticket(at(4));
    state.on_event(Event::Issued(newer, vec![X], issued(11, 12)), at(5));
    assert!(!state.is_tainted(&[X]));
}

/// One thing that happens in a random run. Numbers are small, so that they collide.
#[derive(Clone, Debug)]
enum Op {
    Passes(u64),
    Acts,
    Reply(u8, Position, Seq),
    Notice(u8, Position, Seq),
    TakesTicket,
    LookedUp(usize, Option<Position>),
    Issued(usize, u8, Seq),
    Unconfirmed(u8),
}

fn any_position() -> impl Strategy<Value = Position> {
    (1..3u8, 0..12u64).prop_map(|(life, seq)| Position { incarnation: Incarnation([life; 16]), seq })
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..3 * LEASE).prop_map(Op::Passes),
        Just(Op::Acts),
        (0..8u8, any_position(), 0..12u64).prop_map(|(kind, at, seq)| Op::Reply(kind, at, seq)),
        (0..8u8, any_position(), 0..12u64).prop_map(|(kind, at, seq)| Op::Notice(kind, at, seq)),
        Just(Op::TakesTicket),
        (0..8usize, proptest::option::of(any_position())).prop_map(|(n, at)| Op::LookedUp(n, at)),
        (0..8usize, 0..3u8, 1..4u64).prop_map(|(n, ident, more)| Op::Issued(n, ident, more)),
        (0..3u8).prop_map(Op::Unconfirmed),
    ]
}

fn ident(n: u8) -> Ident {
    Ident::from_bytes([n; 16])
}

/// A state in the hands of a random run.
struct Run {
    state: State,
    now: Moment,
    tickets: Vec<Ticket>,
    in_flight: Option<Action>,
}

impl Run {
    fn new() -> Self {
        let mut settings = settings();
        (settings.max_idents, settings.max_pending, settings.max_audited) = (2, 2, 2);
        settings.audit_window = Duration::from_millis(LEASE);
        settings.namespace = ident(0);
        let state = State::apart(settings);
        let tickets = vec![state.ticket(at(0))];
        Self { state, now: at(0), tickets, in_flight: None }
    }

    fn ticket(&self, n: usize) -> Ticket {
        self.tickets[n % self.tickets.len()]
    }

    fn apply(&mut self, op: Op) {
        let now = self.now;
        match op {
            Op::Passes(ms) => self.now = now.after(Duration::from_millis(ms)),
            Op::Acts => self.in_flight = self.state.next_action(now).or(self.in_flight.take()),
            Op::TakesTicket => self.tickets.push(self.state.ticket(now)),
            Op::Reply(kind, at, seq) => {
                let reply = self.reply(kind, at, seq);
                self.in_flight = None;
                self.state.on_event(Event::Done(reply), now);
            }
            Op::Notice(kind, at, previous) => {
                self.state.on_event(Event::Notice(notice(kind, at, previous)), now)
            }
            Op::LookedUp(n, at) => self.state.on_event(Event::LookedUp(self.ticket(n), at), now),
            Op::Issued(n, which, more) => {
                let ticket = self.ticket(n);
                let issued = self.issued(ticket.highest, more);
                self.state.on_event(Event::Issued(ticket, vec![ident(which)], issued), now);
            }
            Op::Unconfirmed(which) => self.state.on_event(Event::Unconfirmed(vec![ident(which)]), now),
        }
    }

    /// L2 keeps the one promise that no instance can do without: a number exceeds what was asked for.
    fn issued(&self, at_least: Seq, more: u64) -> Issued {
        let incarnation = self.state.incarnation().unwrap_or(Incarnation([1; 16]));
        let seq = at_least + more;
        Issued { position: Position { incarnation, seq }, previous: seq - 1, last: seq - 1 }
    }

    fn reply(&self, kind: u8, at: Position, seq: Seq) -> Reply {
        match (kind, &self.in_flight) {
            (0, _) => Reply::Failed,
            (1, _) => Reply::Polled(None),
            (_, Some(Action::Poll)) => Reply::Polled(Some(at)),
            (_, Some(Action::CatchUp(_))) | (2, _) => {
                let idents = vec![(ident(kind % 3), at.seq)];
                Reply::Page(Page { position: at, floor: seq, upto: at.seq.saturating_sub(1), idents })
            }
            (_, Some(Action::Audit(asked))) => {
                let seqs = asked.iter().map(|(_, last)| (*last > seq).then_some(*last)).collect();
                Reply::Scores(Scores { position: at, floor: seq, seqs, shapes: vec![] })
            }
            (_, Some(Action::Reissue(_, at_least))) => Reply::Issued(self.issued(*at_least, 1 + seq)),
            _ => Reply::Opened(at),
        }
    }
}

fn notice(kind: u8, at: Position, previous: Seq) -> Notice {
    match kind {
        0 => Notice::Subscribed,
        1 => Notice::Lost,
        2 => Notice::Lagged,
        3 => Notice::Malformed,
        _ => Notice::Message(Message {
            incarnation: at.incarnation,
            seq: at.seq,
            previous,
            idents: vec![ident(kind % 3)],
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_epoch_never_falls_and_whoever_waits_is_woken(ops in vec(any_op(), 1..60)) {
        let mut run = Run::new();
        let mut epoch = 0;
        for op in ops {
            run.apply(op);
            prop_assert!(run.state.epoch >= epoch);
            epoch = run.state.epoch;
            prop_assert!(run.state.epoch_floor <= epoch && run.state.floor <= run.state.applied.max(run.state.highest));
            let mut asked = run.state.clone();
            let deadline = asked.deadline();
            if asked.in_flight.is_some() {
                prop_assert_eq!(asked.next_action(run.now), None);
                prop_assert_eq!(deadline, Moment::NEVER);
            } else if asked.next_action(run.now).is_some() {
                prop_assert!(deadline <= run.now, "a wake-up is lost");
            } else {
                prop_assert!(asked.deadline() > run.now, "a busy loop");
                prop_assert!(asked.deadline() < Moment::NEVER, "nobody asks again");
            }
        }
    }

    #[test]
    fn an_entry_that_is_dead_stays_dead(ops in vec(any_op(), 1..60)) {
        let mut run = Run::new();
        let mut held: Vec<(Stamp, Ident)> = Vec::new();
        let mut dead: Vec<(Stamp, Ident)> = Vec::new();
        for op in ops {
            let fills = matches!(op, Op::TakesTicket);
            run.apply(op);
            if fills {
                held.extend((0..3).map(|n| (run.state.local_stamp(), ident(n))));
            }
            for (stamp, other) in &dead {
                prop_assert!(!run.state.admits(*stamp, &[ident(0), *other]), "{stamp:?} came back to life");
            }
            let (alive, died) = held.into_iter().partition(|(stamp, other)| run.state.admits(*stamp, &[ident(0), *other]));
            held = alive;
            dead.extend::<Vec<_>>(died);
        }
    }
}
