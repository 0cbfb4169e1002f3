//! The bus with faults: messages that are lost, come twice or come late.

use std::time::Duration;

use forebay_core::l2::{Notice, Notices};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::SendError;
use tokio::time::sleep;

use super::switch::{Chaos, Way};

/// Hands on what comes from the L2 until one of the two ends is gone. Only messages suffer: that a subscription was lost or
/// renewed is always told, since every L2 promises that.
pub(super) async fn forward(mut from: Notices, to: Sender<Notice>, chaos: Chaos) {
    let mut late = Vec::new();
    loop {
        let notice = tokio::select! {
            biased;
            () = to.closed() => return,
            notice = from.recv() => match notice {
                Some(notice) => notice,
                None => return,
            },
            () = sleep(LATEST), if !late.is_empty() => {
                if hand_on(&to, &mut late).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let mut next = match &notice {
            Notice::Message(_) | Notice::Released(_) => match chaos.way() {
                Way::Pass => vec![notice],
                Way::Lost => continue,
                Way::Twice => vec![notice.clone(), notice],
                Way::Late => {
                    late.push(notice);
                    continue;
                }
            },
            _ => vec![notice],
        };
        next.append(&mut late);
        if hand_on(&to, &mut next).await.is_err() {
            return;
        }
    }
}

/// Waits for room where there is none: the L2 behind notices that its queue is full, and says so.
async fn hand_on(to: &Sender<Notice>, notices: &mut Vec<Notice>) -> Result<(), SendError<Notice>> {
    for notice in notices.drain(..) {
        to.send(notice).await?;
    }
    Ok(())
}

/// How long a late message waits for one to be behind.
const LATEST: Duration = Duration::from_secs(1);
