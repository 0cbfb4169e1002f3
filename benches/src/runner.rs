//! Measures contestants in turns.
//!
//! Every contestant is warmed up and given as many operations a turn as fill the turn's time. Then come the rounds; in
//! each round every contestant has one turn, and each round starts one contestant further, so that a slow second of the
//! machine does not fall on the same row every time. A row's figure is the median of its turns; its ratio to another row
//! is the median over the rounds of its own turn against the other's in the same round.
//!
//! ```
//! use std::time::Duration;
//! use benches::runner::{Contestant, Plan, measure};
//!
//! let work = |name| Contestant::new(name, |ops| (0..ops).for_each(|op| { std::hint::black_box(op); }));
//! let plan = Plan { rounds: 3, turn: Duration::from_millis(1) };
//! let rows = measure(&plan, vec![work("one"), work("the same again")]);
//! assert_eq!(rows[0].ratio_to(&rows[0]), 1.0);
//! ```

use std::fmt::{self, Debug};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// How long to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Turns each contestant gets.
    pub rounds: usize,
    /// How long a turn takes.
    pub turn: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self { rounds: 7, turn: Duration::from_millis(150) }
    }
}

/// Something that does a number of operations on demand.
pub struct Contestant {
    name: String,
    run: Box<dyn FnMut(u32)>,
    origin_calls: Box<dyn Fn() -> u64>,
}

impl Contestant {
    /// A contestant whose `run` does as many operations as it is asked for.
    pub fn new(name: impl Into<String>, run: impl FnMut(u32) + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run), origin_calls: Box::new(|| 0) }
    }

    /// Counts the origin's calls beside the time.
    #[must_use]
    pub fn counting(mut self, origin_calls: impl Fn() -> u64 + 'static) -> Self {
        self.origin_calls = Box::new(origin_calls);
        self
    }

    fn time(&mut self, ops: u32) -> f64 {
        let start = now();
        (self.run)(ops);
        start.elapsed().as_secs_f64() * 1e9 / f64::from(ops)
    }

    /// Runs for about a turn and returns how many operations fill one.
    fn warm(&mut self, turn: Duration) -> u32 {
        let mut ops = 16;
        loop {
            let needed = self.time(ops) * f64::from(ops);
            let factor = turn.as_secs_f64() * 1e9 / needed;
            if factor < 2.0 {
                return ((f64::from(ops) * factor) as u32).max(1);
            }
            ops = (f64::from(ops) * factor.min(8.0)) as u32;
        }
    }
}

impl Debug for Contestant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Contestant").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What came out for one contestant.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Calls of the origin for each operation.
    pub origin_calls: f64,
    turns: Vec<f64>,
}

impl Measured {
    /// Nanoseconds an operation, the median of all turns.
    pub fn ns(&self) -> f64 {
        quantile(self.turns.clone(), 0.5)
    }

    /// Time against that of another row, the median over the rounds.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        quantile(self.turns.iter().zip(&other.turns).map(|(own, others)| own / others).collect(), 0.5)
    }

    /// How far the middle half of the turns is spread, as a share of the median.
    pub fn spread(&self) -> f64 {
        (quantile(self.turns.clone(), 0.75) - quantile(self.turns.clone(), 0.25)) / self.ns()
    }
}

/// Measures all contestants in turns.
pub fn measure(plan: &Plan, mut contestants: Vec<Contestant>) -> Vec<Measured> {
    let ops: Vec<u32> = contestants.iter_mut().map(|contestant| contestant.warm(plan.turn)).collect();
    let before: Vec<u64> = contestants.iter().map(|contestant| (contestant.origin_calls)()).collect();
    let mut turns = vec![Vec::with_capacity(plan.rounds); contestants.len()];
    for round in 0..plan.rounds {
        for place in 0..contestants.len() {
            let index = (place + round) % contestants.len();
            turns[index].push(contestants[index].time(ops[index]));
        }
    }
    let rows = contestants.into_iter().zip(turns).zip(ops.into_iter().zip(before));
    rows.map(|((contestant, turns), (ops, before))| {
        let calls = (contestant.origin_calls)() - before;
        let origin_calls = calls as f64 / (plan.rounds as f64 * f64::from(ops));
        Measured { name: contestant.name, origin_calls, turns }
    })
    .collect()
}

/// A runtime on the calling thread, as every suite but `stampede` uses one.
///
/// # Panics
///
/// When the operating system refuses a runtime.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be built")
}

/// The value below which the share `part` of `values` lies.
///
/// # Panics
///
/// When there are no values.
pub fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = part * (values.len() - 1) as f64;
    let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

/// The only place where a benchmark reads the clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        assert_eq!(quantile(vec![3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(vec![1.0, 2.0], 0.5), 1.5);
        assert_eq!(quantile(vec![1.0, 2.0, 3.0, 4.0, 5.0], 0.25), 2.0);
    }

    #[test]
    fn each_round_starts_one_contestant_further() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let contestant = |name: &'static str| {
            let order = order.clone();
            Contestant::new(name, move |_| {
                let start = now();
                while start.elapsed() < Duration::from_micros(20) {}
                order.borrow_mut().push(name);
            })
        };
        let plan = Plan { rounds: 3, turn: Duration::from_micros(10) };
        measure(&plan, vec![contestant("a"), contestant("b"), contestant("c")]);
        let order = order.borrow();
        assert_eq!(order[order.len() - 9..], ["a", "b", "c", "b", "c", "a", "c", "a", "b"]);
    }

    #[test]
    fn origin_calls_are_counted_for_the_turns_alone() {
        let calls = Rc::new(RefCell::new(0));
        let (counter, counted) = (calls.clone(), calls.clone());
        let contestant = Contestant::new("two an operation", move |ops| {
            *counter.borrow_mut() += u64::from(ops) * 2;
            std::hint::black_box(&counter);
        });
        let plan = Plan { rounds: 2, turn: Duration::from_micros(50) };
        let rows = measure(&plan, vec![contestant.counting(move || *counted.borrow())]);
        assert_eq!(rows[0].origin_calls, 2.0);
    }
}
