//! `[stages]`: how long stages of each kind take.
use prestage_controller::NeedType;
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;

/// One kind of stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// Median validation, minutes on one runner.
    pub validate_minutes: f64,
    /// Median wait for a reviewer in working hours, minutes.
    pub review_minutes: f64,
    /// Median time until what it brings is usable, minutes.
    pub provision_minutes: f64,
}

/// All kinds of stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StagesSpec {
    /// Scale-out with verification.
    pub scaling: StageSpec,
    /// Release canary.
    pub feature_release: StageSpec,
    /// Dependency update with audit and regression.
    pub dependency_update: StageSpec,
    /// Test re-sharding.
    pub test_suite: StageSpec,
}

impl Default for StagesSpec {
    fn default() -> Self {
        let stage = |validate_minutes, review_minutes, provision_minutes| StageSpec {
            validate_minutes,
            review_minutes,
            provision_minutes,
        };
        Self {
            scaling: stage(3.0, 2.0, 2.0),
            feature_release: stage(12.0, 25.0, 0.5),
            dependency_update: stage(18.0, 20.0, 0.5),
            test_suite: stage(25.0, 20.0, 0.5),
        }
    }
}

impl StagesSpec {
    /// The kind that serves a need type.
    pub fn of(&self, need: NeedType) -> &StageSpec {
        match need {
            NeedType::Scaling => &self.scaling,
            NeedType::FeatureRelease => &self.feature_release,
            NeedType::DependencyUpdate => &self.dependency_update,
            NeedType::TestSuite => &self.test_suite,
        }
    }
}

impl StagesSpec {
    pub(super) fn check(&self, ranges: &mut Ranges) {
        for need in NeedType::ALL {
            let stage = self.of(need);
            let key = |name: &str| format!("{need}.{name}");
            ranges.number(
                &key("validate_minutes"),
                stage.validate_minutes,
                0.01,
                1440.0,
            );
            ranges.number(&key("review_minutes"), stage.review_minutes, 0.0, 10_080.0);
            ranges.number(
                &key("provision_minutes"),
                stage.provision_minutes,
                0.0,
                1440.0,
            );
        }
    }
}
