//! The options of `pm export`.

use std::path::PathBuf;

use clap::ValueHint;

use super::ColourArgs;
use crate::export::{Cpu, Engine, JobFormat, PodPer, PodRange};

/// What `pm export` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    #[arg(value_name = "ENGINE", hide_possible_values = true, help = engine_help())]
    pub engine: Engine,
    /// The pools [default: all]
    #[arg(value_name = "POOL", value_hint = ValueHint::Other)]
    pub pools: Vec<String>,
    /// Read this file: a pm.toml or a Procfile, by its name or its text
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Write the files into this folder; one that differs is left alone
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Fail if a key is not carried over, or in part; write nothing then
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub contents: ContentArgs,
    #[command(flatten)]
    pub colour: ColourArgs,
}

/// What is in the files.
#[derive(Clone, Debug, clap::Args)]
pub struct ContentArgs {
    /// The target, project or job [default: the name of the file's folder]
    #[arg(long, value_hint = ValueHint::Other)]
    pub name: Option<String>,
    /// The folder of the file where the engine runs it [default: where it is]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::Other)]
    pub dir: Option<PathBuf>,
    /// The image, for engines that run containers
    #[arg(long, value_name = "IMAGE", value_hint = ValueHint::Other)]
    pub image: Option<String>,
    /// For kubernetes: a pod per slot, or per pool, which pm keeps [default: slot]
    #[arg(long, value_name = "WHAT", hide_possible_values = true)]
    pub pod_per: Option<PodPer>,
    /// For kubernetes: the CPU that each worker requests, as 500m or 2
    #[arg(long, value_name = "CPU", value_hint = ValueHint::Other)]
    pub cpu: Option<Cpu>,
    /// For kubernetes: an autoscaler for each Deployment, autoscaling/v2, at 70 % CPU
    #[arg(long, value_name = "MIN-MAX", value_hint = ValueHint::Other, requires = "cpu")]
    pub autoscale: Option<PodRange>,
    /// For nomad: hcl or json [default: hcl]
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<JobFormat>,
    /// Run each worker of a container under `pm run --init`
    #[arg(long)]
    pub with_pm: bool,
    /// For systemd: confine the workers
    #[arg(long)]
    pub hardened: bool,
    /// For kubernetes and nomad: write the values of `env_file` too
    #[arg(long)]
    pub secrets: bool,
}

fn engine_help() -> String {
    let names: Vec<_> = Engine::ALL.iter().map(|engine| engine.written()).collect();
    format!("The engine: {}", names.join(", "))
}
