//! `countersign people`: who may answer, and the keys with which they sign.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gateway::control::{Answer, Ask, PeopleView};
use gateway::device::DeviceKey;
use gateway::home::Home;
use gateway::keys::{Confirmation, Enrolment, Signed, confirming, proof};

use super::{Format, ask, table};
use crate::exit_code::{Exit, Failure};

/// List who may answer, and enrol the keys with which they sign
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign people list
  countersign people invite ana
  countersign people enrol ana --code 5b1f0c8e2a7d4f6390c1 --key ~/ana.key
  countersign people confirm ana 7c3e5a... --why 'seen in person' --key ~/bea.key
  countersign people revoke ana 7c3e5a... --why 'the laptop is lost'

Persons and groups stand in people.toml in the home. A key is confirmed by another person, with theirs; the first key of a home
cannot be, and opens an exception. The passphrase of a key is asked for, or read from COUNTERSIGN_PASSPHRASE.")]
pub(crate) enum People {
    /// List persons, their groups and keys
    List {
        /// How to write them [default: a table in a terminal, else json]
        #[arg(long)]
        format: Option<Format>,
    },
    /// Give a person a one-time code to enrol a key with
    Invite {
        /// Whom, as people.toml names them
        #[arg(value_name = "PERSON")]
        person: String,
    },
    /// Make a key on this device, and enrol it with the code
    Enrol(Enrol),
    /// Confirm another person's key, with yours
    Confirm(Confirm),
    /// Revoke a key for good
    Revoke {
        /// Whose
        #[arg(value_name = "PERSON")]
        person: String,
        /// Which, as the list shows it; the start of it is enough
        #[arg(value_name = "KEY")]
        key: String,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

#[derive(Args)]
pub(crate) struct Enrol {
    /// Who you are, as people.toml names you
    #[arg(value_name = "PERSON")]
    person: String,
    /// The one-time code of your invitation
    #[arg(long, value_name = "CODE")]
    code: String,
    /// Where to keep the key; the file must not be there yet
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Args)]
pub(crate) struct Confirm {
    /// Whose key
    #[arg(value_name = "PERSON")]
    person: String,
    /// Which key, as the list shows it; the start of it is enough
    #[arg(value_name = "KEY")]
    id: String,
    /// How you know that it is theirs: it is recorded
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// The file of your key; left out for the first key of a home
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_KEY")]
    key: Option<PathBuf>,
}

impl People {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        match self {
            Self::List { format } => list(home, format),
            Self::Invite { person } => {
                let code = match ask(home, Ask::InvitePerson { person: person.clone() })? {
                    Answer::Invited(code) => code,
                    answer => return Err(unexpected(&answer)),
                };
                println!("{code}");
                eprintln!("Give this code to {person}. It holds for a day, and once:");
                eprintln!("  countersign people enrol {person} --code {code} --key FILE");
                Ok(Exit::Done)
            }
            Self::Enrol(enrol) => enrol.run(home),
            Self::Confirm(confirm) => confirm.run(home),
            Self::Revoke { person, key, why } => {
                let key = find(&view(home)?, &person, &key)?;
                ask(home, Ask::RevokeKey { key: key.clone(), person: person.clone(), why })?;
                println!("{person}/{key} revoked");
                Ok(Exit::Done)
            }
        }
    }
}

fn unexpected(answer: &Answer) -> Failure {
    Failure::could_not(format!("the gateway answered with something else: {answer:?}"))
}

fn view(home: &Home) -> Result<PeopleView, Failure> {
    match ask(home, Ask::People)? {
        Answer::People(view) => Ok(view),
        answer => Err(unexpected(&answer)),
    }
}

/// The one key of a person whose id begins so.
fn find(view: &PeopleView, person: &str, start: &str) -> Result<String, Failure> {
    let prefix = format!("{person}/{start}");
    let found: Vec<&String> = view.keys.keys().filter(|name| name.starts_with(&prefix)).collect();
    match found.as_slice() {
        [one] => Ok(one.get(person.len() + 1..).unwrap_or_default().to_owned()),
        [] => Err(Failure::no(format!("`{person}` has no key `{start}`; `countersign people list` shows the keys"))),
        several => Err(Failure::usage(format!("{} keys begin with `{start}`; write more of it", several.len()))),
    }
}

/// The passphrase of a key, from the environment or the terminal.
fn passphrase(path: &Path) -> Result<String, Failure> {
    if let Some(set) = std::env::var_os("COUNTERSIGN_PASSPHRASE") {
        return set.into_string().map_err(|_| Failure::usage("COUNTERSIGN_PASSPHRASE is no text"));
    }
    rpassword::prompt_password(format!("Passphrase of {}: ", path.display())).map_err(|error| {
        Failure::usage(format!("no passphrase: {error}; set COUNTERSIGN_PASSPHRASE where there is no terminal"))
    })
}

/// Opens a person's key.
pub(crate) fn open(path: &Path) -> Result<DeviceKey, Failure> {
    DeviceKey::open(path, &passphrase(path)?).map_err(Failure::could_not)
}

impl Enrol {
    fn run(self, home: &Home) -> Result<Exit, Failure> {
        let Self { person, code, key } = self;
        let device = DeviceKey::create(&key, &person, &passphrase(&key)?).map_err(Failure::could_not)?;
        let proof = device.sign(&proof(&person, &code));
        let enrolment = Enrolment { code, person: person.clone(), proof, public: device.public() };
        match ask(home, Ask::EnrolKey(Box::new(enrolment))) {
            Ok(Answer::Enrolled(id)) => {
                println!("{id}");
                eprintln!(
                    "Another person confirms it now: countersign people confirm {person} {id} --why TEXT --key THEIR-FILE"
                );
                Ok(Exit::Done)
            }
            Ok(answer) => Err(unexpected(&answer)),
            Err(failure) => {
                // A key that nobody took up is of no use, and its name would be taken.
                let _gone = std::fs::remove_file(&key);
                Err(failure)
            }
        }
    }
}

impl Confirm {
    fn run(self, home: &Home) -> Result<Exit, Failure> {
        let Self { person, id, why, key } = self;
        let id = find(&view(home)?, &person, &id)?;
        let device = key.as_deref().map(open).transpose()?;
        let signed = device.map(|device| Signed {
            key: device.id(),
            person: device.person().to_owned(),
            signature: device.sign(&confirming(&person, &id)),
        });
        ask(home, Ask::ConfirmKey(Box::new(Confirmation { key: id.clone(), person: person.clone(), signed, why })))?;
        println!("{person}/{id} confirmed");
        Ok(Exit::Done)
    }
}

fn list(home: &Home, format: Option<Format>) -> Result<Exit, Failure> {
    let view = view(home)?;
    match Format::or_fitting(format) {
        Format::Json => println!("{}", serde_json::to_string(&view).map_err(Failure::could_not)?),
        Format::Csv | Format::Table => {
            let mut table = table(&["person", "name", "groups", "keys"]);
            for (person, name) in &view.persons {
                let groups = view.groups.iter().filter(|(_, members)| members.contains(person));
                let groups = groups.map(|(group, _)| group.as_str()).collect::<Vec<_>>().join(", ");
                let keys = view.keys.iter().filter(|(_, key)| key.person == *person && key.public.is_some());
                let keys = keys.map(|(key, known)| {
                    let id: String = key.chars().skip(person.len() + 1).take(12).collect();
                    format!("{id} {}", known.state.as_str())
                });
                let keys = keys.collect::<Vec<_>>().join(", ");
                table.add_row([person.clone(), name.clone().unwrap_or_default(), groups, keys]);
            }
            println!("{table}");
        }
    }
    Ok(Exit::Done)
}
