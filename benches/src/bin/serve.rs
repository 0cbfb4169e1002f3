//! Serves the origin behind one subject, on one thread and a free port, until it is killed.
//!
//! ```text
//! cargo run --release -p benches --features peers --bin serve -- floor
//! ```
//!
//! Prints the port. The paths are `/articles/{id}` (fresh for an hour) and `/drafts/{id}` (no freshness).

use std::process::ExitCode;

use benches::origin::Origin;
use benches::runner::runtime;
use benches::subjects;
use tokio::net::TcpListener;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match serve(&name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(name: &str) -> Result<(), String> {
    let runtime = runtime();
    let subjects = subjects::all();
    let subject = subjects.iter().find(|subject| subject.name() == name).ok_or_else(|| {
        let names: Vec<_> = subjects.iter().map(|subject| subject.name()).collect();
        format!("no subject is called {name:?}; there are: {}", names.join(" | "))
    })?;
    let app = subject
        .router(&runtime, Origin::new().app())
        .ok_or_else(|| format!("{name} has no layer for axum"))?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", listener.local_addr()?.port());
        axum::serve(listener, app).await
    });
    served.map_err(|error| format!("{name} cannot serve: {error}"))
}
