//! What the poll can tell of, and the token that stands for it.

use mio::Token;

use crate::supervisor::SlotId;

/// Something that is registered with the poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Signals,
    Stdout,
    Stderr,
    /// The output of a worker, by the key of its pipe.
    Output(usize),
    /// The connection of the probe that looks at this slot's worker.
    Probe(SlotId),
    /// Where this slot's worker says how it is.
    Notices(SlotId),
}

/// The kinds of which there are many, each with its numbers interleaved with those of the others.
const KINDS: usize = 3;
const FIRST_OF_MANY: usize = 3;

impl Source {
    pub fn token(self) -> Token {
        let of_many = |number, kind| Token(FIRST_OF_MANY + KINDS * number + kind);
        match self {
            Self::Signals => Token(0),
            Self::Stdout => Token(1),
            Self::Stderr => Token(2),
            Self::Output(key) => of_many(key, 0),
            Self::Probe(slot) => of_many(slot.0, 1),
            Self::Notices(slot) => of_many(slot.0, 2),
        }
    }
}

impl From<Token> for Source {
    fn from(token: Token) -> Self {
        let number = token.0.saturating_sub(FIRST_OF_MANY) / KINDS;
        match token.0 {
            0 => Self::Signals,
            1 => Self::Stdout,
            2 => Self::Stderr,
            of_many => match (of_many - FIRST_OF_MANY) % KINDS {
                0 => Self::Output(number),
                1 => Self::Probe(SlotId(number)),
                _ => Self::Notices(SlotId(number)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_source() {
        let mut sources = vec![Source::Signals, Source::Stdout, Source::Stderr];
        for n in 0..100 {
            sources.extend([
                Source::Output(n),
                Source::Probe(SlotId(n)),
                Source::Notices(SlotId(n)),
            ]);
        }
        for source in sources {
            assert_eq!(Source::from(source.token()), source);
        }
    }
}
