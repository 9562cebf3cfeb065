//! Whatever a comment or a document names has to be in the repository: files, folders, and the
//! headings that links lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::repository::{Source, files, holds};
use super::rust::parts;

/// Endings of files that are written by people, so that who names one means one that is here.
const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".trace", ".txt"];

/// Where a path begins that is counted from the root.
const TOP: &[&str] = &[".ci", "assignors", "docs", "node", "raft-store", "scripts", "tests"];

/// What can be cited.
struct Repository {
    /// Files and folders.
    paths: BTreeSet<PathBuf>,
    /// The headings of each document, as links name them.
    headings: BTreeMap<PathBuf, BTreeSet<String>>,
}

impl Repository {
    fn new(files: &[Source]) -> Self {
        let mut paths = BTreeSet::new();
        for file in files {
            paths.extend(Path::new(&file.path).ancestors().map(Path::to_owned));
        }
        let documents = files.iter().filter(|file| file.path.ends_with(".md"));
        let headings = documents.map(|file| (PathBuf::from(&file.path), headings(&file.text)));
        Self { paths, headings: headings.collect() }
    }

    /// Whether a cited path is here: from the root, from the citing file's folder or one above
    /// it, or as the end of a longer path. `*` stands for any part of a name.
    fn has(&self, from: &Path, cited: &str) -> bool {
        let cited = cited.trim_end_matches('/');
        let mut folders = from.ancestors().skip(1);
        folders.any(|folder| self.paths.contains(&plain(&folder.join(cited))))
            || self.paths.iter().any(|path| {
                let mut tail = path.iter().rev();
                Path::new(cited).iter().rev().all(|part| {
                    let (part, name) = (part.to_str(), tail.next().and_then(|name| name.to_str()));
                    part.zip(name).is_some_and(|(part, name)| fits(part, name))
                })
            })
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Whether a name fits a pattern with at most one `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => name.starts_with(before) && name.ends_with(after),
        None => pattern == name,
    }
}

/// Lines of Markdown outside of blocks of code, with their numbers from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// The headings of a document, as GitHub makes anchors of them.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = prose(text).filter_map(|(_, line)| line.strip_prefix('#'));
    let anchor = |title: &str| {
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    titles.map(anchor).collect()
}

/// The words of a line that name a file or a folder of the repository.
fn cited(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
    let plain = line.split('`').step_by(2).flat_map(|said| said.split(|c| !of_a_path(c)));
    let plain = plain.map(|word| word.trim_end_matches('.'));
    quoted.filter(|word| is_path(word)).chain(plain.filter(|word| is_plain_path(word)))
}

fn of_a_path(c: char) -> bool {
    c.is_alphanumeric() || "/._-*".contains(c)
}

fn has_ending(word: &str) -> bool {
    ENDINGS.iter().any(|ending| word.len() > ending.len() && word.ends_with(ending))
}

fn is_below_top(word: &str) -> bool {
    word.split_once('/').is_some_and(|(first, rest)| {
        TOP.contains(&first) && !rest.is_empty() && !rest.starts_with('*')
    })
}

/// Whether a word between backticks names a file or a folder of the repository.
fn is_path(word: &str) -> bool {
    // The last: research of the project's beginning, which never was part of it.
    let names_one = is_below_top(word) || has_ending(word) || word.ends_with("-facts");
    names_one && word.chars().all(of_a_path) && !word.starts_with('/')
}

/// Whether a word without backticks does: only a whole path is sure to be meant as one.
fn is_plain_path(word: &str) -> bool {
    is_below_top(word) && has_ending(word)
}

/// Paths that the text of a document or a comment names, and that are not here.
fn dead_paths(source: &Source, text: &str, repository: &Repository) -> Vec<String> {
    let from = Path::new(&source.path);
    let dead = |line: &str| -> Vec<String> {
        cited(line).filter(|word| !repository.has(from, word)).map(str::to_owned).collect()
    };
    prose(text)
        .flat_map(|(at, line)| dead(line).into_iter().map(move |word| (at, word)))
        .map(|(at, word)| format!("{}:{at}: there is no `{word}`", source.path))
        .collect()
}

/// Links of a document that lead nowhere.
fn dead_links(source: &Source, repository: &Repository) -> Vec<String> {
    let from = Path::new(&source.path);
    let mut dead = Vec::new();
    for (at, line) in prose(&source.text) {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let to = match file {
                "" => from.to_owned(),
                file => plain(&from.parent().unwrap_or(from).join(file)),
            };
            let heading = |to: &Path| {
                let headings = repository.headings.get(to);
                anchor.is_empty() || headings.is_none_or(|headings| headings.contains(anchor))
            };
            if !repository.paths.contains(&to) || !heading(&to) {
                dead.push(format!("{}:{at}: the link `{link}` leads nowhere", source.path));
            }
        }
    }
    dead
}

/// Everything that a file cites and that is not here.
fn dead(source: &Source, repository: &Repository) -> Vec<String> {
    if source.path.ends_with(".md") {
        let mut dead = dead_links(source, repository);
        dead.extend(dead_paths(source, &source.text, repository));
        return dead;
    }
    match source.path.ends_with(".rs") {
        true => dead_paths(source, &parts(&source.text).comments, repository),
        // Comments, and help.
        false => dead_paths(source, &source.text, repository),
    }
}

#[test]
fn what_is_cited_is_here() {
    let mut all = files();
    let mut repository = Repository::new(&all);
    repository.headings.insert("here.md".into(), headings("# What is *here*\n"));
    repository.paths.insert("here.md".into());
    let rule = |source: &Source| dead(source, &repository);
    for (path, bad) in [
        ("x.rs", "// See `docs/nowhere.md`.\n"),
        ("x.rs", "/// As in `kafka-coordinator-facts`.\n"),
        ("x.rs", "//! `node/src/door/` does it.\n"),
        ("x.sh", "# `scripts/nowhere` does it.\n"),
        ("x.sh", "cat <<HELP\nSee docs/nowhere.md.\nHELP\n"),
        ("x.md", "See `nowhere.rs`.\n"),
        ("x.md", "See [there](docs/nowhere.md).\n"),
        ("x.md", "See [there](here.md#what-is-there).\n"),
    ] {
        holds(rule, &Source::sample(path, bad), &[], "a dead citation");
    }
    let good = "[a](here.md#what-is-here) `here.md` `tests/tests/tidy/*.rs` `tidy/citations.rs`\n";
    assert_eq!(dead(&Source::sample("x.md", good), &repository), Vec::<String>::new());
    // What has changed names what there was.
    all.retain(|file| file.path != "CHANGELOG.md");
    all.retain(|file| {
        file.path.ends_with(".md")
            || file.path.ends_with(".rs")
            || file.path.ends_with(".toml")
            || file.path.starts_with("scripts/")
    });
    let bad = Source::sample("x.md", "`docs/nowhere.md`");
    holds(rule, &bad, &all, "whoever follows a citation finds it");
}
