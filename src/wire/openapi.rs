//! The OpenAPI document of the control socket, made of the types that it speaks.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{
    Command, Done, Event, Kill, LogLine, LogStart, Problem, Reload, Scale, Shutdown, SlotDetail,
    SlotStatus, StatsRound, Status, Version,
};

/// A query of a path: its name, and what it means.
type Query = (&'static str, &'static str);

const SLOTS: Query =
    ("slots", "`web`, `web.2`, `:8081` or `all`, with commas between; all if it is absent");
const FOLLOW: Query = ("follow", "1: go on with what happens from now on");

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// The paths of the document so far, and the types that they speak.
struct Paths {
    paths: Map<String, Value>,
    types: SchemaGenerator,
}

/// The document (OpenAPI 3.1).
pub fn document() -> Value {
    let mut paths = Paths { paths: Map::new(), types: generator() };
    paths.add_questions();
    paths.add_streams();
    paths.add_commands();
    let Paths { paths, mut types } = paths;
    types.subschema_for::<Problem>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The control socket of pm",
            "version": super::API.to_string(),
            "description": "HTTP/1.1 over the unix socket `.pm.sock` beside the file of the plan; with `--http`, GET and HEAD over TCP too.",
        },
        "servers": [{ "url": "http://pm" }],
        "paths": paths,
        "components": { "schemas": types.take_definitions(true) },
    })
}

impl Paths {
    fn add_questions(&mut self) {
        self.get::<Version>("/v1", "The version of pm and of this interface", &[], JSON);
        let stats = ("stats", "1: with what each worker uses, sampled four times a second at most");
        let status = "What each slot is at, at one moment";
        self.get::<Status>("/v1/status", status, &[SLOTS, stats], JSON);
        self.get::<SlotDetail>("/v1/slots/{slot}", "One slot with its last deaths", &[], JSON);
        let wait = [
            SLOTS,
            ("for", "`ready` (the default), `stopped` or `exit`"),
            ("timeout_seconds", "at most this long; 60 is the default"),
        ];
        self.get::<Done>("/v1/wait", "Answers when it is so, or cannot be", &wait, JSON);
        let health = "200 if every wanted slot is ready, else 503";
        self.get::<String>("/healthz", health, &[], "text/plain");
        let pool = ("pool", "only the series of these pools, and those of pm");
        let metrics =
            "Counts and times, for Prometheus: OpenMetrics if that is accepted, else text";
        self.get::<String>("/metrics", metrics, &[pool], "text/plain; version=0.0.4");
        self.get::<Map<String, Value>>("/openapi.json", "This document", &[], JSON);
    }

    fn add_streams(&mut self) {
        let after = ("after", "only events with a greater number: the `seq` of a status");
        let events =
            "What has happened: a JSON object a line, or text/event-stream if that is accepted";
        self.get::<Event>("/v1/events", events, &[after, SLOTS, FOLLOW], LINES);
        let live = [
            ("stats", "1: with what each worker uses, once a second (`stats`, a StatsRound)"),
            ("logs", "with the lines of these slots, or of `all` (`log`, a LogLine)"),
            ("lines", "of those that there are, at most this many, the last ones"),
            ("after", "only lines with a greater number"),
        ];
        self.types.subschema_for::<StatsRound>();
        self.types.subschema_for::<SlotStatus>();
        let summary = "All that the page shows: `status` (a Status) first, then `slot` (a SlotStatus), `report`, `bye`";
        self.get::<Status>("/v1/stream", summary, &live, "text/event-stream");
        let queries = [
            SLOTS,
            ("lines", "at most this many, the last ones; `all` is the default"),
            ("after", "only lines with a greater number"),
            ("since", "only lines from this time on (RFC 3339)"),
            ("until", "only lines up to this time (RFC 3339)"),
            ("grep", "only lines that match this regular expression in their first 16 KiB"),
            ("generation", "only lines of this worker of a slot"),
            FOLLOW,
            ("files", "1: begin with a LogStart: where the older lines are; JSON lines only"),
        ];
        self.types.subschema_for::<LogStart>();
        let logs = "The lines of workers: text, a JSON object a line, or text/event-stream";
        self.get::<LogLine>("/v1/logs", logs, &queries, LINES);
    }

    fn add_commands(&mut self) {
        self.post::<Command>("/v1/start", "Wants slots up, and answers when they are ready");
        let stop = "Wants slots down, and answers when nothing is left of their workers";
        self.post::<Command>("/v1/stop", stop);
        self.post::<Command>("/v1/restart", "Replaces workers, at once or one after another");
        self.post::<Kill>("/v1/kill", "Sends a signal to workers; what is wanted stays");
        self.post::<Scale>("/v1/scale", "Gives pools other numbers of workers");
        self.post::<Reload>("/v1/reload", "Reads the file again");
        self.post::<Shutdown>("/v1/shutdown", "Stops all workers and pm");
        self.attach();
    }

    /// The only path whose answer is no JSON: what follows it is no HTTP.
    fn attach(&mut self) {
        let queries = [
            ("slot", "`web.2`, `:8081`, or a pool that has one slot"),
            ("rows", "of the terminal of the client, with `columns`"),
            ("columns", "of the terminal of the client"),
        ];
        let parameters: Vec<_> = queries.iter().map(|query| parameter("query", query)).collect();
        let upgrade = "With `Connection: Upgrade` and `Upgrade: pm-terminal`: the terminal of a worker, in frames";
        let mut responses = responses(JSON, Value::Null);
        if let Some(responses) = responses.as_object_mut() {
            responses.remove("200");
            responses.insert("101".into(), json!({ "description": "Frames follow, both ways" }));
        }
        let operation =
            json!({ "summary": upgrade, "parameters": parameters, "responses": responses });
        self.paths.insert("/v1/attach".into(), json!({ "post": operation }));
    }

    /// A path that is read. `media` is the type of its answer.
    fn get<T: JsonSchema>(&mut self, path: &str, summary: &str, queries: &[Query], media: &str) {
        let slot = path.contains("{slot}").then(|| parameter("path", &("slot", "`web.2`")));
        let queries = queries.iter().map(|query| parameter("query", query));
        let parameters: Vec<_> = slot.into_iter().chain(queries).collect();
        let schema = self.types.subschema_for::<T>().to_value();
        let operation = json!({
            "summary": summary,
            "parameters": parameters,
            "responses": responses(media, schema),
        });
        self.paths.insert(path.to_owned(), json!({ "get": operation }));
    }

    /// A command with this body.
    fn post<T: JsonSchema>(&mut self, path: &str, summary: &str) {
        let body = self.types.subschema_for::<T>().to_value();
        let done = self.types.subschema_for::<Done>().to_value();
        let operation = json!({
            "summary": summary,
            "requestBody": { "content": { (JSON): { "schema": body } } },
            "responses": responses(JSON, done),
        });
        self.paths.insert(path.to_owned(), json!({ "post": operation }));
    }
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    settings.into_generator()
}

fn parameter(place: &str, (name, description): &Query) -> Value {
    json!({
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": { "type": "string" },
    })
}

fn responses(media: &str, schema: Value) -> Value {
    json!({
        "200": { "description": "It is so", "content": { (media): { "schema": schema } } },
        "default": {
            "description": "Why not (RFC 9457)",
            "content": {
                "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PM_UPDATE=1 cargo test openapi` writes the document anew.
    #[test]
    fn the_document_in_docs_is_made_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let made = format!("{:#}\n", document());
        if std::env::var_os("PM_UPDATE").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == made, "docs/openapi.json is old: PM_UPDATE=1 cargo test openapi");
    }

    #[test]
    fn each_reference_leads_to_a_schema() {
        let document = document();
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "there is no schema {name}");
        }
        assert!(schemas.contains_key("Problem") && schemas.contains_key("Command"));
    }
}
