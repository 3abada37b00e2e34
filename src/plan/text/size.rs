//! Sizes as people write them: `512MB`, `1GiB`, or a number of bytes.

use bytesize::ByteSize;

use super::explain::Explain;

/// More than any disk has; the kernel takes greater numbers for "no limit" (setrlimit(2), RLIM_INFINITY).
pub const MAX: u64 = 1 << 60;

/// Why a text is not a size.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SizeError {
    #[error("`{0}` is not a size")]
    NotASize(String),
    #[error("`{0}` is more than 1 EiB")]
    TooLarge(String),
}

impl Explain for SizeError {
    fn help(&self) -> Option<String> {
        match self {
            Self::NotASize(_) => {
                Some("write it like `512MB`, `1GiB` or as a number of bytes".into())
            }
            Self::TooLarge(_) => None,
        }
    }
}

/// Reads a size, in bytes. `MB` are millions, `MiB` are 1024 times 1024.
///
/// # Errors
/// If it is not a size, or more than 1 EiB.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    // bytesize reads `.5MB` and `1.MB` too.
    let digits = |part: &str| part.trim().starts_with(|c: char| c.is_ascii_digit());
    if !text.trim().split('.').all(digits) {
        return Err(SizeError::NotASize(text.to_owned()));
    }
    let size: Result<ByteSize, _> = text.trim().parse();
    match size {
        Ok(size) if size.as_u64() <= MAX => Ok(size.as_u64()),
        Ok(_) => Err(SizeError::TooLarge(text.to_owned())),
        Err(_) => Err(SizeError::NotASize(text.to_owned())),
    }
}

/// A size as it is written in a `pm.toml`: `10MB`.
pub fn written(bytes: u64) -> String {
    in_exact_unit(bytes).map_or(bytes.to_string(), |(number, unit)| format!("{number}{unit}"))
}

/// The number of the largest unit in which it is a whole one, and that unit.
pub fn in_exact_unit(bytes: u64) -> Option<(u64, &'static str)> {
    const UNITS: [(u64, &str); 6] = [
        (1_000_000_000, "GB"),
        (1 << 30, "GiB"),
        (1_000_000, "MB"),
        (1 << 20, "MiB"),
        (1_000, "kB"),
        (1 << 10, "KiB"),
    ];
    let exact = UNITS.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    exact.map(|(unit, name)| (bytes / unit, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_or_without_a_unit() {
        assert_eq!(parse("512MB").unwrap(), 512_000_000);
        assert_eq!(parse("1GiB").unwrap(), 1 << 30);
        assert_eq!(parse("1.5 kb").unwrap(), 1_500);
        assert_eq!(parse("4096").unwrap(), 4_096);
    }

    #[test]
    fn a_written_size_reads_back() {
        assert_eq!(written(10_000_000), "10MB");
        assert_eq!(parse(&written(1_500)).unwrap(), 1_500);
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for bad in ["", "MB", "-1", "1 potato", "1..2MB", ".5MB", "1.MB", "0x10", "∞"] {
            assert!(matches!(parse(bad), Err(SizeError::NotASize(_))), "{bad}");
        }
        assert!(matches!(parse("2EiB"), Err(SizeError::TooLarge(_))));
        assert!(matches!(parse("99999999999999999999999GB"), Err(SizeError::TooLarge(_))));
    }
}
