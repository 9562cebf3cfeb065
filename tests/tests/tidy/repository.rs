//! The files of the repository, and how a rule is applied to them.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the repository.
pub fn root() -> PathBuf {
    let arena = Path::new(env!("CARGO_MANIFEST_DIR"));
    arena.parent().expect("the arena is a folder of the repository").into()
}

/// A file of the repository: its path from the root, and its text.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    /// A file that is made up, for a rule to object to.
    pub fn sample(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Whether it stands at one of these paths, or below one that ends with a slash.
    pub fn is_among(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| match path.strip_suffix('/') {
            Some(folder) => Path::new(&self.path).starts_with(folder),
            None => self.path == *path,
        })
    }
}

/// All text files of the repository, but not what builds and runs leave behind.
pub fn files() -> Vec<Source> {
    let (root, mut files, mut folders) = (root(), Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read") {
            let path = entry.expect("an entry of a folder").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let left_behind = ["target", "store", "arena-out", ".git"].contains(&name);
            if left_behind || name.ends_with(".orig") || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // Someone else may be building here: a file that has just gone is no file.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let path = path.strip_prefix(&root).expect("below the root");
            files.push(Source { path: path.to_string_lossy().into_owned(), text });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 50, "the repository was found");
    files
}

/// All Rust sources.
pub fn rust_files() -> Vec<Source> {
    let mut found = files();
    found.retain(|file| file.path.ends_with(".rs"));
    found
}

/// The Rust sources below some folders.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    let all = rust_files();
    let below = |folder: &&str| {
        let found: Vec<Source> =
            all.iter().filter(|file| Path::new(&file.path).starts_with(folder)).cloned().collect();
        assert!(!found.is_empty(), "{folder} has sources");
        found
    };
    folders.iter().flat_map(below).collect()
}

/// These sources without those of some files and of folders, whose names end with a slash.
/// An exception that is no longer there has to go from the list.
pub fn without(mut sources: Vec<Source>, exceptions: &[&str]) -> Vec<Source> {
    for exception in exceptions {
        let stands = sources.iter().any(|source| source.is_among(&[exception]));
        assert!(stands, "{exception} is an exception to a rule, but is not there");
    }
    sources.retain(|source| !source.is_among(exceptions));
    sources
}

/// Shows a rule a sample that it has to object to, and then what it has to find in order.
#[track_caller]
pub fn holds(rule: impl Fn(&Source) -> Vec<String>, bad: &Source, sources: &[Source], why: &str) {
    assert!(!rule(bad).is_empty(), "the rule ({why}) does not see {bad:?}");
    let found: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(found.is_empty(), "{why}:\n  {}", found.join("\n  "));
}
