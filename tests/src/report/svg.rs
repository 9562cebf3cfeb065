//! Inline SVG plots over the time of a run: axes, shaded faults, lines, bars and lanes.

use std::fmt::Write as _;

use crate::history::{History, Micros};

/// The width of a plot, with its margins.
pub const WIDTH: f64 = 1080.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 24.0;

/// Text that is safe inside HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Counts of one run are far below 2^52, so nothing is lost.
#[allow(clippy::cast_precision_loss)]
#[must_use]
pub fn float(number: u64) -> f64 {
    number as f64
}

/// A plot under construction.
pub struct Plot {
    svg: String,
    height: f64,
    end: f64,
}

impl Plot {
    /// An empty plot of a history, with its faults shaded and its time axis drawn.
    #[must_use]
    pub fn new(history: &History, end: Micros, height: f64) -> Self {
        let mut plot = Self { svg: String::new(), height, end: float(end.max(1)) };
        let _ = write!(
            plot.svg,
            r#"<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">"#
        );
        for fault in &history.faults {
            let (from, to) = (plot.x(fault.from_us), plot.x(fault.to_us.unwrap_or(end)));
            let _ = write!(
                plot.svg,
                r#"<rect class="fault" x="{from:.1}" y="{TOP}" width="{:.1}" height="{:.1}"><title>{}</title></rect>"#,
                (to - from).max(1.0),
                height - TOP - BOTTOM,
                escape(&format!("{} {}", fault.fault, fault.detail))
            );
        }
        if let Some(heal) = history.header.heal_us {
            let x = plot.x(heal);
            let _ = write!(
                plot.svg,
                r#"<line class="heal" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{:.1}"><title>final phase</title></line>"#,
                height - BOTTOM
            );
        }
        plot.time_axis(end);
        plot
    }

    /// Where a time is; what is after the end of the run is at its end.
    #[must_use]
    pub fn x(&self, time: Micros) -> f64 {
        LEFT + (float(time) / self.end).min(1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, part: f64) -> f64 {
        TOP + (1.0 - part.clamp(0.0, 1.0)) * (self.height - TOP - BOTTOM)
    }

    fn time_axis(&mut self, end: Micros) {
        let step = [1u64, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600]
            .into_iter()
            .find(|step| end / (step * 1_000_000) <= 14)
            .unwrap_or(7_200);
        let base = self.height - BOTTOM;
        for second in (0..=end / 1_000_000).step_by(usize::try_from(step).unwrap_or(1)) {
            let x = self.x(second * 1_000_000);
            let _ = write!(
                self.svg,
                r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{base}"/><text x="{x:.1}" y="{:.1}" class="mid">{second} s</text>"#,
                base + 15.0
            );
        }
    }

    /// A horizontal line with a label at its left, at a part (0 to 1) of the height.
    pub fn mark(&mut self, part: f64, label: &str) {
        let y = self.y(part);
        let _ = write!(
            self.svg,
            r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}"/><text x="{:.1}" y="{:.1}" class="end">{}</text>"#,
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            escape(label)
        );
    }

    /// A line through points `(time, part of the height)`.
    pub fn line(&mut self, class: &str, points: &[(Micros, f64)]) {
        if points.is_empty() {
            return;
        }
        let mut path = String::new();
        for (i, (time, part)) in points.iter().enumerate() {
            let _ = write!(
                path,
                "{}{:.1} {:.1}",
                if i == 0 { 'M' } else { 'L' },
                self.x(*time),
                self.y(*part)
            );
        }
        let _ = write!(self.svg, r#"<path class="{class}" d="{path}"/>"#);
    }

    /// A bar between two times and two parts of the height.
    pub fn bar(&mut self, class: &str, (from, to): (Micros, Micros), (low, high): (f64, f64)) {
        let (x, width) = (self.x(from), (self.x(to) - self.x(from) - 0.4).max(0.6));
        let (top, bottom) = (self.y(high), self.y(low));
        let _ = write!(
            self.svg,
            r#"<rect class="{class}" x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{:.1}"/>"#,
            bottom - top
        );
    }

    /// A lane's label; lanes are counted from the top, each of the given height.
    pub fn lane(&mut self, lane: usize, height: f64, label: &str) {
        let y = TOP + float(lane as u64) * height;
        let _ = write!(
            self.svg,
            r#"<text x="{:.1}" y="{:.1}" class="end">{}</text>"#,
            LEFT - 6.0,
            y + height / 2.0 + 4.0,
            escape(label)
        );
    }

    /// A block in a lane, of a colour, with a text that shows when pointed at.
    pub fn block(
        &mut self,
        lane: usize,
        height: f64,
        (from, to): (Micros, Micros),
        colour: &str,
        title: &str,
    ) {
        let y = TOP + float(lane as u64) * height;
        let (x, width) = (self.x(from), (self.x(to) - self.x(from)).max(1.2));
        let _ = write!(
            self.svg,
            r#"<rect x="{x:.1}" y="{:.1}" width="{width:.1}" height="{:.1}" fill="{colour}"><title>{}</title></rect>"#,
            y + 1.5,
            height - 3.0,
            escape(title)
        );
    }

    /// A thin bar at the bottom of a lane.
    pub fn under(
        &mut self,
        lane: usize,
        height: f64,
        (from, to): (Micros, Micros),
        class: &str,
        title: &str,
    ) {
        let y = TOP + float(lane as u64 + 1) * height;
        let (x, width) = (self.x(from), (self.x(to) - self.x(from)).max(1.0));
        let _ = write!(
            self.svg,
            r#"<rect class="{class}" x="{x:.1}" y="{:.1}" width="{width:.1}" height="3"><title>{}</title></rect>"#,
            y - 3.0,
            escape(title)
        );
    }

    /// A tick in a lane at a time.
    pub fn tick(&mut self, lane: usize, height: f64, time: Micros, class: &str, title: &str) {
        let (x, y) = (self.x(time), TOP + float(lane as u64) * height);
        let _ = write!(
            self.svg,
            r#"<line class="{class}" x1="{x:.1}" x2="{x:.1}" y1="{:.1}" y2="{:.1}"><title>{}</title></line>"#,
            y + 2.5,
            y + height * 0.6,
            escape(title)
        );
    }

    /// A short text in a lane at a time.
    pub fn note(&mut self, lane: usize, height: f64, time: Micros, text: &str) {
        let (x, y) = (self.x(time), TOP + float(lane as u64) * height);
        let _ = write!(
            self.svg,
            r#"<line class="note" x1="{x:.1}" x2="{x:.1}" y1="{:.1}" y2="{:.1}"/><text x="{:.1}" y="{:.1}" class="small">{}</text>"#,
            y + 2.0,
            y + height - 2.0,
            x + 2.0,
            y + height / 2.0 + 4.0,
            escape(text)
        );
    }

    /// The finished element.
    #[must_use]
    pub fn done(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// The height of a plot of so many lanes.
#[must_use]
pub fn height_of_lanes(count: usize, height: f64) -> f64 {
    TOP + float(count as u64) * height + BOTTOM
}
