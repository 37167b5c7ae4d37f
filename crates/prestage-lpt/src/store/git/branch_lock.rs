//! One prestage at a time moves the branch, and a dead one blocks nobody.
//!
//! libgit2 moves a branch through `main.lock`, which a process killed at that moment leaves behind:
//! every later writer would be told that the branch moved, for ever. So a move is made under a lock
//! of the operating system, which ends with its holder, and the locked file is not empty while the
//! branch moves. Whoever finds it not empty knows that a holder died there, and that a `main.lock`
//! is that holder's. A `main.lock` of any other program is never touched.

use std::fs::{File, OpenOptions, remove_file};
use std::io;
use std::path::Path;

const LOCK_FILE: &str = "prestage.lock";
const BRANCH_LOCK: &str = "refs/heads/main.lock";

/// The right to move the branch of one repository.
pub(super) struct BranchLock {
    file: File,
}

impl BranchLock {
    /// Waits for other prestage processes and clears what a dead one left.
    pub(super) fn take(repository: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(repository.join(LOCK_FILE))?;
        file.lock()?;
        if file.metadata()?.len() > 0 {
            match remove_file(repository.join(BRANCH_LOCK)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        file.set_len(1)?;
        Ok(Self { file })
    }

    /// Says that the move is over, whatever came of it.
    pub(super) fn release(self) -> io::Result<()> {
        self.file.set_len(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lock_of_a_dead_holder_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let branch_lock = folder.path().join(BRANCH_LOCK);
        std::fs::create_dir_all(branch_lock.parent().unwrap()).unwrap();
        std::fs::write(&branch_lock, "").unwrap();
        BranchLock::take(folder.path()).unwrap().release().unwrap();
        assert!(
            branch_lock.exists(),
            "the lock of another program was removed"
        );
        // Dropped without release, as when the process dies.
        drop(BranchLock::take(folder.path()).unwrap());
        let next = BranchLock::take(folder.path()).unwrap();
        assert!(!branch_lock.exists());
        next.release().unwrap();
    }
}
