//! The published caches, each as its own documentation sets it up for memory.
//!
//! Only what the documentation leaves to the user is chosen here: a lifetime of an hour and room for as many entries as
//! every other subject has.

mod answered;
mod axum_response_cache;
mod hitbox;
mod http_cache;
mod tower_http_cache;

use std::time::Duration;

use crate::subjects::Subject;

pub(super) fn all() -> Vec<Box<dyn Subject>> {
    vec![
        Box::new(axum_response_cache::AxumResponseCache),
        Box::new(tower_http_cache::TowerHttpCache),
        Box::new(hitbox::Bincode),
        Box::new(http_cache::HttpCache),
        Box::new(hitbox::Json),
    ]
}

const LIFETIME: Duration = Duration::from_secs(3600);
