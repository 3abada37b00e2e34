//! Several faults at once, texts that are not TOML, and the forms in which faults are shown.

use pm::cli::diagnostics::{json, pictures, pictures_in_colour};

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
fn all_faults_of_a_file_are_reported_in_its_order() {
    let faults = FakeHost::as_root().pm_toml(SEVERAL).unwrap_err();
    let lines: Vec<_> = faults.lines().collect();
    assert_eq!(
        lines,
        [
            "pm.toml:2:22: `{prot}` is not a placeholder; did you mean `{port}`?",
            "pm.toml:2:32: this brace is not closed; write `{{` for a brace",
            "pm.toml:4:1: unknown key `restrat`; did you mean `restart`?",
            "pm.toml:5:19: SIGKILL leaves no time to stop; `grace = \"0s\"` kills at once",
            "pm.toml:5:35: `5` has no unit; did you mean `\"5s\"`?",
            "pm.toml:8:10: port 8081 is listed twice; each slot owns its port alone; use another port for one of them",
            "pm.toml:9:10: there is no pool `wbe`; did you mean `web`?",
        ]
    );
}

#[test]
fn the_json_form_has_the_place_the_message_and_the_help() {
    let faults = FakeHost::as_root().pm_toml("[pool.web]\ncommand = 'ä {prot}'\n").unwrap_err();
    let fault = &json(&faults)[0];
    let place =
        ["line", "column", "end_line", "end_column"].map(|key| fault[key].as_u64().unwrap());
    assert_eq!(place, [2, 14, 2, 20]);
    assert_eq!(fault["file"], "pm.toml");
    assert_eq!(fault["message"], "`{prot}` is not a placeholder");
    assert_eq!(fault["help"], "did you mean `{port}`?");
}

#[test]
fn only_the_coloured_form_has_escape_sequences() {
    let faults = FakeHost::as_root().pm_toml(SEVERAL).unwrap_err();
    assert!(!pictures(&faults).contains('\x1b'));
    assert!(pictures_in_colour(&faults).contains('\x1b'));
}

#[test]
fn a_text_that_is_not_toml_is_reported_and_the_rest_is_read() {
    for (name, text) in [
        ("syntax-unquoted", "[pool.web]\ncommand = deno run\nports = 8080\nrestrat = 'x'\n"),
        ("syntax-open-string", "[pool.web]\ncommand = 'x\nports = 8080\n"),
        ("syntax-open-table", "[pool.web\ncommand = 'x'\n"),
        ("syntax-open-list", "[pool.web]\ncommand = ['x', 'y'\nports = 80\n"),
        (
            "syntax-twice",
            "[pool.web]\ncommand = 'x'\ncwd = 'a'\ncommand = 'y'\n[pool.db]\ncwd = 'b'\ncwd = 'c'\n",
        ),
        (
            "syntax-pool-twice",
            "[pool.web]\ncommand = 'x'\n[pool.web]\ncommand = 'y'\ncwd = '/'\n[pool.db]\ncwd = 'b'\ncwd = 'c'\n",
        ),
        ("syntax-no-value", "[pool.web]\ncommand\nports =\n"),
        ("syntax-colon", "[pool.web]\ncommand: 'x'\n"),
        ("syntax-windows", "\u{feff}[pool.web]\r\ncommand = 'x'\r\nprots = 1\r\n"),
        ("syntax-nothing", ""),
        ("syntax-procfile", "web: ./serve\nworker: ./work\n"),
    ] {
        let faults = FakeHost::as_root().pm_toml(text).unwrap_err();
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, pictures(&faults));
        });
    }
}

#[test]
fn tables_that_are_nested_too_deeply_are_one_fault_in_words_of_pm() {
    let text = format!("[pool.web]\ncommand = 'x'\n[{}]\nb = 1\n", ["a"; 2_000].join("."));
    let faults = FakeHost::as_root().pm_toml(&text).unwrap_err().to_string();
    assert!(faults.contains("this is not TOML: tables are nested too deeply"), "{faults}");
    assert!(!faults.contains("recursion"), "{faults}");
}

#[test]
fn a_file_of_more_than_a_mebibyte_is_refused() {
    let text = format!("[pool.web]\ncommand = 'x'\n#{}", "x".repeat(1024 * 1024));
    let faults = FakeHost::as_root().pm_toml(&text).unwrap_err();
    assert_eq!(faults.iter().count(), 1);
    assert!(faults.to_string().starts_with("pm.toml:1:1: this file is larger than 1 MiB"));
}

#[test]
fn a_plan_of_too_many_workers_is_refused_with_one_fault() {
    let pool = |n| format!("[pool.p{n}]\ncommand = 'x'\nworkers = 40000\n");
    let text: String = (0..20_000).map(pool).collect();
    let faults = FakeHost::as_root().pm_toml(&text).unwrap_err();
    assert_eq!(faults.iter().count(), 1, "{faults}");
    assert!(
        faults
            .to_string()
            .contains("with this pool there are 80000 workers; there can be at most 50000")
    );
}

#[test]
fn as_many_workers_as_there_can_be_are_one_plan() {
    let text = |n: usize| {
        format!(
            "[pool.a]\ncommand = 'x'\nworkers = 49999\n[pool.b]\ncommand = 'x'\nworkers = {n}\n"
        )
    };
    assert!(FakeHost::as_root().pm_toml(&text(1)).is_ok());
    assert!(FakeHost::as_root().pm_toml(&text(2)).is_err());
}

#[test]
fn the_faults_beyond_a_hundred_are_counted() {
    let keys: String = (0..150).map(|n| format!("k{n} = 1\n")).collect();
    let text = format!("[pool.web]\ncommand = 'x'\n{keys}");
    let faults = FakeHost::as_root().pm_toml(&text).unwrap_err();
    assert_eq!((faults.iter().count(), faults.left_out()), (100, 50));
    assert!(faults.to_string().ends_with("\nand 50 more"), "{faults}");
    let pictures = pictures(&faults);
    assert!(pictures.ends_with("150 faults; only the first 100 are shown\n"), "{pictures}");
}
