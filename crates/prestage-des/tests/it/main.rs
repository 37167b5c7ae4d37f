//! The single test binary of the kernel: known answers, properties, determinism.

mod mmc;

mod erlang_c;

mod queue_properties;

mod queueing_theory;

mod resource_properties;

mod snapshot;

mod stream_layout;

mod queue_at_scale;
