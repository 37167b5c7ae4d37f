//! The summary in words: what the numbers say, and how sure they are.
//!
//! A claim is made only when the interval excludes zero, and a run that is smaller than
//! a claim needs says so itself. Plain text; the page escapes it.
use super::format::{count, difference, number, percent};
use super::summary::{Arm, ArmKind, Difference, Summary, Verdict};

/// Below these, a difference between learned policies is not a finding (DESIGN 6).
const TRAINING_SEEDS_MIN: usize = 10;
const SCENARIOS_MIN: usize = 30;

/// The summary, sentence by sentence.
pub fn summary(summary: &Summary) -> String {
    let mut sentences = Vec::new();
    sentences.extend(cheapest_sentence(summary));
    let trained: Vec<&Arm> = summary
        .arms
        .iter()
        .filter(|arm| arm.kind == ArmKind::Trained)
        .collect();
    for arm in &trained {
        sentences.push(reference_sentence(arm, summary));
        sentences.extend(edge_sentence(arm, summary));
    }
    if trained.is_empty() {
        sentences.push("No arm of this run was trained.".to_owned());
    }
    sentences.extend(bound_sentence(summary));
    sentences.extend(size_sentence(&trained, summary));
    if !summary.missing_arms.is_empty() {
        sentences.push(format!(
            "Without results: {}.",
            summary.missing_arms.join(", ")
        ));
    }
    sentences.join(" ")
}

/// A difference in a few words, for a heading.
pub fn verdict(difference: &Difference) -> &'static str {
    match difference.verdict() {
        Verdict::Better => "cheaper",
        Verdict::Worse => "more expensive",
        Verdict::WithinNoise => "no difference within noise",
        Verdict::Unknown => "not enough scenarios to tell",
    }
}

fn cheapest_sentence(summary: &Summary) -> Option<String> {
    let cheapest = summary.cheapest()?;
    Some(format!(
        "The cheapest arm that production could run was {} at ${} a day, averaged over {}.",
        cheapest.name,
        number(cheapest.cost_mean),
        units(cheapest),
    ))
}

fn units(arm: &Arm) -> String {
    let scenarios = count(arm.scenarios, "scenario", "scenarios");
    match arm.training_seeds {
        0 => scenarios,
        seeds => format!(
            "{} and {scenarios}",
            count(seeds, "training seed", "training seeds")
        ),
    }
}

fn reference_sentence(arm: &Arm, summary: &Summary) -> String {
    let (name, reference) = (&arm.name, &summary.reference);
    match &arm.difference {
        None => format!("{name} could not be compared with {reference}: they share no scenario."),
        Some(difference) => comparison(name, reference, difference),
    }
}

fn comparison(name: &str, other: &str, found: &Difference) -> String {
    let Some(interval) = found.interval else {
        return format!(
            "{name} differs from {other} by ${} a day on a single pair, which has no interval.",
            difference(found.mean)
        );
    };
    let range = format!(
        "95 % interval {} to {}",
        difference(interval.lower),
        difference(interval.upper)
    );
    let relative = found.relative().map_or_else(String::new, |ratio| {
        format!(", or {}", percent(ratio.abs()))
    });
    let amount = format!("${} a day{relative}", number(found.mean.abs()));
    match found.verdict() {
        Verdict::Better => format!("{name} beats {other} by {amount} ({range})."),
        Verdict::Worse => {
            format!("{name} does not beat {other}: it costs {amount} more ({range}).")
        }
        Verdict::WithinNoise | Verdict::Unknown => format!(
            "Between {name} and {other} there is no difference within noise: {} dollars a day \
             ({range}).",
            difference(found.mean)
        ),
    }
}

fn edge_sentence(arm: &Arm, summary: &Summary) -> Option<String> {
    let edge = summary.edges.iter().find(|edge| edge.trained == arm.name)?;
    if edge.rule == summary.reference {
        return None;
    }
    let compared = comparison(&edge.trained, &edge.rule, &edge.difference);
    Some(format!(
        "Against the cheapest rule, which needs no training: {compared}"
    ))
}

fn bound_sentence(summary: &Summary) -> Option<String> {
    let reference = summary.arm(&summary.reference)?;
    let bound = summary
        .by_cost()
        .into_iter()
        .find(|arm| arm.kind == ArmKind::Bound)?;
    let difference = bound.difference.as_ref()?;
    let relative = difference.relative()?;
    (difference.verdict() == Verdict::Better).then(|| {
        format!(
            "{}, which knows what production cannot, is {} cheaper than {}.",
            bound.name,
            percent(relative.abs()),
            reference.name
        )
    })
}

fn size_sentence(trained: &[&Arm], summary: &Summary) -> Option<String> {
    let seeds = trained.iter().map(|arm| arm.training_seeds).min();
    let scenarios = summary.arms.iter().map(|arm| arm.scenarios).min()?;
    let few_seeds = seeds.is_some_and(|seeds| seeds < TRAINING_SEEDS_MIN);
    (few_seeds || scenarios < SCENARIOS_MIN).then(|| {
        format!(
            "This run is smaller than a claim needs ({TRAINING_SEEDS_MIN} training seeds, \
             {SCENARIOS_MIN} scenarios): read it as a sketch."
        )
    })
}
