//! Stands in for `picture.rs` without the feature `fetch`: `indicatif` is not compiled and nothing
//! is drawn. Plain lines report on copying and hashing local data.

use std::path::Path;
use std::time::Duration;

use super::view::View;
use crate::counters::UserMessage;
use crate::settings::{Context, Progress};

pub(super) struct NoPicture;

impl NoPicture {
    pub(super) fn of_build(_: &Context, _: Progress, _: &Path) -> NoPicture {
        NoPicture
    }

    pub(super) fn is_shown(&self) -> bool {
        false
    }

    pub(super) fn will_draw(&mut self, _: Duration) -> bool {
        false
    }

    pub(super) fn is_of_command(&self) -> bool {
        false
    }

    pub(super) fn keep(&mut self, _: &[String]) {}

    pub(super) fn say(&mut self, _: Duration, _: UserMessage) {}

    pub(super) fn draw(&mut self, _: Duration, _: &[View]) {}

    pub(super) fn erase(&mut self) {}
}
