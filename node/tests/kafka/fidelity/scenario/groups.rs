//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup: members come, share, live and go.

use wire::versions::{
    DELETE_GROUPS, DESCRIBE_GROUPS, HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, OFFSET_COMMIT,
    OFFSET_DELETE, SYNC_GROUP,
};

use super::super::play::{Answer, Play};
use super::group_admin::{delete_groups, describe};
use super::members::{beat, commit, join, leave, of_instance, of_protocol, sync, with_protocols};
use super::offsets::delete as delete_offsets;
use super::requests::{all, coordinated, make, text};

pub fn alone(play: &mut Play) {
    for version in all(JOIN_GROUP) {
        let group = &format!("alone-{version}");
        coordinated(play, &[group]);
        let joined = play.enter("main", "join", version, join(group, ""));
        let member = &joined.text("/member_id");
        let v = version.min(5);
        let given = sync(group, member, 1, &[(member, b"\x00all")]);
        let given = if v == 5 { of_protocol(given, "consumer", "range") } else { given };
        play.ask(&format!("sync in {version}"), SYNC_GROUP, v, given.clone());
        play.ask(&format!("sync again in {version}"), SYNC_GROUP, v, given);
        play.ask(&format!("beat in {version}"), HEARTBEAT, version.min(4), beat(group, member, 1));
        let again = play.ask("join again", JOIN_GROUP, version, join(group, member));
        let generation = again.number("/generation_id") as i32;
        let what = format!("beat before sync in {version}");
        play.ask(&what, HEARTBEAT, version.min(4), beat(group, member, generation));
        let leaves = leave(v, group, &[(member, "")]);
        play.ask(&format!("leave in {version}"), LEAVE_GROUP, v, leaves.clone());
        play.ask(&format!("leave again in {version}"), LEAVE_GROUP, v, leaves);
        play.ask(
            &format!("beat when gone in {version}"),
            HEARTBEAT,
            version.min(4),
            beat(group, member, 1),
        );
        play.ask(&format!("described {version}"), DESCRIBE_GROUPS, 5, describe(&[group]));
    }
}

/// The first answer to who has no member id yet.
pub fn member_ids(play: &mut Play) {
    coordinated(play, &["named"]);
    play.each("first", JOIN_GROUP, 4..=9, |v| join(&format!("named-{v}"), ""));
    play.each("a member that nobody knows", JOIN_GROUP, all(JOIN_GROUP), |_| {
        join("named", "stranger")
    });
    play.ask("an empty instance id", JOIN_GROUP, 5, of_instance(join("named", ""), ""));
}

pub fn refused_joins(play: &mut Play) {
    coordinated(play, &["refused", "typed"]);
    let refused = || join("refused", "");
    play.each("no group", JOIN_GROUP, [0, 3, 5, 7, 9], |_| join("", ""));
    for time in [999, 0, -1, 1_800_001, i32::MAX] {
        let what = format!("session of {time} ms");
        play.each(&what, JOIN_GROUP, [1, 5, 7, 9], |_| refused().with_session_timeout_ms(time));
    }
    play.each("no protocols", JOIN_GROUP, [0, 3, 7], |_| refused().with_protocols(Vec::new()));
    play.each("no type", JOIN_GROUP, [0, 3, 7], |_| refused().with_protocol_type(text("")));
    let neither = refused().with_protocol_type(text("")).with_protocols(Vec::new());
    play.ask("neither type nor protocols", JOIN_GROUP, 3, neither);
    let long = "i".repeat(250);
    for instance in [".", "..", "a b", &long] {
        let what = if instance.len() > 9 { "of 250 letters" } else { instance };
        let request = of_instance(join("refused", "stranger"), instance);
        play.ask(&format!("instance id `{what}`"), JOIN_GROUP, 5, request);
    }
    let unknown = of_instance(join("refused", "stranger"), "seat");
    play.each("an instance and an unknown member", JOIN_GROUP, [5, 7, 9], |_| unknown.clone());
    // A group that has a member: what does not go with it.
    let first = play.enter("main", "the first member", 9, join("typed", ""));
    let member = &first.text("/member_id");
    play.ask("its sync", SYNC_GROUP, 3, sync("typed", member, 1, &[(member, b"\x01")]));
    play.each("another type", JOIN_GROUP, [0, 3, 5, 7, 9], |_| {
        join("typed", "").with_protocol_type(text("connect"))
    });
    play.each("another protocol", JOIN_GROUP, [0, 3, 5, 7, 9], |_| {
        with_protocols(join("typed", ""), &["sticky"])
    });
    let other = with_protocols(join("typed", member), &["sticky", "range"]);
    play.ask("the only member with another protocol", JOIN_GROUP, 3, other);
    play.ask("the group as it is", DESCRIBE_GROUPS, 5, describe(&["typed"]));
    play.ask("a stranger of a group with a member", JOIN_GROUP, 3, join("typed", "stranger"));
}

/// A group in one state: what each request comes to in it.
fn in_state(play: &mut Play, state: &str, group: &str, member: &str, generation: i32) {
    let of = |what: &str| format!("{state}: {what}");
    let members = [("the member", member), ("a stranger", "stranger"), ("nobody", "")];
    for (who, id) in members {
        for (when, number) in
            [("now", generation), ("before", generation - 1), ("never", -1), ("later", 1_000)]
        {
            let what = of(&format!("{who}, {when}"));
            play.ask(&what, HEARTBEAT, 3, beat(group, id, number));
            let committed = commit(group, id, number, ("states", 0, 7));
            play.ask(&what, OFFSET_COMMIT, 7, committed);
            // Who may wait for the leader is not asked here.
            if !(who == "the member" && when == "now") {
                play.ask(&what, SYNC_GROUP, 3, sync(group, id, number, &[]));
            }
        }
        if who != "the member" {
            play.ask(&of(who), LEAVE_GROUP, 3, leave(3, group, &[(id, "")]));
            play.ask(
                &of(&format!("{who} in version 2")),
                LEAVE_GROUP,
                2,
                leave(2, group, &[(id, "")]),
            );
        }
    }
    play.ask(&of("commit in version 9"), OFFSET_COMMIT, 9, commit(group, "", -1, ("states", 0, 7)));
    play.ask(&of("delete"), DELETE_GROUPS, 2, delete_groups(&[group]));
    play.ask(
        &of("delete offsets"),
        OFFSET_DELETE,
        0,
        delete_offsets(group, &[("states", &[0]), ("t", &[0])]),
    );
    play.each(&of("describe"), DESCRIBE_GROUPS, [0, 4, 5], |_| describe(&[group]));
}

pub fn states(play: &mut Play) {
    make(play, "states", 1);
    coordinated(play, &["states"]);
    in_state(play, "unknown", "missing", "ghost", 1);
    let joined = play.enter("main", "joins", 5, join("states", ""));
    let first = joined.text("/member_id");
    in_state(play, "completing", "states", &first, 1);
    let given = sync("states", &first, 1, &[(&first, b"\x01")]);
    play.ask("shares", SYNC_GROUP, 3, given);
    in_state(play, "stable", "states", &first, 1);
    let second = play.send("second", "the second joins", JOIN_GROUP, 3, join("states", ""));
    is_rebalancing(play, "until it rebalances", "states", &first, 1);
    in_state(play, "preparing", "states", &first, 1);
    let leader = play.ask("joins again", JOIN_GROUP, 5, join("states", &first));
    let other = play.receive(second).text("/member_id");
    assert_eq!(leader.number("/generation_id"), 2, "{}", leader.0);
    play.ask("beat of the second", HEARTBEAT, 3, beat("states", &other, 2));
    let waits =
        play.send("second", "the second waits", SYNC_GROUP, 3, sync("states", &other, 2, &[]));
    let halves: [(&str, &'static [u8]); 3] =
        [(&first, b"\x02"), (&other, b"\x03"), ("stranger", b"\x04")];
    play.ask("shares among both", SYNC_GROUP, 3, sync("states", &first, 2, &halves));
    play.receive(waits);
    play.ask("described with both", DESCRIBE_GROUPS, 5, describe(&["states"]));
    let both = leave(4, "states", &[(&first, ""), (&other, ""), (&other, ""), ("stranger", "")]);
    play.ask("all leave", LEAVE_GROUP, 4, both);
    in_state(play, "empty", "states", &first, 3);
}

fn is_rebalancing(play: &mut Play, what: &str, group: &str, member: &str, generation: i32) {
    let beat = || beat(group, member, generation);
    play.until(what, HEARTBEAT, 3, beat, |answer: &Answer| answer.code() == 27);
}

/// Which protocol is chosen, and what is told to whom.
pub fn protocols(play: &mut Play) {
    coordinated(play, &["votes"]);
    let three = with_protocols(join("votes", ""), &["range", "sticky", "roundrobin"]);
    let joined = play.ask("the first of three", JOIN_GROUP, 3, three);
    let first = joined.text("/member_id");
    play.ask("shares", SYNC_GROUP, 3, sync("votes", &first, 1, &[(&first, b"\x01")]));
    let two = with_protocols(join("votes", ""), &["sticky", "roundrobin"]);
    let second = play.send("second", "the second of two", JOIN_GROUP, 3, two);
    is_rebalancing(play, "until it rebalances", "votes", &first, 1);
    let again = with_protocols(join("votes", &first), &["range", "sticky", "roundrobin"]);
    play.ask("the first again", JOIN_GROUP, 7, again);
    let other = play.receive(second).text("/member_id");
    play.ask("not shared yet", DESCRIBE_GROUPS, 5, describe(&["votes"]));
    let waits = play.send("second", "waits", SYNC_GROUP, 2, sync("votes", &other, 2, &[]));
    // The leader gives the other nothing.
    play.ask("shares with itself", SYNC_GROUP, 4, sync("votes", &first, 2, &[(&first, b"\x05")]));
    play.receive(waits);
    play.ask("shared", DESCRIBE_GROUPS, 5, describe(&["votes"]));
    let wrong = of_protocol(sync("votes", &first, 2, &[]), "consumer", "range");
    play.ask("of another protocol", SYNC_GROUP, 5, wrong);
    let wrong = of_protocol(sync("votes", &first, 2, &[]), "connect", "sticky");
    play.ask("of another type", SYNC_GROUP, 5, wrong);
    // A follower that comes again with what it said before is told what it knows.
    let two = with_protocols(join("votes", &other), &["sticky", "roundrobin"]);
    play.ask("a follower joins again", JOIN_GROUP, 7, two);
    play.ask("which changes nothing", HEARTBEAT, 3, beat("votes", &first, 2));
    let other_words = with_protocols(join("votes", &other), &["sticky"]);
    let third = play.send("second", "a follower with other words", JOIN_GROUP, 7, other_words);
    is_rebalancing(play, "which changes all", "votes", &first, 2);
    let leaves = leave(2, "votes", &[(&first, "")]);
    play.ask("the leader leaves", LEAVE_GROUP, 2, leaves);
    play.receive(third);
}

pub fn static_members(play: &mut Play) {
    make(play, "seats", 1);
    coordinated(play, &["seats"]);
    let seat = |member: &str| of_instance(join("seats", member), "seat-1");
    let joined = play.ask("takes a seat", JOIN_GROUP, 5, seat(""));
    let first = joined.text("/member_id");
    let by = |member: &str, generation: i32, instance: &str| {
        sync("seats", member, generation, &[]).with_group_instance_id(Some(text(instance)))
    };
    let mut given = sync("seats", &first, 1, &[(&first, b"\x01")]);
    given.group_instance_id = Some(text("seat-1"));
    play.ask("shares", SYNC_GROUP, 3, given);
    let beats = |member: &str, generation: i32, instance: &str| {
        beat("seats", member, generation).with_group_instance_id(Some(text(instance)))
    };
    play.each("beats", HEARTBEAT, [3, 4], |_| beats(&first, 1, "seat-1"));
    play.ask("described", DESCRIBE_GROUPS, 5, describe(&["seats"]));
    play.each("described before instances", DESCRIBE_GROUPS, [3, 4], |_| describe(&["seats"]));
    let same = play.ask("comes back", JOIN_GROUP, 5, seat(""));
    let second = same.text("/member_id");
    play.ask("beat of the old one", HEARTBEAT, 3, beats(&first, 1, "seat-1"));
    play.ask("beat of the new one", HEARTBEAT, 3, beats(&second, 1, "seat-1"));
    play.ask("beat of another seat", HEARTBEAT, 3, beats(&second, 1, "seat-2"));
    play.ask("beat of a stranger", HEARTBEAT, 3, beats("stranger", 1, "seat-1"));
    play.ask("beat without the seat", HEARTBEAT, 3, beat("seats", &second, 1));
    play.ask("sync of the old one", SYNC_GROUP, 3, by(&first, 1, "seat-1"));
    play.ask("sync of the new one", SYNC_GROUP, 3, by(&second, 1, "seat-1"));
    play.ask("sync of another seat", SYNC_GROUP, 3, by(&second, 1, "seat-2"));
    let commits = |member: &str, instance: &str| {
        commit("seats", member, 1, ("seats", 0, 3)).with_group_instance_id(Some(text(instance)))
    };
    play.ask("commit of the old one", OFFSET_COMMIT, 7, commits(&first, "seat-1"));
    play.ask("commit of the new one", OFFSET_COMMIT, 7, commits(&second, "seat-1"));
    play.ask("commit of another seat", OFFSET_COMMIT, 7, commits(&second, "seat-2"));
    play.ask("join of the old one", JOIN_GROUP, 5, seat(&first));
    play.ask("comes back, as of 9", JOIN_GROUP, 9, seat(""));
    let told = play.ask("described again", DESCRIBE_GROUPS, 5, describe(&["seats"]));
    let third = told.text("/groups/0/members/0/member_id");
    play.ask("leaves as the old one", LEAVE_GROUP, 3, leave(3, "seats", &[(&first, "seat-1")]));
    play.ask("leaves another seat", LEAVE_GROUP, 3, leave(3, "seats", &[("", "seat-2")]));
    let both = leave(3, "seats", &[(&third, "seat-2"), ("", "")]);
    play.ask("leaves in a wrong way", LEAVE_GROUP, 3, both);
    play.ask("is sent away", LEAVE_GROUP, 4, leave(4, "seats", &[("", "seat-1")]));
    play.ask("is sent away again", LEAVE_GROUP, 4, leave(4, "seats", &[("", "seat-1")]));
    let anew = play.ask("takes a seat anew", JOIN_GROUP, 7, seat(""));
    let fourth = anew.text("/member_id");
    play.ask("without its seat", JOIN_GROUP, 7, join("seats", &fourth));
}

pub fn refused(play: &mut Play) {
    coordinated(play, &["x"]);
    play.each("no group", SYNC_GROUP, all(SYNC_GROUP), |_| sync("", "m", 1, &[]));
    play.each("no group", HEARTBEAT, all(HEARTBEAT), |_| beat("", "m", 1));
    play.each("no group", LEAVE_GROUP, all(LEAVE_GROUP), |v| leave(v, "", &[("m", "")]));
    play.each("unknown group", SYNC_GROUP, all(SYNC_GROUP), |_| sync("missing", "m", 1, &[]));
    play.each("unknown group", HEARTBEAT, all(HEARTBEAT), |_| beat("missing", "m", 1));
    play.each("unknown group", LEAVE_GROUP, all(LEAVE_GROUP), |v| {
        leave(v, "missing", &[("m", "")])
    });
    play.each("nobody leaves", LEAVE_GROUP, [3, 5], |v| leave(v, "missing", &[]));
    play.ask("an unknown seat", LEAVE_GROUP, 5, leave(5, "missing", &[("", "seat")]));
}
