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
