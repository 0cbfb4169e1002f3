//! Manifests, as far as the checks need them.

use std::collections::BTreeMap;

/// A `Cargo.toml`: for each table the keys in it and their values as written. Keys with dots are cut at the first
/// one, `[dependencies.fred]` is a key `fred` of `dependencies`, and tables for one target count as the plain ones.
#[derive(Debug)]
pub(crate) struct Manifest(BTreeMap<String, BTreeMap<String, String>>);

impl Manifest {
    pub(crate) fn parse(text: &str) -> Self {
        let mut tables: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut table = String::new();
        for line in text.lines() {
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_end_matches([']', ' ']).to_owned();
                if let Some((_, of_target)) =
                    table.strip_prefix("target.").and_then(|rest| rest.rsplit_once('.'))
                {
                    table = of_target.to_owned();
                }
                if let Some((outer, key)) = table.clone().split_once('.') {
                    tables.entry(outer.to_owned()).or_default().insert(key.to_owned(), String::new());
                }
            } else if let Some((key, value)) = line.split_once('=').filter(|_| starts_like_a_key(line)) {
                let key = key.split('.').next().unwrap_or(key).trim();
                tables.entry(table.clone()).or_default().insert(key.to_owned(), value.trim().to_owned());
            }
        }
        Self(tables)
    }

    pub(crate) fn name(&self) -> &str {
        self.get("package", "name").unwrap_or_default().trim_matches('"')
    }

    pub(crate) fn is_published(&self) -> bool {
        self.get("package", "publish") != Some("false")
    }

    /// The features a user can name, `default` aside.
    pub(crate) fn features(&self) -> Vec<&str> {
        self.keys("features").filter(|feature| *feature != "default").collect()
    }

    /// What is wrong with it by the project's rules.
    pub(crate) fn violations(&self) -> Vec<String> {
        let name = self.name();
        let mut out = Vec::new();
        if !self.is_published() {
            return out;
        }
        if self.get("package", "rust-version").is_none() {
            out.push(format!("{name}: no `rust-version`"));
        }
        for dependency in self.keys("dependencies").chain(self.keys("build-dependencies")) {
            if dependency == "forebay-testkit" {
                out.push(format!(
                    "{name}: `forebay-testkit` may be a dev-dependency only, it is not published"
                ));
            }
            if FOUNDATIONS.contains(&name) && dependency.starts_with("forebay") {
                out.push(format!("{name}: stands on its own and may not depend on `{dependency}`"));
            }
        }
        out
    }

    fn get(&self, table: &str, key: &str) -> Option<&str> {
        self.0.get(table)?.get(key).map(String::as_str)
    }

    fn keys(&self, table: &str) -> impl Iterator<Item = &str> {
        self.0.get(table).into_iter().flat_map(BTreeMap::keys).map(String::as_str)
    }
}

/// A line within a multi-line array does not.
fn starts_like_a_key(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

/// They do not know each other, nor anything built on them.
const FOUNDATIONS: [&str; 2] = ["forebay-policy", "forebay-core"];

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, rest: &str) -> Manifest {
        Manifest::parse(&format!("[package]\nname = \"{name}\"\nrust-version.workspace = true\n{rest}"))
    }

    #[test]
    fn features_are_listed_without_the_default() {
        let manifest = manifest(
            "x",
            "[features]\ndefault = []\naxum = [\n    \"dep:axum\",\n    \"a/b=c\",\n]\nmacros=[]\n",
        );
        assert_eq!(manifest.features(), ["axum", "macros"]);
    }

    #[test]
    fn policy_and_core_stand_alone() {
        assert_eq!(
            manifest("forebay-policy", "[dependencies]\nforebay-core.workspace = true\n").violations().len(),
            1
        );
        assert_eq!(
            manifest("forebay-core", "[dependencies.forebay-policy]\nworkspace = true\n").violations().len(),
            1
        );
        assert!(
            manifest("forebay", "[dependencies]\nforebay-core.workspace = true\n").violations().is_empty()
        );
    }

    #[test]
    fn testkit_is_for_tests_only() {
        let dependency = "forebay-testkit.workspace = true\n";
        for table in ["dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
            let violations = manifest("forebay", &format!("[{table}]\n{dependency}")).violations();
            assert_eq!(violations.len(), 1, "{table}");
        }
        assert!(manifest("forebay", &format!("[dev-dependencies]\n{dependency}")).violations().is_empty());
        assert!(
            manifest("x", &format!("publish = false\n[dependencies]\n{dependency}")).violations().is_empty()
        );
    }

    #[test]
    fn a_published_crate_says_which_compiler_it_needs() {
        assert_eq!(Manifest::parse("[package]\nname = \"x\"\n").violations(), ["x: no `rust-version`"]);
    }
}
