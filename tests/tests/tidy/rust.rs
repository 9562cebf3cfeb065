//! As much of Rust as the rules need: what is code and what is comment, which words and paths the
//! code uses, and how long its functions are.

use super::repository::Source;

/// The text of a Rust file, taken apart. In both parts the lines stay where they are.
pub struct Parts {
    /// Without comments and without the contents of strings.
    pub code: String,
    /// The comments alone.
    pub comments: String,
}

/// Reads characters from a place on.
struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn starts(&self, with: &str) -> bool {
        with.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c))
    }

    /// How many characters from here on, and `skipped` further, are none of `end`.
    fn until(&self, skipped: usize, end: char) -> usize {
        self.chars.iter().skip(self.at + skipped).take_while(|c| **c != end).count()
    }

    /// Goes over a comment, if here is one.
    fn comment(&mut self) -> bool {
        if self.starts("//") {
            self.at += self.until(0, '\n');
            return true;
        }
        let mut depth = 0;
        while self.at < self.chars.len() {
            if self.starts("/*") {
                (depth, self.at) = (depth + 1, self.at + 2);
            } else if depth == 0 {
                return false;
            } else if self.starts("*/") {
                (depth, self.at) = (depth - 1, self.at + 2);
                if depth == 0 {
                    return true;
                }
            } else {
                self.at += 1;
            }
        }
        depth > 0
    }

    /// Goes over a string or a character, if here is one.
    fn literal(&mut self) -> bool {
        let before = self.at.checked_sub(1).map(|before| self.chars[before]);
        let after_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let hashes = self.chars[self.at + 1..].iter().take_while(|c| **c == '#').count();
        if self.starts("r") && !after_name && self.chars.get(self.at + 1 + hashes) == Some(&'"') {
            let end = format!("\"{}", "#".repeat(hashes));
            self.at += 2 + hashes;
            while self.at < self.chars.len() && !self.starts(&end) {
                self.at += 1;
            }
            self.at += end.len();
        } else if self.starts("\"") {
            self.at += 1;
            while self.at < self.chars.len() && !self.starts("\"") {
                self.at += if self.starts("\\") { 2 } else { 1 };
            }
            self.at += 1;
        } else if self.starts("'\\") {
            self.at += 3 + self.until(3, '\'') + 1;
        } else if self.starts("'") && self.chars.get(self.at + 2) == Some(&'\'') {
            self.at += 3;
        } else {
            return false;
        }
        true
    }
}

/// Takes a Rust file apart.
pub fn parts(text: &str) -> Parts {
    let mut reader = Reader { chars: text.chars().collect(), at: 0 };
    let (mut code, mut comments) = (String::new(), String::new());
    let only_lines = |c: char| (c == '\n').then_some('\n');
    while reader.at < reader.chars.len() {
        let from = reader.at;
        let is_comment = reader.comment();
        let skipped = is_comment || reader.literal();
        if !skipped {
            let c = reader.chars[reader.at];
            code.push(c);
            comments.extend(only_lines(c));
            reader.at += 1;
            continue;
        }
        let part = &reader.chars[from..reader.at.min(reader.chars.len())];
        code.extend(part.iter().filter_map(|c| only_lines(*c)));
        // Words on both sides stay two.
        code.push(' ');
        match is_comment {
            true => comments.extend(part),
            false => comments.extend(part.iter().filter_map(|c| only_lines(*c))),
        }
    }
    Parts { code, comments }
}

/// The names and numbers of a line.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// Code that uses one of these words.
pub fn mentions(source: &Source, banned: &[&str]) -> Vec<String> {
    let code = parts(&source.text).code;
    let lines = code.lines().enumerate();
    lines
        .flat_map(|(at, line)| {
            words(line).filter(|word| banned.contains(word)).map(move |word| (at, word))
        })
        .map(|(at, word)| format!("{}:{}: `{word}`", source.path, at + 1))
        .collect()
}

/// A token of code and the line, from 1, that it stands in.
type Token = (String, usize);

/// Code as names, `::`, `->` and single characters.
fn tokens(code: &str) -> Vec<Token> {
    let (mut tokens, mut line) = (Vec::new(), 1);
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        if c.is_whitespace() {
            continue;
        }
        let mut token = String::from(c);
        if c.is_alphanumeric() || c == '_' {
            while let Some(next) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                token.push(next);
            }
        } else if let Some(second) =
            chars.next_if(|next| matches!((c, next), (':', ':') | ('-', '>')))
        {
            token.push(second);
        }
        tokens.push((token, line));
    }
    tokens
}

/// Adds the paths of the `use` tree that begins at a token, and tells where it ends.
fn tree(tokens: &[Token], mut at: usize, before: &str, paths: &mut Vec<Token>) -> usize {
    let is = |at: usize, what: &str| tokens.get(at).is_some_and(|(token, _)| token == what);
    let (mut path, line) = (before.to_owned(), tokens.get(at).map_or(0, |(_, line)| *line));
    while let Some((token, _)) = tokens.get(at) {
        if token == "{" {
            at += 1;
            while at < tokens.len() && !is(at, "}") {
                // What is no name is gone over too.
                at = tree(tokens, at, &path, paths).max(at + 1);
                at += usize::from(is(at, ","));
            }
            return at + 1;
        }
        let named = token == "*" || token.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !named {
            break;
        }
        path.push_str(token);
        at += 1;
        if !is(at, "::") {
            break;
        }
        path.push_str("::");
        at += 1;
    }
    paths.push((path, line));
    if is(at, "as") { at + 2 } else { at }
}

/// All paths of more than one name that the code uses; of `use a::{b, c}` both.
pub fn paths(code: &str) -> Vec<(String, usize)> {
    let tokens = tokens(code);
    let (mut paths, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let begins = tokens.get(at + 1).is_some_and(|(token, _)| token == "::")
            && tokens[at].0.starts_with(|c: char| c.is_alphabetic() || c == '_');
        at = if begins { tree(&tokens, at, "", &mut paths).max(at + 1) } else { at + 1 };
    }
    paths
}

/// Code that uses one of these paths, or something below it.
pub fn uses(source: &Source, banned: &[&str]) -> Vec<String> {
    let below = |path: &str, banned: &str| {
        path.strip_prefix(banned).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    paths(&parts(&source.text).code)
        .into_iter()
        .filter(|(path, _)| banned.iter().any(|banned| below(path, banned)))
        .map(|(path, line)| format!("{}:{line}: `{path}`", source.path))
        .collect()
}

/// The functions of a file that have a body: their names and lengths in lines.
pub fn functions(code: &str) -> Vec<(String, usize)> {
    let tokens = tokens(code);
    let mut functions = Vec::new();
    for (at, (token, from)) in tokens.iter().enumerate() {
        let Some((name, _)) = tokens.get(at + 1) else { continue };
        // A type of functions has no name.
        if token != "fn" || name == "(" {
            continue;
        }
        let (mut braces, mut others) = (0_i32, 0_i32);
        for (token, line) in &tokens[at..] {
            match token.as_str() {
                "(" | "[" => others += 1,
                ")" | "]" => others -= 1,
                "{" => braces += 1,
                "}" => braces -= 1,
                _ => {}
            }
            if token == ";" && braces == 0 && others == 0 {
                break;
            }
            if token == "}" && braces == 0 {
                functions.push((name.clone(), line - from + 1));
                break;
            }
        }
    }
    functions
}

#[test]
fn only_code_counts_as_code() {
    let text = "let a = \"tokio \\\" x\"; // tokio\n\
                /* tokio /* x */ tokio */ 'x' '\\'' fn b<'a>() r#\"to\"kio\"# tokio";
    let code = parts(text).code;
    let lines: Vec<String> =
        code.lines().map(|line| words(line).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["let a", "fn b a tokio"]);
    let comments = parts(text).comments;
    assert_eq!(comments.lines().collect::<Vec<_>>(), ["// tokio", "/* tokio /* x */ tokio */"]);
}

#[test]
fn paths_are_found_wherever_they_are_used() {
    let code = "use std::{fs::{self, File as F}, io};\nfn a(b: std::time::Instant) { c::d() }";
    let mut found: Vec<String> = paths(code).into_iter().map(|(path, _)| path).collect();
    found.sort();
    let all = ["c::d", "std::fs::File", "std::fs::self", "std::io", "std::time::Instant"];
    assert_eq!(found, all);
}

#[test]
fn functions_have_a_length() {
    let code = "trait A { fn none(&self) -> [u8; 4]; }\nfn two(f: fn(u8)) {\n}\nfn one() {}\n";
    assert_eq!(functions(code), [("two".to_owned(), 2), ("one".to_owned(), 1)]);
}
