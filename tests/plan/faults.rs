//! Several faults at once, faults in the syntax, and the forms in which they are said.

use pm::cli::diagnostics::{json, pictures};

use crate::fake_host::FakeHost;

const SEVERAL: &str = "\
[pool.web]
command = ['serve', '{prot}', '{slot']
ports = '8080-8082'
restrat = 'always'
stop = { signal = 'KILL', grace = 5 }
[pool.db]
command = 'x'
ports = [8081]
after = ['wbe']
";

#[test]
fn all_faults_of_a_file_are_said_in_its_order() {
    let faults = FakeHost::of_root().pm_toml(SEVERAL).unwrap_err();
    let lines: Vec<_> = faults.lines().collect();
    assert_eq!(
        lines,
        [
            "pm.toml:2:22: `{prot}` is no placeholder; did you mean `{port}`?",
            "pm.toml:2:32: this brace is never closed; write `{{` for a brace",
            "pm.toml:4:1: unknown key `restrat`; did you mean `restart`?",
            "pm.toml:5:19: SIGKILL leaves no time to stop; `grace = \"0s\"` kills at once",
            "pm.toml:5:35: `5` has no unit; did you mean `\"5s\"`?",
            "pm.toml:8:10: port 8081 is there twice; a slot owns its port alone; give one of the two another",
            "pm.toml:9:10: there is no pool `wbe`; did you mean `web`?",
        ]
    );
}

#[test]
fn the_json_form_has_the_places_of_the_one_line_form() {
    let faults = FakeHost::of_root().pm_toml("[pool.web]\ncommand = 'ä {prot}'\n").unwrap_err();
    let fault = &json(&faults)[0];
    let place =
        ["line", "column", "end_line", "end_column"].map(|key| fault[key].as_u64().unwrap());
    assert_eq!(place, [2, 14, 2, 20]);
    assert_eq!(fault["file"], "pm.toml");
    assert_eq!(fault["message"], "`{prot}` is no placeholder");
    assert_eq!(fault["help"], "did you mean `{port}`?");
}

#[test]
fn colour_is_only_there_if_asked_for() {
    let faults = FakeHost::of_root().pm_toml(SEVERAL).unwrap_err();
    assert!(!pictures(&faults, false).contains('\x1b'));
    assert!(pictures(&faults, true).contains('\x1b'));
}

#[test]
fn what_is_no_toml_is_said_and_the_rest_is_read() {
    for (name, text) in [
        ("syntax-unquoted", "[pool.web]\ncommand = deno run\nports = 8080\nrestrat = 'x'\n"),
        ("syntax-open-string", "[pool.web]\ncommand = 'x\nports = 8080\n"),
        ("syntax-open-table", "[pool.web\ncommand = 'x'\n"),
        ("syntax-open-list", "[pool.web]\ncommand = ['x', 'y'\nports = 80\n"),
        (
            "syntax-twice",
            "[pool.web]\ncommand = 'x'\ncwd = 'a'\ncommand = 'y'\n[pool.db]\ncwd = 'b'\ncwd = 'c'\n",
        ),
        ("syntax-no-value", "[pool.web]\ncommand\nports =\n"),
        ("syntax-colon", "[pool.web]\ncommand: 'x'\n"),
        ("syntax-windows", "\u{feff}[pool.web]\r\ncommand = 'x'\r\nprots = 1\r\n"),
        ("syntax-nothing", ""),
        ("syntax-procfile", "web: ./serve\nworker: ./work\n"),
    ] {
        let faults = FakeHost::of_root().pm_toml(text).unwrap_err();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, pictures(&faults, false));
        });
    }
}

#[test]
fn a_file_that_is_too_long_is_no_configuration() {
    let text = format!("[pool.web]\ncommand = 'x'\n#{}", "x".repeat(1024 * 1024));
    let faults = FakeHost::of_root().pm_toml(&text).unwrap_err();
    assert_eq!(faults.iter().count(), 1);
    assert!(faults.to_string().starts_with("pm.toml:1:1: this file is larger than 1 MiB"));
}

#[test]
fn a_plan_of_more_pools_than_workers_is_refused_before_it_is_made() {
    let pool = |n| format!("[pool.p{n}]\ncommand = 'x'\nworkers = 1000\n");
    let text: String = (0..20_000).map(pool).collect();
    let faults = FakeHost::of_root().pm_toml(&text).unwrap_err();
    assert_eq!(faults.iter().count(), 1, "{faults}");
    assert!(faults.to_string().contains("with this pool there are 2000 workers; 1000 is the most"));
}
