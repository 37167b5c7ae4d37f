//! Where a learner computes, chosen at run time.
//!
//! Must never know: what is computed.
use serde::{Deserialize, Serialize};

/// A device that this build can train on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeDevice {
    /// burn-flex, one thread of the CPU.
    #[default]
    Flex,
}

impl ComputeDevice {
    /// The burn device with gradients switched on.
    pub(crate) fn autodiff(self) -> burn::tensor::Device {
        match self {
            Self::Flex => burn::tensor::Device::flex().autodiff(),
        }
    }
}
