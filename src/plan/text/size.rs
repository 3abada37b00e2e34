//! Sizes as people write them: `512MB`, `1GiB`, or a number of bytes.

use bytesize::ByteSize;

/// More than any disk has; the kernel takes greater numbers for "no limit" (setrlimit(2), RLIM_INFINITY).
const MAX: u64 = 1 << 60;

/// Why a text is no size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SizeError {
    #[error("`{0}` is no size; write it like `512MB`, `1GiB` or as a number of bytes")]
    NotASize(String),
    #[error("`{0}` is more than 1 EiB")]
    TooLarge(String),
}

/// Reads a size, in bytes. `MB` are millions, `MiB` are 1024 times 1024.
///
/// # Errors
/// If it is none, or more than an EiB.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let size: Result<ByteSize, _> = text.trim().parse();
    match size {
        Ok(size) if size.as_u64() <= MAX => Ok(size.as_u64()),
        Ok(_) => Err(SizeError::TooLarge(text.to_owned())),
        Err(_) => Err(SizeError::NotASize(text.to_owned())),
    }
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
    fn what_is_no_size_is_refused() {
        for bad in ["", "MB", "-1", "1 potato", "1..2MB", "0x10", "∞"] {
            assert!(matches!(parse(bad), Err(SizeError::NotASize(_))), "{bad}");
        }
        assert!(matches!(parse("2EiB"), Err(SizeError::TooLarge(_))));
        assert!(matches!(parse("99999999999999999999999GB"), Err(SizeError::TooLarge(_))));
    }
}
