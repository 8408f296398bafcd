//! The threads of the resolver.

use std::sync::mpsc;

use super::*;

fn job(name: &str) -> (Job, oneshot::Receiver<Answer>) {
    let (answer, answered) = oneshot::channel();
    (Job { name: name.into(), hop: None, asker: Asker::Future(answer) }, answered)
}

#[test]
fn stuck_lookups_hold_no_more_threads_than_allowed_and_then_the_resolver_says_it_is_busy() {
    let (release, released) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let gate = Mutex::new(released);
    let resolver = Resolver::bounded(2, 1, move |name| {
        begun.send(name.to_owned()).unwrap();
        let _ = gate.lock().unwrap().recv();
        Ok(vec![([127, 0, 0, 1], 0).into()])
    });
    let mut answers = Vec::new();
    for name in ["a", "b"] {
        let (job, answered) = job(name);
        resolver.submit(job).unwrap();
        answers.push(answered);
    }
    let mut names = [begins.recv().unwrap(), begins.recv().unwrap()];
    names.sort();
    assert_eq!(names, ["a", "b"]);
    let (third, answered) = job("c");
    resolver.submit(third).unwrap();
    answers.push(answered);
    assert!(resolver.submit(job("d").0).unwrap_err().to_string().starts_with("resolver busy"));
    drop(release);
    for answer in answers {
        assert_eq!(answer.blocking_recv().unwrap().unwrap().len(), 1);
    }
    assert_eq!(begins.recv().unwrap(), "c");
    assert_eq!(resolver.shared.state().threads, 2);
}
