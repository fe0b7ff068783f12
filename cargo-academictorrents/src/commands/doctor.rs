//! `cargo academictorrents doctor`.

mod findings;
mod local;
mod network;

use serde_json::{Value, json};

use crate::Common;
use crate::failure::CommandError;
use crate::output::{Failure, Output, Result};
use crate::workspace::{self, Declared};
use findings::{DoctorReport, Status};

/// Diagnose configuration, store, disk and network problems
///
/// Nothing is hashed or downloaded, and test files in the store are removed. The catalog, and the trackers and web seeds of
/// declared datasets, are contacted for at most five seconds.
///
/// The exit status is 1 if something fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents doctor
  cargo academictorrents doctor --offline
  cargo academictorrents doctor --json")]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    workspace: workspace::WorkspaceFlags,
}

pub(crate) fn run(arguments: &DoctorArguments, common: &Common, output: &Output) -> Result {
    let mut findings = DoctorReport::default();
    let setup = local::of_setup(common.store.as_deref(), &mut findings);
    if let Some(directory) = &setup.store {
        local::of_store(directory, &mut findings);
    }
    let declared = declared(arguments, common, &mut findings);
    let offline = setup.offline.as_deref().filter(|_| !common.offline);
    match common.app() {
        _ if common.offline => {
            findings.add("network", Status::Ok, "not checked: --offline");
        }
        _ if offline.is_some() => {
            findings
                .add("network", Status::Warn, "not checked, and not used by builds")
                .why(offline.unwrap_or_default())
                .help("unset it if this is not intended");
        }
        Ok(app) if setup.has_client => network::of_network(&app, &declared, &mut findings)?,
        _ => {
            findings.add("network", Status::Warn, "not checked: the settings are invalid");
        }
    }
    let found = findings.0;
    if output.json {
        let checks: Vec<Value> = found.iter().map(findings::in_json).collect();
        output.document(&json!({ "checks": checks }));
    } else {
        found.iter().for_each(|finding| findings::show(finding, output));
    }
    let failed = found.iter().filter(|it| it.status == Status::Fail).count();
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Told),
    }
}

fn declared(
    arguments: &DoctorArguments,
    common: &Common,
    findings: &mut DoctorReport,
) -> Vec<Declared> {
    // Run Cargo offline first: its network access takes as long as Cargo likes, and would hide what
    // is wrong here.
    let here = arguments.workspace.declared(&Common { offline: true, ..common.clone() });
    let found = match here {
        Err(Failure::Command(CommandError::CargoMetadata { .. })) if !common.offline => {
            arguments.workspace.declared(common)
        }
        here => here,
    };
    match found {
        Ok(mut declared) => {
            let mut what = match declared.len() {
                0 => "no datasets declared".to_owned(),
                1 => "1 dataset declared".to_owned(),
                count => format!("{count} datasets declared"),
            };
            let unused = declared.iter().filter(|it| !it.is_used()).count();
            if unused > 0 {
                what += &format!(", {unused} not used: required features are disabled");
            }
            findings.add("manifest", Status::Ok, what);
            // Builds do not need them, so their sources do not matter.
            declared.retain(Declared::is_used);
            declared
        }
        Err(Failure::Command(CommandError::CargoMetadata { .. }))
            if arguments.workspace.is_outside() =>
        {
            findings.add("manifest", Status::Ok, "not in a package");
            Vec::new()
        }
        Err(Failure::Command(error)) => {
            findings.error("manifest", &error.error());
            Vec::new()
        }
        Err(Failure::Error(error)) => {
            findings.error("manifest", &error);
            Vec::new()
        }
        Err(Failure::Told | Failure::Stopped) => Vec::new(),
    }
}
