//! The command line. Every setting is also a flag, on every command.

use crate::settings::table::SETTINGS;
use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser};

pub const SERVICES: [&str; 6] = ["gateway", "core", "media", "links", "store", "graphql"];

pub fn command() -> Command {
    let command = Command::new("portico")
        .about("Gateway, accounts, media and links in one binary")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("config")
                .long("config")
                .global(true)
                .value_name("FILE")
                .help("settings file [default: portico.toml, where there is one]"),
        )
        .subcommand(
            Command::new("up")
                .about("Run everything in one process, with an own database and store where none is configured"),
        )
        .subcommand(serve())
        .subcommand(
            Command::new("check")
                .about("Read all configuration and tell every mistake")
                .arg(
                    Arg::new("connect")
                        .long("connect")
                        .action(ArgAction::SetTrue)
                        .help("also try the database and the store"),
                )
                .arg(traefik()),
        )
        .subcommand(
            Command::new("migrate")
                .about("Apply schema migrations")
                .subcommand(Command::new("status").about("List migrations and when they were applied")),
        )
        .subcommand(user())
        .subcommand(token())
        .subcommand(metadata())
        .subcommand(
            Command::new("backup")
                .about("Write database, objects and secrets to a new directory")
                .arg(directory()),
        )
        .subcommand(
            Command::new("restore")
                .about("Fill an empty data directory and database from a backup")
                .arg(directory()),
        )
        .subcommand(Command::new("healthcheck").about("Exit 0 when the process on this machine is well, 1 otherwise"))
        .subcommand(Command::new("version").about("Print version and commit"))
        .subcommand(Command::new("config").about("Print the effective settings and where each came from"));
    SETTINGS.iter().fold(command, |command, setting| {
        let mut arg = Arg::new(setting.name)
            .long(setting.name.replace('_', "-"))
            .global(true)
            .value_name("VALUE")
            .help_heading("Settings")
            .hide_short_help(true);
        let from = format!("{} [env: {}]", setting.help, setting.env);
        arg = match setting.default {
            Some(default) => arg.help(format!("{from} [default: {default}]")),
            None => arg.help(from),
        };
        command.arg(arg)
    })
}

fn serve() -> Command {
    Command::new("serve")
        .about("Run the named services, as in containers; for the gateway, Traefik's static flags may follow after --")
        .arg(
            Arg::new("services")
                .required(true)
                .num_args(1..)
                .value_parser(PossibleValuesParser::new(SERVICES)),
        )
        .arg(traefik())
}

fn traefik() -> Arg {
    Arg::new("traefik")
        .last(true)
        .num_args(0..)
        .value_name("TRAEFIK FLAGS")
        .allow_hyphen_values(true)
}

fn user() -> Command {
    let email = || Arg::new("email").required(true).value_name("EMAIL");
    let roles = || PossibleValuesParser::new(["user", "admin"]);
    Command::new("user")
        .about("Accounts without HTTP")
        .subcommand_required(true)
        .subcommand(
            Command::new("create")
                .about("Make an account")
                .arg(email())
                .arg(Arg::new("name").long("name").value_name("NAME"))
                .arg(
                    Arg::new("role")
                        .long("role")
                        .value_parser(roles())
                        .default_value("user"),
                )
                .arg(
                    Arg::new("password-stdin")
                        .long("password-stdin")
                        .action(ArgAction::SetTrue)
                        .help("read the password from standard input; without it the user sets one by mail"),
                ),
        )
        .subcommand(Command::new("list").about("List all accounts, one JSON object a line"))
        .subcommand(
            Command::new("set-role")
                .about("Change a role and end the account's sessions")
                .arg(email())
                .arg(Arg::new("role").required(true).value_parser(roles())),
        )
        .subcommand(
            Command::new("disable")
                .about("Forbid logging in and end the account's sessions")
                .arg(email()),
        )
}

fn token() -> Command {
    Command::new("token")
        .about("Access tokens without HTTP")
        .subcommand_required(true)
        .subcommand(
            Command::new("issue")
                .about("Print an access token for an account")
                .arg(Arg::new("email").required(true).value_name("EMAIL"))
                .arg(Arg::new("ttl").long("ttl").default_value("15m").value_name("DURATION")),
        )
}

fn metadata() -> Command {
    let place = |command: Command| {
        command
            .arg(Arg::new("directory").value_name("DIR").default_value("metadata"))
            .arg(Arg::new("endpoint").long("endpoint").value_name("URL").help(
                "what stands before /v1/metadata [env: HASURA_GRAPHQL_ENDPOINT] [default: http://127.0.0.1:8080]",
            ))
            .arg(
                Arg::new("secret")
                    .long("admin-secret")
                    .value_name("SECRET")
                    .help("[env: HASURA_GRAPHQL_ADMIN_SECRET]"),
            )
    };
    Command::new("metadata")
        .about("A directory of Hasura metadata against a running GraphQL service")
        .subcommand_required(true)
        .subcommand(
            place(Command::new("apply").about("Replace the service's metadata by the directory's")).arg(
                Arg::new("allow-inconsistent")
                    .long("allow-inconsistent")
                    .action(ArgAction::SetTrue)
                    .help("keep what does not fit the database, and tell it"),
            ),
        )
        .subcommand(place(
            Command::new("export").about("Write the service's metadata to the directory"),
        ))
        .subcommand(place(
            Command::new("diff").about("Print what apply would change; exit 1 where that is something"),
        ))
}

fn directory() -> Arg {
    Arg::new("directory").required(true).value_name("DIR")
}

/// The settings given as flags, wherever on the line they stood.
pub fn flags(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let mut deepest = matches;
    while let Some((_, inner)) = deepest.subcommand() {
        deepest = inner;
    }
    SETTINGS
        .iter()
        .filter_map(|setting| Some((setting.name, deepest.get_one::<String>(setting.name)?.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn settings_are_flags_before_and_after_the_command() {
        for line in [
            ["portico", "--http-addr", ":1", "up"],
            ["portico", "up", "--http-addr", ":1"],
        ] {
            let matches = command().try_get_matches_from(line).unwrap();
            assert_eq!(flags(&matches), [("http_addr", ":1".to_owned())], "{line:?}");
        }
    }

    #[test]
    fn traefik_flags_follow_the_dashes() {
        let line = ["portico", "serve", "gateway", "--", "--providers.docker=true"];
        let matches = command().try_get_matches_from(line).unwrap();
        let (_, serve) = matches.subcommand().unwrap();
        let flags: Vec<&String> = serve.get_many("traefik").unwrap().collect();
        assert_eq!(flags, ["--providers.docker=true"]);
    }
}
