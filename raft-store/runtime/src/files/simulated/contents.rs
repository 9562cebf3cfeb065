//! The bytes of a simulated file, in pages that are shared until they are written.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// How many bytes a page has: what a disk takes or loses as one.
pub(super) const PAGE: usize = 4096;

/// How many bytes a disk writes at once, whatever happens.
pub(super) const SECTOR: usize = 512;

pub(super) type Page = Arc<[u8; PAGE]>;

/// All pages of zeros are this one: a file that is filled with zeros ahead costs no memory.
static ZEROS: LazyLock<Page> = LazyLock::new(|| Arc::new([0; PAGE]));

/// The page in which a byte is, and its place there.
pub(super) fn place(offset: u64) -> (u64, usize) {
    let within = offset % PAGE as u64;
    (offset / PAGE as u64, usize::try_from(within).expect("less than a page"))
}

/// The part of the bytes from `offset` on that is in one page: which page, from which byte of it
/// on, and how many bytes of `len`.
pub(super) fn first_piece(offset: u64, len: usize) -> (u64, usize, usize) {
    let (page, begin) = place(offset);
    (page, begin, len.min(PAGE - begin))
}

/// A page with other bytes in a part of it.
pub(super) fn patched(page: &Page, begin: usize, bytes: &[u8]) -> Page {
    let mut patched = **page;
    patched[begin..begin + bytes.len()].copy_from_slice(bytes);
    if patched == **ZEROS { ZEROS.clone() } else { Arc::new(patched) }
}

/// What a file holds. Clones share their pages.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    /// In bytes.
    len: u64,
    /// Those that were written. The others, up to the length, are zeros.
    pages: Arc<BTreeMap<u64, Page>>,
}

impl Contents {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// How many pages take room on the disk.
    pub(super) fn allocated(&self) -> u64 {
        self.pages.len() as u64
    }

    pub(super) fn is_allocated(&self, page: u64) -> bool {
        self.pages.contains_key(&page)
    }

    pub(super) fn page(&self, page: u64) -> Page {
        self.pages.get(&page).unwrap_or(&ZEROS).clone()
    }

    /// Puts a page in its place, which may be beyond the end for now.
    pub(super) fn put(&mut self, index: u64, page: Page) {
        Arc::make_mut(&mut self.pages).insert(index, page);
    }

    /// Sets the length. What is beyond it is gone for good.
    pub(super) fn set_len(&mut self, len: u64) {
        self.len = len;
        let (last, end) = place(len);
        if let Some(page) = self.pages.get(&last).filter(|page| page[end..].iter().any(|b| *b != 0))
        {
            let cut = patched(page, end, &ZEROS[end..]);
            self.put(last, cut);
        }
        let first_gone = if end == 0 { last } else { last + 1 };
        if self.pages.range(first_gone..).next().is_some() {
            Arc::make_mut(&mut self.pages).split_off(&first_gone);
        }
    }

    /// Reads as many bytes as there are from a place on. Returns how many.
    pub(super) fn read(&self, into: &mut [u8], offset: u64) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = into.len().min(left);
        let (mut into, mut offset) = (&mut into[..wanted], offset);
        while !into.is_empty() {
            let (page, begin, len) = first_piece(offset, into.len());
            let (piece, rest) = into.split_at_mut(len);
            piece.copy_from_slice(&self.pages.get(&page).unwrap_or(&ZEROS)[begin..begin + len]);
            (into, offset) = (rest, offset + len as u64);
        }
        wanted
    }

    /// All of it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let len = usize::try_from(self.len).expect("a simulated file that fits into memory");
        let mut bytes = vec![0; len];
        self.read(&mut bytes, 0);
        bytes
    }
}
