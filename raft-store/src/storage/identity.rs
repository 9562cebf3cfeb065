//! The file `identity`: whose folder it is.
//!
//! A few lines of text, written once:
//!
//! ```text
//! cohort data folder
//! format 1
//! folder 00c0ffee00c0ffee
//! lock 4711
//! node n1
//! members n1 n2 n3
//! cluster 5mm0xAAAQAC…
//! crc32c 1a2b3c4d
//! ```
//!
//! `folder` is drawn at random and stands in every other file of the folder. `lock` is the number
//! of the file LOCK on its disk: in a copy of the folder it is another. The checksum is of all
//! lines before it. The line `cluster` is there where the cluster has a name.

use std::fmt::Write as _;

use thiserror::Error;

use crate::wal::format::FORMAT;

const FIRST_LINE: &str = "cohort data folder";

/// Whose folder it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Which folder it is, of all that there are.
    pub folder: u64,
    /// The number of its file LOCK.
    pub lock: u64,
    /// The node that it belongs to, by its name.
    pub node: String,
    /// All nodes of the cluster, by name.
    pub members: Vec<String>,
    /// The cluster's name, where it has one.
    pub cluster: Option<String>,
}

/// Why a file is no identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadIdentity {
    /// It is something else, or damaged.
    #[error("it is not what cohort wrote: {0}")]
    Malformed(&'static str),
    /// A later version wrote it.
    #[error("it has format {0}, and this version reads formats up to {FORMAT}")]
    Newer(u32),
}

impl Identity {
    /// The file's contents. Names have no spaces in them: [`checked`](Self::checked).
    pub(crate) fn encode(&self) -> String {
        let mut text = format!(
            "{FIRST_LINE}\nformat {FORMAT}\nfolder {:016x}\nlock {}\nnode {}\nmembers {}\n",
            self.folder,
            self.lock,
            self.node,
            self.members.join(" ")
        );
        if let Some(cluster) = &self.cluster {
            writeln!(text, "cluster {cluster}").expect("a string takes text");
        }
        let crc = crc32c::crc32c(text.as_bytes());
        writeln!(text, "crc32c {crc:08x}").expect("a string takes text");
        text
    }

    /// Whether every name can be told from the others in the file.
    pub(crate) fn checked(&self) -> Result<(), String> {
        let bad = |name: &&String| name.is_empty() || name.contains(char::is_whitespace);
        match self.members.iter().chain([&self.node]).chain(&self.cluster).find(bad) {
            Some(name) => {
                Err(format!("the name of a node or a cluster must not have spaces in it: {name:?}"))
            }
            None => Ok(()),
        }
    }

    /// From a file's contents.
    ///
    /// # Errors
    /// Where they are none, or of a later version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadIdentity> {
        let wrong = BadIdentity::Malformed;
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is no text"))?;
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(wrong("its first line is another"));
        }
        let mut field = |name: &'static str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            line.and_then(|line| line.strip_prefix(' ')).ok_or(wrong("a line is missing"))
        };
        let format: u32 = field("format")?.parse().map_err(|_| wrong("its format is no number"))?;
        if format > FORMAT {
            return Err(BadIdentity::Newer(format));
        }
        let folder = u64::from_str_radix(field("folder")?, 16);
        let folder = folder.map_err(|_| wrong("its folder is no number"))?;
        let lock = field("lock")?.parse().map_err(|_| wrong("its lock is no number"))?;
        let node = field("node")?.to_owned();
        let members = field("members")?.split(' ').map(str::to_owned).collect();
        let cluster =
            lines.next().and_then(|line| line.strip_prefix("cluster ")).map(str::to_owned);
        let identity = Self { folder, lock, node, members, cluster };
        // What is read is what is written, to the letter.
        if identity.encode() == text { Ok(identity) } else { Err(wrong("its checksum")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let members = vec!["n1".into(), "n2".into()];
        Identity { folder: 12, lock: 7, node: "n1".into(), members, cluster: Some("c".into()) }
    }

    #[test]
    fn a_cluster_may_have_no_name() {
        let identity = Identity { cluster: None, ..identity() };
        assert_eq!(Identity::decode(identity.encode().as_bytes()), Ok(identity));
    }

    #[test]
    fn no_flipped_bit_is_believed() {
        let bytes = identity().encode().into_bytes();
        assert_eq!(Identity::decode(&bytes), Ok(identity()));
        for bit in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Identity::decode(&bytes).is_err(), "bit {bit}");
        }
        assert!(Identity::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Identity::decode(b"").is_err());
    }

    #[test]
    fn a_newer_format_is_named() {
        let text = identity().encode().replace("format 1", "format 2");
        assert_eq!(Identity::decode(text.as_bytes()), Err(BadIdentity::Newer(2)));
    }
}
