//! What every L2 must do, checked over any implementation.
//!
//! [`conformance`] runs the suite; each case is a function of its own and may be run alone. A case takes two clients of
//! one fresh namespace and panics with a sentence that says which promise is broken.
//!
//! ```
//! use forebay_testkit::conformance::conformance;
//! use forebay_testkit::memory::{MemoryServer, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance(async |max_log| {
//!     let server = MemoryServer::with_settings(Settings { max_log, ..Settings::default() });
//!     [server.client(), server.client()]
//! })
//! .await;
//! # }
//! ```

mod support;
mod frames;
mod log;
mod bus;
mod holds;
mod leases;
mod suite;

pub use self::bus::{
    both_links_see_the_position, every_subscriber_hears_every_message,
    every_subscriber_hears_the_whole_chain, the_roll_knows_who_is_behind_and_tells_them,
};
pub use self::frames::{
    a_frame_comes_back_as_it_was_stored, a_frame_goes_when_its_time_is_up,
    a_lookup_never_sees_a_frame_without_its_position, a_store_that_must_be_refused_changes_nothing,
    an_unopened_namespace_has_no_position, opening_is_idempotent_and_shared,
};
pub use self::holds::{
    a_hold_that_runs_out_ends_with_an_invalidation, more_holds_than_fit_are_refused,
    what_is_held_is_out_until_its_holds_end,
};
pub use self::leases::{
    a_claim_after_a_position_overrules_what_was_claimed_before_it,
    a_claim_finds_what_was_stored_before_the_release, a_fill_lease_belongs_to_one_claim_at_a_time,
    a_fill_lease_runs_out_unless_it_is_renewed, a_lease_that_is_waived_holds_nobody_up_for_a_while,
    the_end_of_a_lease_that_is_waited_for_is_told_and_no_other,
};
pub use self::log::{
    TINY_LOG, a_cut_log_raises_its_floor, an_invalidation_tells_of_the_last_before_it,
    more_shapes_than_fit_raise_the_floor, no_ident_moves_only_the_position,
    numbers_are_above_what_the_issuer_has_seen, numbers_grow_whoever_issues_them,
    pages_of_the_log_are_complete, scores_are_in_the_order_of_the_question,
    the_shapes_of_patterns_are_told_with_the_scores,
};
pub use self::suite::{conformance, conformance_but_for_order};
