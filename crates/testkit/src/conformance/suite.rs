//! The cases, one after the other.

use std::time::Duration;

use forebay_core::l2::L2;

use super::bus::{
    both_links_see_the_position, every_subscriber_hears_every_message,
    every_subscriber_hears_the_whole_chain, the_roll_knows_who_is_behind_and_tells_them,
};
use super::frames::{
    a_frame_comes_back_as_it_was_stored, a_frame_goes_when_its_time_is_up,
    a_lookup_never_sees_a_frame_without_its_position, a_store_that_must_be_refused_changes_nothing,
    an_unopened_namespace_has_no_position, opening_is_idempotent_and_shared,
};
use super::holds::{
    a_hold_that_runs_out_ends_with_an_invalidation, more_holds_than_fit_are_refused,
    what_is_held_is_out_until_its_holds_end,
};
use super::leases::{
    a_claim_after_a_position_overrules_what_was_claimed_before_it,
    a_claim_finds_what_was_stored_before_the_release, a_fill_lease_belongs_to_one_claim_at_a_time,
    a_fill_lease_runs_out_unless_it_is_renewed, a_lease_that_is_waived_holds_nobody_up_for_a_while,
    the_end_of_a_lease_that_is_waited_for_is_told_and_no_other,
};
use super::log::{
    TINY_LOG, a_cut_log_raises_its_floor, an_invalidation_tells_of_the_last_before_it,
    more_shapes_than_fit_raise_the_floor, no_ident_moves_only_the_position,
    numbers_are_above_what_the_issuer_has_seen, numbers_grow_whoever_issues_them,
    pages_of_the_log_are_complete, scores_are_in_the_order_of_the_question,
    the_shapes_of_patterns_are_told_with_the_scores,
};

/// Runs every case, each over two clients of a namespace of its own. `make` gets the most idents that the namespace's
/// log may keep.
///
/// # Panics
/// When a promise is broken, or a case has not ended after 30 s.
pub async fn conformance<L: L2>(make: impl AsyncFn(usize) -> [L; 2]) {
    conformance_but_for_order(&make).await;
    let [a, b] = make(ROOMY).await;
    let hears = every_subscriber_hears_the_whole_chain(&a, &b);
    tokio::time::timeout(LIMIT, Box::pin(hears)).await.expect("the order of the chain hangs");
}

/// The same for an L2 on whose bus messages of two issuers may overtake each other: that costs whoever hears them a look into the
/// log, and no promise.
///
/// # Panics
/// When a promise is broken, or a case has not ended after 30 s.
pub async fn conformance_but_for_order<L: L2>(make: impl AsyncFn(usize) -> [L; 2]) {
    macro_rules! run {
        ($log:expr => $($case:ident)+) => {
            $({
                let [a, b] = make($log).await;
                let case = concat!("the case `", stringify!($case), "` hangs");
                tokio::time::timeout(LIMIT, Box::pin($case(&a, &b))).await.expect(case);
            })+
        };
    }
    run! { ROOMY =>
        an_unopened_namespace_has_no_position
        opening_is_idempotent_and_shared
        a_frame_comes_back_as_it_was_stored
        a_frame_goes_when_its_time_is_up
        a_lookup_never_sees_a_frame_without_its_position
        a_store_that_must_be_refused_changes_nothing
        numbers_grow_whoever_issues_them
        numbers_are_above_what_the_issuer_has_seen
        an_invalidation_tells_of_the_last_before_it
        every_subscriber_hears_every_message
        no_ident_moves_only_the_position
        pages_of_the_log_are_complete
        scores_are_in_the_order_of_the_question
        both_links_see_the_position
        the_roll_knows_who_is_behind_and_tells_them
        the_shapes_of_patterns_are_told_with_the_scores
        more_shapes_than_fit_raise_the_floor
        what_is_held_is_out_until_its_holds_end
        a_hold_that_runs_out_ends_with_an_invalidation
        more_holds_than_fit_are_refused
        a_fill_lease_belongs_to_one_claim_at_a_time
        a_fill_lease_runs_out_unless_it_is_renewed
        a_claim_finds_what_was_stored_before_the_release
        the_end_of_a_lease_that_is_waited_for_is_told_and_no_other
        a_lease_that_is_waived_holds_nobody_up_for_a_while
        a_claim_after_a_position_overrules_what_was_claimed_before_it
    }
    run! { TINY_LOG => a_cut_log_raises_its_floor }
}

/// No case takes a second; this only ends one that waits for what never comes.
const LIMIT: Duration = Duration::from_secs(30);

const ROOMY: usize = 100_000;
