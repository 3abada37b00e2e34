//! What a worker reads from its stdin.

use schemars::JsonSchema;

/// A worker's stdin. pm writes to it only what people type whose `pm attach` has its terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", inline)]
pub enum Stdin {
    /// /dev/null, which ends at once.
    #[default]
    Null,
    /// A pipe that never ends. Watchers such as those of esbuild and Tailwind CSS exit when their stdin ends.
    Open,
    /// With `pty`: the terminal that its output goes to. The default there.
    Terminal,
}

impl Stdin {
    /// All words, as they are written in a `pm.toml`.
    pub const WRITTEN: [&str; 3] =
        [Self::Null.written(), Self::Open.written(), Self::Terminal.written()];

    /// As it is written.
    pub const fn written(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Open => "open",
            Self::Terminal => "terminal",
        }
    }

    /// The stdin that is written like this.
    pub fn read(written: &str) -> Option<Self> {
        [Self::Null, Self::Open, Self::Terminal]
            .into_iter()
            .find(|stdin| stdin.written() == written)
    }
}
