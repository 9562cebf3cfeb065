//! The page: verdict, figures, plots, and what was not judged.

use std::fmt::Write as _;

use super::anomalies::anomalies;
use super::charts;
use super::figures::{Figures, Latency, duration, figures};
use super::lanes::LEGEND;
use super::rebalances::{Handover, PartitionPause, PauseFigures, Rebalance, pauses};
use super::svg::escape;
use crate::checkers::Verdict;
use crate::checkers::clock::{at, end};
use crate::checkers::groups::view::Groups;
use crate::history::History;

/// More members than this are not listed.
const MEMBERS: usize = 60;
/// More rebalances than this of one group are not listed.
const REBALANCES: usize = 60;

const STYLE: &str = "
:root{color-scheme:light dark;--fg:#1d2530;--dim:#66717f;--bg:#fff;--card:#f6f7f9;--line:#dfe3e8;--ok:#2f9e6e;--fail:#d99a1c;--info:#d1495b;--fault:#d1495b22;--blue:#2b6cb0;--violet:#7a4fb5}
@media(prefers-color-scheme:dark){:root{--fg:#e3e7ec;--dim:#95a0ae;--bg:#14181d;--card:#1d232a;--line:#323a44;--fault:#d1495b40;--blue:#6ea8e0;--violet:#b392e8}}
*{box-sizing:border-box}body{font:14px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:1120px;margin:24px auto;padding:0 20px}
h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:30px 0 8px}.dim{color:var(--dim)}
.verdict{padding:10px 14px;border-radius:6px;margin:14px 0;font-weight:600;border-left:6px solid}.verdict.good{border-color:var(--ok);background:#2f9e6e1f}.verdict.bad{border-color:var(--info);background:#d1495b1f}.verdict.open{border-color:var(--fail);background:#d99a1c1f}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px}.cards div{background:var(--card);border-radius:6px;padding:8px 12px}.cards b{display:block;font-size:19px;font-variant-numeric:tabular-nums}.cards span{color:var(--dim);font-size:12px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th{font-weight:600;text-align:left;color:var(--dim);font-size:12px}th,td{padding:3px 10px 3px 0;border-bottom:1px solid var(--line);vertical-align:top}td.n,th.n{text-align:right}
details{margin:6px 0}summary{cursor:pointer}code{font:12px ui-monospace,monospace}ul{margin:4px 0;padding-left:20px}
svg{max-width:100%;height:auto;display:block}svg text{font:11px system-ui,sans-serif;fill:var(--dim)}text.end{text-anchor:end}text.mid{text-anchor:middle}text.small{font-size:10px}
.grid{stroke:var(--line)}.fault{fill:var(--fault)}.heal{stroke:var(--ok);stroke-dasharray:4 3}.note{stroke:var(--dim)}
rect.ok,i.ok{fill:var(--ok);background:var(--ok)}rect.fail,i.fail{fill:var(--fail);background:var(--fail)}rect.info,i.info{fill:var(--info);background:var(--info)}
path{fill:none;stroke-width:1.4}path.p50,path.ends{stroke:var(--blue)}path.p95,path.committed{stroke:var(--ok)}path.p99{stroke:var(--fail)}path.max,path.lag{stroke:var(--info)}
i.p50,i.ends{background:var(--blue)}i.p95,i.committed{background:var(--ok)}i.p99{background:var(--fail)}i.max,i.lag{background:var(--info)}i.faulted,i.down{background:#d1495b55}rect.gap,i.gap{fill:var(--info);background:var(--info)}line.commit{stroke:var(--fg)}i.commit{background:var(--fg)}.raw{font-size:12px}.raw td{word-break:break-word}
.legend{margin:4px 0 0 84px;color:var(--dim);font-size:12px}.legend span{margin-right:14px;white-space:nowrap}.legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:5px;vertical-align:-1px}
";

/// The report of a run as one HTML file.
#[must_use]
pub fn render(history: &History, verdicts: &[(&str, Verdict)]) -> String {
    let (figures, over) = (figures(history), end(history));
    let header = &history.header;
    let mut html = String::new();
    let _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>arena: {0} on {1} nodes</title><style>{STYLE}</style></head><body>\
         <h1>{0}, {1} nodes ({2})</h1><p class=\"dim\">seed {3}, {4}, faults: {5}</p>",
        escape(&header.workload),
        header.nodes.len(),
        escape(&header.stage),
        header.seed,
        duration(over),
        escape(&fault_kinds(history)),
    );
    verdict(&mut html, history, verdicts);
    numbers(&mut html, &figures);
    section(
        &mut html,
        "Operations per second",
        &charts::operations(history, over),
        &[
            ("ok", "took effect"),
            ("fail", "refused"),
            ("info", "no answer, or not now"),
            ("faulted", "fault"),
        ],
    );
    section(
        &mut html,
        "Latency",
        &charts::latency(history, over),
        &[("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("max", "max")],
    );
    let groups = Groups::of(history);
    let all = pauses(history);
    for (name, group) in &groups.groups {
        let title = format!("Group {name}: generations and owners");
        let legend: &[(&str, &str)] = if group.thin { &[] } else { &LEGEND };
        section(&mut html, &title, &charts::ownership(history, over, group), legend);
        let of_group = all.iter().filter(|rebalance| rebalance.group == **name);
        rebalances(&mut html, name, &of_group.collect::<Vec<_>>());
        lag(
            &mut html,
            &format!("Group {name}: offsets and lag"),
            charts::lag(history, over, Some(name)),
        );
    }
    lag(&mut html, "Keys: offsets and lag", charts::lag(history, over, None));
    faults(&mut html, &figures);
    requests(&mut html, &figures);
    members(&mut html, &figures);
    judged(&mut html, verdicts);
    html.push_str("</body></html>\n");
    html
}

fn fault_kinds(history: &History) -> String {
    let mut kinds: Vec<&str> = history.faults.iter().map(|fault| fault.fault.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
}

fn verdict(html: &mut String, history: &History, verdicts: &[(&str, Verdict)]) {
    let broken = verdicts.iter().filter(|(_, verdict)| verdict.is_violated()).count();
    let held = verdicts.iter().filter(|(_, verdict)| verdict.is_valid()).count();
    let open = verdicts.len() - broken - held;
    let (class, text) = match (broken, held) {
        (0, 0) => ("open", "Not judged".to_owned()),
        (0, _) => ("good", format!("Valid: {held} properties hold")),
        _ => ("bad", format!("{broken} anomalies found; {held} properties hold")),
    };
    let _ = write!(html, "<div class=\"verdict {class}\">{text}, {open} not judged</div>");
    anomalies(html, history, verdicts);
}

fn numbers(html: &mut String, figures: &Figures) {
    html.push_str("<h2>Figures</h2><div class=\"cards\">");
    let mut card = |value: String, label: &str| {
        let _ = write!(html, "<div><b>{value}</b><span>{label}</span></div>");
    };
    card(format!("{:.1}/s", figures.throughput), "throughput");
    card(format!("{:.2}%", figures.availability * 100.0), "availability");
    card(duration(figures.latency.p50), "latency p50");
    card(duration(figures.latency.p95), "latency p95");
    card(duration(figures.latency.p99), "latency p99");
    card(duration(figures.latency.max), "latency max");
    card(figures.invoked.to_string(), "operations");
    card(figures.ok.to_string(), "took effect");
    card(figures.fail.to_string(), "refused");
    card(figures.info.to_string(), "outcome unknown");
    card(figures.recoveries.len().to_string(), "faults");
    let slowest = figures.recoveries.iter().filter_map(|recovery| recovery.recovery_us).max();
    card(slowest.map_or_else(|| "–".to_owned(), duration), "slowest recovery");
    if !figures.rebalances.is_empty() {
        card(figures.rebalances.values().sum::<i64>().to_string(), "rebalances");
    }
    html.push_str("</div>");
}

fn section(html: &mut String, title: &str, body: &str, legend: &[(&str, &str)]) {
    let _ = write!(html, "<h2>{}</h2>{body}", escape(title));
    if !legend.is_empty() {
        html.push_str("<p class=\"legend\">");
        for (class, label) in legend {
            let _ = write!(html, "<span><i class=\"{class}\"></i>{label}</span>");
        }
        html.push_str("</p>");
    }
}

fn lag(html: &mut String, title: &str, plot: Option<String>) {
    if let Some(plot) = plot {
        let legend =
            [("ends", "log ends, summed"), ("committed", "committed, summed"), ("lag", "lag")];
        section(html, title, &plot, &legend);
    }
}

fn faults(html: &mut String, figures: &Figures) {
    if figures.recoveries.is_empty() {
        return;
    }
    html.push_str(
        "<h2>Faults and recovery</h2><table><tr><th>fault<th class=\"n\">from<th class=\"n\">to\
         <th class=\"n\">longest silence<th class=\"n\">answered after</tr>",
    );
    for recovery in &figures.recoveries {
        let _ = write!(
            html,
            "<tr><td>{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}</tr>",
            escape(&recovery.fault),
            at(recovery.from_us),
            recovery.to_us.map_or_else(|| "–".to_owned(), at),
            duration(recovery.silence_us),
            recovery.recovery_us.map_or_else(|| "–".to_owned(), duration)
        );
    }
    html.push_str("</table>");
}

fn requests(html: &mut String, figures: &Figures) {
    html.push_str(
        "<h2>Latency by request</h2><table><tr><th>request<th class=\"n\">answered<th class=\"n\">p50<th class=\"n\">p95\
         <th class=\"n\">p99<th class=\"n\">max</tr>",
    );
    for (request, Latency { count, p50, p95, p99, max }) in &figures.latency_by_request {
        let _ = write!(html, "<tr><td>{}<td class=\"n\">{count}", escape(request));
        for time in [p50, p95, p99, max] {
            let _ = write!(html, "<td class=\"n\">{}", duration(*time));
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
}

fn members(html: &mut String, figures: &Figures) {
    if figures.pauses.is_empty() {
        return;
    }
    html.push_str("<h2>Paused time per member</h2><table><tr><th>group<th>member<th class=\"n\">pauses<th class=\"n\">paused</tr>");
    let mut pauses: Vec<_> = figures.pauses.iter().collect();
    pauses.sort_by_key(|pause| (std::cmp::Reverse(pause.paused_us), &pause.group, &pause.member));
    for pause in pauses.iter().take(MEMBERS) {
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td class=\"n\">{}<td class=\"n\">{}</tr>",
            escape(&pause.group),
            escape(&pause.member),
            pause.pauses,
            duration(pause.paused_us)
        );
    }
    html.push_str("</table>");
    if pauses.len() > MEMBERS {
        let _ = write!(
            html,
            "<p class=\"dim\">{} more members, paused for less</p>",
            pauses.len() - MEMBERS
        );
    }
}

/// Each rebalance of a group with its cause, and how long partitions stood still.
fn rebalances(html: &mut String, group: &str, all: &[&Rebalance]) {
    if all.is_empty() {
        return;
    }
    let figures = PauseFigures::of(all.iter().copied());
    let _ = write!(
        html,
        "<h2>Group {0}: rebalances</h2><p>A partition stands still from the last fetch of whoever had \
         it to the first fetch of whoever has it now.</p><table><tr><th>partitions<th class=\"n\">pauses\
         <th class=\"n\">p50<th class=\"n\">p99<th class=\"n\">worst</tr>",
        escape(group)
    );
    for (what, Latency { count, p50, p99, max, .. }) in [
        ("moved to another member", figures.moved),
        ("kept", figures.kept),
        ("of a static member that came back", figures.returned),
    ] {
        let _ = write!(html, "<tr><td>{what}<td class=\"n\">{count}");
        for time in [p50, p99, max] {
            let time = if count == 0 { "–".to_owned() } else { duration(time) };
            let _ = write!(html, "<td class=\"n\">{time}");
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
    if figures.unread > 0 {
        let _ = write!(html, "<p class=\"dim\">{} were not read again</p>", figures.unread);
    }
    html.push_str(
        "<table><tr><th class=\"n\">generation<th class=\"n\">from<th class=\"n\">to<th>cause\
         <th class=\"n\">members<th class=\"n\">moved<th class=\"n\">worst<th class=\"n\">kept\
         <th class=\"n\">worst<th class=\"n\">came back<th class=\"n\">worst</tr>",
    );
    for rebalance in all.iter().take(REBALANCES) {
        let _ = write!(
            html,
            "<tr><td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td>{}<td class=\"n\">{}",
            rebalance.generation,
            at(rebalance.began_us),
            at(rebalance.ended_us),
            escape(&rebalance.cause.to_string()),
            rebalance.members
        );
        for handover in [Handover::Moved, Handover::Kept, Handover::Returned] {
            let some = || rebalance.partitions.iter().filter(|pause| pause.handover == handover);
            let worst = some().filter_map(PartitionPause::pause_us).max();
            let worst = worst.map_or_else(|| "–".to_owned(), duration);
            let _ = write!(html, "<td class=\"n\">{}<td class=\"n\">{worst}", some().count());
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
    if all.len() > REBALANCES {
        let _ = write!(html, "<p class=\"dim\">{} more rebalances</p>", all.len() - REBALANCES);
    }
}

fn judged(html: &mut String, verdicts: &[(&str, Verdict)]) {
    html.push_str("<h2>Verdicts</h2><table><tr><th>property<th>verdict<th>on</tr>");
    for (name, verdict) in verdicts {
        let (word, on) = match verdict {
            Verdict::Valid { judged } => ("holds", format!("{judged} facts")),
            Verdict::Violated(violations) => ("broken", format!("{} accounts", violations.len())),
            Verdict::NotJudged(reason) => ("not judged", reason.clone()),
        };
        let _ = write!(
            html,
            "<tr><td><code>{}</code><td>{word}<td class=\"dim\">{}</tr>",
            escape(name),
            escape(&on)
        );
    }
    html.push_str("</table>");
}
