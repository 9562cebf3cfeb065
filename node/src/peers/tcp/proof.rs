//! How two nodes prove to each other that they have the cluster's secret. Pure.
//!
//! Each end says hello with a number that it has just drawn ([`Challenge`]). What both said is the
//! *transcript*: who they are, in which cluster, their incarnations, the form, both numbers. The
//! end that was connected to shows its code of the transcript first, then the other. A code of an
//! earlier connection is of no use, since one of the numbers is new; nor is a code of the other
//! end, since the two have labels of their own. The key of the frames is a third code. A fourth
//! stands before what a node says that does not listen to a peer any more for its lost memory: the
//! peer ends for it.

use raft_store::codec;

use super::frames::{FORMAT, Hello};
use super::seal::Seal;
use crate::cluster::secret::{Code, Secret};

/// A number that nobody can know before it is said, and nobody has ever said.
pub(super) type Challenge = [u8; 32];

/// One of the two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It made the connection.
    Connects,
    /// It took the connection.
    Listens,
}

impl End {
    fn label(self) -> &'static str {
        match self {
            Self::Connects => "cohort peer connects",
            Self::Listens => "cohort peer listens",
        }
    }
}

const FRAMES: &str = "cohort peer frames";
const FORGOTTEN: &str = "cohort peer forgotten";

/// A fresh number.
pub(super) fn challenge() -> Challenge {
    let mut drawn = [0; 32];
    for chunk in drawn.chunks_exact_mut(8) {
        chunk.copy_from_slice(&runtime::random().to_be_bytes());
    }
    drawn
}

/// What is proved on a connection.
#[derive(Debug)]
pub(super) struct Proof<'a> {
    secret: &'a Secret,
    connects: Vec<u8>,
    listens: Vec<u8>,
}

impl<'a> Proof<'a> {
    /// Of who connects and who listens, as they said.
    pub(super) fn new(secret: &'a Secret, connects: &Hello, listens: &Hello) -> Self {
        Self { secret, connects: codec::encode(connects), listens: codec::encode(listens) }
    }

    /// The code of an end.
    pub(super) fn of(&self, end: End) -> Code {
        self.secret.code(end.label(), &self.transcript())
    }

    /// Whether a code is that of an end.
    pub(super) fn is_of(&self, end: End, code: &[u8]) -> bool {
        self.secret.is_code(end.label(), &self.transcript(), code)
    }

    /// How the frames are sealed.
    pub(super) fn seal(&self) -> Seal {
        Seal::keyed(self.secret.code(FRAMES, &self.transcript()))
    }

    /// A text that says that the end that connects does not have its memory, behind its code.
    pub(super) fn forgotten(&self, text: &[u8]) -> Vec<u8> {
        let [form, connects, listens] = self.transcript();
        let code = self.secret.code(FORGOTTEN, &[form, connects, listens, text]);
        [&code[..], text].concat()
    }

    /// The text behind its code. `None`: the code is not that of the text.
    pub(super) fn take_forgotten<'b>(&self, told: &'b [u8]) -> Option<&'b [u8]> {
        let (code, text) = told.split_first_chunk::<{ size_of::<Code>() }>()?;
        let [form, connects, listens] = self.transcript();
        let said = [form, connects, listens, text];
        self.secret.is_code(FORGOTTEN, &said, code).then_some(text)
    }

    fn transcript(&self) -> [&[u8]; 3] {
        const FORM: [u8; 2] = FORMAT.to_be_bytes();
        [&FORM, &self.connects, &self.listens]
    }
}

#[cfg(test)]
mod tests {
    use super::super::frames::Use;
    use super::*;
    use crate::cluster::directory::Endpoint;

    fn hello(from: u64, to: u64, challenge: Challenge) -> Hello {
        Hello {
            cluster: "c".to_owned(),
            from,
            incarnation: 10 * from,
            process: 100 * from,
            to,
            usage: Use::Small,
            endpoint: Endpoint { host: "h".into(), port: 9092 },
            challenge: Some(challenge),
        }
    }

    #[test]
    fn a_code_is_of_one_end_one_connection_and_all_that_was_said() {
        let secret = Secret::new(b"a secret of somebody").expect("long enough");
        let other = Secret::new(b"a secret of nobody").expect("long enough");
        let (one, two) = (hello(1, 2, [1; 32]), hello(2, 1, [2; 32]));
        let proof = Proof::new(&secret, &one, &two);
        let code = proof.of(End::Connects);
        assert!(Proof::new(&secret.clone(), &one, &two).is_of(End::Connects, &code));
        assert!(!proof.is_of(End::Listens, &code), "sent back");
        assert!(!Proof::new(&other, &one, &two).is_of(End::Connects, &code), "another secret");
        let later = hello(2, 1, [3; 32]);
        assert!(!Proof::new(&secret, &one, &later).is_of(End::Connects, &code), "another time");
        for changed in [
            Hello { cluster: "d".to_owned(), ..one.clone() },
            Hello { from: 3, ..one.clone() },
            Hello { incarnation: 11, ..one.clone() },
            Hello { process: 9, ..one.clone() },
            Hello { usage: Use::Large, ..one.clone() },
            Hello { endpoint: Endpoint { host: "i".into(), port: 9092 }, ..one.clone() },
        ] {
            let told = Proof::new(&secret, &changed, &two);
            assert!(!told.is_of(End::Connects, &code), "{changed:?}");
        }
    }

    #[test]
    fn what_ends_a_node_is_of_one_connection_and_one_text() {
        let secret = Secret::new(b"a secret of somebody").expect("long enough");
        let (one, two) = (hello(1, 2, [1; 32]), hello(2, 1, [2; 32]));
        let proof = Proof::new(&secret, &one, &two);
        let told = proof.forgotten(b"n1");
        assert_eq!(proof.take_forgotten(&told), Some(&b"n1"[..]));
        for at in 0..told.len() {
            let mut changed = told.clone();
            changed[at] ^= 1;
            assert_eq!(proof.take_forgotten(&changed), None, "byte {at}");
            assert_eq!(proof.take_forgotten(&told[..at]), None, "cut at {at}");
        }
        let later = hello(2, 1, [3; 32]);
        assert_eq!(Proof::new(&secret, &one, &later).take_forgotten(&told), None, "another time");
        let code = proof.of(End::Listens);
        assert_eq!(proof.take_forgotten(&code), None, "what is said before is no such text");
    }

    #[test]
    fn no_two_challenges_are_the_same() {
        let drawn: std::collections::BTreeSet<Challenge> = (0..100).map(|_| challenge()).collect();
        assert_eq!(drawn.len(), 100);
    }
}
