//! Instructions and allocations an operation, counted under valgrind.
//!
//! ```text
//! cargo run --release -p benches --features peers --bin instructions            # hit and router
//! cargo run --release -p benches --bin instructions -- bypass miss --only floor
//! ```
//!
//! The parts that can be counted are `hit`, `router`, `bypass`, `bypass-options`, `bypass-get`, `miss`, `l2`, whose first row
//! is not `bare` but fred's GET, `policy`, and `invalidated`, a hit after invalidations of something else. Two runs differ by less than one in a hundred; what remains are the random
//! seeds of hash maps.

use std::process::ExitCode;

use benches::arguments::Arguments;
use benches::callgrind::{self, Counts};
use benches::suites::{CASES, Exchange, Invalidated, Options, judgements};
use benches::table::{Table, grouped};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some(CHILD) => child(&arguments.collect::<Vec<_>>()),
        _ => Arguments::read(std::env::args().skip(1)).and_then(|arguments| parent(&arguments)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn parent(arguments: &Arguments) -> Result<(), String> {
    let names: Vec<&str> = match arguments.words.as_slice() {
        [] => vec!["hit", "router"],
        words => words.iter().map(String::as_str).collect(),
    };
    for name in names {
        if name == POLICY {
            println!("{}", policy(&arguments.options)?);
            continue;
        }
        if name == INVALIDATED {
            println!("{}", invalidated()?);
            continue;
        }
        let suite = Exchange::named(name).ok_or_else(|| format!("{name} cannot be counted"))?;
        println!("{}", table(&suite, &arguments.options)?);
    }
    Ok(())
}

fn table(suite: &Exchange, options: &Options) -> Result<Table, String> {
    let head = ["", "instructions", "to bare", "to floor", "in the allocator", "allocations"];
    let mut table = Table::new(format!("{}: instructions and allocations an operation", suite.name), &head);
    let (mut bare, mut floor) = (None, None);
    for prepared in suite.prepare(options)? {
        let counts = count(suite.name, prepared.name)?;
        let bare = *bare.get_or_insert(counts.instructions);
        if prepared.name == "floor" {
            floor = Some(counts.instructions);
        }
        table.row(vec![
            prepared.name.to_owned(),
            grouped(counts.instructions),
            format!("{:.2}", counts.instructions / bare),
            floor.map_or_else(String::new, |floor| format!("{:.2}", counts.instructions / floor)),
            grouped(counts.in_allocator),
            format!("{:.1}", counts.allocations),
        ]);
    }
    Ok(table)
}

fn policy(options: &Options) -> Result<Table, String> {
    let title = "policy: instructions and allocations a judgement";
    let mut table = Table::new(title, &["", "instructions", "allocations"]);
    for judgement in judgements().iter().filter(|judgement| options.wants(judgement.name)) {
        let counts = count(POLICY, judgement.name)?;
        table.row(vec![
            judgement.name.to_owned(),
            grouped(counts.instructions),
            format!("{:.1}", counts.allocations),
        ]);
    }
    Ok(table)
}

fn invalidated() -> Result<Table, String> {
    let title = "invalidated: instructions and allocations a hit, by what was invalidated before";
    let mut table = Table::new(title, &["", "instructions", "in the allocator", "allocations"]);
    for (name, ..) in CASES {
        let counts = count(INVALIDATED, name)?;
        table.row(vec![
            name.to_owned(),
            grouped(counts.instructions),
            grouped(counts.in_allocator),
            format!("{:.1}", counts.allocations),
        ]);
    }
    Ok(table)
}

fn count(suite: &str, subject: &str) -> Result<Counts, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program has no path: {error}"))?;
    callgrind::count(&program, &[CHILD, suite, subject], OPS)
}

/// What runs under valgrind.
fn child(arguments: &[String]) -> Result<(), String> {
    let [suite, subject, ops] = arguments else { return Err(format!("{CHILD} is not for people")) };
    let ops = ops.parse().map_err(|_| "no such number")?;
    if suite == POLICY {
        let mut all = judgements();
        let judgement = all.iter_mut().find(|own| own.name == subject).ok_or("no such judgement")?;
        callgrind::measured(|times| judgement.repeat(times), ops);
        return Ok(());
    }
    if suite == INVALIDATED {
        let mut prepared = Invalidated::named(subject, 2 * OPS).ok_or("no such case")?;
        callgrind::measured(|times| prepared.hit(times), ops);
        return Ok(());
    }
    let suite = Exchange::named(suite).ok_or("no such suite")?;
    let options = Options { only: vec![subject.clone()], ..Options::default() };
    let mut all = suite.prepare(&options)?;
    let prepared = all.iter_mut().find(|prepared| prepared.name == subject).ok_or("no such subject")?;
    prepared.exchange(WARM);
    callgrind::measured(|times| prepared.exchange(times), ops);
    Ok(())
}

const POLICY: &str = "policy";
const INVALIDATED: &str = "invalidated";
const CHILD: &str = "--under-valgrind";
const WARM: u32 = 200;
const OPS: u32 = 400;
