//! The limits of a pool's workers: what a program needs at least, and what pm may give at most.

use super::faults::PoolFault;
use super::field::{Field, Given};
use super::keys::LimitsTable;
use super::pool::Reader;
use super::types::{Size, Whole};
use crate::plan::Limits;
use crate::plan::host::LimitKind;
use crate::plan::text::phrase;

/// A program needs some memory, and a stack for its arguments and variables (execve(2)).
pub const MEMORY_LEAST: u64 = 1 << 20;
pub const STACK_LEAST: u64 = 64 << 10;

impl Reader<'_> {
    /// The limits that a table sets.
    pub fn limits(&mut self, field: &Field<LimitsTable>) -> Limits {
        let Some(table) = field.value() else { return Limits::default() };
        Limits {
            open_files: self.count("open_files", &table.open_files, LimitKind::OpenFiles),
            processes: self.count("processes", &table.processes, LimitKind::Processes),
            file_bytes: self.size("file_size", &table.file_size, 0, LimitKind::FileSize),
            core_bytes: self.size("core", &table.core, 0, LimitKind::Core),
            stack_bytes: self.size("stack", &table.stack, STACK_LEAST, LimitKind::Stack),
            // A control group may limit it, and pm's own limit on the address space holds too.
            memory_bytes: self.size("memory", &table.memory, MEMORY_LEAST, LimitKind::Memory),
        }
    }

    fn count<const MIN: i64>(
        &mut self,
        key: &'static str,
        field: &Field<Whole<MIN, { i64::MAX }>>,
        kind: LimitKind,
    ) -> Option<u64> {
        let (count, given) = field.usable()?;
        let count = u64::try_from(count.0).ok()?;
        self.check_most(key, count, given, kind, |count| count.to_string());
        Some(count)
    }

    fn size(
        &mut self,
        key: &'static str,
        field: &Field<Size>,
        least: u64,
        kind: LimitKind,
    ) -> Option<u64> {
        let (size, given) = field.usable()?;
        if size.0 < least {
            self.add_fault(given.at.clone(), PoolFault::LimitTooLow { key, least });
        } else {
            self.check_most(key, size.0, given, kind, phrase::bytes);
        }
        Some(size.0)
    }

    fn check_most<T>(
        &mut self,
        key: &'static str,
        value: u64,
        given: &Given<T>,
        kind: LimitKind,
        shown: fn(u64) -> String,
    ) {
        let most = self.host.limit_most(kind);
        if value > most {
            let (value, most) = (shown(value), shown(most));
            self.add_fault(given.at.clone(), PoolFault::LimitTooHigh { key, value, most });
        }
    }
}
