//! The order of a merged list.
//!
//! Items of the base that both sides keep form the skeleton; whoever reordered it wins, unless both
//! did so differently. Every other item follows the skeleton item that it followed on its own side.
//! Swapping the sides never changes an agreed order.

/// The outcome for one list.
#[derive(Debug, PartialEq)]
pub(super) enum Order<'a> {
    /// One order satisfies both sides.
    Agreed(Vec<&'a str>),
    /// Each side reordered in its own way; this is the merged list in either order.
    Disputed {
        ours: Vec<&'a str>,
        theirs: Vec<&'a str>,
    },
}

/// Puts the keys `kept` in order; `[base, ours, theirs]` are the keys of the three lists.
pub(super) fn merge_order<'a>(
    [base, ours, theirs]: [&[&'a str]; 3],
    kept: &[&'a str],
) -> Order<'a> {
    let is_common = |key: &&str| {
        kept.contains(key) && base.contains(key) && ours.contains(key) && theirs.contains(key)
    };
    let common = |keys: &[&'a str]| -> Vec<&'a str> {
        keys.iter().copied().filter(|key| is_common(key)).collect()
    };
    let (in_base, in_ours, in_theirs) = (common(base), common(ours), common(theirs));
    let runs = [runs(ours, &in_ours, kept), runs(theirs, &in_theirs, kept)];
    let filled = |skeleton: &[&'a str]| fill(skeleton, &runs, kept);
    match (in_ours == in_base, in_theirs == in_base) {
        (true, _) => Order::Agreed(filled(&in_theirs)),
        (_, true) => Order::Agreed(filled(&in_ours)),
        _ if in_ours == in_theirs => Order::Agreed(filled(&in_ours)),
        _ => Order::Disputed {
            ours: filled(&in_ours),
            theirs: filled(&in_theirs),
        },
    }
}

/// Items outside the skeleton, each run with the skeleton item before it.
type Runs<'a> = Vec<(Option<&'a str>, Vec<&'a str>)>;

fn runs<'a>(keys: &[&'a str], skeleton: &[&'a str], kept: &[&'a str]) -> Runs<'a> {
    let mut runs: Runs<'a> = Vec::new();
    let mut anchor = None;
    for &key in keys.iter().filter(|key| kept.contains(key)) {
        if skeleton.contains(&key) {
            anchor = Some(key);
            continue;
        }
        match runs.last_mut() {
            Some((before, run)) if *before == anchor => run.push(key),
            _ => runs.push((anchor, vec![key])),
        }
    }
    runs
}

fn fill<'a>(skeleton: &[&'a str], sides: &[Runs<'a>; 2], kept: &[&'a str]) -> Vec<&'a str> {
    let anchors = std::iter::once(None).chain(skeleton.iter().copied().map(Some));
    let mut order: Vec<&'a str> = Vec::with_capacity(kept.len());
    for anchor in anchors {
        order.extend(anchor);
        let mut runs: Vec<&Vec<&'a str>> = sides
            .iter()
            .flatten()
            .filter(|(before, _)| *before == anchor)
            .map(|(_, run)| run)
            .collect();
        // By content, not by side: a swap must not change the result.
        runs.sort();
        for &key in runs.into_iter().flatten() {
            if !order.contains(&key) {
                order.push(key);
            }
        }
    }
    // A decision may bring in a key that neither side kept.
    order.extend(
        kept.iter()
            .copied()
            .filter(|key| !order.contains(key))
            .collect::<Vec<_>>(),
    );
    order
}
