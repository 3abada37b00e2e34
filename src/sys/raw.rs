//! System calls without libc: a call by its number, the result in a register.
//!
//! libc stores the number of an error in the memory of its thread. A child that shares this memory with pm, while pm
//! goes on, must not do that ([`super::child`]).

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::arch::asm;

/// A system call with up to six arguments: its result, or the number of its error.
///
/// # Safety
/// As the system call asks for.
#[cfg(target_arch = "x86_64")]
// SAFETY: the caller keeps to what the system call asks for.
// WHY: libc writes errno (see above).
pub unsafe fn call(number: libc::c_long, arguments: [usize; 6]) -> Result<usize, i32> {
    let result: isize;
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the calling convention of syscall(2) on this machine; the kernel changes rax, rcx and r11 alone.
    // WHY: as above.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
             in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    checked(result)
}

/// A system call with up to six arguments: its result, or the number of its error.
///
/// # Safety
/// As the system call asks for.
#[cfg(target_arch = "aarch64")]
// SAFETY: the caller keeps to what the system call asks for.
// WHY: libc writes errno (see above).
pub unsafe fn call(number: libc::c_long, arguments: [usize; 6]) -> Result<usize, i32> {
    let result: isize;
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the calling convention of syscall(2) on this machine; the kernel changes x0 alone.
    // WHY: as above.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b, in("x2") c,
             in("x3") d, in("x4") e, in("x5") f, options(nostack));
    }
    checked(result)
}

/// A system call with up to six arguments: its result, or the number of its error. On this machine by libc, so a
/// child needs memory of its own ([`SHARES_ERRNO`]).
///
/// # Safety
/// As the system call asks for.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
// SAFETY: the caller keeps to what the system call asks for.
// WHY: nix does not wrap a call by its number.
pub unsafe fn call(number: libc::c_long, arguments: [usize; 6]) -> Result<usize, i32> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: as above.
    // WHY: as above.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 {
        return Err(nix::errno::Errno::last_raw());
    }
    checked(result as isize)
}

/// True where a call writes errno all the same.
pub const SHARES_ERRNO: bool = cfg!(not(any(target_arch = "x86_64", target_arch = "aarch64")));

/// An error is a number from -4095 to -1 (syscall(2)).
fn checked(result: isize) -> Result<usize, i32> {
    if (-4095..0).contains(&result) { Err(-result as i32) } else { Ok(result as usize) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_returns_its_result_or_its_error_and_leaves_errno_alone() {
        nix::errno::Errno::ERANGE.set();
        // SAFETY: both take numbers only.
        // WHY: this is what is tested.
        let (pid, bad) = unsafe {
            (call(libc::SYS_getpid, [0; 6]), call(libc::SYS_close, [usize::MAX, 0, 0, 0, 0, 0]))
        };
        assert_eq!(pid, Ok(std::process::id() as usize));
        assert_eq!(bad, Err(libc::EBADF));
        if !SHARES_ERRNO {
            assert_eq!(nix::errno::Errno::last(), nix::errno::Errno::ERANGE);
        }
    }
}
