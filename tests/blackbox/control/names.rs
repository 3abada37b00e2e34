//! Which slots, paths and parameters there are, and what is said of those that there are not.

use serde_json::json;

use super::three;

#[test]
fn what_does_not_exist_is_refused_with_the_nearest_name() {
    let run = three();
    let pool = run.pool();
    run.api.command("stop", &[&format!("{pool}x")]).refuses(404, &format!("did you mean `{pool}`"));
    run.api.command("stop", &[&run.slot(9)]).refuses(404, "to");
    run.api.command("stop", &[]).refuses(400, "name the slots");
    run.api.get("/v1/stauts").refuses(404, "did you mean `/v1/status`");
    run.api.get("/v1/stop").refuses(405, "POST only");
    run.api.get("/v1/status?slot=1").refuses(400, "did you mean `slots`");
    run.api.post("/v1/stop", &json!({ "slots": ["all"], "nwo": true })).refuses(400, "nwo");
    run.pm.stop();
}

#[test]
fn the_server_has_each_path_of_its_openapi_document_and_no_other() {
    let run = three();
    let document = run.api.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 12);
    for (path, operations) in paths {
        // One ends pm, the other never ends by itself.
        if path == "/v1/shutdown" || path == "/v1/stream" {
            continue;
        }
        let path = path.replace("{slot}", &run.slot(1));
        let operation = if operations["get"].is_object() { "get" } else { "post" };
        for parameter in operations[operation]["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{path}: {parameter}");
        }
        let answer = match operation {
            "get" => run.api.get(&path),
            _ => run.api.post(&path, &json!({})),
        };
        // A command without slots is a bad request, and a terminal is no answer of HTTP.
        assert!(matches!(answer.status, 200 | 400 | 426), "{path}: {}", answer.body);
        let wrong = if operation == "get" { "POST" } else { "GET" };
        let request = format!(
            "{wrong} {path} HTTP/1.1\r\nHost: pm\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(run.api.ask(&request).status, 405, "{path}");
    }
    assert_eq!(run.api.get("/v1/nothing").status, 404);
    run.pm.stop();
}
