//! What a service asked of the system, call by call, as `strace` tells it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

/// All that can change a file, and what goes to and comes from others.
const CALLS: &str = "openat,creat,mkdir,mkdirat,write,writev,pwrite64,pwritev,pwritev2,fallocate,ftruncate,truncate,fdatasync,\
                     fsync,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,copy_file_range,sendfile,splice,link,\
                     linkat,sendto,sendmsg,recvfrom,recvmsg";

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// What its first file descriptor led to: a path, or `TCP:[..]`.
    pub(crate) on: String,
    /// All strings among its arguments.
    pub(crate) strings: Vec<Vec<u8>>,
    /// The arguments behind the last string or file descriptor, as they were written.
    pub(crate) rest: String,
    /// What it gave; `None` when the process died first.
    pub(crate) result: Option<i64>,
}

/// A call begins, or it has ended: its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    Begin(usize),
    End(usize),
}

/// All calls of a process, in the order in which they began and ended.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) calls: Vec<Call>,
    pub(crate) moments: Vec<Moment>,
}

fn demand_strace() {
    let allowed = Command::new("strace").args(["-e", "trace=none", "true"]).output();
    let is_allowed = allowed.as_ref().is_ok_and(|output| output.status.success());
    assert!(
        is_allowed,
        "strace cannot be used here, so that nobody sees what is synced when ({allowed:?}): install it (`make deps`); in \
         a container, allow ptrace (`--cap-add SYS_PTRACE`)"
    );
}

/// `command` under the eyes of `strace`, which writes to `log`. The process itself is the one that is started.
pub(crate) fn watched(command: &Command, log: &Path) -> Command {
    let calls = format!("trace={CALLS}");
    let options = ["--seccomp-bpf", "-yy", "-xx", "-s", "4000000", "-e", "signal=SIGKILL", "-e", &calls];
    under_strace(command, &options, log)
}

/// `command`, whose calls of all kinds are counted in `log` when it has ended.
pub(crate) fn counted(command: &Command, log: &Path) -> Command {
    // Without the calls of the setpriv that `command` begins with: there is one before strace, too.
    let words: Vec<_> = command.get_args().skip_while(|word| *word != "--").skip(1).collect();
    let mut own = Command::new(words[0]);
    own.args(&words[1..]);
    pass_environment(command, &mut own);
    under_strace(&own, &["--summary-only", "--summary-columns=name"], log)
}

/// The names of the calls that [`counted`] found.
pub(crate) fn names_in(log: &Path) -> Vec<String> {
    let table = std::fs::read_to_string(log).unwrap_or_default();
    let is_name = |line: &&str| line.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let names = table.lines().map(str::trim).filter(is_name).filter(|line| !matches!(*line, "" | "syscall" | "total"));
    names.map(str::to_owned).collect()
}

fn under_strace(command: &Command, options: &[&str], log: &Path) -> Command {
    demand_strace();
    let mut watched = Command::new("setpriv");
    watched.args(["--pdeathsig", "KILL", "--", "strace", "-D", "-f"]).args(options).arg("-o").arg(log);
    watched.arg(command.get_program()).args(command.get_args());
    pass_environment(command, &mut watched);
    watched
}

fn pass_environment(from: &Command, to: &mut Command) {
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
}

impl Trace {
    /// Whether the log at `path` is complete: it ends by the end of the process.
    pub(crate) fn is_complete(path: &Path, process: u32) -> bool {
        let end = || -> io::Result<String> {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(16 << 10)))?;
            let mut end = Vec::new();
            file.read_to_end(&mut end)?;
            Ok(String::from_utf8_lossy(&end).into_owned())
        };
        let (process, is_end) = (process.to_string(), |line: &str, process: &str| {
            line.split_once(' ')
                .is_some_and(|(number, said)| number == process && said.trim_start().starts_with("+++ "))
        });
        end().is_ok_and(|end| end.lines().any(|line| is_end(line, &process)))
    }

    /// Adds the calls in the log at `path` that concern something with one of the `words` in its name. The process has
    /// ended, and what it wrote is as it left it.
    pub(crate) fn read(&mut self, path: &Path, words: &[&str]) {
        let needles: Vec<String> = words.iter().flat_map(|word| [(*word).to_owned(), hex(word)]).collect();
        let (mut unfinished, first): (HashMap<String, usize>, usize) = (HashMap::new(), self.calls.len());
        for line in BufReader::new(File::open(path).unwrap()).lines() {
            let line = line.unwrap();
            let Some((process, said)) = line.split_once(' ').map(|(process, said)| (process, said.trim_start())) else {
                continue;
            };
            if let Some((_, end)) = said.split_once(" resumed>").filter(|_| said.starts_with("<... ")) {
                if let Some(call) = unfinished.remove(process) {
                    self.calls[call].result = result(end);
                    self.moments.push(Moment::End(call));
                }
                continue;
            }
            // What the call is about comes first; the rest may be megabytes.
            let about = &said[..said.len().min(4096)];
            if !needles.iter().any(|needle| about.contains(needle)) {
                continue;
            }
            let Some(call) = parse(said) else { continue };
            let number = self.calls.len();
            self.moments.push(Moment::Begin(number));
            if said.ends_with("<unfinished ...>") {
                unfinished.insert(process.to_owned(), number);
            } else {
                self.moments.push(Moment::End(number));
            }
            self.calls.push(call);
        }
        self.calls[first..].iter_mut().for_each(Call::keep_what_was_written);
    }
}

fn hex(word: &str) -> String {
    word.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
}

fn parse(said: &str) -> Option<Call> {
    let (name, arguments) = said.split_once('(')?;
    let (on, mut behind) = match arguments.split_once('<') {
        Some((number, path)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            let end = [">,", ">)", "> <unfinished"].iter().find_map(|end| path.find(end))?;
            (path[..end].to_owned(), &path[end + 1..])
        }
        _ => (String::new(), arguments),
    };
    let mut strings = Vec::new();
    while let Some((_, string)) = behind.split_once('"') {
        let (string, rest) = string.split_once('"')?;
        assert!(!rest.starts_with("..."), "strace cut a string short");
        strings.push(unhex(string));
        behind = rest;
    }
    let on = if on.starts_with("\\x") { String::from_utf8(unhex(&on)).ok()? } else { on };
    Some(Call { name: name.to_owned(), on, strings, rest: behind.to_owned(), result: result(behind) })
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
    text.as_bytes().chunks_exact(4).map(|code| digit(code[2]) << 4 | digit(code[3])).collect()
}

fn result(end: &str) -> Option<i64> {
    end.rsplit_once(" = ")?.1.split([' ', '<']).next()?.parse().ok()
}

impl Call {
    /// Whether it did what it was to do.
    pub(crate) fn is_done(&self) -> bool {
        self.result.is_some_and(|result| result >= 0)
    }

    /// A kill may cut a write short: the kernel looks for one between two pages.
    fn keep_what_was_written(&mut self) {
        if self.name != "pwrite64" || self.result.is_some() {
            return;
        }
        let (Some(at), [wanted]) = (self.numbers().last().copied(), self.strings.as_mut_slice()) else { return };
        let mut there = vec![0; wanted.len()];
        let read = File::open(&self.on).and_then(|file| file.read_at(&mut there, at)).unwrap_or(0);
        let same = wanted.iter().zip(&there[..read]).take_while(|(wanted, there)| wanted == there).count();
        wanted.truncate(same);
    }

    /// The numbers among its last arguments.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let arguments = self.rest.split_once(')').map_or(self.rest.as_str(), |(arguments, _)| arguments);
        let arguments = arguments.trim_end_matches("<unfinished ...>");
        arguments.split(", ").filter_map(|argument| argument.trim().parse().ok()).collect()
    }
}
