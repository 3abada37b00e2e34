//! The OpenAPI document of the control socket, made of the types that it speaks.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{
    Command, Done, Event, Kill, LogLine, Problem, Reload, Scale, Shutdown, SlotDetail, Status,
    Version,
};

/// A query of a path: its name, and what it means.
type Query = (&'static str, &'static str);

const SLOTS: Query =
    ("slots", "`web`, `web.2`, `:8081` or `all`, with commas between; all if it is absent");
const FOLLOW: Query = ("follow", "1: go on with what happens from now on");

/// The document (OpenAPI 3.1).
pub fn document() -> Value {
    let mut types = generator();
    let mut paths = Map::new();
    let mut get = |path: &str, summary: &str, queries: &[Query], media: &str, schema: Value| {
        let parameters: Vec<_> = queries.iter().map(|query| parameter("query", query)).collect();
        let mut operation = json!({
            "summary": summary,
            "parameters": parameters,
            "responses": responses(media, schema),
        });
        if path.contains("{slot}") {
            operation["parameters"] = json!([parameter("path", &("slot", "`web.2`"))]);
        }
        paths.insert(path.to_owned(), json!({ "get": operation }));
    };
    let media = "application/json";
    get("/v1", "The version of pm and of this interface", &[], media, of::<Version>(&mut types));
    get(
        "/v1/status",
        "What each slot is at, at one moment",
        &[SLOTS],
        media,
        of::<Status>(&mut types),
    );
    get(
        "/v1/slots/{slot}",
        "One slot with its last deaths",
        &[],
        media,
        of::<SlotDetail>(&mut types),
    );
    let after = ("after", "only events with a greater number: the `seq` of a status");
    get(
        "/v1/events",
        "What has happened: a JSON object a line, or text/event-stream if that is accepted",
        &[after, SLOTS, FOLLOW],
        "application/x-ndjson",
        of::<Event>(&mut types),
    );
    get(
        "/v1/logs",
        "The lines of workers: text, a JSON object a line, or text/event-stream, as accepted",
        &[
            SLOTS,
            ("lines", "at most this many, the last ones; `all` is the default"),
            ("after", "only lines with a greater number"),
            ("since", "only lines from this time on (RFC 3339)"),
            ("until", "only lines up to this time (RFC 3339)"),
            ("grep", "only lines that match this regular expression"),
            ("generation", "only lines of this worker of a slot"),
            FOLLOW,
        ],
        "application/x-ndjson",
        of::<LogLine>(&mut types),
    );
    get(
        "/v1/wait",
        "Answers when it is so, or cannot be",
        &[
            SLOTS,
            ("for", "`ready` (the default), `stopped` or `exit`"),
            ("timeout_seconds", "at most this long; 60 is the default"),
        ],
        media,
        of::<Done>(&mut types),
    );
    get("/openapi.json", "This document", &[], media, json!({ "type": "object" }));
    get(
        "/healthz",
        "200 if every wanted slot is ready, else 503",
        &[],
        "text/plain",
        json!({ "type": "string" }),
    );
    let mut post = |path: &str, summary: &str, body: Value| {
        let operation = json!({
            "summary": summary,
            "requestBody": { "content": { "application/json": { "schema": body } } },
            "responses": responses("application/json", of::<Done>(&mut types)),
        });
        paths.insert(path.to_owned(), json!({ "post": operation }));
    };
    let mut bodies = generator();
    post(
        "/v1/start",
        "Wants slots up, and answers when they are ready",
        of::<Command>(&mut bodies),
    );
    post(
        "/v1/stop",
        "Wants slots down, and answers when nothing is left of them",
        of::<Command>(&mut bodies),
    );
    post(
        "/v1/restart",
        "Replaces workers, at once or one after another",
        of::<Command>(&mut bodies),
    );
    post("/v1/kill", "Sends a signal to workers; what is wanted stays", of::<Kill>(&mut bodies));
    post("/v1/scale", "Gives pools other numbers of workers", of::<Scale>(&mut bodies));
    post("/v1/reload", "Reads the file again", of::<Reload>(&mut bodies));
    post("/v1/shutdown", "Stops all workers and pm", of::<Shutdown>(&mut bodies));
    let _ = of::<Problem>(&mut types);
    let mut schemas = types.take_definitions(true);
    schemas.extend(bodies.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The control socket of pm",
            "version": super::API.to_string(),
            "description": "HTTP/1.1 over the unix socket `.pm.sock` beside the file of the plan.",
        },
        "servers": [{ "url": "http://pm" }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    settings.into_generator()
}

/// A reference to the schema of a type.
fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
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
