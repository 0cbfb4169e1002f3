//! An exhaustive search over the production state machine.
//!
//! Two instances run [`State`](super::State) as it is; around them stands an abstract L2 that keeps what
//! [`l2`](crate::l2) promises, a bus, an origin with one entry, and everything that can go wrong, each so many times
//! as a [`Scenario`] allows. A breadth-first search visits every state that can be reached and checks the guarantees at
//! every serve; a violation prints the shortest way to it.
//!
//! ```text
//! cargo test -p forebay-core --lib coherence::search              # the bounds of every test run
//! FOREBAY_SEARCH=large cargo test -p forebay-core --lib every_guarantee_holds_while -- \
//!     --skip takes_over --nocapture --test-threads 1              # 16 million states in two minutes
//! ```

mod disk;
mod fill;
mod marks;
mod model;
mod mutants;
mod names;
mod node;
mod print;
mod scenario;
mod scenarios;
mod settle;
mod world;

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::hash::{BuildHasherDefault, Hasher};

use self::model::{Step, Violation, inspect, successors};
use self::print::Print;
use self::scenario::Scenario;
use self::settle::settles;
use self::world::World;

/// A guarantee that can be broken, and the shortest way there.
struct Broken {
    violation: Violation,
    way: Vec<Step>,
}

/// What a search found.
struct Outcome {
    states: usize,
    broken: Option<Broken>,
}

impl Outcome {
    fn describe(&self, scenario: &Scenario) -> String {
        let mut text = format!("{}: {} states", scenario.name, self.states);
        if let Some(Broken { violation, way }) = &self.broken {
            let _infallible = write!(text, ", {violation} broken after {} steps", way.len());
            for step in way {
                let _infallible = write!(text, "\n    {step:?}");
            }
        }
        text
    }
}

/// Visits every state of `scenario`, or as many as it takes to break a guarantee.
fn search(scenario: &Scenario) -> Outcome {
    let mut found = Visited::default();
    let mut print = Print::default();
    let mut queue = VecDeque::new();
    let start = World::new(scenario);
    found.add(print.of(&start, scenario), 0, Step::Tick);
    queue.push_back((0, start));
    let mut next = Vec::new();
    while let Some((at, world)) = queue.pop_front() {
        if let Err(violation) = inspect(&world, scenario) {
            return found.broken(at, None, violation);
        }
        if at % SETTLE_EVERY == 0
            && let Err(violation) = settles(world.clone(), scenario)
        {
            return found.broken(at, None, violation);
        }
        if let Err((step, violation)) = successors(&world, scenario, &mut next) {
            return found.broken(at, Some(step), violation);
        }
        for (step, world) in next.drain(..) {
            if let Some(new) = found.add(print.of(&world, scenario), at, step) {
                queue.push_back((new, world));
            }
        }
    }
    Outcome { states: found.ways.len(), broken: None }
}

/// The states seen, and how each was reached first.
#[derive(Default)]
struct Visited {
    seen: HashMap<u128, (), BuildHasherDefault<TakeHalf>>,
    ways: Vec<(u32, Step)>,
}

impl Visited {
    fn add(&mut self, fingerprint: u128, from: u32, step: Step) -> Option<u32> {
        let new = self.seen.insert(fingerprint, ()).is_none();
        new.then(|| {
            self.ways.push((from, step));
            (self.ways.len() - 1) as u32
        })
    }

    fn broken(&self, at: u32, last: Option<Step>, violation: Violation) -> Outcome {
        let mut way: Vec<Step> = last.into_iter().collect();
        let mut at = at;
        while at != 0 {
            let (from, step) = self.ways[at as usize];
            way.push(step);
            at = from;
        }
        way.reverse();
        Outcome { states: self.ways.len(), broken: Some(Broken { violation, way }) }
    }
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct TakeHalf(u64);

impl Hasher for TakeHalf {
    fn write(&mut self, bytes: &[u8]) {
        let mut half = [0; 8];
        half.copy_from_slice(&bytes[..8]);
        self.0 = u64::from_le_bytes(half);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One state in so many is followed until everybody is in sync again.
const SETTLE_EVERY: u32 = 16;
