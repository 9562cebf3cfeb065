//! Member ids that were given and cannot be used.

use bytes::Bytes;
use state_machine::State;
use state_machine::command::{Batch, Command, Stamp, Write};
use state_machine::groups::classic::command::{ClassicCommand, JoinInfo, Protocol};
use state_machine::ids::{GroupId, MemberId};
use state_machine::invariants::check;
use state_machine::rejection::Rejection;
use state_machine::reply::Decided;

/// Two members that say so much are more than a group's leader can be told.
const MUCH: usize = 3 * 1024 * 1024;

fn join(member: Option<&MemberId>, id_first: bool, says: usize) -> Command {
    let protocol = Protocol {
        name: "range".into(),
        topics: Vec::new(),
        owned: Vec::new(),
        generation: None,
        metadata: Bytes::from(vec![0; says]),
    };
    let info = JoinInfo {
        instance_id: None,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocols: vec![protocol],
        client: None,
    };
    ClassicCommand::Join { group: "g".into(), member: member.cloned(), id_first, info }.into()
}

fn ask(state: &mut State, command: Command) -> Decided {
    state.begin(&Batch { stamp: Stamp::default(), ..Batch::default() });
    let decided = state.apply(&Write { request_id: None, command }, None);
    assert_eq!(check(state), vec![]);
    decided
}

fn given(state: &State) -> Vec<MemberId> {
    let group = state.group(&GroupId::from("g")).expect("there is a group");
    let classic = group.membership.classic().expect("a classic one");
    classic.pending_join.keys().cloned().collect()
}

/// The id had stayed, and held up every join phase until its session was over.
#[test]
fn regression_an_id_goes_with_a_join_that_is_too_large() {
    let mut state = State::default();
    ask(&mut state, join(None, true, 0)).expect("an id is given");
    let [late] = &given(&state)[..] else { panic!("{:?}", given(&state)) };
    ask(&mut state, join(None, false, MUCH)).expect("one has room");
    let refused = ask(&mut state, join(Some(late), true, MUCH));
    assert!(matches!(refused, Err(Rejection::GroupTooLarge { .. })));
    assert_eq!(given(&state), []);
}
