//! Files and functions that have grown too long to be read in one go.

use std::collections::BTreeSet;

use crate::source::{Token, closing, production};

/// What is too long in this file; test code does not count.
pub(crate) fn too_long(path: &str, source: &str) -> Vec<String> {
    let tokens = production(source).tokens;
    let lines_of_code = tokens.iter().map(|token| token.line).collect::<BTreeSet<_>>().len();
    let mut out = Vec::new();
    if lines_of_code > FILE {
        out.push(format!("{path}: {lines_of_code} lines of code (more than {FILE})"));
    }
    for at in 0..tokens.len() {
        if let Some((name, lines)) = function(&tokens, at).filter(|(_, lines)| *lines > FUNCTION) {
            out.push(format!(
                "{path}:{}: `{name}` has {lines} lines (more than {FUNCTION})",
                tokens[at].line
            ));
        }
    }
    out
}

/// The name and length of the function whose `fn` stands at `at`.
fn function<'a>(tokens: &[Token<'a>], at: usize) -> Option<(&'a str, usize)> {
    let name = tokens.get(at + 1).filter(|_| tokens[at].text == "fn")?.text;
    let mut body = at + 2;
    loop {
        match tokens.get(body)?.text {
            "{" => break,
            ";" => return None,
            "(" | "[" => body = closing(tokens, body),
            _ => body += 1,
        }
    }
    let end = tokens.get(closing(tokens, body) - 1)?;
    Some((name, end.line + 1 - tokens[at].line))
}

const FILE: usize = 400;
const FUNCTION: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_functions_and_files_are_named_with_their_place() {
        let body = "    x();\n".repeat(58);
        let just_right = format!("fn f() {{\n{body}}}\n");
        assert_eq!(too_long("a.rs", &just_right), Vec::<String>::new());

        let long = format!("\nfn long(a: [u8; 2]) {{\n{body}    y();\n    y();\n}}\n");
        assert_eq!(too_long("a.rs", &long), ["a.rs:2: `long` has 62 lines (more than 60)"]);
        assert_eq!(too_long("a.rs", &just_right.repeat(7)), ["a.rs: 420 lines of code (more than 400)"]);
        assert_eq!(too_long("a.rs", &format!("#[cfg(test)] mod tests {{ {long} }}")), Vec::<String>::new());
    }
}
