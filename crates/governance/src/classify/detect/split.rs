//! Words that are written as one: `siretnumber` and `nifempresa` are two words each, of which one speaks.
//!
//! A name is split where all of it is words that are known, and not otherwise: what is left over could be anything. Which words go along with those that speak stands
//! here; those that speak are the vocabulary's.

use super::bytes::{at, part};

/// The most words that are written as one.
pub(super) const PIECES: usize = 4;

/// The shortest word that is split.
pub(super) const SPLIT_BYTES_MIN: usize = 5;

/// The longest word that is split.
pub(super) const SPLIT_BYTES_MAX: usize = 40;

/// The shortest of them that speaks for itself. Shorter ones speak beside the word for a number.
pub(super) const SPEAKING_BYTES_MIN: usize = 3;

/// Words for a number, beside which two letters say what it is of.
pub(super) const NUMBERS: &[&[u8]] = &[b"num", b"number", b"numero", b"nummer"];

/// Words that go along with those that speak, and say nothing themselves.
pub(super) const COMPANIONS: &[&str] = &[
    "access",
    "account",
    "acct",
    "acheteur",
    "acreedor",
    "activation",
    "active",
    "actual",
    "admin",
    "agent",
    "aluno",
    "ansatt",
    "anstalld",
    "api",
    "app",
    "applicant",
    "arbeitnehmer",
    "asiakas",
    "assure",
    "auth",
    "aws",
    "azure",
    "backup",
    "bank",
    "base",
    "basic",
    "bearer",
    "beneficiario",
    "beneficiary",
    "besitzer",
    "billing",
    "birth",
    "bot",
    "broj",
    "burger",
    "business",
    "buyer",
    "candidate",
    "car",
    "card",
    "carrier",
    "carte",
    "child",
    "cislo",
    "city",
    "ciudadano",
    "client",
    "cliente",
    "clients",
    "cloud",
    "code",
    "codice",
    "codigo",
    "company",
    "conducteur",
    "consumer",
    "contact",
    "cookie",
    "correspondence",
    "country",
    "creditor",
    "current",
    "customer",
    "data",
    "database",
    "db",
    "de",
    "debtor",
    "declarant",
    "decryption",
    "default",
    "del",
    "delivery",
    "deploy",
    "dest",
    "details",
    "deudor",
    "dev",
    "developer",
    "device",
    "dipendente",
    "doc",
    "document",
    "driver",
    "dt",
    "email",
    "emergency",
    "emisor",
    "empleado",
    "employee",
    "employer",
    "empresa",
    "encryption",
    "entity",
    "father",
    "field",
    "file",
    "final",
    "firm",
    "firma",
    "firmowy",
    "firmy",
    "fiscal",
    "for",
    "fornecedor",
    "fornitore",
    "ftp",
    "fuer",
    "full",
    "funcionario",
    "function",
    "gateway",
    "git",
    "github",
    "gitlab",
    "google",
    "guardian",
    "guest",
    "halter",
    "hash",
    "hmac",
    "holder",
    "home",
    "host",
    "houder",
    "http",
    "id",
    "ident",
    "identificacao",
    "identificacion",
    "identnummer",
    "ids",
    "info",
    "inhaber",
    "initial",
    "input",
    "insurance",
    "insured",
    "insuree",
    "integration",
    "internal",
    "intestatario",
    "jira",
    "jwt",
    "kafka",
    "karte",
    "karten",
    "key",
    "keystore",
    "klant",
    "klient",
    "klienta",
    "kod",
    "konto",
    "kund",
    "kunde",
    "kunden",
    "kundennummer",
    "ldap",
    "legal",
    "license",
    "lid",
    "line",
    "local",
    "login",
    "machine",
    "mail",
    "mailing",
    "main",
    "management",
    "master",
    "medarbejder",
    "medewerker",
    "medico",
    "member",
    "merchant",
    "mitarbeiter",
    "mobile",
    "module",
    "mongo",
    "mother",
    "mqtt",
    "mysql",
    "nacimiento",
    "nacional",
    "naissance",
    "name",
    "national",
    "nbr",
    "new",
    "no",
    "node",
    "nome",
    "npm",
    "nr",
    "nro",
    "num",
    "numar",
    "numarasi",
    "number",
    "numbers",
    "numer",
    "numero",
    "nummer",
    "nummern",
    "oauth",
    "of",
    "office",
    "old",
    "order",
    "org",
    "organization",
    "osoby",
    "owner",
    "pacjenta",
    "parent",
    "partner",
    "passenger",
    "patient",
    "patientnr",
    "payee",
    "payer",
    "paziente",
    "peer",
    "permanent",
    "pers",
    "person",
    "persona",
    "personal",
    "personne",
    "pessoa",
    "pg",
    "phone",
    "place",
    "portal",
    "post",
    "postal",
    "postgres",
    "pracownika",
    "prestador",
    "primary",
    "private",
    "prod",
    "profile",
    "project",
    "proveedor",
    "provider",
    "proxy",
    "public",
    "query",
    "raw",
    "receiver",
    "receptor",
    "recipient",
    "recovery",
    "redis",
    "ref",
    "refresh",
    "register",
    "registered",
    "registre",
    "registro",
    "registry",
    "rekening",
    "remote",
    "residential",
    "rest",
    "root",
    "router",
    "salarie",
    "sas",
    "secondary",
    "secret",
    "security",
    "seller",
    "sender",
    "server",
    "service",
    "session",
    "shared",
    "shipping",
    "shop",
    "signing",
    "site",
    "slack",
    "sms",
    "smtp",
    "social",
    "source",
    "spouse",
    "src",
    "ssh",
    "ssl",
    "staff",
    "storage",
    "store",
    "str",
    "street",
    "string",
    "student",
    "subject",
    "subscriber",
    "subscription",
    "supplier",
    "sv",
    "system",
    "szam",
    "target",
    "tax",
    "taxpayer",
    "temp",
    "test",
    "text",
    "the",
    "titolare",
    "titular",
    "tls",
    "token",
    "trabajador",
    "traveler",
    "traveller",
    "truststore",
    "tyontekija",
    "unseal",
    "usager",
    "user",
    "username",
    "usuario",
    "utente",
    "val",
    "value",
    "vault",
    "vehicle",
    "vendeur",
    "vendor",
    "verified",
    "versicherter",
    "vpn",
    "web",
    "webhook",
    "werknemer",
    "wifi",
    "wlan",
    "work",
    "write",
    "x",
    "zamestnance",
    "zip",
];

/// Which lengths the words have that begin with two letters, a bit each.
#[derive(Debug)]
pub(super) struct Beginnings(Box<[u64; 1 << Self::BITS]>);

impl Beginnings {
    const BITS: u32 = 10;

    pub(super) fn new() -> Self {
        Self(Box::new([0; 1 << Self::BITS]))
    }

    pub(super) fn add(&mut self, word: &[u8]) {
        if let Some(lengths) = self.0.get_mut(Self::slot(at(word, 0), at(word, 1))) {
            *lengths |= 1 << word.len().min(63);
        }
    }

    /// The lengths of the words that may begin at `from` of `word`, none beyond its end.
    fn of(&self, word: &[u8], from: usize) -> u64 {
        let lengths = self.0.get(Self::slot(at(word, from), at(word, from + 1))).copied().unwrap_or(0);
        lengths & ((2 << (word.len() - from).min(62)) - 1)
    }

    const fn slot(first: u8, second: u8) -> usize {
        ((first as usize) * 33 + second as usize) & ((1 << Self::BITS) - 1)
    }
}

/// Where words end that are written as one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pieces {
    ends: [usize; PIECES],
    count: usize,
}

impl Pieces {
    /// How `word` is split into words that `is_known`, of which one is one that speaks; the longest first.
    pub(super) fn of(word: &[u8], beginnings: &Beginnings, look: &impl Fn(&[u8]) -> Piece) -> Option<Self> {
        let mut pieces = Self::default();
        let fits = (SPLIT_BYTES_MIN..=SPLIT_BYTES_MAX).contains(&word.len());
        (fits && pieces.go_on(word, 0, Spoken::default(), beginnings, look)).then_some(pieces)
    }

    fn go_on(
        &mut self,
        word: &[u8],
        from: usize,
        spoken: Spoken,
        beginnings: &Beginnings,
        look: &impl Fn(&[u8]) -> Piece,
    ) -> bool {
        if from == word.len() {
            return self.count > 1 && spoken.is_enough();
        }
        let mut lengths = if self.count < PIECES { beginnings.of(word, from) } else { 0 };
        while let Some(length) = lengths.checked_ilog2() {
            lengths ^= 1 << length;
            let end = from + length as usize;
            let piece = part(word, from, end);
            let spoken = match look(piece) {
                Piece::Unknown => continue,
                Piece::Companion => spoken.with_companion(piece),
                Piece::Speaks => spoken.with_speaking(piece),
            };
            if let Some(slot) = self.ends.get_mut(self.count) {
                *slot = end;
                self.count += 1;
                if self.go_on(word, end, spoken, beginnings, look) {
                    return true;
                }
                self.count -= 1;
            }
        }
        false
    }

    /// The words themselves.
    pub(super) fn words<'w>(&self, word: &'w [u8]) -> impl Iterator<Item = &'w [u8]> {
        let mut from = 0;
        self.ends.into_iter().take(self.count).map(move |end| {
            let piece = part(word, from, end);
            from = end;
            piece
        })
    }
}

/// What a word is that others may be written together with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Companion,
    Speaks,
    Unknown,
}

/// What the words before a place said.
#[derive(Clone, Copy, Debug, Default)]
struct Spoken {
    long: bool,
    number: bool,
    short: bool,
}

impl Spoken {
    fn with_companion(self, word: &[u8]) -> Self {
        Self { number: self.number || NUMBERS.contains(&word), ..self }
    }

    fn with_speaking(self, word: &[u8]) -> Self {
        let is_long = word.len() >= SPEAKING_BYTES_MIN;
        Self { long: self.long || is_long, short: self.short || !is_long, ..self }
    }

    /// A short word beside long ones speaks no less than they do; alone it needs a number.
    const fn is_enough(self) -> bool {
        self.long && !self.short || self.short && self.number
    }
}
