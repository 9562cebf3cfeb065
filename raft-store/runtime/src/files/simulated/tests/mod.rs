//! What a simulated disk promises, and what it takes.

use std::path::Path;
use std::sync::Arc;

use futures::executor::block_on;

use super::*;
use crate::files::{read_all, write_all_at};

mod crashes;
mod faults;
mod replays;
mod syncs;

/// Bytes of a page.
const PAGE: usize = contents::PAGE;

fn create(files: &SimFiles, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = files.open(Path::new(path), Open::Create).expect("a new name");
    write_all_at(&*file, bytes, 0).expect("there is room");
    file
}

/// A file that is durable with its name, in the root.
fn create_durable(files: &SimFiles, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = create(files, path, bytes);
    block_on(file.sync()).expect("nothing fails");
    sync_names(files, "");
    file
}

fn sync_names(files: &SimFiles, folder: &str) {
    block_on(files.sync_dir(Path::new(folder))).expect("nothing fails");
}

fn rename(files: &SimFiles, from: &str, to: &str) {
    files.rename(Path::new(from), Path::new(to)).expect("it can be renamed");
}

fn remove(files: &SimFiles, path: &str) {
    files.remove(Path::new(path)).expect("it is there");
}

fn open(files: &SimFiles, path: &str) -> Arc<dyn File> {
    files.open(Path::new(path), Open::Write).expect("it is there")
}

/// What a file holds now. Nothing where there is none.
fn read(files: &SimFiles, path: &str) -> Option<Vec<u8>> {
    files.tree().remove(path)
}

/// The files that there are.
fn paths(files: &SimFiles) -> Vec<String> {
    files.tree().into_keys().collect()
}

/// Every state that some crash leaves, by asking for each part of what is not durable.
fn crashes(files: &SimFiles) -> Vec<SimFiles> {
    let choices = files.unsynced().len();
    assert!(choices <= 12, "too many to try: {choices}");
    let crash = |chosen: u32| {
        let (crashed, mut asked) = (files.fork(), 0);
        crashed.crash_keeping(&mut |_| {
            asked += 1;
            chosen >> (asked - 1) & 1 == 1
        });
        assert_eq!(asked, choices);
        crashed
    };
    (0..1 << choices).map(crash).collect()
}
