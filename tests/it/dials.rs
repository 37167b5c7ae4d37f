//! Headroom and the dials: what knowing the circumstance saves grows with each dial and is
//! nothing without, in the worlds of `experiments/headroom` on fewer scenarios.
use prestage::dials::{CHANNELS, Channel, Seeds, find};
use prestage_envs::Validation;
use prestage_world::{Exogenous, fleet_upstream, peak_hours};

fn channel(name: &str) -> &'static Channel {
    CHANNELS.iter().find(|one| one.name == name).unwrap()
}

/// Headroom and its standard error with the dial off, at a half and full on.
fn headroom(name: &str) -> [(f64, f64); 3] {
    let channel = channel(name);
    // On six, what D1 saves at a half and D4 at full is not confirmed.
    let choosing = match name {
        "D1" | "D4" => 12,
        _ => 6,
    };
    let seeds = Seeds::<Validation>::new(1, choosing, 16);
    [0.0, 0.5, 1.0].map(|share| find(channel, &channel.scenario(share), &seeds).headroom())
}

/// Nothing at 0, surely something full on, and no step that surely falls.
#[track_caller]
fn grows(name: &str) -> [(f64, f64); 3] {
    let all = headroom(name);
    assert!(all[0].0.abs() <= 0.01, "`{name}` off: {all:?}");
    let (full, error) = all[2];
    assert!(
        full > 2.0 * error && full > 0.01,
        "`{name}`: nothing: {all:?}"
    );
    for pair in all.windows(2) {
        let [less, more] = [pair[0], pair[1]];
        let noise = 2.0 * less.1.hypot(more.1);
        assert!(more.0 >= less.0 - noise, "`{name}` falls: {all:?}");
    }
    all
}

/// The same, and surely something at a half already.
#[track_caller]
fn grows_from_the_first_half(name: &str) {
    let all = grows(name);
    let (half, error) = all[1];
    assert!(half > 2.0 * error && half > 0.01, "`{name}`: {all:?}");
}

#[test]
fn headroom_grows_with_hidden_regimes() {
    grows_from_the_first_half("D1");
}

#[test]
fn headroom_over_one_probability_grows_with_prices_that_change() {
    grows_from_the_first_half("D2");
}

#[test]
fn headroom_grows_with_shared_runners() {
    grows("D3");
}

#[test]
fn headroom_grows_with_leads_that_follow_the_hour() {
    grows("D4");
}

#[test]
fn headroom_grows_with_stale_models() {
    grows("D5");
}

#[test]
fn headroom_grows_with_needs_of_one_cause() {
    grows_from_the_first_half("D6");
}

#[test]
fn headroom_grows_with_a_hazard_that_moves() {
    grows_from_the_first_half("D7");
}

/// What the rule of D6 is told is what the telemetry would show of shared causes, if it could.
#[test]
fn causes_are_the_upstream_releases_that_all_services_share() {
    let mut spec = channel("D6").scenario(1.0).spec().clone();
    spec.dependencies.upstream_visible = true;
    let scenario = prestage_world::Scenario::checked("d6", spec).unwrap();
    let record = Exogenous::generate(&scenario, 3);
    let causes = fleet_upstream(&scenario, &record, 3);
    assert!(causes.len() > 5, "{} causes", causes.len());
    for service in 0..4 {
        let seen = record.upstream.iter().filter(|one| one.1 == service);
        let seen: Vec<_> = seen.map(|one| one.0).collect();
        assert_eq!(seen, causes, "service {service}");
    }
}

/// What the rule of D5 is told is where the load has its peak.
#[test]
fn the_load_is_highest_at_the_hour_that_dial_d5_has_moved_the_peak_to() {
    let mut spec = channel("D5").scenario(1.0).spec().clone();
    spec.traffic.noise_sigma = 0.0;
    let scenario = prestage_world::Scenario::checked("d5", spec).unwrap();
    let record = Exogenous::generate(&scenario, 3);
    let hours = peak_hours(&scenario, &record, 3, 1);
    let demand = &record.demands[1].values;
    let spread = hours
        .iter()
        .fold(0.0, |most: f64, hour| most.max((hour - hours[0]).abs()));
    assert!(spread > 2.0, "the peak stays: {hours:?}");
    for (day, hour) in hours.iter().enumerate() {
        let minutes = &demand[day * 1440..(day + 1) * 1440];
        let highest = (0..1440)
            .max_by(|&a, &b| minutes[a].total_cmp(&minutes[b]))
            .unwrap();
        let off = (highest as f64 / 60.0 - hour + 12.0).rem_euclid(24.0) - 12.0;
        assert!(off.abs() < 0.2, "day {day}: {highest} min, {hour} h");
    }
}
