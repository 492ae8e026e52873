//! Shows what is being done and how long it takes: a moving line in a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// In plain output a long step says that it is alive this often.
const ALIVE_EVERY: Duration = Duration::from_secs(60);
const SHOWN_CHARS_MAX: usize = 100;

/// The lines of all steps that are under way at once.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// One step under way.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    started: Instant,
    told: Instant,
}

impl Progress {
    /// Announces a step.
    pub(crate) fn start(label: &str) -> Progress {
        let now = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = BARS.add(ProgressBar::new_spinner());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.set_prefix(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            println!("{label} ...");
        }
        Progress { bar, label: label.to_owned(), started: now, told: now }
    }

    /// Shows the latest line of output.
    pub(crate) fn line(&mut self, line: &str) {
        let line: String = line.chars().filter(|character| !character.is_control()).take(SHOWN_CHARS_MAX).collect();
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None if self.told.elapsed() > ALIVE_EVERY => {
                println!("{} ... {:.0} s: {line}", self.label, self.started.elapsed().as_secs_f64());
                self.told = Instant::now();
            }
            None => {}
        }
    }

    /// Writes a line that stays, above those that move.
    pub(crate) fn say(&self, line: &str) {
        BARS.suspend(|| println!("{line}"));
    }

    /// Ends the step with its result and time.
    pub(crate) fn end(self, result: &str) -> Duration {
        let took = self.started.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.say(&format!("{:<60} {:>8.1} s  {result}", self.label, took.as_secs_f64()));
        took
    }
}
