//! `countersign upstream`: logins at upstreams that want OAuth.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gateway::config::{Config, UpstreamConfig};
use gateway::home::Home;
use gateway::oauth::config::{GrantType, OauthConfig};
use gateway::oauth::login::{Login, LoginError};
use gateway::oauth::vault::Vault;
use surfaces::mcp::web::WebUrl;

use super::block_on;
use crate::exit_code::{Exit, Failure};

/// Log in at upstreams that want OAuth, and out again
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign upstream login erp --config countersign.toml
  countersign upstream logout erp")]
pub(crate) enum Upstream {
    /// Print the page where a person consents, wait for the browser, and keep the token sealed in the home
    Login(LoginArgs),
    /// Forget an upstream's token
    Logout {
        /// The upstream
        name: String,
    },
}

#[derive(Args)]
pub(crate) struct LoginArgs {
    /// The upstream, as the configuration names it
    name: String,
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Upstream {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        home.prepare().map_err(Failure::could_not)?;
        match self {
            Self::Login(args) => args.run(home),
            Self::Logout { name } => {
                let vault = Vault::of(home);
                let lock = vault.lock().map_err(Failure::could_not)?;
                if !vault.forget(&lock, &name).map_err(Failure::could_not)? {
                    return Err(Failure::no(format!("nothing is kept for the upstream `{name}`")));
                }
                println!("the token of `{name}` is forgotten; a running gateway uses what it has until it is old");
                Ok(Exit::Done)
            }
        }
    }
}

impl LoginArgs {
    fn run(self, home: &Home) -> Result<Exit, Failure> {
        let config = Config::read(&self.config).map_err(Failure::usage)?;
        let (url, oauth) = self.upstream(&config)?;
        let vault = Vault::of(home);
        // A damaged file is no reason not to log in again.
        let kept = vault.load(&self.name).ok().flatten();
        let wanted = kept.map(|sealed| sealed.wanted).unwrap_or_default();
        let login = async {
            let login = Login::begin(&url, &oauth, &wanted).await?;
            println!("open this page in a browser on this machine:\n\n  {}\n", login.page());
            login.finish().await
        };
        let sealed = block_on(login)?.map_err(|error| match error {
            LoginError::Denied(_) | LoginError::Waited => Failure::no(error),
            LoginError::Discovery(_)
            | LoginError::Listen(_)
            | LoginError::Metadata(_)
            | LoginError::Token(_)
            | LoginError::Url(_)
            | LoginError::Web(_) => Failure::could_not(error),
        })?;
        let lock = vault.lock().map_err(Failure::could_not)?;
        vault.keep(&lock, &self.name, &sealed).map_err(Failure::could_not)?;
        println!("`{}` is authorized by {} for `{}`", self.name, sealed.issuer, sealed.scope);
        Ok(Exit::Done)
    }

    fn upstream(&self, config: &Config) -> Result<(WebUrl, OauthConfig), Failure> {
        let name = &self.name;
        match config.upstreams.get(name) {
            Some(UpstreamConfig::Http { oauth: Some(oauth), url, .. }) => {
                if oauth.grant == GrantType::ClientCredentials {
                    return Err(Failure::usage(format!("`{name}` needs no login: its grant is `client_credentials`")));
                }
                Ok((WebUrl::parse(url).map_err(Failure::usage)?, oauth.clone()))
            }
            Some(_) => Err(Failure::usage(format!(
                "[upstream.mcp.{name}] has no `oauth`; write `oauth = {{}}` to let it have one"
            ))),
            None => Err(Failure::usage(format!("no [upstream.mcp.{name}] in `{}`", self.config.display()))),
        }
    }
}
