//! The keys that stand in a file: where each is, and its text as it is written.
//!
//! A plan has the value of every key, also of one that is left out. What needs to tell the two apart, or the name that
//! a file has for something of the machine, asks here. Only for a file that a reader has made a plan of.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::host::Document;
use super::text::diagnostics::Findings;
use super::text::toml_string::{self, quoted};
use super::text::{lines, placeholders};
use super::{format::Format, procfile};

/// The table whose keys are pools, and the one whose keys are variables.
const POOL: &str = "pool";
const ENV: &str = "env";

/// A key that stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenKey {
    /// The pool that it belongs to; `None` for a key before all pools.
    pub pool: Option<String>,
    /// With the keys of the tables that it is in: `ready.http`.
    pub key: String,
    /// The line that it stands in, from 1.
    pub line: usize,
    /// Its value, as TOML.
    pub value: String,
    /// Its string, or the strings of its list.
    pub texts: Vec<String>,
    /// Its value is `false`.
    pub is_false: bool,
}

/// The keys of a document, in the order of the file.
///
/// `dotenv` is the file of variables beside a Procfile, if there is one.
pub(crate) fn keys(document: &Document, format: Format, dotenv: Option<&str>) -> Vec<GivenKey> {
    match format {
        Format::PmToml => of_pm_toml(document),
        Format::Procfile => of_procfile(document, dotenv),
    }
}

/// The keys of a `pm.toml`, in the order of the file.
pub fn of_pm_toml(document: &Document) -> Vec<GivenKey> {
    let text = document.text.as_str();
    let mut keys = Vec::new();
    let Ok(file) = DeTable::parse(text) else { return keys };
    for (name, value) in file.get_ref() {
        match value.get_ref() {
            DeValue::Table(pools) if name.get_ref() == POOL => {
                for (pool, table) in pools {
                    if let DeValue::Table(table) = table.get_ref() {
                        add(text, Some(pool.get_ref()), "", table, &mut keys);
                    }
                }
            }
            DeValue::Table(table) => add(text, None, name.get_ref(), table, &mut keys),
            _ => keys.push(given(text, None, name.get_ref().to_string(), name.span().start, value)),
        }
    }
    keys.sort_by_key(|key| key.line);
    keys
}

/// Adds the keys of a table, `of` before each.
fn add(text: &str, pool: Option<&str>, of: &str, table: &DeTable<'_>, keys: &mut Vec<GivenKey>) {
    for (name, value) in table {
        let key = if of.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{of}.{}", name.get_ref())
        };
        match value.get_ref() {
            DeValue::Table(table) if key != ENV => add(text, pool, &key, table, keys),
            _ => keys.push(given(text, pool, key, name.span().start, value)),
        }
    }
}

fn given(
    text: &str,
    pool: Option<&str>,
    key: String,
    at: usize,
    spanned: &Spanned<DeValue<'_>>,
) -> GivenKey {
    let value = spanned.get_ref();
    let string = |value: &DeValue<'_>| match value {
        DeValue::String(string) => Some(string.to_string()),
        _ => None,
    };
    let texts = match value {
        DeValue::Array(list) => {
            list.iter().filter_map(|element| string(element.get_ref())).collect()
        }
        other => string(other).into_iter().collect(),
    };
    let line = lines::number(&text.as_bytes()[..at]);
    let is_false = matches!(value, DeValue::Boolean(false));
    let value = written(text, spanned);
    GivenKey { pool: pool.map(str::to_owned), key, line, value, texts, is_false }
}

/// A value as it stands in the text. A table may stand there in several places: it is written in one.
fn written(text: &str, value: &Spanned<DeValue<'_>>) -> String {
    let DeValue::Table(table) = value.get_ref() else { return text[value.span()].to_owned() };
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let entry = |(name, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
        format!("{} = {}", toml_string::key(name.get_ref()), written(text, value))
    };
    let entries: Vec<_> = entries.into_iter().map(entry).collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

/// The command of each process type, and the file of variables, which is for all of them.
fn of_procfile(document: &Document, dotenv: Option<&str>) -> Vec<GivenKey> {
    let mut findings = Findings::default();
    let file = findings.add_source(&document.name, &document.text);
    let types = procfile::process_types(file, &mut findings);
    let keys = types.into_iter().flat_map(|kind| {
        let line = lines::number(&document.text.as_bytes()[..kind.named_at.start]);
        let key = |key: &str, value, text: &str| GivenKey {
            pool: Some(kind.name.clone()),
            key: key.to_owned(),
            line,
            value,
            texts: vec![text.to_owned()],
            is_false: false,
        };
        let command = key("command", quoted(&placeholders::escaped(&kind.command)), &kind.command);
        let env_file = dotenv.map(|name| key("env_file", quoted(name), name));
        [Some(command), env_file].into_iter().flatten()
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(document: &str, format: Format, dotenv: Option<&str>) -> Vec<String> {
        let document = Document { name: "x".into(), text: document.into(), dir: "/".into() };
        let line = |key: GivenKey| {
            let pool = key.pool.map(|pool| format!("{pool}.")).unwrap_or_default();
            format!("{} {pool}{} {:?} {}", key.line, key.key, key.texts, key.is_false)
        };
        keys(&document, format, dotenv).into_iter().map(line).collect()
    }

    #[test]
    fn each_key_has_its_line_and_its_text() {
        let text = "sealed = false\n[log]\nring = 5\n[pool.a]\nready = { http = '/', status = 204 }\nstop.to = 'leader'\n\
                    [pool.a.env]\nX = 'y'\n[pool.b]\nenv_file = ['a',\n'b']\n";
        let keys = written(text, Format::PmToml, None);
        assert_eq!(
            keys,
            [
                "1 sealed [] true",
                "3 log.ring [] false",
                "5 a.ready.http [\"/\"] false",
                "5 a.ready.status [] false",
                "6 a.stop.to [\"leader\"] false",
                "7 a.env [] false",
                "10 b.env_file [\"a\", \"b\"] false",
            ]
        );
    }

    #[test]
    fn each_value_is_the_toml_that_the_file_has() {
        let text = "log.ring = 0x10\n[pool.a]\ncommand = [ # run\n  'x', \"y\\n\",\n]\nready = { exec = '''a''' }\n\
                    [pool.a.env]\n'a.b' = 1\nX = 'y'\n[pool.b]\nenv = {}\n";
        let document = Document { name: "x".into(), text: text.into(), dir: "/".into() };
        let given = keys(&document, Format::PmToml, None);
        let values: Vec<_> =
            given.iter().map(|key| format!("{} = {}", key.key, key.value)).collect();
        assert_eq!(
            values,
            [
                "log.ring = 0x10",
                "command = [ # run\n  'x', \"y\\n\",\n]",
                "ready.exec = '''a'''",
                "env = { 'a.b' = 1, X = 'y' }",
                "env = {}",
            ]
        );
        let document = Document { text: "web: it's {x}\n".into(), ..document };
        assert_eq!(keys(&document, Format::Procfile, None)[0].value, "\"it's {{x}}\"");
    }

    #[test]
    fn a_procfile_gives_commands_and_its_variables() {
        let keys = written("# x\nweb: serve\n", Format::Procfile, Some(".env"));
        assert_eq!(keys, ["2 web.command [\"serve\"] false", "2 web.env_file [\".env\"] false"]);
    }
}
