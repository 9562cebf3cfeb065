//! From bytes to messages: lines, messages over several lines, lines that are too long.
//!
//! A message is a line. One that begins with `{` and ends before its object does is joined with the
//! next ones, up to the line limit. A broken line never costs the good one after it: when the join
//! cannot become an object any more, its last line is tried alone; and a line that is a whole
//! message by itself is taken as one even where the join might still go on. This module knows the
//! shape of JSON, and of messages no more than [`is_message`] tells.

use super::envelope::is_message;

/// What came out of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// What may be a message: one line, or several joined.
    Text(&'a [u8]),
    /// Something that cannot be one, with what is wrong with it: its beginning, at most [`HEAD`]
    /// bytes.
    Broken(&'a [u8], &'static str),
}

/// What became of a [`Piece::Text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was read, or found broken for good.
    Whole,
    /// It ended before its object did, and nothing was done.
    Unfinished,
}

/// How much of a broken line is kept for the log.
pub const HEAD: usize = 800;

/// Deeper nesting than this is refused: readers of JSON recurse.
const MAX_DEPTH: usize = 127;

/// Splits input into pieces. Holds at most one line limit of it.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    /// A line that has not ended, or lines whose object has not.
    held: Vec<u8>,
    /// Where in `held` the last line begins; 0 where there is only one.
    last_line: usize,
    scan: Scan,
    /// The current line is over the limit and is not held.
    skipping: bool,
}

/// How far an object has come.
#[derive(Debug, Default, Clone)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Shape {
    /// The object goes on in the next line.
    Open,
    /// The object has ended, or never began.
    Whole,
    /// It cannot become an object.
    Broken,
}

impl Scan {
    /// Goes through one more line, its end included.
    fn line(&mut self, line: &[u8]) -> Shape {
        let mut ended = false;
        for &byte in line {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\r' => {}
                _ if ended => return Shape::Broken,
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Shape::Broken;
                    }
                }
                b'}' | b']' => {
                    let Some(depth) = self.depth.checked_sub(1) else { return Shape::Broken };
                    self.depth = depth;
                    ended = depth == 0;
                }
                _ => {}
            }
        }
        // No string goes over the end of a line.
        if self.in_string {
            Shape::Broken
        } else if self.depth > 0 {
            Shape::Open
        } else {
            Shape::Whole
        }
    }
}

impl Lines {
    /// A splitter that skips lines, and joins of lines, longer than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: Vec::new(), last_line: 0, scan: Scan::default(), skipping: false }
    }

    /// Takes more input in.
    pub fn push(&mut self, mut input: &[u8], take: &mut impl FnMut(Piece<'_>) -> Taken) {
        while let Some(at) = memchr::memchr(b'\n', input) {
            let (line, rest) = (&input[..at], &input[at + 1..]);
            input = rest;
            if self.skipping {
                self.skipping = false;
            } else if self.held.is_empty() && line.len() <= self.limit {
                // Nearly always: a whole line, not copied.
                self.first_line(line, take);
            } else if self.hold(line, take) {
                self.line_ended(take);
            } else {
                self.skipping = false;
            }
        }
        if !self.skipping && !input.is_empty() {
            self.hold(input, take);
        }
    }

    /// The input has ended; so has its last line.
    pub fn end(&mut self, take: &mut impl FnMut(Piece<'_>) -> Taken) {
        if !self.held.is_empty() {
            self.line_ended(take);
        }
        self.give_up("the input ended before the object did", take);
    }

    /// Adds to the current line; `false` where it is longer than it may be.
    fn hold(&mut self, bytes: &[u8], take: &mut impl FnMut(Piece<'_>) -> Taken) -> bool {
        if self.held.len() + bytes.len() <= self.limit {
            self.held.extend_from_slice(bytes);
            return true;
        }
        if self.held.is_empty() {
            take(Piece::Broken(head(bytes), "longer than a line may be"));
        }
        // Of a join, only its last line may still be good, if it alone is within the limit.
        let last = self.held.split_off(self.last_line);
        let joined = self.last_line > 0;
        self.give_up("longer than a line may be", take);
        if joined && last.len() + bytes.len() <= self.limit {
            self.held = last;
            self.held.extend_from_slice(bytes);
            return true;
        }
        if joined || !last.is_empty() {
            take(Piece::Broken(head(&last), "longer than a line may be"));
        }
        self.skipping = true;
        false
    }

    fn first_line(&mut self, line: &[u8], take: &mut impl FnMut(Piece<'_>) -> Taken) {
        if line.trim_ascii().is_empty() {
            return;
        }
        if line.trim_ascii_start().first() != Some(&b'{') {
            take(Piece::Broken(head(line), "not a JSON object"));
            return;
        }
        // Nearly every line is a whole message, and the reader of JSON has to go through it anyway.
        let tried = may_be_whole(line);
        if tried && take(Piece::Text(line)) == Taken::Whole {
            return;
        }
        let mut scan = Scan::default();
        match scan.line(line) {
            Shape::Whole if !tried => {
                take(Piece::Text(line));
            }
            Shape::Whole | Shape::Broken => {
                take(Piece::Broken(head(line), "not a JSON object"));
            }
            Shape::Open => {
                self.held.extend_from_slice(line);
                self.held.push(b'\n');
                self.last_line = self.held.len();
                self.scan = scan;
            }
        }
    }

    /// The line at the end of `held` has ended.
    fn line_ended(&mut self, take: &mut impl FnMut(Piece<'_>) -> Taken) {
        if self.last_line == 0 {
            let line = std::mem::take(&mut self.held);
            self.first_line(&line, take);
            return;
        }
        let line = &self.held[self.last_line..];
        if is_message(line) {
            let line = self.held.split_off(self.last_line);
            self.give_up("another message began before the object ended", take);
            take(Piece::Text(&line));
            return;
        }
        match self.scan.line(line) {
            Shape::Open => {
                self.held.push(b'\n');
                self.last_line = self.held.len();
            }
            Shape::Whole => {
                let joined = std::mem::take(&mut self.held);
                let line = self.last_line;
                self.last_line = 0;
                // Brackets match, but only the reader of JSON knows whether it is an object.
                if serde_json::from_slice::<serde::de::IgnoredAny>(&joined).is_ok() {
                    take(Piece::Text(&joined));
                } else {
                    take(Piece::Broken(head(&joined), "lines that do not join to a JSON object"));
                    self.first_line(&joined[line..], take);
                }
            }
            Shape::Broken => {
                let line = self.held.split_off(self.last_line);
                self.give_up("lines that do not join to a JSON object", take);
                self.first_line(&line, take);
            }
        }
    }

    fn give_up(&mut self, problem: &'static str, take: &mut impl FnMut(Piece<'_>) -> Taken) {
        self.last_line = 0;
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            take(Piece::Broken(head(&held), problem));
        }
    }
}

/// Whether a line ends like an object and cannot be nested too deep.
fn may_be_whole(line: &[u8]) -> bool {
    let shallow = || memchr::memchr2_iter(b'{', b'[', line).nth(MAX_DEPTH).is_none();
    line.trim_ascii_end().last() == Some(&b'}') && (line.len() <= 2 * MAX_DEPTH || shallow())
}

fn head(line: &[u8]) -> &[u8] {
    &line[..line.len().min(HEAD)]
}

#[cfg(test)]
mod tests {
    use super::{Lines, Piece, Taken};

    const GOOD: &str = r#"{"src":"c1","dest":"n1","body":{"type":"echo","msg_id":1}}"#;

    /// The texts that come out, and the number of broken pieces, whatever the sizes of the chunks.
    fn split(input: &[u8], limit: usize) -> (Vec<String>, usize) {
        let mut results = Vec::new();
        for chunk in [1, 7, input.len().max(1)] {
            let (mut texts, mut broken) = (Vec::new(), 0);
            let mut lines = Lines::new(limit);
            let mut take = |piece: Piece<'_>| {
                match piece {
                    Piece::Text(text) => {
                        match serde_json::from_slice::<serde::de::IgnoredAny>(text) {
                            Err(error) if error.is_eof() => return Taken::Unfinished,
                            Err(_) => broken += 1,
                            Ok(_) => texts.push(String::from_utf8_lossy(text).into_owned()),
                        }
                    }
                    Piece::Broken(..) => broken += 1,
                }
                Taken::Whole
            };
            for bytes in input.chunks(chunk) {
                lines.push(bytes, &mut take);
            }
            lines.end(&mut take);
            results.push((texts, broken));
        }
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{results:?}");
        results.pop().expect("three sizes")
    }

    fn whole(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_line_is_a_message() {
        let input = format!("{GOOD}\n\n  \r\n{GOOD}\r\n{GOOD}");
        let (texts, broken) = split(input.as_bytes(), 1000);
        assert_eq!((texts.len(), broken), (3, 0));
    }

    #[test]
    fn a_message_may_span_lines() {
        let pretty = GOOD.replace(',', ",\n").replace('{', "{\n").replace('}', "\n}");
        let (texts, broken) = split(format!("{GOOD}\n{pretty}\n{GOOD}\n").as_bytes(), 1000);
        assert_eq!((texts, broken), (whole(&[GOOD, &pretty, GOOD]), 0));
    }

    #[test]
    fn a_broken_line_never_costs_the_good_one_after_it() {
        for cut in 1..GOOD.len() {
            let input = format!("{}\n{GOOD}\n{GOOD}\n", &GOOD[..cut]);
            assert_eq!(split(input.as_bytes(), 1000), (whole(&[GOOD, GOOD]), 1), "cut at {cut}");
        }
        for broken in ["nonsense", "}", "]", "[1,2]", "\"text\"", "{\"a\":1}}", "{\"a\":1} x", "{]"]
        {
            let (texts, _) = split(format!("{broken}\n{GOOD}\n").as_bytes(), 1000);
            assert_eq!(texts.last().map(String::as_str), Some(GOOD), "{broken}");
        }
    }

    #[test]
    fn a_message_over_several_lines_survives_a_line_cut_in_a_string() {
        let pretty = GOOD.replace(',', ",\n");
        let input = format!("{}\n{pretty}\n", &GOOD[..20]);
        assert_eq!(split(input.as_bytes(), 1000).0, whole(&[&pretty]));
    }

    #[test]
    fn a_line_over_the_limit_is_skipped_without_being_held() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(2000));
        let input = format!("{GOOD}\n{long}\n{GOOD}\n{long}");
        assert_eq!(split(input.as_bytes(), 100), (whole(&[GOOD, GOOD]), 2));
        let joined = format!("{{\"a\":[\n{}]\n}}\n{GOOD}\n", "1,\n".repeat(100));
        let (texts, broken) = split(joined.as_bytes(), 100);
        assert_eq!(texts, whole(&[GOOD]));
        assert!(broken > 0);
    }

    #[test]
    fn many_brackets_side_by_side_are_not_deep() {
        let wide = format!("{{\"a\":[{}[]]}}", "[],".repeat(1_000));
        assert_eq!(split(format!("{wide}\n").as_bytes(), 1 << 20), (whole(&[&wide]), 0));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let (texts, broken) = split(format!("{deep}\n{GOOD}\n").as_bytes(), 1 << 20);
        assert_eq!((texts, broken), (whole(&[GOOD]), 1));
    }

    #[test]
    fn what_the_input_ends_in_is_broken() {
        assert_eq!(split(&GOOD.as_bytes()[..20], 1000), (vec![], 1));
    }
}
