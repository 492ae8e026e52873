//! SQL over records: a private database with one table for each view, filled with the records that a filter picks, for one statement that may only read.
//!
//! The views are an interface: their columns stay. They are made from the records themselves, so that they say what the log says; only views that the statement names are
//! filled.

mod views;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use evidence::filter::{Filter, Term};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::query::Order;
use super::reader::{ReadError, Reader};
use crate::limits::{SQL_RECORDS_MAX, SQL_STEPS};
pub use views::View;

/// Why a statement gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// It is no statement that may be asked.
    #[error("sql: {0}")]
    Statement(String),
    /// It took too long.
    #[error("sql: it took longer than {} s; narrow the filter before it, as in 'after:7d'", .0.as_secs())]
    Time(Duration),
    /// The filter picks too much.
    #[error("sql: the filter picks more than {SQL_RECORDS_MAX} records; narrow it, as in 'after:7d mission:pay-*'")]
    Records,
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// One value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// A text; bytes that are none come in hexadecimal.
    Text(String),
}

impl From<ValueRef<'_>> for Cell {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Real(number) => Self::Real(number),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Text(hex::encode(bytes)),
        }
    }
}

/// A statement over the views, with the columns of its answer.
pub struct Query<'a> {
    reader: &'a Reader,
    connection: Connection,
    statement: String,
    views: Vec<View>,
    within: Duration,
    columns: Vec<String>,
}

impl Reader {
    /// Prepares a statement over the views of records. Its answer is given within `within`, or not at all.
    ///
    /// # Errors
    /// [`SqlError::Statement`] if it is not one `SELECT` over the views.
    pub fn sql(&self, statement: &str, within: Duration) -> Result<Query<'_>, SqlError> {
        let wrong = |error: rusqlite::Error| SqlError::Statement(said(&error));
        // SQLite's name for a private file that it deletes: what does not fit in memory goes there.
        let mut connection = Connection::open("").map_err(wrong)?;
        for view in View::ALL {
            connection.execute_batch(&view.table()).map_err(wrong)?;
        }
        let read = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = Arc::clone(&read);
        connection.authorizer(Some(move |context: AuthContext<'_>| allowed(&context, &noted))).map_err(wrong)?;
        let columns = {
            let prepared = connection.prepare(statement).map_err(wrong)?;
            if prepared.column_count() == 0 || !prepared.readonly() {
                return Err(SqlError::Statement("only one SELECT is answered".into()));
            }
            prepared.column_names().map(str::to_owned).collect()
        };
        connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).map_err(wrong)?;
        let read = read.lock().unwrap_or_else(PoisonError::into_inner);
        let views = View::ALL.iter().copied().filter(|view| read.contains(view.name())).collect();
        Ok(Query { reader: self, connection, statement: statement.to_owned(), views, within, columns })
    }
}

/// Whether a statement may do this: read the tables of the views, and compute.
fn allowed(context: &AuthContext<'_>, read: &Mutex<BTreeSet<String>>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } if function_name != "load_extension" => Authorization::Allow,
        AuthAction::Read { table_name, .. } if View::ALL.iter().any(|view| view.name() == table_name) => {
            read.lock().unwrap_or_else(PoisonError::into_inner).insert(table_name.to_owned());
            Authorization::Allow
        }
        // A subquery or a common table expression of which no column is read.
        AuthAction::Read { table_name, column_name: "" }
            if !table_name.starts_with("sqlite_") && !table_name.starts_with("pragma_") =>
        {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// SQLite's words, and what is meant where it refuses.
fn said(error: &rusqlite::Error) -> String {
    let names: Vec<&str> = View::ALL.iter().map(|view| view.name()).collect();
    let text = error.to_string();
    if text.contains("not authorized") || text.contains("prohibited") || text.contains("no such table") {
        format!("{text}; only SELECT over these views is answered: {}", names.join(", "))
    } else {
        text
    }
}

impl Query<'_> {
    /// The names of the answer's columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Fills the views with the records that match `filter`, and gives each row of the answer to `each`, until it breaks.
    ///
    /// # Errors
    /// [`SqlError`].
    pub fn answer(
        &mut self,
        filter: &Filter,
        mut each: impl FnMut(Vec<Cell>) -> ControlFlow<()>,
    ) -> Result<(), SqlError> {
        let (within, end) = (self.within, Instant::now() + self.within);
        let wrong = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::OperationInterrupted) => SqlError::Time(within),
            _ => SqlError::Statement(said(&error)),
        };
        self.fill(filter, end)?;
        self.connection.progress_handler(SQL_STEPS, Some(move || Instant::now() > end)).map_err(wrong)?;
        let mut statement = self.connection.prepare(&self.statement).map_err(wrong)?;
        let width = statement.column_count();
        let mut rows = statement.query([]).map_err(wrong)?;
        while let Some(row) = rows.next().map_err(wrong)? {
            let cells =
                (0..width).map(|at| row.get_ref(at).map(Cell::from)).collect::<Result<_, _>>().map_err(wrong)?;
            if each(cells).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn fill(&mut self, filter: &Filter, end: Instant) -> Result<(), SqlError> {
        let wrong = |error: rusqlite::Error| SqlError::Statement(said(&error));
        let transaction = self.connection.transaction().map_err(wrong)?;
        let mut types: Vec<_> = self.views.iter().flat_map(|view| view.types()).copied().collect();
        types.sort();
        types.dedup();
        if types.is_empty() {
            return Ok(());
        }
        let wanted = Filter::And(vec![Filter::Term(Term::Type(types)), filter.clone()]);
        let (mut count, mut failed) = (0, None);
        let mut statements = Vec::new();
        for view in &self.views {
            statements.push((view, transaction.prepare(&view.insert()).map_err(wrong)?));
        }
        self.reader.visit(&wanted, Order::OldestFirst, |record| {
            count += 1;
            if count > SQL_RECORDS_MAX {
                failed = Some(SqlError::Records);
            } else if Instant::now() > end {
                failed = Some(SqlError::Time(self.within));
            }
            for (view, statement) in &mut statements {
                let row: Option<Vec<Value>> = view.row(&record);
                if let Some(Err(error)) = row.map(|row| statement.execute(params_from_iter(row))) {
                    failed = Some(wrong(error));
                }
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        drop(statements);
        transaction.commit().map_err(wrong)?;
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{all, begun, ended, options};
    use crate::{Ledger, Reader};
    use evidence::record::{Record, Status};

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(home.path(), options()).unwrap();
        for n in 0..20 {
            ledger.append_blocking(begun(n)).unwrap();
            ledger.append_blocking(ended(n, Status::Done)).unwrap();
        }
        ledger.close_blocking().unwrap();
        home
    }

    fn rows(reader: &Reader, filter: &str, statement: &str) -> Result<Vec<Vec<Cell>>, SqlError> {
        let mut rows = Vec::new();
        let mut query = reader.sql(statement, Duration::from_secs(60))?;
        query.answer(&filter.parse().unwrap(), |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    #[test]
    fn statements_are_answered_from_the_records_that_the_filter_picks() {
        let home = home();
        let reader = Reader::open(home.path()).unwrap();
        let records = all(&reader).len() as i64;
        let (text, number) = (|text: &str| Cell::Text(text.to_owned()), Cell::Integer);
        for (filter, statement, want) in [
            ("", "SELECT count(*) FROM records", vec![vec![number(records)]]),
            ("seq:1..3", "SELECT count(*), min(seq) FROM records", vec![vec![number(3), number(1)]]),
            (
                "",
                "SELECT status, count(*) AS n FROM actions GROUP BY status ORDER BY n DESC, status",
                vec![vec![Cell::Null, number(20)], vec![text("done"), number(20)]],
            ),
            (
                "",
                "WITH ended AS (SELECT call FROM actions WHERE status = 'done')
                 SELECT tool, count(*) FROM decisions JOIN ended USING (call) GROUP BY tool",
                vec![vec![text("mcp:bank/send_money"), number(20)]],
            ),
            ("type:version_log", "SELECT * FROM decisions", vec![]),
            ("", "SELECT 1.5, x'00ff'", vec![vec![Cell::Real(1.5), text("00ff")]]),
        ] {
            assert_eq!(rows(&reader, filter, statement).unwrap(), want, "{statement}");
        }
        let query = reader.sql("SELECT seq, tool AS what FROM decisions", Duration::from_secs(1)).unwrap();
        assert_eq!(query.columns(), ["seq", "what"]);
    }

    #[test]
    fn statements_only_read_and_end_in_time() {
        let home = home();
        let reader = Reader::open(home.path()).unwrap();
        for (statement, why) in [
            ("DELETE FROM records", "only SELECT over these views is answered: records, decisions,"),
            ("INSERT INTO records (seq) VALUES (1)", "only SELECT"),
            ("CREATE TABLE x (y)", "only SELECT"),
            ("ATTACH '/etc/passwd' AS x", "only SELECT"),
            ("PRAGMA user_version", "only SELECT"),
            ("BEGIN", "only"),
            ("SELECT * FROM sqlite_master", "only SELECT"),
            ("SELECT * FROM pragma_database_list", "only SELECT"),
            ("SELECT load_extension('x')", "not authorized"),
            ("SELECT * FROM calls", "no such table: calls; only SELECT over these views"),
            ("SELECT verdict FROM decisions", "no such column: verdict"),
            ("SELECT 1; SELECT 2", "ultiple statements"),
            ("", "only one SELECT"),
        ] {
            let error = reader.sql(statement, Duration::from_secs(1)).err().unwrap().to_string();
            assert!(error.starts_with("sql: ") && error.contains(why), "{statement}: {error}");
        }
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let mut query = reader.sql(endless, Duration::from_millis(50)).unwrap();
        let error = query.answer(&Filter::everything(), |_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, SqlError::Time(_)), "{error}");
    }

    #[test]
    fn every_record_has_a_value_for_each_column_of_its_views() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/evidence/v1");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let json = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let records: Vec<Record> =
            json.map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect();
        for view in View::ALL {
            let rows: Vec<_> = records.iter().filter_map(|record| view.row(record)).collect();
            assert!(!rows.is_empty(), "{}", view.name());
            assert!(rows.iter().all(|row| row.len() == view.columns().count()), "{}", view.name());
            for (at, column) in view.columns().enumerate().filter(|(_, column)| view.own_columns().contains(column)) {
                assert!(rows.iter().any(|row| row[at] != Value::Null), "no example has `{column}` of {}", view.name());
            }
        }
    }
}
