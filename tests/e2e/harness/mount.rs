//! Small file systems of a test's own, to be filled to the brim.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A `tmpfs`; unmounted when dropped.
pub(crate) struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts one at `at` with options such as `size=8m`.
    pub(crate) fn tmpfs(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        let mount = Self { at: at.to_owned() };
        mount.run("mount", &["-t", "tmpfs", "-o", options, "isitup-test"]);
        mount
    }

    /// Mounts it again with other options.
    pub(crate) fn remount(&self, options: &str) {
        self.run("mount", &["-o", &format!("remount,{options}")]);
    }

    /// Takes all the room that is left, but for so many bytes. Gives the file that holds it.
    pub(crate) fn fill(&self, but_for: u64) -> Filling {
        let path = self.at.join("filling");
        let mut file = File::create(&path).unwrap();
        let chunk = vec![7; 64 << 10];
        while file.write_all(&chunk).is_ok() {}
        while file.write_all(&chunk[..1]).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(but_for)).unwrap();
        Filling(path)
    }

    /// Takes all inodes that are left.
    pub(crate) fn fill_inodes(&self) -> Filling {
        let path = self.at.join("fillings");
        fs::create_dir(&path).unwrap();
        let filling = Filling(path);
        filling.take_inodes();
        filling
    }

    #[track_caller]
    fn run(&self, program: &str, args: &[&str]) {
        let output = Command::new(program).args(args).arg(&self.at).output().unwrap();
        assert!(
            output.status.success(),
            "{program} {args:?} does not work here: {}; this test mounts small file systems, so run it as root, in a \
             container with `--cap-add SYS_ADMIN`, or by `unshare --user --map-root-user --mount`",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a service may still have files open in it.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).output();
    }
}

/// What takes the room, until it is dropped.
pub(crate) struct Filling(PathBuf);

impl Filling {
    /// Takes all inodes that have become free meanwhile.
    pub(crate) fn take_inodes(&self) {
        let is_taken = || File::create(self.0.join(uuid::Uuid::new_v4().to_string())).is_ok();
        while is_taken() {}
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0).or_else(|_| fs::remove_dir_all(&self.0));
    }
}
