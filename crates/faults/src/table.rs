//! `docs/faults.md`: what stands between two marks is the suite's, everything else is written by hand.

use std::fs;
use std::path::Path;

use crate::error::Error;

/// Puts `lines` into the part of this name. A line stands in the place of the one with the same first `cells`, or at the end.
pub(crate) fn update(
    file: &Path,
    part: &str,
    head: &str,
    lines: &[String],
    cells: usize,
) -> Result<(), Error> {
    rewrite(file, part, head, |old| {
        let name = |line: &str| line.split('|').skip(1).take(cells).map(str::to_owned).collect::<Vec<_>>();
        let mut rows: Vec<String> = old.lines().skip(2).map(str::to_owned).collect();
        for line in lines {
            match rows.iter_mut().find(|row| name(row) == name(line)) {
                Some(row) => row.clone_from(line),
                None => rows.push(line.clone()),
            }
        }
        rows.sort_by_key(|row| order(row));
        rows
    })
}

/// Puts `lines` in the place of all that the part of this name has.
pub(crate) fn replace(file: &Path, part: &str, head: &str, lines: &[String]) -> Result<(), Error> {
    rewrite(file, part, head, |_| lines.to_vec())
}

fn rewrite(file: &Path, part: &str, head: &str, rows: impl FnOnce(&str) -> Vec<String>) -> Result<(), Error> {
    let text = fs::read_to_string(file)?;
    let (begin, end) = (format!("<!-- {part} -->\n"), format!("<!-- /{part} -->\n"));
    let missing = || format!("{} has no part {part}", file.display());
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (old, after) = rest.split_once(&end).ok_or_else(missing)?;
    let rows = rows(old);
    let body: String =
        head.lines().chain(rows.iter().map(String::as_str)).flat_map(|line| [line, "\n"]).collect();
    Ok(fs::write(file, [before, &begin, &body, &end, after].concat())?)
}

/// By the number in the first cell, so that F9 stands before F10; rows of one number by their names.
fn order(row: &str) -> (u32, Vec<String>) {
    let first = row.split('|').nth(1).unwrap_or_default().trim();
    let digits: String = first.chars().filter(char::is_ascii_digit).collect();
    let cells = row.split('|').skip(1).take(2).map(str::to_owned).collect();
    (digits.parse().unwrap_or(u32::MAX), cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_the_place_of_its_like_and_a_new_one_its_place_by_number() {
        let file = std::env::temp_dir().join(format!("forebay-faults-table-{}", std::process::id()));
        fs::write(&file, "a\n<!-- t -->\n| n |\n|---|\n| F10 | x | 1 |\n<!-- /t -->\nb\n").unwrap();
        let rows = ["| F10 | x | 2 |", "| F9 | y | 3 |"].map(str::to_owned);
        update(&file, "t", "| n |\n|---|", &rows, 2).unwrap();
        let updated = fs::read_to_string(&file).unwrap();
        replace(&file, "t", "| m |\n|---|", &rows[..1]).unwrap();
        let replaced = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(updated, "a\n<!-- t -->\n| n |\n|---|\n| F9 | y | 3 |\n| F10 | x | 2 |\n<!-- /t -->\nb\n");
        assert_eq!(replaced, "a\n<!-- t -->\n| m |\n|---|\n| F10 | x | 2 |\n<!-- /t -->\nb\n");
    }
}
