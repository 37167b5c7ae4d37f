//! The single test binary of the kernel: known answers, properties, determinism.

mod shape;

mod mmc;

mod erlang_c;

mod ci;

mod queue_properties;

mod queue_at_scale;

mod queueing_theory;

mod closed_forms;

mod resource_properties;

mod preemptive_properties;

mod snapshot;

mod stream_layout;
