//! Regular expressions that are searched within a deadline.
//!
//! A search is linear in the text, but its factor is the size of the pattern: `a[a-d]{800}[e-z]{3}` takes seconds for a
//! mebibyte that was made for it. So the search is a loop of our own over a lazily built automaton, which looks at the clock.
//! It keeps nothing in the pattern: a configuration may have ten thousand of them.

use std::sync::Arc;
use std::time::Instant;

use regex_automata::Input;
use regex_automata::MatchKind;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::hybrid::{self, LazyStateID};
use regex_automata::nfa::thompson::{self, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::{Hir, HirKind};

/// The most bytes that one compiled pattern may take.
const PATTERN_LIMIT: usize = 1 << 20;
/// The most bytes that the automaton built for one search may take, where a pattern does not need more for a single step.
const CACHE_LIMIT: usize = 512 << 10;
/// An automaton that was thrown away for its size so often, and served for fewer than [`BYTES_PER_STATE`] each time, is no help.
const MOST_CLEARS: usize = 3;
const BYTES_PER_STATE: usize = 10;
/// Automata of earlier searches that a checker keeps, and the most bytes of one: hundreds of checkers keep some each.
const KEPT: usize = 2;
const KEPT_BYTES: usize = 32 << 10;
/// How many bytes are searched between two looks at the clock.
const BYTES_PER_LOOK: usize = 256;
/// How many steps of the simulation are done between two looks at the clock.
const STEPS_PER_LOOK: u32 = 4096;

/// A pattern to be found in a text, compiled once; cheap to clone.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    text: String,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    /// A text to be found as it stands.
    Literal(String),
    /// The automaton that is built while it searches, and what it is built from. Boxed, as the literals are many.
    Automaton(Box<(NFA, Option<DFA>)>),
}

/// The deadline passed before it was known whether a pattern is in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late;

/// Automata of the last searches of one checker.
#[derive(Debug, Default)]
pub struct Searches {
    /// The last one at the end.
    kept: Vec<(Arc<Compiled>, Cache)>,
}

impl Pattern {
    /// Compiles `pattern`; else why it is none, in one line.
    ///
    /// # Errors
    /// When it is no regular expression, or one that takes more than a mebibyte.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let hir = regex_syntax::Parser::new().parse(pattern).map_err(|error| {
            // The error draws the pattern with a marker under it; its last line alone is the reason.
            let drawn = error.to_string();
            let reason = drawn.lines().last().and_then(|line| line.trim().strip_prefix("error: "));
            reason.unwrap_or("it cannot be read").to_owned()
        })?;
        let engine = match literal(&hir) {
            Some(literal) => Engine::Literal(literal),
            None => Engine::Automaton(Box::new(automaton(&hir)?)),
        };
        Ok(Self(Arc::new(Compiled { text: pattern.to_owned(), engine })))
    }

    /// Returns whether the pattern is found in `text`.
    ///
    /// # Errors
    /// When `deadline` passes before that is known.
    pub fn is_in(&self, text: &str, searches: &mut Searches, deadline: Instant) -> Result<bool, Late> {
        match &self.0.engine {
            Engine::Literal(literal) => Ok(text.contains(literal.as_str())),
            Engine::Automaton(automaton) => {
                let (nfa, dfa) = &**automaton;
                let found = dfa.as_ref().and_then(|dfa| {
                    let mut cache = searches.take(&self.0).unwrap_or_else(|| dfa.create_cache());
                    let found = search(dfa, &mut cache, text, deadline);
                    searches.keep(&self.0, cache);
                    found
                });
                found.unwrap_or_else(|| simulate(nfa, text, deadline))
            }
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// How many bytes the compiled pattern takes, about.
    pub fn memory(&self) -> usize {
        let engine = match &self.0.engine {
            Engine::Literal(literal) => literal.len(),
            Engine::Automaton(automaton) => {
                let (nfa, dfa) = &**automaton;
                // The automaton holds the other by reference.
                size_of::<(NFA, Option<DFA>)>() + dfa.as_ref().map_or_else(|| nfa.memory_usage(), DFA::memory_usage)
            }
        };
        size_of::<Compiled>() + self.0.text.len() + engine
    }

    /// Tells patterns that share their memory from others.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

/// The text that a pattern without operators stands for.
fn literal(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty => Some(String::new()),
        HirKind::Literal(literal) => String::from_utf8(literal.0.to_vec()).ok(),
        _ => None,
    }
}

fn automaton(hir: &Hir) -> Result<(NFA, Option<DFA>), String> {
    let config =
        thompson::Config::new().nfa_size_limit(Some(PATTERN_LIMIT)).which_captures(WhichCaptures::None).shrink(false);
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir).map_err(|error| {
        if error.size_limit().is_some() {
            "it would take more than 1 MiB of memory".to_owned()
        } else {
            error.to_string()
        }
    })?;
    let config = hybrid::dfa::Config::new()
        .match_kind(MatchKind::All)
        .unicode_word_boundary(true)
        .cache_capacity(CACHE_LIMIT)
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(MOST_CLEARS))
        .minimum_bytes_per_state(Some(BYTES_PER_STATE));
    // Without the automaton it is slower, and finds the same.
    let dfa = DFA::builder().configure(config).build_from_nfa(nfa.clone()).ok();
    Ok((nfa, dfa))
}

impl Searches {
    fn take(&mut self, pattern: &Arc<Compiled>) -> Option<Cache> {
        let known = self.kept.iter().position(|(known, _)| Arc::ptr_eq(known, pattern))?;
        Some(self.kept.remove(known).1)
    }

    fn keep(&mut self, pattern: &Arc<Compiled>, cache: Cache) {
        if cache.memory_usage() > KEPT_BYTES {
            return;
        }
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        self.kept.push((Arc::clone(pattern), cache));
    }
}

/// Searches `text` by an automaton that is built on the way; `None` where that does not pay, or cannot be done.
fn search(dfa: &DFA, cache: &mut Cache, text: &str, deadline: Instant) -> Option<Result<bool, Late>> {
    let bytes = text.as_bytes();
    let mut state = dfa.start_state_forward(cache, &Input::new(bytes)).ok()?;
    // What the search builds is judged by how far it served: the cache wants to know where the search is.
    cache.search_start(0);
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + BYTES_PER_LOOK);
        for (offset, byte) in bytes[at..end].iter().enumerate() {
            if state.is_tagged() {
                cache.search_update(at + offset);
            }
            let Ok(next) = dfa.next_state(cache, state, *byte) else {
                cache.search_finish(at + offset);
                return None;
            };
            state = next;
            match said(state, text, at + offset) {
                Said::GoOn => {}
                Said::Known(is_found) => {
                    cache.search_finish(at + offset);
                    return Some(Ok(is_found));
                }
                Said::Unknown => {
                    cache.search_finish(at + offset);
                    return None;
                }
            }
        }
        at = end;
        if at < bytes.len() && Instant::now() >= deadline {
            cache.search_finish(at);
            return Some(Err(Late));
        }
    }
    cache.search_finish(bytes.len());
    let last = dfa.next_eoi_state(cache, state).ok()?;
    match said(last, text, bytes.len()) {
        Said::GoOn => Some(Ok(false)),
        Said::Known(is_found) => Some(Ok(is_found)),
        Said::Unknown => None,
    }
}

/// What a state says of the text before it.
enum Said {
    GoOn,
    Known(bool),
    /// This automaton cannot say.
    Unknown,
}

/// What the `state` that was entered says of the text before `at`.
fn said(state: LazyStateID, text: &str, at: usize) -> Said {
    if !state.is_tagged() {
        Said::GoOn
    } else if state.is_match() {
        // An empty match within a character is none.
        if text.is_char_boundary(at) { Said::Known(true) } else { Said::GoOn }
    } else if state.is_dead() {
        Said::Known(false)
    } else if state.is_quit() {
        Said::Unknown
    } else {
        Said::GoOn
    }
}

/// Searches `text` by following all ways through the pattern at once. Takes a time that is the product of both sizes at most, and
/// memory that depends on the pattern's alone.
fn simulate(nfa: &NFA, text: &str, deadline: Instant) -> Result<bool, Late> {
    let mut threads = Threads { nfa, text, seen: vec![0; nfa.states().len()], stack: Vec::new(), now: Vec::new() };
    let mut before = Vec::new();
    let mut steps = 0;
    let mut is_found = threads.enter(nfa.start_unanchored(), 0);
    for (at, byte) in text.bytes().enumerate() {
        if is_found || threads.now.is_empty() {
            return Ok(is_found);
        }
        std::mem::swap(&mut before, &mut threads.now);
        threads.now.clear();
        for id in &before {
            steps += 1;
            if steps % STEPS_PER_LOOK == 0 && Instant::now() >= deadline {
                return Err(Late);
            }
            let next = match nfa.state(*id) {
                State::ByteRange { trans } if trans.matches_byte(byte) => Some(trans.next),
                State::Sparse(sparse) => sparse.matches_byte(byte),
                State::Dense(dense) => dense.matches_byte(byte),
                _ => None,
            };
            if let Some(next) = next {
                is_found |= threads.enter(next, at + 1);
            }
        }
    }
    Ok(is_found)
}

/// The ways that are followed at once.
struct Threads<'a> {
    nfa: &'a NFA,
    text: &'a str,
    /// At which position each state was entered last, counted from 1.
    seen: Vec<usize>,
    stack: Vec<StateID>,
    /// The states that wait for the next byte.
    now: Vec<StateID>,
}

impl Threads<'_> {
    /// Enters `state` before the byte at `at`, and all that it leads to without one. True when that is a match.
    fn enter(&mut self, state: StateID, at: usize) -> bool {
        let mut is_found = false;
        self.stack.push(state);
        while let Some(id) = self.stack.pop() {
            if std::mem::replace(&mut self.seen[id.as_usize()], at + 1) == at + 1 {
                continue;
            }
            match self.nfa.state(id) {
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => self.now.push(id),
                State::Look { look, next } => {
                    if self.nfa.look_matcher().matches(*look, self.text.as_bytes(), at) {
                        self.stack.push(*next);
                    }
                }
                State::Union { alternates } => self.stack.extend(alternates.iter().copied()),
                State::BinaryUnion { alt1, alt2 } => self.stack.extend([*alt1, *alt2]),
                State::Capture { next, .. } => self.stack.push(*next),
                State::Fail => {}
                // An empty match within a character is none.
                State::Match { .. } => is_found |= self.text.is_char_boundary(at),
            }
        }
        is_found
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    /// What both ways of searching say; they must agree.
    fn is_in(pattern: &str, text: &str) -> bool {
        let pattern = Pattern::new(pattern).unwrap();
        let found = pattern.is_in(text, &mut Searches::default(), soon()).unwrap();
        if let Engine::Automaton(automaton) = &pattern.0.engine {
            assert_eq!(simulate(&automaton.0, text, soon()), Ok(found), "{} in {text:?}", pattern.as_str());
        }
        found
    }

    #[test]
    fn patterns_are_found_as_the_regex_crate_finds_them() {
        let patterns = [
            "",
            "Sign in",
            "(?i)well|<title>.*up",
            "^a",
            "a$",
            "(?m)^b$",
            r"\bw\w+\b",
            r"\Bé",
            "é{2,3}",
            "[^a-z]",
            "x*",
            "$^",
            "(?s)a.*z",
            r"\p{Greek}+",
            "a{3}b",
            "(a|b)*c$",
            r"(?-u:\w)",
            r"\d{4}-\d\d",
            "[a&&b]",
            r"(?-u:\b)w",
            r"\b{start}w",
        ];
        let texts = [
            "",
            "a",
            "Sign in",
            "<TITLE>all Up</title>",
            "b\na\nb\n",
            "wé wort éé",
            "αβγ x",
            "aaab",
            "abac",
            "2026-12-01",
            "é",
            "xWELLx",
            "a\u{2028}z",
            "w",
            "éw",
        ];
        for pattern in patterns {
            let reference = Regex::new(pattern).unwrap();
            for text in texts {
                assert_eq!(is_in(pattern, text), reference.is_match(text), "{pattern:?} in {text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_pattern_is_found_as_the_regex_crate_finds_it(
            pattern in r"([ab.é]|\\b|\\B|\^|\$|\(a\|b\)|\[a-c\]|\\w){0,4}[*+?]?([ab]{1,3}|\(é\|a\)\{2,5\})?",
            text in "[abcé \n]{0,40}",
        ) {
            if let Ok(reference) = Regex::new(&pattern) {
                prop_assert_eq!(is_in(&pattern, &text), reference.is_match(&text), "{:?} in {:?}", pattern, text);
            }
        }
    }

    #[test]
    fn a_costly_search_ends_with_its_deadline() {
        let mut state = 1_u32;
        let letter = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + (state >> 30) as u8)
        };
        let irregular: String = (0..1 << 20).map(letter).collect();
        let hostile = [irregular.clone(), format!("{irregular}é"), format!("é{irregular}"), "aébcd".repeat(1 << 17)];
        for pattern in ["a[a-d]{800}[e-z]{3}", r"\ba.{2000}\b\w{3}x", "(?i)(a|b|c|d|é){500,900}x"] {
            let pattern = Pattern::new(pattern).unwrap();
            for text in &hostile {
                let mut searches = Searches::default();
                let began = Instant::now();
                let found = pattern.is_in(text, &mut searches, began + Duration::from_millis(50));
                // The whole search takes many seconds: it must not have been done.
                let is_cheap = found == Ok(false) && began.elapsed() < Duration::from_secs(2);
                assert!(found == Err(Late) || is_cheap, "{} {found:?} {:?}", pattern.as_str(), began.elapsed());
                assert!(searches.kept.iter().all(|(_, cache)| cache.memory_usage() <= KEPT_BYTES));
            }
        }
    }

    #[test]
    fn a_pattern_takes_little_memory_and_one_that_would_take_much_is_refused() {
        for pattern in ["Sign in", "(?i)welcome|sign in", r"<title>\s*Shop"] {
            let memory = Pattern::new(pattern).unwrap().memory();
            assert!(memory < 16 << 10, "{pattern}: {memory}");
        }
        for pattern in [r"\w{2000}", "(a{1000}){1000}"] {
            assert_eq!(Pattern::new(pattern).unwrap_err(), "it would take more than 1 MiB of memory");
        }
        assert_eq!(Pattern::new("a(").unwrap_err(), "unclosed group");
    }
}
