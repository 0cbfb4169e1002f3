//! The admin API of an instance.

use std::io;

use forebay_testkit::http::{Answer, Client};

/// Reads one of its resources.
pub(crate) async fn ask(client: &mut Client, path: &str) -> io::Result<Answer> {
    client.send("GET", path, &[("authorization", BEARER)], None).await
}

/// Gives an order to invalidate, in JSON.
pub(crate) async fn order(client: &mut Client, json: &str) -> io::Result<Answer> {
    let fields = [("authorization", BEARER), ("content-type", "application/json")];
    client.send("POST", "/invalidate", &fields, Some(json)).await
}

/// What the admin APIs of all instances ask for.
pub(crate) const TOKEN: &str = "the-token-of-the-fault-suite-0123456789";
const BEARER: &str = "Bearer the-token-of-the-fault-suite-0123456789";
