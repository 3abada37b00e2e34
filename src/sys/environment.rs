//! The environments of workers, as exec(2) takes them. What many slots have in common is kept once.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;

use crate::plan::environment::Variable;

/// The environment of a worker.
#[derive(Debug)]
pub struct Env {
    /// What other slots have too, in one list for all of them.
    common: Rc<[Rc<CStr>]>,
    own: Vec<Rc<CStr>>,
}

impl Env {
    pub fn new(variables: &[Variable<'_>], texts: &mut Texts) -> Self {
        let (mut common, mut own) = (Vec::with_capacity(variables.len()), Vec::new());
        for (name, value) in variables {
            match texts.keep(&[name.as_bytes(), b"=", value.as_bytes()]) {
                Kept::Again(text) => common.push(text),
                Kept::First(text) => own.push(text),
            }
        }
        own.shrink_to_fit();
        Self { common: texts.keep_list(common), own }
    }

    pub fn texts(&self) -> impl Iterator<Item = &CStr> {
        self.common.iter().chain(&self.own).map(|text| &**text)
    }
}

/// Texts that many slots have in common, such as pm's own environment, and lists of them: each is kept once.
#[derive(Debug, Default)]
pub struct Texts {
    texts: BTreeSet<Rc<CStr>>,
    lists: BTreeSet<Rc<[Rc<CStr>]>>,
    /// The one that is looked for.
    text: Vec<u8>,
}

/// A text that is kept.
pub enum Kept {
    /// It was not kept before.
    First(Rc<CStr>),
    Again(Rc<CStr>),
}

impl Kept {
    pub fn text(self) -> Rc<CStr> {
        match self {
            Self::First(text) | Self::Again(text) => text,
        }
    }
}

impl Texts {
    /// Keeps the text that these parts make, up to its first NUL byte, as exec(2) takes it.
    pub fn keep(&mut self, parts: &[&[u8]]) -> Kept {
        self.text.clear();
        parts.iter().for_each(|part| self.text.extend_from_slice(part));
        self.text.push(0);
        let text = CStr::from_bytes_until_nul(&self.text).expect("it ends with NUL");
        if let Some(kept) = self.texts.get(text) {
            return Kept::Again(Rc::clone(kept));
        }
        let kept = Rc::from(text);
        self.texts.insert(Rc::clone(&kept));
        Kept::First(kept)
    }

    fn keep_list(&mut self, list: Vec<Rc<CStr>>) -> Rc<[Rc<CStr>]> {
        if let Some(kept) = self.lists.get(list.as_slice()) {
            return Rc::clone(kept);
        }
        let kept = Rc::from(list);
        self.lists.insert(Rc::clone(&kept));
        kept
    }
}

/// The text up to its first NUL byte, as exec(2) takes it.
pub fn c_string(text: OsString) -> CString {
    let mut bytes = text.into_vec();
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    CString::new(bytes).expect("cut at the first NUL")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn variables(port: &str) -> [Variable<'_>; 3] {
        let all = [("HOME", "/root"), ("PORT", port), ("PATH", "/bin")];
        all.map(|(name, value)| (name.as_ref(), OsStr::new(value).into()))
    }

    fn sorted(env: &Env) -> Vec<&str> {
        let mut texts: Vec<_> = env.texts().map(|text| text.to_str().unwrap()).collect();
        texts.sort_unstable();
        texts
    }

    #[test]
    fn each_slot_has_all_its_variables_and_what_they_have_in_common_is_one_list() {
        let mut texts = Texts::default();
        let envs = ["1", "2", "3"].map(|port| Env::new(&variables(port), &mut texts));
        for (env, port) in envs.iter().zip(["PORT=1", "PORT=2", "PORT=3"]) {
            assert_eq!(sorted(env), ["HOME=/root", "PATH=/bin", port]);
        }
        let [_, second, third] = envs;
        assert!(Rc::ptr_eq(&second.common, &third.common));
        assert_eq!((second.common.len(), third.own.len()), (2, 1));
    }
}
