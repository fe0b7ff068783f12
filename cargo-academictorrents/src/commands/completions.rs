//! `cargo academictorrents completions`.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::output::{Output, Result};
use crate::{Cargo, PROGRAM, program};

/// Print shell completions
///
/// In bash, zsh and fish they complete `cargo academictorrents …` and leave the rest of Cargo's completions alone; in every
/// shell they complete `cargo-academictorrents …`.
///
/// bash: source the file in ~/.bashrc, after bash-completion.
///
/// zsh: name it _cargo-academictorrents, in a directory of $fpath.
///
/// fish: put it into ~/.config/fish/conf.d.
///
/// elvish: evaluate it in rc.elv (`eval (slurp < FILE)`).
///
/// powershell: run it in $PROFILE (`. FILE`).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents completions bash > ~/.cargo-academictorrents.bash
  cargo academictorrents completions zsh > ~/.zfunc/_cargo-academictorrents
  cargo academictorrents completions fish > ~/.config/fish/conf.d/cargo-academictorrents.fish")]
pub(crate) struct CompletionsArguments {
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(arguments: &CompletionsArguments, output: &Output) -> Result {
    let mut script = Vec::new();
    match arguments.shell {
        Shell::Bash => {
            // For a name with a hyphen, clap_complete's function does not complete after a
            // subcommand.
            let name = "academictorrents";
            generate(Shell::Bash, &mut program().name(name), name, &mut script);
            let text = String::from_utf8_lossy(&script);
            let text =
                text.replace("-o default academictorrents\n", &format!("-o default {PROGRAM}\n"));
            script = (text + BASH).into_bytes();
        }
        Shell::Fish => {
            generate(Shell::Fish, &mut program(), PROGRAM, &mut script);
            // fish adds this to its own completions for `cargo`.
            generate(Shell::Fish, &mut Cargo::command(), "cargo", &mut script);
        }
        // zsh's completion of cargo calls a function with this name. Other shells have no such
        // mechanism.
        shell => generate(shell, &mut program(), PROGRAM, &mut script),
    }
    output.result(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

/// Bash has one completion function per command. Ours handles `cargo academictorrents` and passes
/// the rest to Cargo's function, which is searched for where toolchains and Debian install it.
const BASH: &str = r#"
_cargo_with_academictorrents() {
    if [[ $COMP_CWORD -gt 1 && ${COMP_WORDS[1]} == academictorrents ]]; then
        local words=(cargo-academictorrents "${COMP_WORDS[@]:2}")
        local COMP_WORDS=("${words[@]}") COMP_CWORD=$((COMP_CWORD - 1))
        _academictorrents cargo-academictorrents "$2" "$3"
        return
    fi
    # Cargo's completion uses functions of the package bash-completion.
    if ! declare -F _cargo > /dev/null && declare -F _get_comp_words_by_ref > /dev/null; then
        local file
        for file in "$(rustc --print sysroot 2> /dev/null)/etc/bash_completion.d/cargo" \
            /usr/share/bash-completion/completions/cargo; do
            if [[ -f $file ]]; then
                source "$file"
                break
            fi
        done
        complete -F _cargo_with_academictorrents -o bashdefault -o default cargo
    fi
    if declare -F _cargo > /dev/null; then
        _cargo "$@"
    fi
}
complete -F _cargo_with_academictorrents -o bashdefault -o default cargo
"#;
