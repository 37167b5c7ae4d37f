//! VUS-PR: volume under the surface of precision, recall and buffer.
//!
//! Paparrizos et al., "Volume Under the Surface: A New Accuracy Evaluation Measure for
//! Time-Series Anomaly Detection", PVLDB 15(11), 2022. For a buffer of `l` samples the labels
//! fall off as `sqrt(1 - distance / l)` up to `l / 2` from each incident; recall is weighted
//! by the share of incidents with a call at all; the area under precision and recall is
//! averaged over all buffers from 0 to the largest. Deviation from the authors' code: every
//! distinct score is a threshold there is, not 250 ranks of them.
use super::Window;

/// Average area under the range-based precision-recall curve over buffers of 0 to `buffer_max`
/// samples, in `[0, 1]`; `None` where there is no incident, or nothing but incidents.
///
/// Takes time proportional to `buffer_max` times the samples.
pub fn vus_pr(scores: &[f64], incidents: &[Window], buffer_max: usize) -> Option<f64> {
    let anomalous: usize = incidents.iter().map(|incident| incident.width()).sum();
    if anomalous == 0 || anomalous == scores.len() {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let areas = (0..=buffer_max).map(|buffer| {
        let soft = SoftLabels::new(scores.len(), incidents, buffer);
        area(scores, &order, &soft, anomalous as f64)
    });
    Some(areas.sum::<f64>() / (buffer_max + 1) as f64)
}

/// Labels that fall off around incidents.
struct SoftLabels {
    labels: Vec<f64>,
    /// The incident, or the incidents that grew together, that each sample belongs to.
    segment: Vec<Option<usize>>,
    segments: usize,
}

impl SoftLabels {
    fn new(samples: usize, incidents: &[Window], buffer: usize) -> Self {
        let mut labels = vec![0.0; samples];
        for incident in incidents {
            labels[incident.first..=incident.last].fill(1.0);
        }
        let fall = |distance: usize| (1.0 - distance as f64 / buffer as f64).sqrt();
        for incident in incidents {
            for distance in 1..=buffer / 2 {
                if let Some(before) = incident.first.checked_sub(distance) {
                    labels[before] += fall(distance);
                }
                if incident.last + distance < samples {
                    labels[incident.last + distance] += fall(distance);
                }
            }
        }
        let (mut segment, mut segments) = (vec![None; samples], 0);
        for (index, label) in labels.iter_mut().enumerate() {
            *label = f64::min(*label, 1.0);
            if *label > 0.0 {
                let goes_on = index > 0 && segment[index - 1].is_some();
                segments += usize::from(!goes_on);
                segment[index] = Some(segments - 1);
            }
        }
        Self {
            labels,
            segment,
            segments,
        }
    }
}

/// Sum of recall gained times precision, over falling thresholds.
fn area(scores: &[f64], order: &[usize], soft: &SoftLabels, anomalous: f64) -> f64 {
    // The authors' positives: the mean of the hard and the soft ones.
    let positives = (anomalous + soft.labels.iter().sum::<f64>()) / 2.0;
    let mut hit = vec![false; soft.segments];
    let (mut hits, mut true_positives, mut recall_before, mut area) = (0, 0.0, 0.0, 0.0);
    for (rank, &index) in order.iter().enumerate() {
        true_positives += soft.labels[index];
        if let Some(segment) = soft.segment[index]
            && !hit[segment]
        {
            hit[segment] = true;
            hits += 1;
        }
        let tied = order
            .get(rank + 1)
            .is_some_and(|&next| scores[next] == scores[index]);
        if tied {
            continue;
        }
        let existence = f64::from(hits) / soft.segments as f64;
        let recall = (true_positives / positives).min(1.0) * existence;
        let precision = true_positives / (rank + 1) as f64;
        area += (recall - recall_before) * precision;
        recall_before = recall;
    }
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCIDENT: [Window; 1] = [Window {
        first: 50,
        last: 59,
    }];

    #[test]
    fn without_a_buffer_it_is_average_precision() {
        // One incident of two samples, ranked first and third of four.
        let scores = [0.9, 0.5, 0.7, 0.1];
        let incident = [Window { first: 0, last: 1 }];
        // Recall 1/2 at precision 1, then recall 1 at precision 2/3.
        let expected = 0.5 * 1.0 + 0.5 * (2.0 / 3.0);
        let found = vus_pr(&scores, &incident, 0).unwrap();
        assert!((found - expected).abs() < 1e-12, "{found}");
    }

    #[test]
    fn an_incident_never_called_takes_its_share_of_the_recall() {
        // Two incidents of one sample; the second ties with everything else.
        let scores = [0.9, 0.0, 0.0, 0.0];
        let incidents = [Window { first: 0, last: 0 }, Window { first: 2, last: 2 }];
        // Recall 1/2 x 1/2 at precision 1, then 1 at precision 2/4.
        let found = vus_pr(&scores, &incidents, 0).unwrap();
        assert!((found - (0.25 + 0.75 * 0.5)).abs() < 1e-12, "{found}");
    }

    #[test]
    fn labels_fall_off_with_the_root_of_the_distance() {
        let soft = SoftLabels::new(100, &INCIDENT, 4);
        assert_eq!(soft.labels[50], 1.0);
        assert!((soft.labels[49] - 0.75_f64.sqrt()).abs() < 1e-12);
        assert!((soft.labels[61] - 0.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!((soft.labels[47], soft.labels[62]), (0.0, 0.0));
        assert_eq!(soft.segments, 1);
    }

    #[test]
    fn a_near_miss_is_worth_more_than_a_far_one_and_less_than_a_hit() {
        let scored = |at: usize| {
            let mut scores = vec![0.0; 100];
            scores[at..at + 10].fill(1.0);
            vus_pr(&scores, &INCIDENT, 20).unwrap()
        };
        let (hit, near, far) = (scored(50), scored(62), scored(10));
        assert!(hit > near && near > far, "{hit} {near} {far}");
        assert!(hit <= 1.0 && far >= 0.0);
    }

    #[test]
    fn without_labels_of_both_kinds_it_is_undefined() {
        assert_eq!(vus_pr(&[0.1; 8], &[], 3), None);
        assert_eq!(vus_pr(&[0.1; 8], &[Window { first: 0, last: 7 }], 3), None);
        assert_eq!(vus_pr(&[], &[], 3), None);
    }
}
