//! Import direction: a module may name only modules that stand above it in its crate's `lib.rs`, and in a folder only those that
//! stand above it in the folder's `mod.rs`. That order is total, so there are no cycles either. Test code may look anywhere.

use std::collections::HashMap;

use crate::files::File;
use crate::source::{Production, Token, closing, production};

/// Every import in this crate that points downward, as `path:line: what is wrong`.
pub(crate) fn violations(files: &[File]) -> Vec<String> {
    let Some(root) = files.iter().find(|file| file.path == "lib.rs" || file.path == "main.rs") else {
        return vec!["no lib.rs and no main.rs".to_owned()];
    };
    let order = Order::read(&production(&root.text).tokens);
    let parsed: Vec<(&File, Production<'_>)> =
        files.iter().map(|file| (file, production(&file.text))).collect();
    let test_modules: Vec<Vec<&str>> =
        parsed.iter().flat_map(|(file, code)| test_modules(file, code)).collect();
    let mut out = Vec::new();
    for (file, code) in &parsed {
        let module = module_path(&file.path);
        let Some(own) = module.first().and_then(|top| order.position(top)) else { continue };
        if is_test(&test_modules, &module) {
            continue;
        }
        for path in Paths::of(module, &code.tokens) {
            if let Some(problem) = order.judge(own, &path.segments) {
                out.push(format!("{}:{}: {problem}", file.path, path.line));
            }
        }
    }
    for (folder, code) in parsed.iter().filter(|(file, _)| file.path.ends_with("/mod.rs")) {
        let folder = Folder { path: module_path(&folder.path), order: Order::read(&code.tokens) };
        let inside = parsed.iter().filter(|(file, _)| !is_test(&test_modules, &module_path(&file.path)));
        out.extend(inside.flat_map(|(file, code)| folder.violations(file, code)));
    }
    out
}

fn is_test(test_modules: &[Vec<&str>], module: &[&str]) -> bool {
    test_modules.iter().any(|test| module.starts_with(test))
}

/// A module with files of its own.
struct Folder<'a> {
    path: Vec<&'a str>,
    order: Order<'a>,
}

impl Folder<'_> {
    fn violations(&self, file: &File, code: &Production<'_>) -> Vec<String> {
        let depth = self.path.len();
        let module = module_path(&file.path);
        let own = module.get(depth).filter(|_| module.starts_with(&self.path));
        let Some((own, at)) = own.and_then(|own| Some((own, self.order.position(own)?))) else {
            return vec![];
        };
        let paths = Paths::all(module.clone(), &code.tokens);
        let inside = paths.iter().filter(|path| path.segments.starts_with(&self.path));
        let below = inside.filter_map(|path| {
            let name = path.segments.get(depth)?;
            let below = self.order.position(name)? > at;
            below.then(|| {
                format!("{}:{}: `{own}` imports `{name}`, which stands below it", file.path, path.line)
            })
        });
        below.collect()
    }
}

/// The modules of `lib.rs` from top to bottom, and where the names that it re-exports come from.
struct Order<'a> {
    modules: Vec<&'a str>,
    re_exports: HashMap<&'a str, &'a str>,
}

impl<'a> Order<'a> {
    fn read(root: &[Token<'a>]) -> Self {
        let is_declaration =
            |window: &&[Token<'a>]| window[0].text == "mod" && matches!(window[2].text, ";" | "{");
        let modules: Vec<&str> =
            root.windows(3).filter(is_declaration).map(|window| window[1].text).collect();
        let mut re_exports = HashMap::new();
        for at in (0..root.len()).filter(|&at| root[at].text == "use") {
            for path in Paths::tree(root, at + 1, vec![]) {
                let path = path.segments;
                if let [first, .., last] = path[..] {
                    re_exports.insert(last, first);
                }
            }
        }
        Self { modules, re_exports }
    }

    fn position(&self, module: &str) -> Option<usize> {
        self.modules.iter().position(|name| *name == module)
    }

    fn judge(&self, own: usize, path: &[&str]) -> Option<String> {
        let own_name = self.modules[own];
        let Some(&first) = path.first() else {
            return Some(format!("`{own_name}` imports the whole crate root; name what it needs"));
        };
        let module = if self.position(first).is_some() { first } else { self.re_exports.get(first)? };
        let imported = self.position(module)?;
        (imported > own)
            .then(|| format!("`{own_name}` imports `{}`, but `{module}` stands below it", path.join("::")))
    }
}

/// A path from the crate's root, and the line it was named on.
struct Path<'a> {
    segments: Vec<&'a str>,
    line: usize,
}

/// Reads the paths that begin with `crate` or `super`.
struct Paths<'t, 'a> {
    tokens: &'t [Token<'a>],
    found: Vec<Path<'a>>,
}

impl<'t, 'a> Paths<'t, 'a> {
    /// All such paths in a file of this module that lead out of it, those inside inline modules too.
    fn of(module: Vec<&'a str>, tokens: &'t [Token<'a>]) -> Vec<Path<'a>> {
        let mut paths = Self::all(module.clone(), tokens);
        paths.retain(|path| path.segments.len() < 2 || path.segments[0] != module[0]);
        paths
    }

    /// All such paths.
    fn all(module: Vec<&'a str>, tokens: &'t [Token<'a>]) -> Vec<Path<'a>> {
        let mut paths = Self { tokens, found: vec![] };
        paths.scan(0, tokens.len(), &module);
        paths.found
    }

    /// The leaves of one use tree.
    fn tree(tokens: &'t [Token<'a>], at: usize, base: Vec<&'a str>) -> Vec<Path<'a>> {
        let mut paths = Self { tokens, found: vec![] };
        paths.branch(at, base);
        paths.found
    }

    fn scan(&mut self, mut at: usize, end: usize, module: &[&'a str]) {
        while at < end {
            let is_start = at == 0 || self.text(at - 1) != "::";
            match self.text(at) {
                "mod" if self.text(at + 2) == "{" => {
                    let inner = [module, &[self.text(at + 1)]].concat();
                    let close = closing(self.tokens, at + 2);
                    self.scan(at + 3, close, &inner);
                    at = close;
                }
                "crate" if is_start && self.text(at + 1) == "::" => at = self.branch(at + 2, vec![]),
                "super" if is_start && self.text(at + 1) == "::" => at = self.branch(at, module.to_vec()),
                _ => at += 1,
            }
        }
    }

    /// Follows one branch of a path or use tree from `at`, where a segment is expected, and returns where it ends.
    fn branch(&mut self, mut at: usize, mut base: Vec<&'a str>) -> usize {
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        loop {
            match self.text(at) {
                "{" => {
                    let close = closing(self.tokens, at);
                    at += 1;
                    while at + 1 < close {
                        at = self.branch(at, base.clone()).max(at + 1);
                        at += usize::from(self.text(at) == ",");
                    }
                    return close;
                }
                "super" => drop(base.pop()),
                "self" | "crate" => {}
                segment if segment.starts_with(|c: char| c.is_alphabetic() || c == '_') => base.push(segment),
                // A glob, or generic arguments.
                _ => break,
            }
            at += 1;
            if self.text(at) != "::" {
                break;
            }
            at += 1;
        }
        if self.text(at) == "as" {
            at += 2;
        }
        self.found.push(Path { segments: base, line });
        at
    }

    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }
}

/// `http/layer.rs` and `http/layer/mod.rs` are both `[http, layer]`.
fn module_path(path: &str) -> Vec<&str> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    path.strip_suffix("/mod").unwrap_or(path).split('/').collect()
}

fn test_modules<'a>(file: &'a File, code: &Production<'a>) -> Vec<Vec<&'a str>> {
    let module = match &file.path[..] {
        "lib.rs" | "main.rs" => vec![],
        path => module_path(path),
    };
    code.test_modules.iter().map(|name| [&module[..], &[name]].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str =
        "//! Docs.\nmod time;\npub mod key;\nmod cache;\npub use cache::{Cache, parts::Part as Piece};\n";

    fn check(path: &str, text: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        violations(&[file("lib.rs", LIB), file(path, text)])
    }

    #[test]
    fn a_module_importing_downward_is_an_error() {
        assert_eq!(
            check("key.rs", "use std::fmt;\nuse crate::cache::Cache;\n"),
            ["key.rs:2: `key` imports `cache::Cache`, but `cache` stands below it"]
        );
    }

    #[test]
    fn a_module_importing_upward_is_none() {
        assert!(check("cache.rs", "use crate::{key::Key, time};\nfn f() { crate::key::hash() }").is_empty());
        assert!(check("cache/mod.rs", "use crate::cache::parts::Part; use super::key;").is_empty());
    }

    #[test]
    fn every_way_of_writing_it_is_seen() {
        for text in [
            "use crate::{time, cache};",
            "use crate::{time::{self, Clock}, cache::{Cache}};",
            "fn f() -> crate::cache::Cache { todo }",
            "use super::cache::Cache;",
            "use super::{time::Clock, cache as c};",
            "mod inner { use super::super::cache::Cache; }",
            "use crate::Cache;",
            "use crate::*;",
            "macro_rules! m { () => { $crate::cache::f() } }",
        ] {
            assert_eq!(check("key.rs", text).len(), 1, "{text}");
        }
        assert_eq!(check("key/part.rs", "use super::super::cache::Cache;").len(), 1);
    }

    #[test]
    fn what_stays_inside_the_module_is_none() {
        assert!(check("key/part.rs", "use super::Key; use super::other::Thing;").is_empty());
        assert!(check("key.rs", "mod inner { use super::*; use super::cache::Local; }").is_empty());
        assert!(
            check(
                "key.rs",
                "pub(in crate::key) fn f() {} // crate::cache\nconst S: &str = \"crate::cache::x\";"
            )
            .is_empty()
        );
    }

    #[test]
    fn test_code_may_look_anywhere() {
        assert!(check("key.rs", "#[cfg(test)]\nmod tests { use crate::cache::Cache; }").is_empty());
        let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
        let files = [
            file("lib.rs", LIB),
            file("key.rs", "#[cfg(test)]\nmod tests;"),
            file("key/tests.rs", "use crate::cache::Cache;"),
        ];
        assert!(violations(&files).is_empty());
    }
}
