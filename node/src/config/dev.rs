//! The command line of `cohort dev`: hands on time for tests, at a node's admin port.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

/// The command line of `cohort dev` as typed.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "cohort dev",
    about = "Does at once what a test would have to wait for; for nodes that run with --dev."
)]
pub struct Dev {
    /// The admin port of a node that runs with --dev; of several, any
    #[arg(long, env = "COHORT_ADMIN", value_name = "HOST:PORT", default_value = "127.0.0.1:9644")]
    pub admin: String,

    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done. Each is a page of the admin port, by the same name.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
#[allow(missing_docs, reason = "a field is documented where its name does not say all")]
pub enum Action {
    /// End a member's session now, as if it had been silent for too long
    ExpireMember {
        /// The group
        #[arg(long)]
        group: String,
        /// Its member id, or its instance id
        #[arg(long)]
        member: String,
    },
    /// End now what a group waits for: joins, syncs, partitions to be given up
    EndRebalance {
        /// The group
        #[arg(long)]
        group: String,
    },
    /// Wait until a group is stable with so many members, or empty with none
    WaitForGroup {
        /// The group
        #[arg(long)]
        group: String,
        /// How many members
        #[arg(long)]
        members: u32,
        /// How long to wait at most, in ms
        #[arg(long, default_value_t = 30_000)]
        timeout_ms: u32,
    },
    /// Have another node lead
    MoveLeadership {
        /// Which
        #[arg(long)]
        node: u64,
    },
    /// Move the cluster's clock on: sessions, rebalances, retention
    AdvanceClock {
        /// By so many ms
        #[arg(long)]
        ms: u32,
    },
    /// Answer the next requests of a kind with an error, and do nothing of what they ask for
    Fail {
        /// The kind of request, such as OffsetCommit
        #[arg(long)]
        api: String,
        /// Kafka's name of the error, or its code
        #[arg(long, allow_negative_numbers = true)]
        error: String,
        /// Only those of the client with this client.id
        #[arg(long)]
        client: Option<String>,
        /// So many requests
        #[arg(long, default_value_t = 1)]
        times: u32,
    },
    /// Give fetches nothing of a partition
    Hold {
        /// The topic
        #[arg(long)]
        topic: String,
        /// The partition
        #[arg(long)]
        partition: u32,
    },
    /// Give fetches again what there is
    Release {
        /// The topic
        #[arg(long)]
        topic: String,
        /// The partition
        #[arg(long)]
        partition: u32,
    },
}

impl Dev {
    /// Reads the arguments after `dev`.
    ///
    /// # Errors
    /// One line that names the argument and what was expected; or the text of `--help`.
    pub fn parse_from(args: Vec<OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from([OsString::from("cohort dev")].into_iter().chain(args))
    }
}

impl Action {
    /// The page that does it, and what it is told.
    pub fn page(&self) -> (&'static str, Vec<(&'static str, String)>) {
        match self {
            Self::ExpireMember { group, member } => {
                ("expire-member", vec![("group", group.clone()), ("member", member.clone())])
            }
            Self::EndRebalance { group } => ("end-rebalance", vec![("group", group.clone())]),
            Self::WaitForGroup { group, members, timeout_ms } => (
                "wait-for-group",
                vec![
                    ("group", group.clone()),
                    ("members", members.to_string()),
                    ("timeout_ms", timeout_ms.to_string()),
                ],
            ),
            Self::MoveLeadership { node } => ("move-leadership", vec![("node", node.to_string())]),
            Self::AdvanceClock { ms } => ("advance-clock", vec![("ms", ms.to_string())]),
            Self::Fail { api, error, client, times } => {
                let mut told = vec![
                    ("api", api.clone()),
                    ("error", error.clone()),
                    ("times", times.to_string()),
                ];
                told.extend(client.clone().map(|client| ("client", client)));
                ("fail", told)
            }
            Self::Hold { topic, partition } => ("hold", of_partition(topic, *partition)),
            Self::Release { topic, partition } => ("release", of_partition(topic, *partition)),
        }
    }
}

fn of_partition(topic: &str, partition: u32) -> Vec<(&'static str, String)> {
    vec![("topic", topic.to_owned()), ("partition", partition.to_string())]
}

#[cfg(test)]
mod tests {
    use super::Dev;

    fn page(args: &[&str]) -> Result<String, String> {
        let parsed = Dev::parse_from(args.iter().map(Into::into).collect());
        let (page, told) = parsed.map_err(|error| error.to_string())?.action.page();
        let told: Vec<_> = told.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(format!("{page} {}", told.join(" ")))
    }

    #[test]
    fn each_command_is_a_page() {
        for (args, expected) in [
            ("expire-member --group g --member m", "expire-member group=g member=m"),
            ("end-rebalance --group g", "end-rebalance group=g"),
            ("move-leadership --node 2", "move-leadership node=2"),
            ("advance-clock --ms 60000", "advance-clock ms=60000"),
            ("fail --api Produce --error -1", "fail api=Produce error=-1 times=1"),
            ("hold --topic t --partition 1", "hold topic=t partition=1"),
            ("release --topic t --partition 1", "release topic=t partition=1"),
        ] {
            let args: Vec<_> = args.split(' ').collect();
            assert_eq!(page(&args).as_deref(), Ok(expected));
        }
        for (args, expected) in [
            ("hold --topic t", "--partition"),
            ("advance-clock --ms soon", "'soon'"),
            ("advance --ms 1", "'advance'"),
        ] {
            let args: Vec<_> = args.split(' ').collect();
            let problem = page(&args).expect_err("wrong use");
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
