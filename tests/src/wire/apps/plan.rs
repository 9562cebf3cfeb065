//! What happens to the instances of an application, and when. Pure: a seed draws the same plan for
//! ever.

use crate::history::Micros;
use crate::rng::Rng;

/// So many instances run at first, and at least when all faults have ended.
pub const FEW: usize = 3;
/// So many run at most.
pub const MANY: usize = 6;

/// Something that happens to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A new one is started.
    Start,
    /// One is told to leave (SIGTERM).
    Leave,
    /// One is killed (SIGKILL).
    Kill,
    /// One is stopped (SIGSTOP), and goes on after so long.
    Stop {
        /// How long.
        for_us: Micros,
    },
}

/// When something happens, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// So long after the faults' beginning.
    pub at_us: Micros,
    /// What.
    pub what: What,
    /// To which of those that it can happen to: the rest of a division.
    pub who: u64,
}

/// A plan for so long. Where it is not `rough`, instances only come and go.
pub fn draw(seed: u64, length_us: Micros, session_us: Micros, rough: bool) -> Vec<Planned> {
    let mut rng = Rng::new(seed, "apps");
    let (mut plan, mut at_us) = (Vec::new(), 0);
    loop {
        at_us += rng.between(300_000, 3_000_000);
        let (draw, long, who) = (rng.below(100), rng.percent(40), rng.u64());
        let for_us = if long {
            rng.between(session_us, session_us + 3_000_000)
        } else {
            rng.between(100_000, session_us / 2)
        };
        let what = match draw {
            0..35 => What::Start,
            35..60 => What::Leave,
            60..80 if rough => What::Kill,
            80.. if rough => What::Stop { for_us },
            _ if draw % 2 == 0 => What::Start,
            _ => What::Leave,
        };
        if at_us >= length_us {
            return plan;
        }
        plan.push(Planned { at_us, what, who });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_everything_and_a_calm_one_only_comes_and_goes() {
        let rough = draw(1, 100_000_000, 6_000_000, true);
        for wanted in [What::Start, What::Leave, What::Kill] {
            assert!(rough.iter().any(|planned| planned.what == wanted), "{wanted:?}");
        }
        let longest = rough.iter().filter_map(|planned| match planned.what {
            What::Stop { for_us } => Some(for_us),
            _ => None,
        });
        assert!(longest.max() > Some(6_000_000), "one sleeps through its session");
        let calm = draw(1, 100_000_000, 6_000_000, false);
        assert!(calm.iter().all(|planned| matches!(planned.what, What::Start | What::Leave)));
        assert_eq!(calm.len(), rough.len(), "what happens draws nothing from when it happens");
        assert_eq!(draw(1, 100_000_000, 6_000_000, true), rough);
    }
}
