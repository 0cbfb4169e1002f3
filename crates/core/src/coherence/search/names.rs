//! What the idents of the search are called.

use std::sync::LazyLock;

use crate::key::{KeyEncoder, PATH, Secrets};
use crate::l2::Incarnation;
use crate::tag::{Ident, Pattern, Targets};

/// The namespace's ident, which the one entry carries.
pub(super) const NS: usize = 0;
/// The entry's own ident.
pub(super) const X: usize = 1;
/// The ident of something else.
pub(super) const Y: usize = 2;
/// Under which the entry's own ident is softly invalidated.
pub(super) const SOFT_X: usize = 3;
/// A pattern that covers the entry's path.
pub(super) const PATTERN: usize = 4;
/// How many idents the log may have.
pub(super) const IDENTS: usize = 5;
/// What the one entry answers to.
pub(super) const ENTRY: [Ident; 2] = [plain(NS), plain(X)];
/// Whatever ends the entry, or its freshness.
pub(super) const ANY: [usize; 4] = [NS, X, SOFT_X, PATTERN];
/// The entry's key.
pub(super) static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut key = KeyEncoder::new();
    key.field(PATH, b"/articles/1").unwrap_or_else(|_| unreachable!("it is short"));
    key.bytes().to_vec()
});
/// The ident of the pattern.
pub(super) static COVERS: LazyLock<Ident> = LazyLock::new(|| {
    let named = Pattern("/articles/*").idents(&secrets());
    named.unwrap_or_else(|_| unreachable!("it is a pattern"))[0]
});

pub(super) fn ident(n: usize) -> Ident {
    match n {
        SOFT_X => plain(X).soft(),
        PATTERN => *COVERS,
        n => plain(n),
    }
}

const fn plain(n: usize) -> Ident {
    Ident::from_bytes([n as u8; 16])
}

pub(super) fn secrets() -> Secrets {
    Secrets::new("search", None)
}

pub(super) fn number(asked: Ident) -> Option<usize> {
    (0..IDENTS).find(|n| ident(*n) == asked)
}

pub(super) fn incarnation(n: u8) -> Incarnation {
    Incarnation([n; 16])
}
