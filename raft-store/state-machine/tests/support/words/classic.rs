//! Words of classic members.

use bytes::Bytes;
use state_machine::groups::classic::command::{
    Agreed, Assignments, ClassicCommand, Client, JoinInfo, Protocol,
};
use state_machine::ids::{Generation, MemberId};

use super::{Ask, Words, by_topic, command, names};

/// `range(t,u);sticky(t)@t:0,1@3` is range for t and u, and sticky for t, where t-0 and t-1 were
/// owned in generation 3.
fn protocols(text: &str) -> Vec<Protocol> {
    let protocol = |part: &str| {
        let mut parts = part.split('@');
        let (name, topics) = parts.next().and_then(|p| p.split_once('(')).expect("name(topics)");
        Protocol {
            name: name.into(),
            topics: names(topics.strip_suffix(')').expect("name(topics)")),
            owned: parts.next().map_or_else(Vec::new, by_topic),
            generation: parts.next().map(|g| Generation(g.parse().expect("a generation"))),
            metadata: Bytes::new(),
        }
    };
    text.split(';').filter(|part| !part.is_empty()).map(protocol).collect()
}

/// What a member offers; of a client, each protocol with its metadata.
fn offers(w: &Words<'_>) -> Vec<Protocol> {
    let mut protocols = protocols(w.text("offers").unwrap_or("range(t)"));
    let metadata = Bytes::from(w.text("metadata").unwrap_or_default().to_owned());
    protocols.iter_mut().for_each(|protocol| protocol.metadata = metadata.clone());
    protocols
}

fn client(w: &Words<'_>) -> Option<Client> {
    Some(Client {
        protocol_type: w.text("client")?.into(),
        client_id: w.text("named").unwrap_or_default().into(),
        host: "/127.0.0.1".into(),
    })
}

/// What a leader brings: `assign=member>partitions`, or `give=member>bytes`.
fn assignments(w: &Words<'_>) -> Option<Assignments> {
    let one = |part: &str| {
        let (member, owned) = part.split_once('>').expect("member>partitions");
        (MemberId::from(member), by_topic(owned))
    };
    if let Some(text) = w.text("assign") {
        return Some(Assignments::Partitions(text.split(';').map(one).collect()));
    }
    let given = |text: &str| text.split(';').map(given).collect();
    w.text("give").map(|text| Assignments::Opaque(given(text)))
}

/// `member>bytes`.
fn given(text: &str) -> (MemberId, Bytes) {
    let (member, bytes) = text.split_once('>').expect("member>bytes");
    (member.into(), bytes.to_owned().into())
}

pub(super) fn of_members(w: &Words<'_>) -> Option<Ask> {
    let instance_id = || w.text("instance").map(Into::into);
    Some(match w.plain(0) {
        "join" => {
            let (group, member) = match w.plain(1).split_once('/') {
                Some((group, member)) => (group.into(), Some(member.into())),
                None => (w.plain(1).into(), None),
            };
            let info = JoinInfo {
                instance_id: instance_id(),
                session_timeout_ms: w.time("session", 45_000),
                rebalance_timeout_ms: w.time("rebalance", 300_000),
                protocols: offers(w),
                client: client(w),
            };
            let id_first = w.has("id-first");
            command(ClassicCommand::Join { group, member, id_first, info })
        }
        "sync" => {
            let (group, member) = w.member(1);
            command(ClassicCommand::Sync {
                group,
                member,
                instance_id: instance_id(),
                generation: w.number("generation").map(Generation).expect("generation="),
                agreed: Agreed {
                    protocol_type: w.text("type").map(Into::into),
                    protocol: w.text("protocol").map(Into::into),
                },
                assignments: assignments(w),
            })
        }
        "leave" => {
            let (group, member) = w.member(1);
            let permanent = w.has("permanent");
            command(ClassicCommand::Leave { group, member, instance_id: instance_id(), permanent })
        }
        _ => return None,
    })
}
