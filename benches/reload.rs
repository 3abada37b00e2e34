//! A reload of many slots: one that changes nothing, and one that changes a pool of one slot.
//!
//!     cargo bench --bench reload
//!
//! Needs root and a C compiler.

mod support;

use nix::sys::signal::Signal;
use support::programs::{Contender, Programs};
use support::reloadable::Reloadable;
use support::report::{Figure, Report};
use support::statistics::median;
use support::{Anything, settings};

fn main() -> Anything<()> {
    let Some(events) = support::events("reload")? else { return Ok(()) };
    let programs = Programs::compile()?;
    let mut report = Report::new(
        "reload",
        "A reload over the control socket. Unchanged: to the answer. One changed: a pool of one slot has another \
         command; to the exec of its new worker. CPU time of all threads of pm. Medians.",
    )?;
    let rounds = settings::rounds(7)?;
    for size in settings::sizes(&[1_000])? {
        for contender in Contender::pms() {
            let Contender::Pm { program, .. } = &contender else { continue };
            let mut pm = Reloadable::start(program, &programs, size, &events)?;
            let (mut unchanged, mut changed) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                unchanged.push(pm.reload_unchanged(&events)?);
                changed.push(pm.reload_one_changed(&events)?);
            }
            pm.keeper.stop(Signal::SIGTERM, &events)?;
            for (name, samples) in [("unchanged", unchanged), ("one changed", changed)] {
                let of = |value: fn(&support::reloadable::Reloaded) -> f64| {
                    median(&samples.iter().map(value).collect::<Vec<_>>())
                };
                let subject = contender.name();
                let time = Figure::new(name, subject, of(|one| one.seconds) * 1e3, "ms");
                report.add(time.of_size(size));
                let cpu = of(|one| one.cpu_milliseconds);
                report.add(Figure::new(&format!("{name}, CPU"), subject, cpu, "ms").of_size(size));
            }
        }
    }
    report.finish()
}
