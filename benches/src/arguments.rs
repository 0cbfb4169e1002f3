//! What stands on the command line.

use std::time::Duration;

use crate::suites::Options;

/// Suites and options.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    /// The words that are no options.
    pub words: Vec<String>,
    /// The options.
    pub options: Options,
}

impl Arguments {
    /// Reads `--rounds N`, `--turn MILLISECONDS`, `--only NAME` (any number of times), and words.
    ///
    /// # Errors
    ///
    /// A sentence for the user, when an option is unknown or its value is not a number above zero.
    pub fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut read = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--rounds" => read.options.plan.rounds = positive(&argument, &value()?)? as usize,
                "--turn" => {
                    read.options.plan.turn =
                        Duration::from_millis(u64::from(positive(&argument, &value()?)?));
                }
                "--only" => read.options.only.push(value()?),
                option if option.starts_with('-') => {
                    return Err(format!(
                        "there is no option {option}; there are --rounds, --turn and --only"
                    ));
                }
                _ => read.words.push(argument),
            }
        }
        Ok(read)
    }
}

fn positive(option: &str, value: &str) -> Result<u32, String> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{option} needs a whole number above zero, not {value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn suites_and_options_may_stand_in_any_order() {
        let read = read("hit --rounds 3 --only axum miss --turn 20 --only hitbox").unwrap();
        assert_eq!(read.words, ["hit", "miss"]);
        assert_eq!(read.options.plan.rounds, 3);
        assert_eq!(read.options.plan.turn, Duration::from_millis(20));
        assert!(read.options.wants("hitbox-tower 0.2") && !read.options.wants("tower-http-cache 0.6"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert_eq!(read("--rounds 0").unwrap_err(), "--rounds needs a whole number above zero, not 0");
        assert_eq!(read("hit --turn").unwrap_err(), "--turn needs a value");
        assert!(read("--fast").unwrap_err().starts_with("there is no option --fast"));
    }
}
