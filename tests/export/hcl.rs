//! A job of Nomad is the same as HCL and as JSON: a parser reads the HCL, and what it denotes is put into the words of
//! Nomad's API.

use std::fs;
use std::path::Path;

use hcl::eval::{Context, Evaluate};
use hcl::{Attribute, Block, Body, Structure};
use serde_json::{Map, Value, json};

use crate::{export, folder, options, options_of, plans};

/// The names that are not those of HCL in another spelling.
const NAMES: [(&str, &str); 16] = [
    ("port", "PortLabel"),
    ("task", "TaskName"),
    ("memory", "MemoryMB"),
    ("data", "EmbeddedTmpl"),
    ("destination", "DestPath"),
    ("env", "Envvars"),
    ("group {}", "TaskGroups"),
    ("task {}", "Tasks"),
    ("port {}", "DynamicPorts"),
    ("env {}", "Env"),
    ("network {}", "Networks"),
    ("service {}", "Services"),
    ("check {}", "Checks"),
    ("template {}", "Templates"),
    ("restart {}", "RestartPolicy"),
    ("reschedule {}", "ReschedulePolicy"),
];

/// What Nomad takes as a list of blocks.
const LISTS: [&str; 7] =
    ["TaskGroups", "Tasks", "DynamicPorts", "Networks", "Services", "Checks", "Templates"];

const TIMES: [&str; 8] = [
    "KillTimeout",
    "Timeout",
    "Interval",
    "Delay",
    "Grace",
    "MinHealthyTime",
    "HealthyDeadline",
    "ProgressDeadline",
];

/// `min_healthy_time` is `MinHealthyTime`. A block is `port {}`, an attribute `port`.
fn api_name(name: &str) -> String {
    if let Some((_, known)) = NAMES.iter().find(|(known, _)| *known == name) {
        return (*known).to_owned();
    }
    let parts = name.trim_end_matches(" {}").split('_');
    parts.map(|part| part[..1].to_uppercase() + &part[1..]).collect()
}

/// Nanoseconds of a time as Go writes it.
fn nanoseconds(time: &str) -> u64 {
    let digits = time.find(|c: char| !c.is_ascii_digit()).unwrap();
    let unit = match &time[digits..] {
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" => 1_000,
        other => panic!("{other}"),
    };
    time[..digits].parse::<u64>().unwrap() * unit
}

fn value_of(attribute: &Attribute) -> Value {
    let value = attribute.expr.evaluate(&Context::new()).unwrap();
    hcl::from_value(value).unwrap()
}

/// A block whose names are data. A block in it is an element of a list there.
fn names_of(body: &Body) -> Value {
    let mut names = Map::new();
    for structure in body.iter() {
        match structure {
            Structure::Attribute(attribute) => {
                names.insert(attribute.key.to_string(), value_of(attribute));
            }
            Structure::Block(block) => {
                let list = names.entry(block.identifier.to_string()).or_insert(json!([]));
                list.as_array_mut().unwrap().push(names_of(&block.body));
            }
        }
    }
    Value::Object(names)
}

/// A block as the API has it.
fn fields_of(block: &Block) -> Value {
    let mut fields = Map::new();
    if let [label] = block.labels.as_slice() {
        let name = if block.identifier.as_str() == "port" { "Label" } else { "Name" };
        fields.insert(name.to_owned(), json!(label.as_str()));
    }
    for structure in block.body.iter() {
        match structure {
            Structure::Attribute(attribute) => {
                let name = api_name(attribute.key.as_str());
                let mut value = value_of(attribute);
                if TIMES.contains(&name.as_str()) {
                    value = json!(nanoseconds(value.as_str().unwrap()));
                }
                assert_eq!(fields.insert(name, value), None);
            }
            Structure::Block(block) => {
                let name = api_name(&format!("{} {{}}", block.identifier));
                let value = match name.as_str() {
                    "Meta" | "Config" | "Env" => names_of(&block.body),
                    _ => fields_of(block),
                };
                if LISTS.contains(&name.as_str()) {
                    let list = fields.entry(name).or_insert(json!([]));
                    list.as_array_mut().unwrap().push(value);
                } else {
                    assert_eq!(fields.insert(name, value), None);
                }
            }
        }
    }
    Value::Object(fields)
}

/// The job of a specification, as the JSON that Nomad would be sent.
fn job_of(text: &str) -> Value {
    let body = hcl::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut blocks = body.blocks();
    let job = blocks.next().unwrap();
    assert!(blocks.next().is_none() && job.identifier.as_str() == "job");
    let mut fields = fields_of(job);
    fields["ID"] = fields["Name"].clone();
    json!({ "Job": fields })
}

/// Compares the jobs of a plan in both forms; gives their number.
fn compare(folder: &Path, options: &[&str]) -> usize {
    let out = tempfile::tempdir().unwrap();
    let there = out.path().to_str().unwrap();
    for format in ["hcl", "json"] {
        let more = ["--out", there, "--format", format];
        let said = export(folder, &[options, &more].concat());
        assert_eq!(said.status, Some(0), "{}", said.stderr);
    }
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let files = out.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let jobs: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "hcl")).collect();
    for path in &jobs {
        let json: Value = serde_json::from_str(&read(&path.with_extension("json"))).unwrap();
        assert_eq!(job_of(&read(path)), json, "{}", path.display());
    }
    jobs.len()
}

#[test]
fn a_job_is_the_same_as_hcl_and_as_json() {
    assert_eq!(compare(&folder(), &options("nomad")), 2);
    assert_eq!(compare(&folder(), &[&options("nomad"), ["--secrets"].as_slice()].concat()), 2);
    for (name, path) in plans::all() {
        let file = path.file_name().unwrap().to_str().unwrap();
        let jobs = compare(path.parent().unwrap(), &options_of("nomad", file));
        assert!(jobs > 0, "{name}");
    }
}
