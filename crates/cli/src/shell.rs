//! `barograph completions` and `barograph man`: what a package installs beside the program, made from the declarations of its arguments.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

/// Print completions for a shell.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph completions bash > ~/.local/share/bash-completion/completions/barograph
  barograph completions zsh > ~/.zfunc/_barograph
  barograph completions fish > ~/.config/fish/completions/barograph.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "barograph", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Print the manual page, of the program or of one command.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barograph man | man -l -
  barograph man run > barograph-run.1")]
pub(crate) struct ManArgs {
    /// The command; without it, the program.
    #[arg(value_name = "COMMAND")]
    name: Option<String>,
}

pub(crate) fn man(args: &ManArgs, command: &Command) -> anyhow::Result<ExitCode> {
    let mut command = command.clone();
    command.build();
    let page = match &args.name {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).ok_or_else(|| anyhow::anyhow!("there is no command {name}; `barograph help` lists them"))?;
            found.clone().name(format!("barograph-{name}"))
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    std::io::stdout().write_all(&text)?;
    Ok(ExitCode::SUCCESS)
}
