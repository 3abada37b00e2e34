//! The patterns of the JSON schema: how values are written. They accept all that [`super::types`] reads, and refuse
//! what a pattern can say of the rest. Editors take them as regular expressions of ECMAScript.

use serde_json::{Value, json};

use crate::plan::text::signal;

/// The units of a time, from the shortest, as jiff reads them.
const NANOSECONDS: &str = "(nanoseconds?|nanos?|nsecs?|ns)";
const MICROSECONDS: &str = "(microseconds?|micros?|usecs?|us|µsecs?|µs|μsecs?|μs)";
const MILLISECONDS: &str = "(milliseconds?|millis?|msecs?|ms)";
const SECONDS: &str = "(seconds?|secs?|s)";
const MINUTES: &str = "(minutes?|mins?|m)";
const HOURS: &str = "(hours?|hrs?|h)";

/// Numbers with units.
pub fn time() -> String {
    let units = [NANOSECONDS, MICROSECONDS, MILLISECONDS, SECONDS, MINUTES, HOURS]
        .map(|unit| unit.to_owned());
    format!("^\\s*([0-9]+([.,][0-9]+)?\\s*({})[\\s,]*)+$", units.join("|"))
}

/// One number with a unit that is shorter than a millisecond and not 0, or longer than a day.
pub fn time_beyond_bounds() -> String {
    let fraction = "([.,][0-9]+)?";
    let some = "[0-9]*[1-9][0-9]*";
    [
        format!("0*[1-9][0-9]{{0,5}}{fraction}\\s*{NANOSECONDS}"),
        format!("0*[1-9][0-9]{{0,2}}{fraction}\\s*{MICROSECONDS}"),
        format!("0+[.,]{some}\\s*({MICROSECONDS}|{MILLISECONDS})"),
        format!("0+[.,]000{some}\\s*{SECONDS}"),
        format!("0*(8640[1-9]|864[1-9][0-9]|86[5-9][0-9]{{2}}|8[7-9][0-9]{{3}}|9[0-9]{{4}}|[1-9][0-9]{{5,}}){fraction}\\s*{SECONDS}"),
        format!("0*(144[1-9]|14[5-9][0-9]|1[5-9][0-9]{{2}}|[2-9][0-9]{{3}}|[1-9][0-9]{{4,}}){fraction}\\s*{MINUTES}"),
        format!("0*(2[5-9]|[3-9][0-9]|[1-9][0-9]{{2,}}){fraction}\\s*{HOURS}"),
    ]
    .map(|part| format!("^\\s*{part}\\s*$"))
    .join("|")
}

/// What a time that is greater than 0 keeps to, besides.
pub fn more_than_zero() -> Value {
    json!([{ "not": { "pattern": "^\\s*(0+([.,]0+)?\\s*[a-zµμ]+[\\s,]*)+$" } }])
}

/// A number with a unit of bytes.
pub const SIZE: &str = "^\\s*[0-9]+(\\.[0-9]+)?\\s*([kKmMgGtTpPeE][iI]?)?[bB]?\\s*$";

/// A size beyond 1 EiB.
pub const SIZE_BEYOND_BOUNDS: &str = "^\\s*0*([2-9]|[1-9][0-9]+)(\\.[0-9]+)?\\s*[eE]";

/// The bits of a mode.
pub const UMASK: &str = "^(0o)?0?[0-7]{1,3}$";

/// Ports and ranges of ports, with commas between them.
pub fn ports() -> String {
    let port =
        "0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})";
    let range = format!("{port}\\s*(-\\s*{port}\\s*)?");
    format!("^\\s*{range}(,\\s*{range})*$")
}

/// A status, or a range of them.
pub const STATUS: &str = "^\\s*[2-5][0-9]{2}\\s*(-\\s*[2-5][0-9]{2}\\s*)?$";

/// The path of a URL, and its query: ASCII without blanks and without `#`.
pub const TARGET: &str = "^/[!-\"$-~]*$";

/// The signals that ask no worker to stop, by their numbers and names.
pub fn no_stop_signal() -> Value {
    let refused = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGURG,
    ];
    let any_case = |name: &str| -> String {
        name.chars().map(|c| format!("[{c}{}]", c.to_ascii_lowercase())).collect()
    };
    let names = refused.map(|number| any_case(&signal::name(number)["SIG".len()..])).join("|");
    let numbers = refused.map(|number| number.to_string()).join("|");
    let pattern = format!("^\\s*(({})?({names})|({numbers}))\\s*$", any_case("SIG"));
    json!({ "anyOf": [{ "enum": refused }, { "type": "string", "pattern": pattern }] })
}
