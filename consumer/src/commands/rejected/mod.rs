//! `rejected`: the messages that could not be stored: which there are, what is in them, and another try.

mod retry;

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::str::FromStr;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Context, message};
use crate::exit::{Answer, CommandError};
use crate::output::{ago, align_right, print, printable, table};
use crate::store::rejected::{self, Kept, Selection};
use retry::RetryArgs;

/// What to do with them.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RejectedCommand {
    /// Show the newest ones, with the reason
    List(ListArgs),
    /// Show one whole: as JSON where it is JSON, else byte by byte
    Show(ShowArgs),
    /// Try them again, after a fix or with other settings; what is accepted now is stored
    Retry(RetryArgs),
}

/// Options of `rejected list`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListArgs {
    /// How many to show
    #[arg(long, short = 'n', default_value_t = 50, value_name = "N")]
    pub limit: u32,
    /// Only those whose reason has these words
    #[arg(long, default_value = "", hide_default_value = true, value_name = "WORDS")]
    pub reason: String,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Options of `rejected show`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ShowArgs {
    /// Partition and offset, such as 3:4711
    pub address: Address,
    /// The bytes of the message and nothing else
    #[arg(long)]
    pub raw: bool,
}

/// Where a message stood on the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    partition: i32,
    offset: i64,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (partition, offset) = text.split_once(':')?;
            Some(Self { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        };
        parse().ok_or_else(|| "write partition and offset, such as 3:4711".into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

impl From<&Kept> for Address {
    fn from(kept: &Kept) -> Self {
        Self { partition: kept.partition, offset: kept.offset }
    }
}

/// Does it. The answer is no when there is no such message, or when one stays rejected.
///
/// # Errors
/// When PostgreSQL does not answer, or refuses.
pub(crate) fn run(context: &Context, command: &RejectedCommand) -> Result<Answer, CommandError> {
    match command {
        RejectedCommand::List(args) => list(context, args),
        RejectedCommand::Show(args) => show(context, *args),
        RejectedCommand::Retry(args) => retry::run(context, args),
    }
}

fn list(context: &Context, args: &ListArgs) -> Result<Answer, CommandError> {
    let selection =
        Selection { topic: context.config.kafka.topic.clone(), addresses: None, reason: args.reason.clone() };
    let mut session = context.store()?.session()?;
    let mut tx = session.begin_snapshot()?;
    let newest = rejected::newest(&mut tx, &selection, i64::from(args.limit))?;
    let (count, _) = rejected::extent(&mut tx, &selection)?;
    tx.commit()?;
    if args.json {
        for kept in &newest {
            print(&as_json(kept).to_string())?;
        }
    } else {
        print(&as_table(&newest, count))?;
    }
    Ok(Answer::Yes)
}

/// `begins` is for a look only: what is no text in it is replaced.
fn as_json(kept: &Kept) -> Value {
    json!({
        "address": Address::from(kept).to_string(), "partition": kept.partition, "offset": kept.offset,
        "rejected_at": kept.rejected_at.to_string(), "reason": kept.reason, "size": kept.size,
        "producer_id": kept.number.map(|(producer, _)| producer), "seq": kept.number.map(|(_, seq)| seq),
        "doubled": kept.is_doubled, "begins": String::from_utf8_lossy(&kept.raw),
    })
}

fn as_table(newest: &[Kept], count: i64) -> String {
    if newest.is_empty() {
        return "no message is set aside".into();
    }
    let mut shown = table(&["MESSAGE", "REJECTED", "BYTES", "REASON", "BEGINS"]);
    let now = Timestamp::now();
    for kept in newest {
        shown.add_row([
            Address::from(kept).to_string(),
            ago(kept.rejected_at, now),
            kept.size.to_string(),
            printable(&kept.reason),
            message::beginning(&kept.raw),
        ]);
    }
    align_right(&mut shown, [0, 2]);
    let more = count - i64::try_from(newest.len()).unwrap_or(count);
    let more = if more > 0 { format!("\n\nand {more} older ones (--limit)") } else { String::new() };
    format!("{shown}{more}\n\nwhole: rejected show MESSAGE; once more after a fix: rejected retry MESSAGE")
}

fn show(context: &Context, args: ShowArgs) -> Result<Answer, CommandError> {
    let address = (args.address.partition, args.address.offset);
    let selection =
        Selection { topic: context.config.kafka.topic.clone(), addresses: Some(vec![address]), reason: String::new() };
    let mut session = context.store()?.session()?;
    let mut tx = session.begin_snapshot()?;
    // A topic that was made anew may have had another message there; the newest comes first.
    let all = rejected::whole(&mut tx, &selection)?;
    tx.commit()?;
    let Some(newest) = all.first() else {
        let text = format!("no message {} of {} is set aside", args.address, selection.topic);
        if args.raw {
            log::warn!("{text}");
        } else {
            print(&text)?;
        }
        return Ok(Answer::No);
    };
    if args.raw {
        write_bytes(&newest.raw)?;
        return Ok(Answer::Yes);
    }
    for kept in &all {
        let number =
            kept.number.map_or_else(String::new, |(producer, seq)| format!("producer {producer}, seq {seq}\n"));
        let (reason, when) = (printable(&kept.reason), kept.rejected_at);
        let head = format!("message {} of {}, {} bytes, rejected at {when}", args.address, selection.topic, kept.size);
        print(&format!("{head}\nbecause {reason}\n{number}\n{}", message::readable(&kept.raw)))?;
    }
    Ok(Answer::Yes)
}

fn write_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_partition_and_an_offset() {
        assert_eq!("3:4711".parse(), Ok(Address { partition: 3, offset: 4711 }));
        assert_eq!(Address { partition: 3, offset: 4711 }.to_string(), "3:4711");
        for wrong in ["", "3", "3:", ":4711", "a:b", "3:4711:1"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_message_from_outside_cannot_write_to_the_terminal() {
        let kept = Kept {
            id: 1,
            partition: 3,
            offset: 4711,
            rejected_at: Timestamp::now(),
            reason: "not an event: \x1b[2J".into(),
            size: 3,
            number: None,
            is_doubled: false,
            raw: b"\x1b[31m\xff\n".to_vec(),
        };
        let text = as_table(&[kept], 3);
        assert!(!text.contains('\x1b') && text.contains("3:4711") && text.contains("and 2 older"), "{text}");
    }
}
