//! A value that pm shares with a child even if the rest of the child's memory is a copy.

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A value that a child writes and pm reads. It is not dropped if it is in a mapping.
pub enum Shared<T> {
    /// The child shares all of pm's memory.
    InPlace(T),
    /// The child has a copy of it.
    Mapped(Mapping<T>),
}

impl<T> Shared<T> {
    /// What a futex in it needs beside its operation (futex(2)).
    pub fn futex_flag(&self) -> libc::c_int {
        match self {
            Self::InPlace(_) => libc::FUTEX_PRIVATE_FLAG,
            Self::Mapped(_) => 0,
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::InPlace(value) => value,
            Self::Mapped(mapping) => mapping.value(),
        }
    }
}

/// A value in memory that fork(2) does not copy (mmap(2), MAP_SHARED).
pub struct Mapping<T> {
    at: NonNull<T>,
}

impl<T: Sync> Mapping<T> {
    const BYTES: NonZeroUsize = NonZeroUsize::new(size_of::<T>()).expect("a value has a size");

    /// # Errors
    /// ENOMEM: no memory is left, or pm has too many mappings (vm.max_map_count).
    pub fn new(value: T) -> Result<Self, Errno> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address that the kernel picks.
        // WHY: nix calls it unsafe, for those at a given address.
        let at = unsafe { mmap_anonymous(None, Self::BYTES, access, MapFlags::MAP_SHARED) }?;
        let at = at.cast::<T>();
        // SAFETY: a page is aligned for `T`, large enough, writable, and nothing else uses it yet.
        // WHY: a value gets to a given place by a pointer alone.
        unsafe { at.write(value) };
        Ok(Self { at })
    }
}

impl<T> Mapping<T> {
    fn value(&self) -> &T {
        // SAFETY: `new` has put a value there, which stays until the drop.
        // WHY: as in `new`.
        unsafe { self.at.as_ref() }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: a mapping of this struct alone; no reference to it outlives the struct.
        // WHY: as in `new`.
        let unmapped = unsafe { munmap(self.at.cast::<c_void>(), size_of::<T>()) };
        debug_assert_eq!(unmapped, Ok(()), "a mapping can be removed");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI32, Ordering};

    use nix::sys::wait::waitpid;
    use nix::unistd::{ForkResult, fork};

    use super::*;

    #[test]
    fn what_a_child_with_a_copy_of_the_memory_writes_to_a_mapping_is_seen() {
        let mapped = Shared::Mapped(Mapping::new(AtomicI32::new(1)).unwrap());
        let in_place = Shared::InPlace(AtomicI32::new(1));
        // SAFETY: the child stores two numbers, makes one system call, and never returns.
        // WHY: this is what is tested.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                mapped.store(2, Ordering::SeqCst);
                in_place.store(2, Ordering::SeqCst);
                // SAFETY: _exit(2) is async-signal-safe and does not return.
                // WHY: exit(3) would run the exit work of the test.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        };
        assert_eq!(mapped.load(Ordering::SeqCst), 2);
        assert_eq!(in_place.load(Ordering::SeqCst), 1);
    }
}
