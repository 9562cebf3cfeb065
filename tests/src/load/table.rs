//! Medians, ranges and ratios, as tables in Markdown.

use std::fmt;

/// A column of a table.
pub struct Column {
    /// What is above it.
    pub title: &'static str,
    /// Whether it has words and not numbers.
    pub words: bool,
}

/// A column of words.
pub const fn words(title: &'static str) -> Column {
    Column { title, words: true }
}

/// A column of numbers.
pub const fn numbers(title: &'static str) -> Column {
    Column { title, words: false }
}

/// Writes a table.
pub fn markdown(f: &mut impl fmt::Write, columns: &[Column], rows: &[Vec<String>]) -> fmt::Result {
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    let rules: Vec<&str> =
        columns.iter().map(|column| if column.words { "---" } else { "---:" }).collect();
    writeln!(f, "| {} |\n| {} |", titles.join(" | "), rules.join(" | "))?;
    rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
}

/// A figure of both programs, pass by pass.
pub struct Pair<T> {
    /// Of cohort.
    pub cohort: Vec<T>,
    /// Of the floor.
    pub floor: Vec<T>,
}

impl<T> Pair<T> {
    /// Another figure of the same passes.
    pub fn map<U>(&self, of: impl Fn(&T) -> U) -> Pair<U> {
        Pair {
            cohort: self.cohort.iter().map(&of).collect(),
            floor: self.floor.iter().map(&of).collect(),
        }
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
    /// Of at least one value.
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
pub fn short(value: f64) -> String {
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

const COLUMNS: [Column; 6] = [
    words("figure"),
    numbers("cohort"),
    numbers("floor"),
    numbers("ratio"),
    words("to reach"),
    numbers("MiB of a node"),
];

/// The table so far.
#[derive(Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A figure of both. The ratio is taken pass by pass.
    pub fn push(&mut self, name: &str, figure: &Pair<f64>, reach: Reach<'_>, memory: Pair<f64>) {
        let ratio = Spread::of(
            figure.cohort.iter().zip(&figure.floor).map(|(cohort, floor)| cohort / floor),
        );
        let [cohort, floor] =
            [&figure.cohort, &figure.floor].map(|f| Spread::of(f.iter().copied()));
        let [held, held_by_floor] =
            [memory.cohort, memory.floor].map(|m| short(Spread::of(m).median));
        self.rows.push(vec![
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
        self.rows.push(vec![
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
        .map(|(text, met)| {
            format!("{text}: {}", if met(figure.median) { "met" } else { "not met" })
        })
        .unwrap_or_default()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        markdown(f, &COLUMNS, &self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_pass_by_pass() {
        let mut table = Table::default();
        let figure = Pair { cohort: vec![40.0, 90.0, 1.0], floor: vec![100.0, 100.0, 2.0] };
        let memory = Pair { cohort: vec![123.4], floor: vec![5.678] };
        table.push("requests/s", &figure, Some(("≥ 0.4", |ratio| ratio >= 0.4)), memory);
        let rows: Vec<String> = table.to_string().lines().map(str::to_owned).collect();
        assert_eq!(
            rows[2],
            "| requests/s | 40.0 (1.00 to 90.0) | 100 (2.00 to 100) | 0.500 (0.400 to 0.900) | ≥ 0.4: met | 123 / 5.68 |"
        );
        assert_eq!(rows[1], "| --- | ---: | ---: | ---: | --- | ---: |");
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let all = [
            (0.04567, "0.046"),
            (4.567, "4.57"),
            (45.67, "45.7"),
            (456.7, "457"),
            (1_234_567.8, "1,234,568"),
        ];
        for (value, text) in all {
            assert_eq!(short(value), text);
        }
    }
}
