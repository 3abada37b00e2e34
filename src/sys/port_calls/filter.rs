//! The filter of a worker whose port is held: bind(2), listen(2) and the question whether a socket listens are handed
//! to pm, all other calls run as before.
//!
//! It is installed by the child, before its first other step: the descriptor that comes of it then lies in the table
//! that it still shares with pm. All descendants of the worker inherit the filter, and none can remove it (seccomp(2)).

use std::sync::atomic::Ordering;

use crate::sys::child::{Progress, call};

/// A machine's number for its own system calls (linux/audit.h). A program of another architecture, such as a 32-bit
/// one, has other numbers for them and is not looked at.
#[cfg(target_arch = "x86_64")]
const MACHINE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const MACHINE: u32 = 0xC000_00B7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: u32 = 0;

/// True where pm knows the number of the machine.
pub const IS_KNOWN_MACHINE: bool = MACHINE != 0;

/// Loads the word at this place of the call that is judged (`struct seccomp_data`).
const fn load(at: usize) -> libc::sock_filter {
    let code = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    libc::sock_filter { code, jt: 0, jf: 0, k: at as u32 }
}

/// Skips `equal` instructions if the word is this one, and `other` instructions if not.
const fn jump_if(word: u32, equal: u8, other: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    libc::sock_filter { code, jt: equal, jf: other, k: word }
}

const fn answer(what: libc::c_uint) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: what }
}

/// Where the low half of an argument is, which the kernel takes for an int.
const fn argument(n: usize) -> usize {
    let low = if cfg!(target_endian = "little") { 0 } else { size_of::<u32>() };
    std::mem::offset_of!(libc::seccomp_data, args) + n * size_of::<u64>() + low
}

/// The kernel finds out once for each call that it is always allowed, and does not run this for it (Linux 5.11).
static FILTER: [libc::sock_filter; 12] = [
    load(std::mem::offset_of!(libc::seccomp_data, arch)),
    jump_if(MACHINE, 0, 8),
    load(std::mem::offset_of!(libc::seccomp_data, nr)),
    jump_if(libc::SYS_bind as u32, 7, 0),
    jump_if(libc::SYS_listen as u32, 6, 0),
    jump_if(libc::SYS_getsockopt as u32, 0, 4),
    load(argument(1)),
    jump_if(libc::SOL_SOCKET as u32, 0, 2),
    load(argument(2)),
    jump_if(libc::SO_ACCEPTCONN as u32, 1, 0),
    answer(libc::SECCOMP_RET_ALLOW),
    answer(libc::SECCOMP_RET_USER_NOTIF),
];

/// Installs the filter in the child, and leaves the number of its listener in `progress`.
///
/// Without CAP_SYS_ADMIN the child must give up that a program gains privileges by its file, as set-uid programs do
/// (prctl(2), PR_SET_NO_NEW_PRIVS). Where it has the capability, such programs go on working.
pub fn install(progress: &Progress) -> Result<(), i32> {
    let installed = match seccomp() {
        Err(libc::EACCES) => {
            let no_new_privileges = [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0];
            call(libc::SYS_prctl, no_new_privileges)?;
            seccomp()
        }
        installed => installed,
    };
    // A descriptor, which no number above i32 is.
    progress.listener.store(installed? as i32, Ordering::Release);
    Ok(())
}

/// What it calls is not interrupted by signals other than SIGKILL once pm has seen the call (Linux 5.19), and is not
/// made slower against attacks that the filter is no barrier to (SECCOMP_FILTER_FLAG_SPEC_ALLOW).
fn seccomp() -> Result<usize, i32> {
    let filter = libc::sock_fprog { len: FILTER.len() as u16, filter: FILTER.as_ptr().cast_mut() };
    let filter: *const libc::sock_fprog = &filter;
    let plain = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    let set = |flags: libc::c_ulong| {
        let mode = libc::SECCOMP_SET_MODE_FILTER as usize;
        call(libc::SYS_seccomp, [mode, flags as usize, filter as usize, 0])
    };
    match set(plain | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(libc::EINVAL) => set(plain),
        set => set,
    }
}
