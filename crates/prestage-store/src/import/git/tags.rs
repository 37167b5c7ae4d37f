//! Releases out of tags: `v1.2.3`, `api/v1.2.3`, `name@1.2.3`, `name-1.2.3`.
use git2::{ObjectType, Repository};
use prestage_telemetry::history::{RefType, Release, ReleaseKind};

use super::{EPOCHS, abbreviated, lossy};

/// Every tag that points to a commit, and how many do not.
pub fn releases(repository: &Repository) -> Result<(Vec<Release>, usize), git2::Error> {
    let mut releases = Vec::new();
    let mut skipped = 0;
    for reference in repository.references_glob("refs/tags/*")? {
        match release(&reference?) {
            Some(release) => releases.push(release),
            None => skipped += 1,
        }
    }
    releases.sort_by(|a, b| (a.tag_epoch, &a.tag).cmp(&(b.tag_epoch, &b.tag)));
    Ok((releases, skipped))
}

fn release(reference: &git2::Reference<'_>) -> Option<Release> {
    let name = lossy(reference.name_bytes());
    let tag = name.strip_prefix("refs/tags/")?.to_owned();
    let commit = reference.peel_to_commit().ok()?;
    let annotated = reference.peel(ObjectType::Tag).ok();
    let annotated = annotated.as_ref().and_then(|object| object.as_tag());
    let commit_epoch = commit.time().seconds();
    // An old annotated tag may have no tagger; its commit's time is the best there is.
    let tagged = annotated
        .and_then(|tag| tag.tagger())
        .map(|tagger| tagger.when().seconds());
    let tag_epoch = tagged
        .filter(|epoch| EPOCHS.contains(epoch))
        .unwrap_or(commit_epoch);
    if !EPOCHS.contains(&commit_epoch) {
        return None;
    }
    let (component, kind) = classify(&tag);
    Some(Release {
        tag_epoch,
        commit_epoch,
        kind,
        component,
        ref_type: if annotated.is_some() {
            RefType::Tag
        } else {
            RefType::Commit
        },
        commit: abbreviated(commit.id()),
        tag,
    })
}

/// The component and the kind of release that a tag's name says.
fn classify(tag: &str) -> (Option<String>, ReleaseKind) {
    let (component, version) = split(tag);
    let component = (!component.is_empty()).then(|| component.to_owned());
    let version = version.strip_prefix('v').unwrap_or(version);
    let (numbers, rest) = match version.find(|c: char| !c.is_ascii_digit() && c != '.') {
        Some(place) => version.split_at(place),
        None => (version, ""),
    };
    let parts: Option<Vec<u64>> = numbers.split('.').map(|part| part.parse().ok()).collect();
    let kind = match parts {
        None => return (None, ReleaseKind::Other),
        Some(_) if rest.starts_with(['-', 'a', 'b', 'r']) => ReleaseKind::Pre,
        Some(_) if !rest.is_empty() && !rest.starts_with('+') => return (None, ReleaseKind::Other),
        Some(parts) => match parts.get(1..).unwrap_or_default() {
            [] | [0] | [0, 0, ..] => ReleaseKind::Major,
            [_] | [_, 0, ..] => ReleaseKind::Minor,
            _ => ReleaseKind::Patch,
        },
    };
    (component, kind)
}

/// Splits `api/v1.2.3` where the version begins.
fn split(tag: &str) -> (&str, &str) {
    let begins = |text: &str| {
        let digits = text.strip_prefix('v').unwrap_or(text);
        digits.starts_with(|c: char| c.is_ascii_digit())
    };
    if begins(tag) {
        return ("", tag);
    }
    let separators = tag.match_indices(['/', '@', '-', '_']);
    let place = separators
        .map(|(place, _)| place)
        .find(|&place| begins(&tag[place + 1..]));
    match place {
        Some(place) => (&tag[..place], &tag[place + 1..]),
        None => ("", tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tag: &str, component: Option<&str>, kind: ReleaseKind) {
        assert_eq!(classify(tag), (component.map(str::to_owned), kind), "{tag}");
    }

    #[test]
    fn tags_are_read_as_people_write_them() {
        check("v1.0.0", None, ReleaseKind::Major);
        check("2.0", None, ReleaseKind::Major);
        check("v1.3.0", None, ReleaseKind::Minor);
        check("0.2.0", None, ReleaseKind::Minor);
        check("1.3.7", None, ReleaseKind::Patch);
        check("v1.3.7+build5", None, ReleaseKind::Patch);
        check("v2.0.0-rc.1", None, ReleaseKind::Pre);
        check("v2.0.0rc1", None, ReleaseKind::Pre);
        check("api/v1.2.3", Some("api"), ReleaseKind::Patch);
        check("@scope/web@2.1.0", Some("@scope/web"), ReleaseKind::Minor);
        check("my-tool-1.0.0", Some("my-tool"), ReleaseKind::Major);
        check("nightly", None, ReleaseKind::Other);
        check("ünïcode", None, ReleaseKind::Other);
        check("2024-01-05", None, ReleaseKind::Pre);
    }
}
