//! What a job of Nomad needs so that Nomad takes it and runs what the plan means.

use std::fs;
use std::str::FromStr;

use hcl::eval::{Context, Evaluate};
use serde_json::{Value, json};

use crate::export;

/// The jobs of a plan in a folder with an `app.env`, and what is said about it.
fn jobs(plan: &str) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pm.toml"), plan).unwrap();
    fs::write(folder.path().join("app.env"), "PORT=1\nPS=me\nPATH=/bin\nOWN=1\nOTHER=1\n").unwrap();
    let options = ["nomad", "--image=app:${x}", "--name=app", "--dir=/srv/%{x}", "--format=json"];
    let said = export(folder.path(), &options);
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    let jobs = serde_json::Deserializer::from_str(&said.stdout).into_iter();
    (jobs.map(|job: Result<Value, _>| job.unwrap()["Job"].clone()).collect(), said.stderr)
}

/// The groups of the first job.
fn groups(plan: &str) -> Vec<Value> {
    jobs(plan).0[0]["TaskGroups"].as_array().unwrap().clone()
}

#[test]
fn what_the_client_reads_as_a_template_arrives_as_it_is() {
    let texts = [
        "PORT=${PORT:-3000} exec ./serve",
        "%{if} %%{if} ${HOME} $${HOME} $$${HOME} %${x} $%{x}",
        "$A 100% $5 {} a{b} $ {$} ${{$}",
    ];
    // pm reads `{{` as `{`.
    let command = texts.map(|text| text.replace('{', "{{").replace('}', "}}"));
    let groups = groups(&format!("[pool.web]\ncommand = {}\n", json!(command)));
    let config = &groups[0]["Tasks"][0]["Config"];
    let read = |text: &Value| {
        let template = hcl::Template::from_str(text.as_str().unwrap()).unwrap();
        template.evaluate(&Context::new()).unwrap()
    };
    let read_all: Vec<_> = config["entrypoint"].as_array().unwrap().iter().map(read).collect();
    assert_eq!(read_all, texts, "{config}");
    assert_eq!(config["entrypoint"][0], "PORT=$${PORT:-3000} exec ./serve");
    assert_eq!(
        (read(&config["image"]), read(&config["work_dir"])),
        ("app:${x}".to_owned(), "/srv/%{x}".to_owned())
    );
}

#[test]
fn a_worker_is_healthy_sooner_than_its_deadline() {
    for (ready, deadline, healthy) in [
        ("{ http = '/', within = '10s' }", json!(10_000_000_000_u64), json!(5_000_000_000_u64)),
        ("{ http = '/', within = '11s' }", json!(11_000_000_000_u64), Value::Null),
        ("{ after = '5s' }", Value::Null, json!(5_000_000_000_u64)),
        ("{ after = '10m' }", json!(1_200_000_000_000_u64), json!(600_000_000_000_u64)),
    ] {
        let plan = format!("[pool.web]\ncommand = ['x']\nports = 80\nready = {ready}\n");
        let update = &groups(&plan)[0]["Update"];
        assert_eq!(update["HealthyDeadline"], deadline, "{ready}");
        assert_eq!(update["MinHealthyTime"], healthy, "{ready}");
    }
}

const CHAIN: &str = "[pool.migrate]\ncommand = ['x']\nready = { exit = true }\nrestart = 'never'\n\
    [pool.seed]\ncommand = ['x']\nready = { exit = true }\nafter = ['migrate']\n\
    restart = 'on-failure'\nmax_restarts = { count = 2, within = '1m' }\n\
    [pool.web]\ncommand = ['x']\nafter = ['seed']\n";

#[test]
fn jobs_that_wait_for_jobs_are_named() {
    let (_, notes) = jobs(CHAIN);
    let expected = "pm.toml:8: pool seed: after: not carried over: prestart tasks of one group start together, so that it does not wait for `migrate`: put the commands into one job\n";
    assert!(notes.contains(expected), "{notes}");
    assert_eq!(notes.matches("does not wait for").count(), 1, "{notes}");
}

#[test]
fn a_prestart_task_is_tried_as_often_as_its_own_pool_says() {
    let groups = groups(CHAIN);
    let tasks = groups[0]["Tasks"].as_array().unwrap();
    let tried: Vec<_> = tasks
        .iter()
        .map(|task| {
            (&task["Name"], &task["RestartPolicy"]["Attempts"], &task["RestartPolicy"]["Mode"])
        })
        .collect();
    assert_eq!(
        json!(tried),
        json!([["migrate", 0, "fail"], ["seed", 2, "fail"], ["web", null, null]])
    );
}

#[test]
fn variables_that_the_files_override_are_named() {
    let (_, notes) = jobs(
        "[pool.web]\ncommand = ['x']\nports = 80\npath = ['bin']\nenv = { OWN = 'a', B = 'b' }\nenv_file = 'app.env'\n",
    );
    let expected = "pm.toml:6: pool web: env_file: in part: in Nomad the variables of `env_file` win over all others: leave `OWN`, `PORT`, `PS`, `PATH` out of the Nomad variable\n";
    assert!(notes.contains(expected), "{notes}");
}

#[test]
fn a_task_reads_the_variable_of_its_own_job() {
    let (jobs, _) = jobs(
        "[pool.migrate]\ncommand = ['x']\nenv_file = 'app.env'\nready = { exit = true }\nrestart = 'never'\n\
         [pool.web]\ncommand = ['x']\nenv_file = 'app.env'\nafter = ['migrate']\n\
         [pool.once]\ncommand = ['x', '{n}']\nworkers = 2\nenv_file = 'app.env'\nrestart = 'never'\n",
    );
    let data = |job: usize, task: usize| {
        let task = &jobs[job]["TaskGroups"][0]["Tasks"][task];
        task["Templates"][0]["EmbeddedTmpl"].as_str().unwrap().to_owned()
    };
    for (data, path) in [
        (data(0, 0), "\"nomad/jobs/app/web/migrate\""),
        (data(0, 1), "\"nomad/jobs/app/web\""),
        (data(1, 0), "\"nomad/jobs/app-batch/once-1\""),
    ] {
        assert!(data.contains(path), "{data}");
    }
}

#[test]
fn services_have_names_that_are_valid_and_not_the_same() {
    let (long, other) = ("a".repeat(64), "a".repeat(63) + "b");
    let pools = ["web_1", "web-1", "W", "w", "Web_", &long, &other];
    let pool = |(n, name): (usize, &&str)| {
        format!("[pool.{name}]\ncommand = ['x']\nports = {}\n", 8000 + n)
    };
    let groups = groups(&pools.iter().enumerate().map(pool).collect::<String>());
    let names: Vec<_> =
        groups.iter().map(|group| group["Services"][0]["Name"].as_str().unwrap()).collect();
    let (cut, second) = (format!("app-{}", "a".repeat(59)), format!("app-{}-2", "a".repeat(57)));
    assert_eq!(names, ["app-web-1", "app-web-1-2", "app-w", "app-w-2", "app-web", &cut, &second]);
}

#[test]
fn memory_and_signals_that_nomad_does_not_take_are_changed_and_said() {
    let (jobs, notes) = jobs(
        "[pool.web]\ncommand = ['x']\nlimits = { memory = '1MiB' }\nstop = { signal = '34' }\n",
    );
    let task = &jobs[0]["TaskGroups"][0]["Tasks"][0];
    assert_eq!((&task["Resources"]["MemoryMB"], &task["KillSignal"]), (&json!(10), &Value::Null));
    for expected in [
        "pm.toml:3: pool web: limits.memory: in part: it is 10 MiB, the least that Nomad takes\n",
        "pm.toml:4: pool web: stop.signal: not carried over: Nomad takes a signal by its name, and this one has none: use one that has a name\n",
    ] {
        assert!(notes.contains(expected), "{notes}");
    }
}
