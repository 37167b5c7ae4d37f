//! What a controller asks of a policy, whoever trained it.
use crate::space::{Layout, MultiDiscrete};

/// Chooses one action per row from one observation per row; never learns.
pub trait Policy {
    /// The observation it expects.
    fn layout(&self) -> &Layout;

    /// The action it returns.
    fn action(&self) -> &MultiDiscrete;

    /// Writes the greedy action of every row. `observations` is
    /// `[n_rows * layout.len()]`, `actions` is `[n_rows * action.len()]`.
    fn act(&mut self, observations: &[f32], actions: &mut [u8]);

    /// Asked between two turns, because something unusual happened. `actions` holds what stands, and
    /// stands on unless the policy writes something else: a rule that counts or learns by turns must not
    /// be turned more often than it was made for.
    fn interrupt(&mut self, _observations: &[f32], _actions: &mut [u8]) {}
}

/// Leaves every knob at its default: the static policy, the baseline and the
/// fallback of every other one.
#[derive(Clone, Debug, PartialEq)]
pub struct NeutralPolicy {
    layout: Layout,
    action: MultiDiscrete,
}

impl NeutralPolicy {
    /// For any observation and any action.
    pub fn new(layout: Layout, action: MultiDiscrete) -> Self {
        Self { layout, action }
    }
}

impl Policy for NeutralPolicy {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn action(&self) -> &MultiDiscrete {
        &self.action
    }

    fn act(&mut self, observations: &[f32], actions: &mut [u8]) {
        let n_rows = observations.len() / self.layout.len();
        assert_eq!(actions.len(), n_rows * self.action.len(), "action length");
        for levels in actions.chunks_exact_mut(self.action.len()) {
            levels.copy_from_slice(&self.action.neutral);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Field;

    #[test]
    fn neutral_policy_ignores_what_it_sees() {
        let field = Field {
            name: "x".into(),
            about: "anything".into(),
        };
        let layout = Layout {
            name: "test".into(),
            version: 1,
            clip: 5.0,
            fields: vec![field],
        };
        let action = MultiDiscrete {
            nvec: vec![7, 3],
            neutral: vec![3, 1],
        };
        let mut actions = [9; 6];
        let mut policy = NeutralPolicy::new(layout, action);
        policy.act(&[0.0, f32::NAN, 4.0], &mut actions);
        assert_eq!(actions, [3, 1, 3, 1, 3, 1]);
        let mut standing = [9; 6];
        policy.interrupt(&[0.0; 3], &mut standing);
        assert_eq!(standing, [9; 6], "an interrupt lets the action stand");
    }
}
