//! recvmsg(2) on a notify socket. The descriptors that a datagram brings (FDSTORE=1, BARRIER=1) are closed.
//!
//! nix's `recvmsg` is of no use here: where the kernel cannot install all descriptors (EMFILE), it says nothing about
//! the sender and nothing about those that are installed.

use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::Sender;

/// As many as one datagram may bring (unix(7), SCM_RIGHTS).
const DESCRIPTORS_MAX: usize = 253;

/// Room for the sender and the descriptors, each behind a header; aligned as headers are.
const CONTROL_WORDS: usize =
    (size_of::<libc::ucred>() + DESCRIPTORS_MAX * size_of::<RawFd>() + 64) / 8;

/// Takes a datagram without waiting: its length, and its sender, whom the kernel names if PassCred is set.
///
/// # Errors
/// EAGAIN if none is waiting, and as recvmsg(2).
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<(usize, Option<Sender>), Errno> {
    let mut control = [0_u64; CONTROL_WORDS];
    let mut buffer = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all fields are numbers or pointers, and null is valid for these.
    // WHY: msghdr has private padding, so it cannot be written out.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut buffer;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // Libraries differ in the type of lengths.
    message.msg_controllen = size_of_val(&control) as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: both buffers live until the end of this function and have the lengths that the message says.
    // WHY: see the head of this file.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let count = usize::try_from(Errno::result(count)?).expect("a length");
    let mut sender = None;
    // SAFETY: the kernel has filled the control buffer, and set its length in the message.
    // WHY: the parts of a control buffer can be found only by these functions (cmsg(3)).
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return only headers that stand whole in the control buffer, each with
        // as much data behind it as it says.
        // WHY: as above.
        let (part, data) = unsafe { (&*header, libc::CMSG_DATA(header)) };
        #[allow(clippy::unnecessary_cast, reason = "as above: another library has u32")]
        let length = part.cmsg_len as usize - (data.addr() - header.addr());
        match (part.cmsg_level, part.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                // SAFETY: the data of this type is a ucred, at any alignment.
                // WHY: as above.
                let ucred: libc::ucred = unsafe { data.cast::<libc::ucred>().read_unaligned() };
                sender = Some(Sender { pid: Pid::from_raw(ucred.pid), uid: ucred.uid });
            }
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for index in 0..length / size_of::<RawFd>() {
                    // SAFETY: the data of this type is descriptors, which the kernel has just opened for this process.
                    // WHY: as above.
                    drop(unsafe {
                        let descriptor = data.cast::<RawFd>().add(index).read_unaligned();
                        OwnedFd::from_raw_fd(descriptor)
                    });
                }
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR; `header` is a part of this message.
        // WHY: as above.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok((count, sender))
}
