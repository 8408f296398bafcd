//! The commands a stack takes, one a line.

use std::str::FromStr;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::parts::Parts;

/// What to do with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Start,
    Stop,
    Kill,
    Restart,
    Pause,
    Resume,
}

impl FromStr for Verb {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "start" => Self::Start,
            "stop" => Self::Stop,
            "kill" => Self::Kill,
            "restart" => Self::Restart,
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            other => bail!("no command {other:?}: there are start, stop, kill, restart, pause and resume"),
        })
    }
}

/// Carries out a line such as `kill kafka` and says in one JSON value how it went.
pub(crate) fn obey(line: &str, parts: &mut Parts) -> Value {
    match carry_out(line, parts) {
        Ok(()) => json!({"ok": true}),
        Err(error) => json!({"ok": false, "error": format!("{error:#}")}),
    }
}

fn carry_out(line: &str, parts: &mut Parts) -> Result<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [verb, name] = words[..] else { bail!("a command is a verb and a part, such as `kill kafka`, not {line:?}") };
    let verb: Verb = verb.parse()?;
    let part = parts.get(name)?;
    match verb {
        Verb::Start => part.start(),
        Verb::Stop => part.stop(),
        Verb::Kill => part.kill(),
        Verb::Restart => part.stop().and_then(|()| part.start()),
        Verb::Pause => part.pause(),
        Verb::Resume => part.resume(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_verb_names_those_there_are() {
        let error = "destroy".parse::<Verb>().unwrap_err().to_string();
        assert_eq!(error, "no command \"destroy\": there are start, stop, kill, restart, pause and resume");
    }
}
