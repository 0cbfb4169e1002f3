//! What a fingerprint is written with: numbers that are compared stand for their order alone.

use super::print::Print;
use super::world::Node;
use crate::entry::{Seq, Stamp};
use crate::l2::{Issued, Position};
use crate::tag::Ident;
use crate::time::Moment;

impl Print {
    pub(super) fn rank_seqs(&mut self) {
        let mut there = [false; 256];
        there[0] = true;
        self.seqs.iter().for_each(|at| there[usize::from(self.bytes[*at])] = true);
        let mut ranks = [0; 256];
        let mut next = 0;
        for (seq, rank) in ranks.iter_mut().enumerate() {
            *rank = next;
            next += u8::from(there[seq]);
        }
        self.seqs.iter().for_each(|at| self.bytes[*at] = ranks[usize::from(self.bytes[*at])]);
    }

    pub(super) fn num(&mut self, n: u64) {
        assert!(n < 254 || n == u64::MAX, "a number too large for a fingerprint: {n}");
        self.bytes.push(if n == u64::MAX { 254 } else { n as u8 });
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.bytes.push(u8::from(flag));
    }

    pub(super) fn text(&mut self, text: Option<&str>) {
        self.bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
    }

    pub(super) fn moment(&mut self, moment: Moment) {
        self.num(moment.as_nanos());
    }

    pub(super) fn seq(&mut self, seq: Seq) {
        self.seqs.push(self.bytes.len());
        self.num(seq);
    }

    pub(super) fn epoch(&mut self, epoch: u64) {
        let below = self.bounds.iter().filter(|bound| **bound <= epoch).count();
        self.num(below as u64);
    }

    pub(super) fn stamp(&mut self, stamp: Stamp) {
        self.seq(stamp.seq);
        self.epoch(stamp.epoch);
    }

    pub(super) fn ident(&mut self, ident: Ident) {
        self.bytes.push(ident.as_bytes()[0]);
    }

    pub(super) fn position(&mut self, position: Position) {
        self.bytes.push(position.incarnation.0[0]);
        self.seq(position.seq);
    }

    pub(super) fn issued(&mut self, issued: Issued) {
        self.position(issued.position);
        self.seq(issued.previous);
    }

    pub(super) fn bound(&mut self, node: &Node) {
        self.bounds.clear();
        self.bounds.push(node.state.epoch_floor);
        self.bounds.extend(node.state.pending.iter().map(|(_, epoch)| epoch));
        self.bounds.sort_unstable();
        self.bounds.dedup();
    }
}
