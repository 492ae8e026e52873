//! `countersign classes`: the organisation's own classes of data, and the indexes of values by which they are found.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use gateway::classes::{FILE, index_key, read_classes};
use gateway::home::Home;
use governance::classify::own::{IndexBuilder, OwnClasses};
use governance::limits::{INDEX_VALUES_MAX, OWN_VALUE_BYTES_MAX};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use super::table;
use crate::exit_code::{Exit, Failure};

/// The longest row of a table: sixteen columns of 4 KiB.
const ROW_BYTES_MAX: u64 = 64 * 1024;

/// How the column of values is called that come a line each.
const LINES: &str = "value";

/// Check the organisation's own classes of data, and make indexes of its values
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign classes check
  countersign classes index customers.csv --column email --column iban --out customers.edm
  cut -f1 staff.tsv | countersign classes index --out staff.edm
  echo 'Project Falcon is late' | countersign classify

Own classes stand in classes.toml in the home; what is found is of the class `org`, each class a kind of it: org.NAME.")]
pub(crate) enum Classes {
    /// Check classes.toml with the indexes that it names, and show how each class is found; exits with 1 where it is not sound
    Check {
        /// The file [default: classes.toml in the home]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Make an index of the values of a table, of which it holds keyed hashes alone
    Index(Index),
}

#[derive(Args)]
#[command(after_help = format!("Examples:
  countersign classes index customers.csv --column email --column iban --out customers.edm
  countersign classes index accounts.csv --delimiter ';' --column iban --out accounts.edm
  cut -f1 staff.tsv | countersign classes index --out staff.edm

A table is CSV with a row of names, in UTF-8. Without FILE it is read from standard input;
without --column each line there is one value. Capitals, accents, spaces, dashes and other signs
make no difference. A value alone needs 6 letters or digits, one of a row with several columns 3;
those that are shorter, longer than {OWN_VALUE_BYTES_MAX} bytes, or in more than 256 rows are left out, and counted.

The index has 64 bits of a keyed hash for each value (HMAC-SHA-256, keys/classes.hmac of the
home), and nothing of the values or the key. A text that is no value is taken for one in n of 2^64
cases, of n values. It takes 9.3 bytes for each value, 14.3 with rows, and 24 more while it is
made: ten million values up to 370 MB. There are {INDEX_VALUES_MAX} values at the most."))]
pub(crate) struct Index {
    /// The table
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// A column of the table whose values count; several times for several
    #[arg(long, value_name = "NAME")]
    column: Vec<String>,
    /// What stands between columns
    #[arg(long, value_name = "CHARACTER", default_value_t = ',')]
    delimiter: char,
    /// Where the index goes: a name alone is a file in the home
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// The organisation's own classes, where the home has a file of them.
pub(super) fn own_classes(home: Option<&Home>) -> Result<Option<Arc<OwnClasses>>, Failure> {
    let Some(home) = home else { return Ok(None) };
    let file = home.path().join(FILE);
    if !file.try_exists().unwrap_or(true) {
        return Ok(None);
    }
    Ok(Some(read_classes(home, &file).map_err(Failure::no)?.own().clone()))
}

impl Classes {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        match self {
            Self::Check { file } => check(home, &file.unwrap_or_else(|| home.path().join(FILE))),
            Self::Index(index) => index.run(home),
        }
    }
}

fn check(home: &Home, file: &Path) -> Result<Exit, Failure> {
    let classes = read_classes(home, file).map_err(Failure::no)?;
    let shown = file.display();
    println!("{shown}: {} own classes are sound (sha256 {})", classes.file().classes().count(), classes.sha256());
    if std::io::stdout().is_terminal() {
        let mut table = table(&["class", "what it is", "how it is found"]);
        for (name, why, how) in classes.file().classes() {
            table.add_row([format!("org.{name}"), why.to_string(), how]);
        }
        println!("{table}");
    } else {
        for (name, why, how) in classes.file().classes() {
            println!("org.{name}: {how} ({why})");
        }
    }
    for (name, index) in classes.indexes() {
        println!("{name}: {} values of `{}`", index.len(), index.columns().join("`, `"));
    }
    Ok(Exit::Done)
}

/// Where a table comes from, as messages name it.
struct Source {
    bar: ProgressBar,
    input: Box<dyn Read>,
    name: String,
}

impl Index {
    fn run(self, home: &Home) -> Result<Exit, Failure> {
        let is_name = self.out.components().count() == 1;
        if self.out.extension().is_none_or(|extension| extension != "edm") {
            return Err(Failure::usage(format!("`{}` does not end in `.edm`", self.out.display())));
        }
        if self.file.is_some() && self.column.is_empty() {
            return Err(Failure::usage("say which columns count, as in `--column email --column iban`"));
        }
        let delimiter = u8::try_from(self.delimiter).map_err(|_| Failure::usage("the delimiter is not of ASCII"))?;
        home.prepare().map_err(Failure::could_not)?;
        let key = index_key(home).map_err(Failure::could_not)?;
        let names = if self.column.is_empty() { vec![LINES.to_owned()] } else { self.column.clone() };
        let columns: Vec<Arc<str>> = names.iter().map(|name| Arc::from(name.as_str())).collect();
        let mut builder = IndexBuilder::new(key, columns).map_err(|error| Failure::usage(error.to_string()))?;
        let source = self.source()?;
        let bar = source.bar.clone();
        let rows = if self.column.is_empty() {
            lines(source, &mut builder)?
        } else {
            self.table(source, delimiter, &mut builder)?
        };
        bar.set_message("sorting");
        let (bytes, built) = builder.finish();
        let out = if is_name { home.path().join(&self.out) } else { self.out.clone() };
        let written = write(&out, &bytes);
        bar.finish_and_clear();
        written.map_err(|error| Failure::could_not(format!("write `{}`: {error}", out.display())))?;
        let shown = out.display();
        println!("{shown}: {} values of {rows} rows, {} bytes", built.kept, bytes.len());
        if built.skipped > 0 {
            println!("{shown}: {} values are too short or too long and were left out", built.skipped);
        }
        if built.common > 0 {
            println!("{shown}: {} values stand in too many rows to tell one and were left out", built.common);
        }
        Ok(Exit::Done)
    }

    fn source(&self) -> Result<Source, Failure> {
        let (name, length, input): (String, Option<u64>, Box<dyn Read>) = match &self.file {
            Some(path) => {
                let name = path.display().to_string();
                let file = File::open(path).map_err(|error| Failure::could_not(format!("read `{name}`: {error}")))?;
                let length = file.metadata().ok().map(|found| found.len());
                (name, length, Box::new(file))
            }
            None => ("standard input".to_owned(), None, Box::new(std::io::stdin())),
        };
        let style = |template| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = match length {
            _ if !std::io::stderr().is_terminal() => ProgressBar::hidden(),
            Some(length) => ProgressBar::new(length)
                .with_style(style("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left {msg}")),
            None => ProgressBar::new_spinner().with_style(style("{spinner} {bytes} {bytes_per_sec} {msg}")),
        };
        let bar = bar.with_finish(ProgressFinish::AndClear);
        let input = Box::new(bar.wrap_read(input));
        Ok(Source { bar, input, name })
    }

    /// Takes the rows of CSV; says how many there are.
    fn table(&self, source: Source, delimiter: u8, builder: &mut IndexBuilder) -> Result<u64, Failure> {
        let name = source.name;
        let wrong = |error: csv::Error| Failure::no(format!("{name}: {error}"));
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(BufReader::new(source.input));
        let header = reader.headers().map_err(wrong)?.clone();
        let mut places = Vec::with_capacity(self.column.len());
        for column in &self.column {
            let place = header.iter().position(|known| known.trim_start_matches('\u{feff}') == column);
            places.push(place.ok_or_else(|| {
                let known = header.iter().collect::<Vec<_>>().join("`, `");
                Failure::no(format!("{name}: no column `{column}`; there are `{known}`"))
            })?);
        }
        let mut record = csv::StringRecord::new();
        let mut rows = 0;
        while reader.read_record(&mut record).map_err(wrong)? {
            let values = places.iter().map(|place| record.get(*place).unwrap_or_default());
            builder.row(values).map_err(|error| Failure::no(format!("{name}: {error}")))?;
            rows += 1;
        }
        Ok(rows)
    }
}

/// Takes lines, a value each; says how many there are.
fn lines(source: Source, builder: &mut IndexBuilder) -> Result<u64, Failure> {
    let mut input = BufReader::new(source.input);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let wrong = |what: &str| Failure::no(format!("{}: line {number}: {what}", source.name));
        let read = input.by_ref().take(ROW_BYTES_MAX + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|error| Failure::could_not(format!("read {}: {error}", source.name)))?;
        if read == 0 {
            return Ok(number - 1);
        }
        if read as u64 > ROW_BYTES_MAX {
            return Err(wrong("it is longer than a value can be"));
        }
        let value = std::str::from_utf8(&line).map_err(|_| wrong("it is not UTF-8"))?;
        builder.row([value]).map_err(|error| wrong(&error.to_string()))?;
    }
    Ok(0)
}

/// Puts an index in the place of another, whole or not at all, readable to nobody else.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_added_extension("new");
    let _leftover = fs::remove_file(&fresh);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}
