//! Medians, ranges and ratios, as a table in Markdown.

use std::fmt;

/// A figure of both programs, pass by pass.
pub struct Pair<T> {
    pub cohort: Vec<T>,
    pub floor: Vec<T>,
}

impl<T> Pair<T> {
    pub fn map<U>(&self, of: impl Fn(&T) -> U) -> Pair<U> {
        Pair { cohort: self.cohort.iter().map(&of).collect(), floor: self.floor.iter().map(&of).collect() }
    }
}

/// Least, median and most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Self { least: sorted[0], median: f64::midpoint(low, high), most: sorted[sorted.len() - 1] }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = [self.median, self.least, self.most].map(short);
        if least == most { f.write_str(&median) } else { write!(f, "{median} ({least} to {most})") }
    }
}

/// Three digits that count, or a whole number with its thousands apart.
fn short(value: f64) -> String {
    if value < 100.0 {
        let places = if value < 1.0 {
            3
        } else if value < 10.0 {
            2
        } else {
            1
        };
        return format!("{value:.places$}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a figure should be, in words and as a question.
pub type Reach<'a> = Option<(&'a str, fn(f64) -> bool)>;

/// The table so far.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 6]>,
}

impl Table {
    /// A figure of both. The ratio is taken pass by pass.
    pub fn push(&mut self, name: &str, figure: &Pair<f64>, reach: Reach<'_>, memory: Pair<f64>) {
        let ratio = Spread::of(figure.cohort.iter().zip(&figure.floor).map(|(cohort, floor)| cohort / floor));
        let [cohort, floor] = [&figure.cohort, &figure.floor].map(|f| Spread::of(f.iter().copied()));
        let [held, held_by_floor] = [memory.cohort, memory.floor].map(|m| short(Spread::of(m).median));
        self.rows.push([
            name.into(),
            cohort.to_string(),
            floor.to_string(),
            ratio.to_string(),
            verdict(reach, ratio),
            format!("{held} / {held_by_floor}"),
        ]);
    }

    /// A figure of cohort alone.
    pub fn push_alone(&mut self, name: &str, cohort: Spread, reach: Reach<'_>, memory: Spread) {
        let verdict = verdict(reach, cohort);
        self.rows.push([
            name.into(),
            cohort.to_string(),
            String::new(),
            String::new(),
            verdict,
            short(memory.median),
        ]);
    }
}

fn verdict(reach: Reach<'_>, figure: Spread) -> String {
    reach
        .map(|(text, met)| format!("{text}: {}", if met(figure.median) { "met" } else { "not met" }))
        .unwrap_or_default()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | cohort | floor | ratio | to reach | MiB of a node |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | --- | ---: |")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}
