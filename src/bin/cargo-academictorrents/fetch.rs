//! `cargo academictorrents fetch`.

use serde_json::{Value, json};

use crate::Common;
use crate::output::{Failure, Output, document, tell_error};
use crate::workspace::{self, Declared};

/// Fetch what the crates here and their dependencies declare, into the store that builds share
///
/// Builds that follow find everything there, and need no network. What is there already is not fetched again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents fetch
  cargo academictorrents fetch -p my-model --features training")]
pub(crate) struct Arguments {
    #[command(flatten)]
    workspace: workspace::Options,
}

pub(crate) fn run(arguments: &Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let declared = arguments.workspace.declared(common)?;
    let asked: Vec<&Declared> = declared.iter().filter(|it| it.features_off.is_empty()).collect();
    let desk = common.desk()?;
    let datasets: Vec<_> = asked.iter().map(|it| &it.dataset).collect();
    let results = desk.provide(&datasets);
    let mut failed = false;
    let mut documents = Vec::new();
    for (declared, result) in asked.iter().zip(results) {
        let (path, error) = match result {
            Ok(path) => (Value::from(path.display().to_string()), Value::Null),
            Err(error) => {
                failed = true;
                let document = document(&error);
                tell_error(&error);
                (Value::Null, document)
            }
        };
        if !output.json
            && let Some(path) = path.as_str()
        {
            output.result(path);
        }
        documents.push(json!({
            "package": declared.package,
            "name": declared.dataset.name(),
            "path": path,
            "error": error,
        }));
    }
    if output.json {
        output.document(&json!({ "datasets": documents }));
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}
