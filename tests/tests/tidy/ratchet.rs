//! Sizes that a file, a function and a line should not exceed, and the list of those that do.
//!
//! The list is `tests/tests/tidy/ratchet.txt`. It only shrinks: what is not in it may not exceed a
//! size, what is in it may not grow, and what no longer exceeds a size has to go.
//! `UPDATE_RATCHET=1 cargo test -p arena --test tidy` writes what has shrunk. To list everything
//! anew, delete the list first.

use std::collections::BTreeMap;

use super::repository::{Source, files, root};
use super::rust::{functions, parts};

/// Most lines of a file.
const FILE_LINES: usize = 600;
/// Most lines of a function.
const FUNCTION_LINES: usize = 80;
/// Most columns of a line.
const COLUMNS: usize = 100;

const LIST: &str = "tests/tests/tidy/ratchet.txt";

const HEADER: &str = "\
# What exceeds 600 lines a file, 80 lines a function or 100 columns a line (the number of such
# lines). This list only shrinks; `tests/tests/tidy/ratchet.rs` says how.
";

/// What exceeds a size, such as `function node/src/main.rs main`, and by how large it is.
type Sizes = BTreeMap<String, usize>;

/// Whether a line of Markdown can be broken: those of tables cannot.
fn can_be_broken(line: &str) -> bool {
    !line.trim_start().starts_with('|')
}

/// How wide a line is. The address of a link in Markdown takes no room.
fn width(line: &str, markdown: bool) -> usize {
    let Some((before, after)) = line.split_once("](").filter(|_| markdown) else {
        return line.chars().count();
    };
    let rest = after.split_once(')').map_or("", |(_, rest)| rest);
    before.chars().count() + width(rest, markdown)
}

/// How many lines of Rust are too wide by their code and comments. What is in a literal takes no
/// room: a request or a reply in a test is one line, as it is on the wire.
fn wide_lines_of_rust(text: &str) -> usize {
    let parts = parts(text);
    let lines = text.lines().zip(parts.code.lines().zip(parts.comments.lines()));
    let wide = |(line, (code, comment)): (&str, (&str, &str))| {
        let without_literals = code.trim_end().chars().count() + comment.chars().count();
        line.chars().count() > COLUMNS && without_literals > COLUMNS
    };
    lines.filter(|line| wide(*line)).count()
}

/// How many lines are too wide.
fn wide_lines(source: &Source) -> usize {
    if source.path.ends_with(".rs") {
        return wide_lines_of_rust(&source.text);
    }
    let markdown = source.path.ends_with(".md");
    let mut in_code = false;
    let mut wide = 0;
    for line in source.text.lines() {
        let fence = markdown && line.trim_start().starts_with("```");
        in_code ^= fence;
        let counts = !markdown || (!in_code && !fence && can_be_broken(line));
        wide += usize::from(counts && width(line, markdown) > COLUMNS);
    }
    wide
}

fn is_script(path: &str) -> bool {
    path.starts_with(".ci/") || path.starts_with("scripts/") && !path.contains('.')
}

/// What of a file exceeds a size.
fn excess(source: &Source) -> Sizes {
    let path = &source.path;
    let mut sizes = Sizes::new();
    let rust = path.ends_with(".rs");
    if rust || is_script(path) || path.ends_with(".md") {
        let wide = wide_lines(source);
        if wide > 0 {
            sizes.insert(format!("columns {path}"), wide);
        }
    }
    if rust || is_script(path) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            sizes.insert(format!("file {path}"), lines);
        }
    }
    if rust {
        for (name, lines) in functions(&parts(&source.text).code) {
            if lines > FUNCTION_LINES {
                let most = sizes.entry(format!("function {path} {name}")).or_default();
                *most = lines.max(*most);
            }
        }
    }
    sizes
}

/// What is wrong where the list says `listed` and these sizes are found.
fn problems(listed: &Sizes, found: &Sizes) -> Vec<String> {
    let mut problems = Vec::new();
    for (what, size) in found {
        match listed.get(what) {
            None => problems.push(format!("{what}: {size}, which is too much")),
            Some(before) if size > before => {
                problems.push(format!("{what}: it has grown from {before} to {size}"));
            }
            Some(_) => {}
        }
    }
    for (what, before) in listed {
        match found.get(what) {
            None => problems.push(format!("{what}: it is fixed, so strike it from the list")),
            Some(size) if size < before => {
                problems.push(format!("{what}: it has shrunk from {before} to {size}, say so"));
            }
            Some(_) => {}
        }
    }
    problems
}

/// The list after what has shrunk is written down; without a list all that was found.
fn shrunk(listed: Option<&Sizes>, found: &Sizes) -> Sizes {
    let Some(listed) = listed else { return found.clone() };
    let smaller = |(what, before): (&String, &usize)| {
        let size = found.get(what)?;
        Some((what.clone(), *size.min(before)))
    };
    listed.iter().filter_map(smaller).collect()
}

fn read(text: &str) -> Sizes {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (what, size) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{LIST}: {line}"));
            (what.to_owned(), size.parse().unwrap_or_else(|_| panic!("{LIST}: {line}")))
        })
        .collect()
}

#[test]
fn sizes_only_shrink() {
    let path = root().join(LIST);
    let listed = std::fs::read_to_string(&path).ok().map(|text| read(&text));
    let found: Sizes = files().iter().flat_map(excess).collect();
    if std::env::var_os("UPDATE_RATCHET").is_some() {
        let list = shrunk(listed.as_ref(), &found);
        let lines: String = list.iter().map(|(what, size)| format!("{what} {size}\n")).collect();
        std::fs::write(&path, format!("{HEADER}{lines}")).expect("the list can be written");
    }
    let listed = std::fs::read_to_string(&path).map(|text| read(&text)).unwrap_or_default();
    let problems = problems(&listed, &found);
    assert!(
        problems.is_empty(),
        "Break it up. Where something has shrunk, UPDATE_RATCHET=1 writes it down:\n  {}",
        problems.join("\n  ")
    );
}

#[test]
fn sizes_are_measured() {
    let keys = |path: &str, text: &str| {
        let sizes = excess(&Source::sample(path, text));
        sizes.into_iter().map(|(what, size)| format!("{what} {size}")).collect::<Vec<_>>()
    };
    let long = format!("fn f() {{\n{}}}\n", "a();\n".repeat(79));
    assert_eq!(keys("x.rs", &long), ["function x.rs f 81"]);
    assert_eq!(keys("x.rs", &"\n".repeat(601)), ["file x.rs 601"]);
    let wide = "x".repeat(101);
    assert_eq!(keys("x.rs", &format!("// {wide}\n{wide}\nx\n")), ["columns x.rs 2"]);
    let literal = format!("let a = \"{wide}\"; // {wide}\nlet b = \"{wide}\";\n");
    assert_eq!(keys("x.rs", &literal), ["columns x.rs 1"]);
    assert_eq!(keys("scripts/x", &wide), ["columns scripts/x 1"]);
    assert_eq!(keys("x.md", &format!("{wide}\n")), ["columns x.md 1"]);
    let not_wide = format!("| {wide} |\n```\n{wide}\n```\n[a]({wide})\n");
    assert_eq!(keys("x.md", &not_wide), Vec::<String>::new());
}

#[test]
fn the_list_only_shrinks() {
    let sizes = |size: usize| Sizes::from([("file a.rs".to_owned(), size)]);
    let none = Sizes::new();
    assert_eq!(problems(&sizes(700), &sizes(700)), Vec::<String>::new());
    for (listed, found, problem) in [
        (&none, &sizes(700), "too much"),
        (&sizes(700), &sizes(701), "grown"),
        (&sizes(700), &sizes(699), "shrunk"),
        (&sizes(700), &none, "strike"),
    ] {
        let problems = problems(listed, found);
        assert!(problems.len() == 1 && problems[0].contains(problem), "{problems:?}");
    }
    assert_eq!(shrunk(Some(&sizes(700)), &sizes(650)), sizes(650));
    assert_eq!(shrunk(Some(&sizes(700)), &sizes(750)), sizes(700));
    assert_eq!(shrunk(Some(&none), &sizes(750)), none);
    assert_eq!(shrunk(None, &sizes(750)), sizes(750));
    assert_eq!(read("# a\nfile a.rs 700\n"), sizes(700));
}
