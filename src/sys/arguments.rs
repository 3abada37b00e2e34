//! Lists of texts as exec(2) takes them.

use std::ffi::{CStr, CString};
use std::ptr::null;

use super::listen_pid::ListenPid;

/// A list of texts as exec(2) takes it.
#[derive(Debug)]
pub struct Arguments {
    /// Ended by null.
    pointers: Vec<*const libc::c_char>,
    /// What they point to.
    _texts: Vec<CString>,
}

impl Arguments {
    pub fn new(texts: Vec<CString>) -> Self {
        Self { pointers: pointers(texts.iter().map(CString::as_c_str), None), _texts: texts }
    }

    pub fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

/// A pointer list as exec(2) takes it. The variable comes last.
pub fn pointers<'a>(
    strings: impl Iterator<Item = &'a CStr>,
    last: Option<&ListenPid>,
) -> Vec<*const libc::c_char> {
    strings.map(CStr::as_ptr).chain(last.map(ListenPid::as_ptr)).chain([null()]).collect()
}
