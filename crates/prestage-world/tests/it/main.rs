//! The world as its users meet it: scenarios in, events and books out.
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod randomness;
mod scale;
#[cfg(test)]
mod snapshot;
