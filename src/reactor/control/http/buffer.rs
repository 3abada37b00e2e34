//! Bytes that wait: put in at the end, taken from the front. An empty buffer has no memory.

#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// What stands before is taken already.
    start: usize,
}

impl Buffer {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if bytes.len() > self.bytes.capacity() - self.bytes.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
            // A power of two: growth is linear in all, and a buffer of at most 64 KiB has no more memory than that.
            let wanted = (self.bytes.len() + bytes.len()).next_power_of_two();
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes bytes from the front, at most as many as there are.
    pub fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.len(), "{count} of {} bytes are taken", self.len());
        self.start = (self.start + count).min(self.bytes.len());
        if self.is_empty() {
            *self = Self::default();
        }
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The memory that it has.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out_in_order() {
        let mut buffer = Buffer::default();
        let (mut put, mut taken) = (0_u8..=255, Vec::new());
        while taken.len() < 256 {
            let piece: Vec<_> = put.by_ref().take(7).collect();
            buffer.push(&piece);
            let count = buffer.len().div_ceil(2);
            taken.extend_from_slice(&buffer.bytes()[..count]);
            buffer.advance(count);
        }
        assert_eq!(taken, (0..=255).collect::<Vec<_>>());
    }

    #[test]
    fn memory_grows_to_the_next_power_of_two_and_is_freed() {
        let mut buffer = Buffer::default();
        for _ in 0..1_000 {
            buffer.push(&[b'x'; 600]);
            buffer.advance(500.min(buffer.len() - 1));
            while buffer.len() > 4_096 - 600 {
                buffer.advance(600);
            }
        }
        assert!(buffer.capacity() <= 4_096, "{}", buffer.capacity());
        buffer.advance(buffer.len());
        assert_eq!(buffer.capacity(), 0);
    }
}
