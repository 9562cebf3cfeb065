//! The members of a cluster and where they listen for each other, as `--cluster` has them:
//! `n1=host:port,n2=host:port,…`.

use std::collections::BTreeMap;
use std::fmt;

use state_machine::ids::NodeId;
use thiserror::Error;

/// Each node's number, and where it listens for its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(BTreeMap<NodeId, String>);

/// What is wrong with a list of members.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadAddresses {
    /// An item of it is no member.
    #[error("`{0}`, expected n<number>=HOST:PORT")]
    Item(String),
    /// A node stands in it twice.
    #[error("n{0} stands in it twice")]
    Twice(NodeId),
    /// Two nodes have one address.
    #[error("n{0} and n{1} have one address, {2}")]
    Shared(NodeId, NodeId, String),
}

impl Addresses {
    /// From a list as it is typed. Spaces around its commas do not count.
    ///
    /// # Errors
    /// Where an item is no member, or two are not told apart.
    pub fn parse(list: &str) -> Result<Self, BadAddresses> {
        let mut addresses = BTreeMap::new();
        for item in list.split(',').map(str::trim) {
            let bad = || BadAddresses::Item(item.to_owned());
            let (name, address) = item.split_once('=').ok_or_else(bad)?;
            let number = name.strip_prefix('n').unwrap_or(name);
            let id: NodeId = number.parse().map_err(|_| bad())?;
            let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
            let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
            // Kafka's clients know nodes by a number of 31 bits.
            if host.is_empty() || !is_port || id > 0x7fff_ffff {
                return Err(bad());
            }
            let same = |(_, other): &(&NodeId, &String)| *other == address;
            if let Some((other, _)) = addresses.iter().find(same).filter(|(other, _)| **other != id)
            {
                return Err(BadAddresses::Shared(*other, id, address.to_owned()));
            }
            if addresses.insert(id, address.to_owned()).is_some() {
                return Err(BadAddresses::Twice(id));
            }
        }
        Ok(Self(addresses))
    }

    /// Of nodes that listen already.
    pub fn new(addresses: impl IntoIterator<Item = (NodeId, String)>) -> Self {
        Self(addresses.into_iter().collect())
    }

    /// Where a node listens for its peers; `None`: it is no member.
    pub fn of(&self, node: NodeId) -> Option<&str> {
        self.0.get(&node).map(String::as_str)
    }

    /// All nodes, in their order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.keys().copied()
    }

    /// The names of all nodes, in their order.
    pub fn names(&self) -> Vec<String> {
        self.ids().map(name).collect()
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (id, address)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}n{id}={address}")?;
        }
        Ok(())
    }
}

/// The name of a node.
pub fn name(id: NodeId) -> String {
    format!("n{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_numbers_and_addresses() {
        let addresses = Addresses::parse("n2=b:2, n0=a:1,10=[::1]:3").expect("good");
        assert_eq!(addresses.ids().collect::<Vec<_>>(), [0, 2, 10]);
        assert_eq!(addresses.of(10), Some("[::1]:3"));
        assert_eq!(addresses.of(3), None);
        assert_eq!(addresses.to_string(), "n0=a:1,n2=b:2,n10=[::1]:3");
        assert_eq!(Addresses::parse(&addresses.to_string()), Ok(addresses));
    }

    #[test]
    fn wrong_members_are_named() {
        for (list, expected) in [
            ("", "``"),
            ("n1", "`n1`"),
            ("n1=a", "`n1=a`"),
            ("n1=a:1,", "``"),
            ("n1=:1", "`n1=:1`"),
            ("n-1=a:1", "`n-1=a:1`"),
            ("n2147483648=a:1", "`n2147483648=a:1`"),
            ("nx=a:1", "`nx=a:1`"),
            ("n1=a:0", "`n1=a:0`"),
            ("n1=a:70000", "`n1=a:70000`"),
            ("n1=a:1,n1=b:1", "n1 stands in it twice"),
            ("n1=a:1,n2=a:1", "n1 and n2 have one address, a:1"),
        ] {
            let problem = Addresses::parse(list).expect_err("a wrong list").to_string();
            assert!(problem.contains(expected), "{list}: {problem}");
        }
    }
}
