//! Writes a history so that a kill at any moment leaves the old one or the new one.
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{
    Advisory, CiRun, Commit, DependencyUpdate, Error, FILES, History, Release, TrafficWriter,
    table, traffic,
};

/// Where the previous history stands while the new one takes its place.
pub fn replaced_sibling(directory: &Path) -> PathBuf {
    sibling(directory, "replaced")
}

/// Writes `history` to `directory`; see [`History::write`].
pub fn write(history: &History, directory: &Path) -> Result<(), Error> {
    let replaces = check_target(directory)?;
    check_columns(history)?;
    // A path such as `.` or a symbolic link has no sibling that could take its place.
    let directory = &fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let partial = sibling(directory, "partial");
    remove_leftover(&partial)?;
    fs::create_dir_all(&partial).map_err(|cause| io_error(directory, "create", cause))?;
    let outcome = write_files(history, &partial)
        .and_then(|()| read_back(history, &partial))
        .and_then(|()| take_place(&partial, directory, replaces));
    if outcome.is_err() {
        // The first error is the one to report; a leftover is removed by the next write.
        let _ = fs::remove_dir_all(&partial);
    }
    outcome
}

/// Writes `history`, whose traffic comes from `fill`; see [`History::write_streaming`].
pub fn write_streaming(
    history: &History,
    directory: &Path,
    fill: &mut dyn FnMut(&mut TrafficWriter<'_>) -> io::Result<()>,
) -> Result<(), Error> {
    let replaces = check_target(directory)?;
    let directory = &fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let partial = sibling(directory, "partial");
    remove_leftover(&partial)?;
    fs::create_dir_all(&partial).map_err(|cause| io_error(directory, "create", cause))?;
    let stream = |file: &mut File| {
        let mut writer = TrafficWriter::new(file, &history.world.services)?;
        fill(&mut writer)?;
        writer.finish()
    };
    let outcome = write_world(history, &partial)
        .and_then(|()| write_file(&partial, traffic::FILE, stream))
        .and_then(|()| write_tables(history, &partial))
        .and_then(|()| read_tables_back(history, &partial))
        .and_then(|()| take_place(&partial, directory, replaces));
    if outcome.is_err() {
        // The first error is the one to report; a leftover is removed by the next write.
        let _ = fs::remove_dir_all(&partial);
    }
    outcome
}

/// Whether there is a history to replace; refuses to replace anything else, also a
/// history with further files, since replacing it would lose them.
fn check_target(directory: &Path) -> Result<bool, Error> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        // The file itself may be removed; a path below a file cannot be made.
        Err(cause)
            if cause.kind() == io::ErrorKind::NotADirectory
                && fs::symlink_metadata(directory).is_err() =>
        {
            return Err(io_error(directory, "create", cause));
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotADirectory => {
            return Err(Error::Occupied {
                path: directory.display().to_string(),
            });
        }
        Err(cause) => return Err(io_error(directory, "read", cause)),
    };
    let mut files = 0;
    for entry in entries {
        let name = entry
            .map_err(|cause| io_error(directory, "read", cause))?
            .file_name();
        if !FILES.iter().any(|file| name == *file) {
            return Err(Error::Occupied {
                path: directory.display().to_string(),
            });
        }
        files += 1;
    }
    Ok(files > 0)
}

/// The faults that would make writing panic; everything else shows when it is read back.
fn check_columns(history: &History) -> Result<(), Error> {
    let is_parallel = |series: &traffic::TrafficSeries| {
        let length = series.times.len();
        [
            series.orig_times.len(),
            series.values.len(),
            series.anomaly.len(),
        ] == [length; 3]
    };
    if history.traffic.iter().all(is_parallel) {
        return Ok(());
    }
    Err(Error::NotRepresentable {
        stream: "traffic",
        hint: "the columns of a series must have one length",
    })
}

fn write_files(history: &History, partial: &Path) -> Result<(), Error> {
    write_world(history, partial)?;
    write_table(partial, traffic::FILE, |file| {
        traffic::write(&history.traffic, file)
    })?;
    write_tables(history, partial)
}

fn write_world(history: &History, partial: &Path) -> Result<(), Error> {
    write_file(partial, "world.json", |file| {
        serde_json::to_writer_pretty(&mut *file, &history.world)?;
        file.write_all(b"\n")
    })
}

fn write_tables(history: &History, partial: &Path) -> Result<(), Error> {
    write_table(partial, "commits.csv", |file| {
        table::write(&history.commits, file)
    })?;
    write_table(partial, "releases.csv", |file| {
        table::write(&history.releases, file)
    })?;
    write_table(partial, "deps.csv", |file| {
        table::write(&history.deps, file)
    })?;
    write_table(partial, "advisories.csv", |file| {
        table::write(&history.advisories, file)
    })?;
    write_table(partial, "ci_runs.csv", |file| {
        table::write(&history.ci_runs, file)
    })?;
    sync_directory(partial)
}

fn write_table(
    partial: &Path,
    name: &str,
    fill: impl FnOnce(&mut File) -> csv::Result<()>,
) -> Result<(), Error> {
    write_file(partial, name, |file| fill(file).map_err(io::Error::from))
}

fn write_file(
    partial: &Path,
    name: &str,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), Error> {
    let path = partial.join(name);
    File::create_new(&path)
        .and_then(|mut file| {
            fill(&mut file)?;
            file.sync_all()
        })
        .map_err(|cause| io_error(&path, "write", cause))
}

/// Proves that the files say what `history` says.
fn read_back(history: &History, partial: &Path) -> Result<(), Error> {
    let read = History::read(partial)?;
    same(&[
        ("world", read.world == history.world),
        ("traffic", read.traffic == history.traffic),
        ("commits", read.commits == history.commits),
        ("releases", read.releases == history.releases),
        ("deps", read.deps == history.deps),
        ("advisories", read.advisories == history.advisories),
        ("ci_runs", read.ci_runs == history.ci_runs),
    ])
}

/// As [`read_back`], but for the traffic, whose samples were checked one by one.
fn read_tables_back(history: &History, partial: &Path) -> Result<(), Error> {
    same(&[
        ("world", super::read_world(partial)? == history.world),
        (
            "commits",
            table::read::<Commit>(partial)? == history.commits,
        ),
        (
            "releases",
            table::read::<Release>(partial)? == history.releases,
        ),
        (
            "deps",
            table::read::<DependencyUpdate>(partial)? == history.deps,
        ),
        (
            "advisories",
            table::read::<Advisory>(partial)? == history.advisories,
        ),
        ("ci_runs", table::read::<CiRun>(partial)? == history.ci_runs),
    ])
}

fn same(streams: &[(&'static str, bool)]) -> Result<(), Error> {
    match streams.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some(&(stream, _)) => Err(Error::NotRepresentable {
            stream,
            hint: "one traffic series for each service of the world, in its order, with its \
                   unit and step; no text that is present but empty",
        }),
    }
}

fn take_place(partial: &Path, directory: &Path, replaces: bool) -> Result<(), Error> {
    let replaced = replaced_sibling(directory);
    if replaces {
        remove_leftover(&replaced)?;
        fs::rename(directory, &replaced).map_err(|cause| io_error(directory, "rename", cause))?;
    }
    fs::rename(partial, directory).map_err(|cause| io_error(directory, "write", cause))?;
    sync_directory(parent(directory))?;
    // Also after a first write: the leftover of an interrupted one is obsolete now.
    remove_leftover(&replaced)
}

fn remove_leftover(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(io_error(path, "remove", cause))
        }
        _ => Ok(()),
    }
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|cause| io_error(path, "write", cause))
}

fn sibling(directory: &Path, suffix: &str) -> PathBuf {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    parent(directory).join(format!(".{name}.{suffix}"))
}

fn parent(directory: &Path) -> &Path {
    match directory.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn io_error(path: &Path, action: &'static str, cause: io::Error) -> Error {
    Error::Io {
        path: path.display().to_string(),
        action,
        cause,
    }
}
