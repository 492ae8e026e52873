//! Notifications of the real gateway: what a receiver is sent, until it has it, and what is said when it will not have it.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use evidence::record::{Body, ExceptionEvent, ExceptionKind};
use serde_json::{Value, json};
use testkit::governed::{Home, Upstream};
use testkit::scratch::Scratch;
use testkit::wait;

use super::bridges::{PATIENCE, binary};
use super::clients::Http;

pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The bytes behind [`SECRET`].
const SECRET_HEX: &str = "31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0";

/// What a receiver was sent: the headers in small letters, and the body.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    head: String,
    body: String,
}

impl Sent {
    /// What was asked.
    pub(super) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name}: {}", self.head))
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Verified as any receiver would, by a program that is not ours.
    fn assert_signed(&self) {
        let signed = format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body);
        let mut openssl = Command::new("openssl")
            .args(["dgst", "-sha256", "-binary", "-mac", "HMAC", "-macopt", &format!("hexkey:{SECRET_HEX}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        openssl.stdin.take().unwrap().write_all(signed.as_bytes()).unwrap();
        let tag = openssl.wait_with_output().unwrap().stdout;
        let mut base64 =
            Command::new("base64").arg("-w0").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        base64.stdin.take().unwrap().write_all(&tag).unwrap();
        let tag = String::from_utf8(base64.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(self.header("webhook-signature"), format!("v1,{tag}"));
    }
}

/// A receiver of webhooks, which answers with these statuses in turn, and then with 204.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Receiver {
    pub(super) fn start(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let taken = sent.clone();
        let mut statuses: VecDeque<u16> = statuses.iter().copied().collect();
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap() == 0 {
                        break;
                    }
                }
                let head = head.replace("\r\n", "\n");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                let mut body = vec![0; length.parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                taken.lock().unwrap().push(Sent { head, body: String::from_utf8(body).unwrap() });
                let status = statuses.pop_front().unwrap_or(204);
                write!(stream, "HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            }
        });
        Self { address, sent }
    }

    /// What it was sent until now.
    pub(super) fn so_far(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// What it was sent, once it is so much.
    pub(super) fn sent(&self, count: usize) -> Vec<Sent> {
        wait::until("messages", PATIENCE, || {
            let sent = self.sent.lock().unwrap();
            if sent.len() >= count { Ok(sent.clone()) } else { Err(format!("{sent:?}")) }
        })
        .unwrap()
    }
}

/// A gateway whose every call waits for the user who runs this, with notifiers.
fn gateway(name: &str, notifiers: &str) -> Http {
    let scratch = Scratch::new(name).unwrap();
    let upstream = Upstream::start(&binary("countersign-upstream"), &[]).unwrap();
    let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
    home.write_gated_mission(&["echo"]).unwrap();
    home.write_config_with(&format!("url = {:?}", upstream.url()), notifiers).unwrap();
    std::fs::write(scratch.join("secret"), SECRET).unwrap();
    Http::serving(home, Some(upstream), scratch)
}

/// Makes a call, which waits; gives the approval's id.
fn ask(http: &Http, session: &str, id: u32, text: &str) -> String {
    let mut raw = http.connect();
    let request = String::from_utf8(http.request(Some(session), &http.call(id, text))).unwrap();
    raw.send(request.replace("Content-Type", "Connection: close\r\nContent-Type").as_bytes());
    let answer = raw.rest();
    assert!(answer.contains(r#""outcome":"pending""#), "{answer}");
    let (_, after) = answer.split_once(r#""approval":""#).unwrap();
    after.split_once('"').unwrap().0.to_owned()
}

#[test]
fn a_receiver_is_told_until_it_has_it() {
    let (own, slack) = (Receiver::start(&[500]), Receiver::start(&[]));
    let mut http = gateway(
        "notify",
        &format!(
            "[notify.own]\nurl = \"http://{}/hook\"\nsecret = {{ file = \"secret\" }}\nlink = \"https://cs.example/a/{{approval}}\"\n\n\
             [notify.chat]\nurl = \"http://{}/services/T0\"\nformat = \"slack\"\nevents = [\"approval.requested\"]\n\n\
             [notify.others]\nurl = \"http://{}/nobody\"\nformat = \"slack\"\ngroups = [\"treasury\"]\n",
            own.address, slack.address, slack.address
        ),
    );
    let session = http.open();
    let approval = ask(&http, &session, 1, "the amount is 4711");

    // Refused once with 500, then the same message again.
    let sent = own.sent(2);
    assert_eq!(sent[0].header("webhook-id"), sent[1].header("webhook-id"));
    assert_eq!(sent[0].body, sent[1].body);
    assert!(sent[0].head.starts_with("POST /hook HTTP/1.1\n"), "{}", sent[0].head);
    sent[1].assert_signed();
    let message = sent[1].json();
    assert_eq!(message["type"], "approval.requested");
    let data = &message["data"];
    assert_eq!(data["approval"], approval.as_str());
    assert_eq!(data["tool"], "mcp:upstream/echo");
    assert_eq!(data["groups"], json!(["leads"]));
    assert_eq!(data["link"], format!("https://cs.example/a/{approval}"));
    let chat = slack.sent(1);
    assert!(chat[0].body.contains("Approval needed: mcp:upstream/echo"), "{}", chat[0].body);
    for sent in [&sent[1], &chat[0]] {
        assert!(!sent.body.contains("4711"), "arguments do not belong into a chat: {}", sent.body);
    }

    let approved = ["approvals", "approve", &approval, "--why", "as agreed"];
    assert!(http.home.command(&approved).unwrap().status().unwrap().success());
    let message = own.sent(3)[2].json();
    assert_eq!((&message["type"], &message["data"]["resolution"]), (&json!("approval.resolved"), &json!("approved")));

    // A gateway that was killed goes on where it was; what it had just sent may come again, with its id.
    http.restart();
    let session = http.open();
    let other = ask(&http, &session, 2, "another");
    let sent = wait::until("the other request", PATIENCE, || {
        let sent = own.sent(4);
        let last = sent.last().map(|last| last.json()["data"]["approval"].clone());
        if last == Some(json!(other)) { Ok(sent) } else { Err(format!("{sent:?}")) }
    })
    .unwrap();
    let ids: BTreeSet<&str> = sent.iter().map(|sent| sent.header("webhook-id")).collect();
    assert_eq!(ids.len(), 3, "{sent:?}");
    // Who is told of requests only, or of other groups, has heard of two requests.
    let chat = slack.sent(2);
    let ids: BTreeSet<&str> = chat.iter().map(|sent| sent.header("webhook-id")).collect();
    assert_eq!(ids.len(), 2, "{chat:?}");
    assert!(chat.iter().all(|sent| sent.head.starts_with("POST /services/T0 HTTP/1.1\n")), "{chat:?}");
    http.end();
}

#[test]
fn what_was_not_delivered_is_delivered_after_the_gateway_was_killed() {
    let receiver = Receiver::start(&[503, 503, 503]);
    let mut http = gateway(
        "notify-killed",
        &format!("[notify.own]\nurl = \"http://{}/hook\"\nsecret = {{ file = \"secret\" }}\n", receiver.address),
    );
    let session = http.open();
    let approval = ask(&http, &session, 1, "one");
    receiver.sent(1);
    http.restart();
    let before = receiver.sent(1).len();
    let sent = receiver.sent(4);
    assert!(before < 4, "it was delivered before the gateway was killed");
    assert!(sent.iter().all(|sent| sent.json()["data"]["approval"] == approval.as_str()), "{sent:?}");
    assert!(sent.iter().all(|again| again.header("webhook-id") == sent[0].header("webhook-id")), "{sent:?}");
    http.end();
}

#[test]
fn what_a_receiver_refuses_is_an_exception_until_it_takes_messages_again() {
    let receiver = Receiver::start(&[403]);
    let http = gateway(
        "notify-refused",
        &format!("[notify.own]\nurl = \"http://{}/hook\"\nsecret = {{ file = \"secret\" }}\n", receiver.address),
    );
    let session = http.open();
    let first = ask(&http, &session, 1, "one");
    receiver.sent(1);
    ask(&http, &session, 2, "two");
    receiver.sent(2);
    let noted = wait::until("the exception's end", PATIENCE, || {
        let mut noted = Vec::new();
        let read = http.home.audit("kind:notification", |line| {
            let record = evidence::record::read(line.as_bytes())?;
            noted.extend(if let Body::Exception(exception) = record.body { Some(exception) } else { None });
            Ok(())
        });
        read.map_err(|error| error.to_string())?;
        if noted.len() == 2 { Ok(noted) } else { Err(format!("{noted:?}")) }
    })
    .unwrap();
    let [opened, mitigated] = noted.as_slice() else { panic!("{noted:#?}") };
    assert_eq!((opened.event, opened.kind), (ExceptionEvent::Opened, ExceptionKind::Notification));
    assert_eq!(opened.scope, "notify:own");
    assert!(opened.reason.contains("403") && opened.reason.contains(&first), "{}", opened.reason);
    assert_eq!((mitigated.event, mitigated.exception), (ExceptionEvent::Mitigated, opened.exception));
    assert!(mitigated.mitigation.as_ref().unwrap().contains("1 were given up"), "{mitigated:#?}");
    http.end();
}

#[test]
fn a_person_can_try_a_receiver() {
    let receiver = Receiver::start(&[204, 404]);
    let scratch = Scratch::new("notify-test").unwrap();
    let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
    let format = format!("[notify.teams]\nurl = \"http://{}/w\"\nformat = \"teams\"", receiver.address);
    home.write_config_with("url = \"http://127.0.0.1:1/mcp\"", &format).unwrap();
    let run = |name: &str| {
        let args = ["notify", "test", name, "--config", "countersign.toml"];
        let output = home.command(&args).unwrap().stderr(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run("teams").0, Some(0));
    let card = receiver.sent(1)[0].json();
    assert_eq!(card["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
    let (code, said) = run("teams");
    assert!(code == Some(3) && said.contains("404"), "{code:?} {said}");
    let (code, said) = run("slack");
    assert!(code == Some(2) && said.contains("it has teams"), "{code:?} {said}");
}
