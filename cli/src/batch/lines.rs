//! The lines of a batch: one at a time, and none longer than a bound.

use std::io::{BufRead, ErrorKind, Read, Result};

/// The longest line that is kept.
pub const BOUND: usize = 64 << 20;

/// A line of the input.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// The text, or `None` if the line is longer than the bound.
    pub text: Option<Vec<u8>>,
    /// Its length in bytes, with the line end.
    pub size: u64,
}

/// The lines that are not empty. Empty ones count for the numbers.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    number: u64,
    bound: usize,
}

impl<R: BufRead> Lines<R> {
    pub fn new(input: R, bound: usize) -> Lines<R> {
        Lines { input, number: 0, bound }
    }

    /// The next line, or `None` at the end.
    pub fn next(&mut self) -> Result<Option<Line>> {
        loop {
            let mut text = Vec::new();
            let kept = self.input.by_ref().take(self.bound as u64).read_until(b'\n', &mut text)?;
            if kept == 0 {
                return Ok(None);
            }
            self.number += 1;
            let rest = if text.ends_with(b"\n") { 0 } else { self.skip()? };
            let (number, size) = (self.number, kept as u64 + rest);
            if rest > 0 {
                return Ok(Some(Line { number, text: None, size }));
            }
            if !text.trim_ascii().is_empty() {
                return Ok(Some(Line { number, text: Some(text), size }));
            }
        }
    }

    /// Skips the rest of a line. Returns how many bytes that are.
    fn skip(&mut self) -> Result<u64> {
        let mut skipped = 0;
        loop {
            let piece = match self.input.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = piece.iter().position(|byte| *byte == b'\n');
            let (length, is_end) = end.map_or((piece.len(), piece.is_empty()), |at| (at + 1, true));
            self.input.consume(length);
            skipped += length as u64;
            if is_end {
                return Ok(skipped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_is_not_held() {
        let text =
            [&[b'x'; 25][..], b"\n\n \n123456789\n", b"ten bytes.\n", &[b'y'; 11], b"\nlast"];
        let text = text.concat();
        let mut lines = Lines::new(&text[..], 10);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line);
        }
        let told: Vec<_> =
            all.iter().map(|line| (line.number, line.text.is_some(), line.size)).collect();
        assert_eq!(
            told,
            [(1, false, 26), (4, true, 10), (5, false, 11), (6, false, 12), (7, true, 4)]
        );
        assert_eq!(all.iter().map(|line| line.size).sum::<u64>() + 3, text.len() as u64);
    }
}
