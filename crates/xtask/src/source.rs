//! Rust source as tokens: just enough to follow paths and braces without being misled by comments, strings and
//! test code.

/// A word, a number, `::` or a single sign, and the line it stands on. A string or character literal is one token
/// of which only the opening quote is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// A file's tokens without its test code, and the names of the test modules that it keeps in other files.
#[derive(Debug, Default)]
pub(crate) struct Production<'a> {
    pub(crate) tokens: Vec<Token<'a>>,
    pub(crate) test_modules: Vec<&'a str>,
}

/// Leaves out every item under `#[cfg(test)]`, or everything under `#![cfg(test)]`.
pub(crate) fn production(source: &str) -> Production<'_> {
    let tokens = tokens(source);
    let mut out = Production::default();
    let mut at = 0;
    while at < tokens.len() {
        match attribute(&tokens, at) {
            Some(Attribute { is_test: true, is_inner: true, .. }) => return out,
            Some(Attribute { is_test: true, end, .. }) => {
                let item_end = item_end(&tokens, end);
                if let [.., Token { text: "mod", .. }, name, Token { text: ";", .. }] = &tokens[end..item_end]
                {
                    out.test_modules.push(name.text);
                }
                at = item_end;
            }
            Some(Attribute { end, .. }) => {
                out.tokens.extend_from_slice(&tokens[at..end]);
                at = end;
            }
            None => {
                out.tokens.push(tokens[at]);
                at += 1;
            }
        }
    }
    out
}

/// The index behind the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// Where in a file its functions and other items are.
#[derive(Debug)]
pub(crate) struct Places<'a>(Vec<Place<'a>>);

#[derive(Debug)]
struct Place<'a> {
    name: &'a str,
    is_function: bool,
    first: usize,
    last: usize,
}

impl<'a> Places<'a> {
    /// Test code included.
    pub(crate) fn of(source: &'a str) -> Self {
        let tokens = tokens(source);
        Self((0..tokens.len()).filter_map(|at| Place::beginning(&tokens, at)).collect())
    }

    /// The function around this line, or the item that begins next within the one around it, or that one; empty
    /// where there is none.
    pub(crate) fn at(&self, line: usize) -> &'a str {
        let around = || self.0.iter().filter(|place| place.first <= line && line <= place.last);
        if let Some(function) = around().rfind(|place| place.is_function) {
            return function.name;
        }
        let end = around().map(|place| place.last).min().unwrap_or(usize::MAX);
        let next = self.0.iter().find(|place| place.first > line && place.first <= end);
        next.or_else(|| around().next_back()).map_or("", |place| place.name)
    }
}

impl<'a> Place<'a> {
    fn beginning(tokens: &[Token<'a>], at: usize) -> Option<Self> {
        let word = tokens[at].text;
        let is_function = word == "fn";
        let before = at.checked_sub(1).map_or(";", |before| tokens[before].text);
        let is_item = is_function || (NAMED_ITEMS.contains(&word) && BEFORE_AN_ITEM.contains(&before));
        let name = tokens.get(at + 1).filter(|next| is_item && next.text.starts_with(is_word))?.text;
        if name == "fn" || ITEM_WORDS.contains(&name) {
            return None;
        }
        let last = tokens.get(item_end(tokens, at).checked_sub(1)?)?.line;
        Some(Self { name, is_function, first: tokens[at].line, last })
    }
}

/// Modules and `impl`s are too wide a place to name.
const NAMED_ITEMS: &[&str] = &["fn", "struct", "enum", "trait", "const", "static", "type"];
const BEFORE_AN_ITEM: &[&str] = &[";", "}", "{", "]", ")", "pub"];

struct Attribute {
    end: usize,
    is_inner: bool,
    is_test: bool,
}

fn attribute(tokens: &[Token<'_>], at: usize) -> Option<Attribute> {
    let is_inner = tokens.get(at + 1)?.text == "!";
    let open = at + 1 + usize::from(is_inner);
    if tokens[at].text != "#" || tokens.get(open)?.text != "[" {
        return None;
    }
    let end = closing(tokens, open);
    let words: Vec<&str> = tokens[open..end].iter().map(|token| token.text).collect();
    let is_test = words.get(1) == Some(&"cfg") && words.contains(&"test") && !words.contains(&"not");
    Some(Attribute { end, is_inner, is_test })
}

/// Where the item that begins at `at`, further attributes included, has ended: behind its `;` or its braces, or
/// behind the comma where it is a field or a variant.
fn item_end(tokens: &[Token<'_>], mut at: usize) -> usize {
    while let Some(Attribute { end, .. }) = attribute(tokens, at) {
        at = end;
    }
    let is_part = !tokens[at..].iter().take(4).any(|token| ITEM_WORDS.contains(&token.text));
    while at < tokens.len() {
        match tokens[at].text {
            "{" if !is_part => return closing(tokens, at),
            "(" | "[" | "{" => at = closing(tokens, at),
            ";" => return at + 1,
            "," if is_part => return at + 1,
            "}" => return at,
            _ => at += 1,
        }
    }
    at
}

const ITEM_WORDS: &[&str] = &[
    "mod", "use", "fn", "impl", "struct", "enum", "trait", "const", "static", "type", "unsafe", "async",
    "let",
];

fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { rest: source, line: 1 };
    let mut out = Vec::new();
    while let Some(token) = lexer.next() {
        out.push(token);
    }
    out
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks_and_comments();
        let line = self.line;
        let first = self.rest.chars().next()?;
        let text = if is_word(first) {
            let word = self.take(self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len()));
            if self.skip_prefixed_literal(word) { "\"" } else { word }
        } else if first == '"' {
            self.skip_quoted('"');
            "\""
        } else if first == '\'' {
            self.skip_character_or_lifetime()
        } else if self.rest.starts_with("::") {
            self.take(2)
        } else {
            self.take(first.len_utf8())
        };
        Some(Token { text, line })
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.take(blanks);
            if self.rest.starts_with("//") {
                self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.skip_block_comment();
            } else {
                return;
            }
        }
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
                if depth == 0 {
                    return;
                }
            } else {
                self.take(self.rest.chars().next().map_or(0, char::len_utf8));
            }
        }
    }

    /// Skips what follows the `r` of a raw string or the `b` or `c` of a prefixed one, where one follows.
    fn skip_prefixed_literal(&mut self, word: &str) -> bool {
        let hashes = self.rest.len() - self.rest.trim_start_matches('#').len();
        if matches!(word, "r" | "br" | "cr") && self.rest[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            self.take(hashes + 1);
            self.take(self.rest.find(&end).map_or(self.rest.len(), |at| at + end.len()));
            return true;
        }
        let quote = self.rest.chars().next().filter(|quote| matches!(quote, '"' | '\''));
        match (word, quote) {
            ("b" | "c", Some(quote)) => {
                self.skip_quoted(quote);
                true
            }
            _ => false,
        }
    }

    fn skip_character_or_lifetime(&mut self) -> &'a str {
        let mut after = self.rest[1..].chars();
        let is_character = after.next() == Some('\\') || after.next() == Some('\'');
        if is_character {
            self.skip_quoted('\'');
            "\""
        } else {
            self.take(1)
        }
    }

    fn skip_quoted(&mut self, quote: char) {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|&(_, c)| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        self.take(end.map_or(self.rest.len(), |(at, _)| at + 1));
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        production(source).tokens.iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_literals_hide_nothing_and_reveal_nothing() {
        assert_eq!(texts("a // b\n/* c /* d */ e */ f"), ["a", "f"]);
        assert_eq!(texts(r#"let s = "x \" y // z"; g"#), ["let", "s", "=", "\"", ";", "g"]);
        assert_eq!(texts("r#\"a \" b\"# c b'\\'' d '\"' e"), ["\"", "c", "\"", "d", "\"", "e"]);
        assert_eq!(
            texts("fn f<'a>(x: &'a str)"),
            ["fn", "f", "<", "'", "a", ">", "(", "x", ":", "&", "'", "a", "str", ")"]
        );
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let production = production("/*\n*/ \"\n\" a\nb");
        let lines: Vec<usize> = production.tokens.iter().map(|token| token.line).collect();
        assert_eq!(lines, [2, 3, 4]);
    }

    #[test]
    fn a_line_belongs_to_the_function_around_it_or_to_the_item_below_it() {
        let source = "const A: [u8; 2] = [\n1,\n2];\n\nimpl B {\n\npub(crate) const fn c<const N: u8>() {\n\n}\n}\n\
            enum D {\n\nE,\n}\ntrait F {\n\nfn g(&self);\n}\n";
        let places = Places::of(source);
        let names: Vec<&str> = [2, 4, 6, 8, 11, 13, 17].into_iter().map(|line| places.at(line)).collect();
        assert_eq!(names, ["A", "c", "c", "c", "D", "D", "g"]);
        assert_eq!(places.at(100), "");
    }

    #[test]
    fn test_code_is_left_out_whatever_it_is() {
        assert_eq!(texts("#[cfg(test)] mod tests { a } b"), ["b"]);
        assert_eq!(texts("#[cfg(test)] use crate::{a, b}; c"), [";", "c"]);
        assert_eq!(texts("#[cfg(test)] #[inline] fn f<A, B>(a: [u8; 3]) -> A { x } c"), ["c"]);
        assert_eq!(
            texts("struct S { #[cfg(test)] probe: Vec<u8>, b: u8 }"),
            ["struct", "S", "{", "b", ":", "u8", "}"]
        );
        assert_eq!(texts("#![cfg(test)] a"), Vec::<&str>::new());
        assert_eq!(texts("#[cfg(not(test))] a").last(), Some(&"a"));
        assert_eq!(production("#[cfg(test)] mod tests; a").test_modules, ["tests"]);
    }
}
