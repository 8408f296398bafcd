//! A folder as a disk may have it after a power loss: what was synced is there; of the rest any part is, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::trace::Call;

/// Writes are torn in pieces of this size.
const SECTOR: usize = 512;

/// The folder, as processes see it and as the disk surely has it.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    folder: String,
    files: Vec<Inode>,
    /// Names as processes see them.
    names: BTreeMap<String, usize>,
    /// Names as the disk surely has them.
    synced: BTreeMap<String, usize>,
    /// What happened to names since, in order: a file, or none any more.
    renamed: Vec<(String, Option<usize>)>,
    /// Whether the folder's own name is on the disk.
    is_there: bool,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    synced: Bytes,
    unsynced: Vec<Change>,
    /// Where `write` goes on.
    cursor: u64,
}

/// A file's bytes, without the zeros at its end.
#[derive(Debug, Default, Clone)]
struct Bytes {
    written: Vec<u8>,
    size: u64,
}

#[derive(Debug, Clone)]
enum Change {
    Size(u64),
    Write(u64, Vec<u8>),
}

/// Which part of what was not synced is on the disk all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Luck {
    Nothing,
    Everything,
    /// Any part, by this seed.
    Some(u64),
}

impl Disk {
    /// The folder at `path` with all that it holds, or not yet there.
    pub(crate) fn at(path: &Path) -> Self {
        let mut disk = Self {
            folder: path.to_str().unwrap().to_owned(),
            files: Vec::new(),
            names: BTreeMap::new(),
            synced: BTreeMap::new(),
            renamed: Vec::new(),
            is_there: path.is_dir(),
        };
        for entry in fs::read_dir(path).into_iter().flatten() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let synced = Bytes { size: bytes.len() as u64, written: bytes };
            disk.names.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), disk.files.len());
            disk.files.push(Inode { synced, ..Inode::default() });
        }
        disk.synced.clone_from(&disk.names);
        disk
    }

    /// The name in the folder that `path` leads to.
    pub(crate) fn name_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&self.folder)?.strip_prefix('/').filter(|name| !name.contains('/'))
    }

    /// A call begins: from now on its doing may be on the disk. Says whether it concerns the folder.
    pub(crate) fn begin(&mut self, call: &Call) -> bool {
        let paths: Vec<&str> = call.strings.iter().filter_map(|path| std::str::from_utf8(path).ok()).collect();
        match (call.name.as_str(), paths.as_slice()) {
            ("mkdir" | "mkdirat", [path]) if *path == self.folder => true,
            ("openat" | "creat", [path]) => {
                let Some(name) = self.name_of(path).map(str::to_owned) else { return false };
                self.open(&name, &call.rest)
            }
            ("rename" | "renameat" | "renameat2", [from, to]) => {
                let (Some(from), Some(to)) = (self.name_of(from), self.name_of(to)) else { return false };
                let file = self.names.remove(from);
                self.names.extend(file.map(|file| (to.to_owned(), file)));
                self.renamed.extend([(from.to_owned(), None), (to.to_owned(), file)]);
                true
            }
            ("unlink" | "unlinkat", [path]) => {
                let Some(name) = self.name_of(path).map(str::to_owned) else { return false };
                self.names.remove(&name);
                self.renamed.push((name, None));
                true
            }
            _ => self.begin_on_file(call),
        }
    }

    fn open(&mut self, name: &str, flags: &str) -> bool {
        let known = self.names.get(name).copied();
        if known.is_none() && flags.contains("O_CREAT") {
            self.names.insert(name.to_owned(), self.files.len());
            self.renamed.push((name.to_owned(), Some(self.files.len())));
            self.files.push(Inode::default());
            return true;
        }
        match known.filter(|_| flags.contains("O_TRUNC")) {
            Some(file) => {
                self.files[file].unsynced.push(Change::Size(0));
                self.files[file].cursor = 0;
                true
            }
            None => false,
        }
    }

    fn begin_on_file(&mut self, call: &Call) -> bool {
        let Some(file) = self.name_of(&call.on).and_then(|name| self.names.get(name)).copied() else { return false };
        let file = &mut self.files[file];
        match (call.name.as_str(), call.numbers().as_slice()) {
            ("pwrite64", [.., at]) => file.unsynced.push(Change::Write(*at, call.strings[0].clone())),
            ("write", _) => {
                file.unsynced.push(Change::Write(file.cursor, call.strings[0].clone()));
                file.cursor += call.strings[0].len() as u64;
            }
            ("ftruncate", [size]) => file.unsynced.push(Change::Size(*size)),
            ("fdatasync" | "fsync" | "openat", _) => {}
            (name, _) => panic!("a call that this model of a disk does not know: {name} {}", call.rest),
        }
        true
    }

    /// A call has ended. Says whether something is surely on the disk now that may not have been before.
    pub(crate) fn end(&mut self, call: &Call) -> bool {
        if !call.is_done() || !matches!(call.name.as_str(), "fdatasync" | "fsync") {
            return false;
        }
        if call.on == self.folder {
            for (name, file) in self.renamed.drain(..) {
                match file {
                    Some(file) => drop(self.synced.insert(name, file)),
                    None => drop(self.synced.remove(&name)),
                }
            }
            return true;
        }
        if Path::new(&self.folder).parent() == Some(Path::new(&call.on)) {
            self.is_there = true;
            return true;
        }
        let Some(file) = self.name_of(&call.on).and_then(|name| self.names.get(name)) else { return false };
        let file = &mut self.files[*file];
        for change in std::mem::take(&mut file.unsynced) {
            file.synced.apply(&change, |_| true);
        }
        true
    }

    /// The file that a call is about, and where in it the call writes its string.
    pub(crate) fn place_of(&self, call: &Call) -> Option<(usize, usize)> {
        let file = *self.names.get(self.name_of(&call.on)?)?;
        let Some(Change::Write(at, _)) = self.files[file].unsynced.last() else { return None };
        Some((file, usize::try_from(*at).unwrap()))
    }

    /// Whether the disk surely holds these bytes at this place, in a file that surely has a name.
    pub(crate) fn surely_has(&self, (file, at): (usize, usize), bytes: &[u8]) -> bool {
        let is_named = self.is_there && self.synced.values().any(|named| *named == file);
        is_named && self.files[file].synced.written.get(at..at + bytes.len()) == Some(bytes)
    }

    /// The files as a power loss may leave them at this moment; `None`: not even the folder.
    pub(crate) fn after_power_loss(&self, luck: Luck) -> Option<Remains> {
        let mut dice = Dice::of(luck);
        if !self.is_there && !dice.falls_well() {
            return None;
        }
        let mut names = self.synced.clone();
        let touched: BTreeSet<&String> = self.renamed.iter().map(|(name, _)| name).collect();
        for name in touched {
            let changes: Vec<Option<usize>> =
                self.renamed.iter().filter(|(other, _)| other == name).map(|(_, file)| *file).collect();
            let happened = dice.up_to(changes.len());
            match happened.checked_sub(1).map(|last| changes[last]) {
                Some(Some(file)) => drop(names.insert(name.clone(), file)),
                Some(None) => drop(names.remove(name)),
                None => {}
            }
        }
        Some(Remains(names.into_iter().map(|(name, file)| (name, self.files[file].remains(&mut dice))).collect()))
    }

    /// Whether the model holds just what the folder holds.
    #[track_caller]
    pub(crate) fn assert_is_as(&self, folder: &Path) {
        let real: BTreeMap<String, Vec<u8>> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .collect();
        assert_eq!(real.keys().collect::<Vec<_>>(), self.names.keys().collect::<Vec<_>>());
        for (name, file) in &self.names {
            let bytes = self.files[*file].remains(&mut Dice::of(Luck::Everything));
            let written = &real[name][..bytes.written.len()];
            let is_same = written == bytes.written && real[name].len() as u64 == bytes.size;
            assert!(is_same, "{name} was changed by calls that strace did not tell");
        }
    }
}

impl Inode {
    fn remains(&self, dice: &mut Dice) -> Bytes {
        let mut bytes = self.synced.clone();
        for change in &self.unsynced {
            bytes.apply(change, |_| dice.falls_well());
        }
        bytes
    }
}

impl Bytes {
    /// Makes those pieces of `change` of which `is_there` says so.
    fn apply(&mut self, change: &Change, mut is_there: impl FnMut(usize) -> bool) {
        match change {
            Change::Size(size) if is_there(0) => {
                self.size = *size;
                self.written.truncate(usize::try_from(*size).unwrap());
            }
            Change::Size(_) => {}
            Change::Write(at, bytes) => {
                let (at, mut done) = (usize::try_from(*at).unwrap(), 0);
                while done < bytes.len() {
                    let length = (SECTOR - (at + done) % SECTOR).min(bytes.len() - done);
                    if is_there(at + done) {
                        self.put(at + done, &bytes[done..done + length]);
                    }
                    done += length;
                }
            }
        }
    }

    fn put(&mut self, at: usize, piece: &[u8]) {
        let end = at + piece.len();
        self.written.resize(self.written.len().max(end), 0);
        self.written[at..end].copy_from_slice(piece);
        self.size = self.size.max(end as u64);
    }
}

/// Files by their names.
#[derive(Debug)]
pub(crate) struct Remains(BTreeMap<String, Bytes>);

impl Remains {
    /// Makes them in `folder`.
    pub(crate) fn build(&self, folder: &PathBuf) {
        fs::create_dir(folder).unwrap();
        for (name, bytes) in &self.0 {
            let file = File::create(folder.join(name)).unwrap();
            file.set_len(bytes.size).unwrap();
            file.write_all_at(&bytes.written, 0).unwrap();
        }
    }
}

/// Chance that can be repeated.
pub(crate) struct Dice {
    luck: Luck,
    state: u64,
}

impl Dice {
    pub(crate) fn of(luck: Luck) -> Self {
        let state = if let Luck::Some(seed) = luck { seed } else { 0 };
        Self { luck, state }
    }

    /// SplitMix64, by Sebastiano Vigna: <https://prng.di.unimi.it/splitmix64.c>.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn falls_well(&mut self) -> bool {
        self.up_to(1) == 1
    }

    /// A number from 0 to `most`.
    fn up_to(&mut self, most: usize) -> usize {
        match self.luck {
            Luck::Nothing => 0,
            Luck::Everything => most,
            Luck::Some(_) => usize::try_from(self.next() % (most as u64 + 1)).unwrap(),
        }
    }
}
