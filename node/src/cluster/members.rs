//! Who is in the cluster: names, numbers, and which of them this node is.

use state_machine::ids::NodeId;

/// Who is in the cluster: names and numbers, and which of them this node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    names: Vec<String>,
    me: NodeId,
}

impl Members {
    /// From `init`: a node's own name and everyone's. Numbers go by the sorted names, so that all
    /// nodes give the same ones. `None` where the own name is not among them.
    pub fn new(me: &str, names: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort();
        names.dedup();
        let at = names.binary_search_by(|name| name.as_str().cmp(me)).ok()?;
        Some(Self { names, me: at as NodeId + 1 })
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// This node's name.
    pub fn my_name(&self) -> &str {
        &self.names[self.me as usize - 1]
    }

    /// All nodes, in the order of their names.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        1..=self.names.len() as NodeId
    }

    /// The names of all nodes, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// A node's name.
    pub fn name(&self, id: NodeId) -> Option<&str> {
        self.names.get(usize::try_from(id).ok()?.checked_sub(1)?).map(String::as_str)
    }

    /// A peer's number; `None` for this node and for strangers.
    pub fn peer(&self, name: &str) -> Option<NodeId> {
        let at = self.names.binary_search_by(|n| n.as_str().cmp(name)).ok()?;
        let id = at as NodeId + 1;
        (id != self.me).then_some(id)
    }
}
