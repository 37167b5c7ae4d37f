//! Finds the files that the rules read, in a stable order.
//!
//! Walks the folders of the project instead of asking git, so that a new file is
//! checked before it is added. Must not know the rules.

use std::path::Path;
use std::{fs, io};

/// A file below the root.
pub struct File {
    /// Relative to the root, with forward slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// All files with this extension below these folders of `root`, sorted by path.
///
/// A folder that does not exist has no files. Build outputs and hidden folders are
/// skipped.
pub fn read_all(root: &Path, folders: &[&str], extension: &str) -> io::Result<Vec<File>> {
    let mut paths = Vec::new();
    for folder in folders.iter().filter(|folder| root.join(folder).is_dir()) {
        collect(root, folder, &mut paths)?;
    }
    paths.retain(|path| {
        Path::new(path)
            .extension()
            .is_some_and(|found| found == extension)
    });
    paths.sort();
    let read = |path: String| {
        let text = fs::read_to_string(root.join(&path))?;
        Ok(File { path, text })
    };
    paths.into_iter().map(read).collect()
}

fn collect(root: &Path, folder: &str, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        // Links are not followed: the walk must end.
        let kind = entry.file_type()?;
        if kind.is_file() {
            paths.push(path);
        } else if kind.is_dir() && name != "target" && !name.starts_with('.') {
            collect(root, &path, paths)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_this_file_and_skips_what_does_not_exist() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = read_all(root, &["src", "nowhere"], "rs").unwrap();
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert!(paths.contains(&"src/files.rs"), "{paths:?}");
        assert!(paths.is_sorted());
    }
}
