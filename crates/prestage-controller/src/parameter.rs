//! A number that tuning may choose: its range, and where it stands untuned.

/// How the range of a parameter is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences matter equally.
    Linear,
    /// Equal ratios matter equally; the range is positive.
    Logarithmic,
}

/// A tunable number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Snake case, unit last.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Its value when nobody tunes it, inside the range.
    pub default: f64,
    /// Least value.
    pub low: f64,
    /// Greatest value.
    pub high: f64,
    /// How the range is searched.
    pub scale: Scale,
}

impl Parameter {
    /// The value at a point of the unit interval.
    pub fn at(&self, unit: f64) -> f64 {
        match self.scale {
            Scale::Linear => self.low + unit * (self.high - self.low),
            Scale::Logarithmic => self.low * (self.high / self.low).powf(unit),
        }
    }

    /// Where a value lies in the range, 0 to 1.
    pub fn unit_of(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }
}

/// Numbers for the cells of each need type, in the order of
/// [`NeedType::ALL`](crate::NeedType::ALL), each list in the order of its parameters.
/// Need types meet only at the runner pool, so each has numbers of its own.
pub type Values = [Vec<f64>; 4];

/// Every parameter at its default.
pub fn defaults(parameters: &[Parameter]) -> Values {
    let each: Vec<f64> = parameters
        .iter()
        .map(|parameter| parameter.default)
        .collect();
    std::array::from_fn(|_| each.clone())
}

/// Why these are not numbers for these parameters, if they are not.
pub fn problem(parameters: &[Parameter], values: &Values) -> Option<String> {
    for list in values {
        if list.len() != parameters.len() {
            return Some(format!(
                "{} numbers for {} parameters",
                list.len(),
                parameters.len()
            ));
        }
        let both = parameters.iter().zip(list);
        for (parameter, value) in both {
            let Parameter {
                name, low, high, ..
            } = parameter;
            // NaN fails the comparison and is refused with the rest.
            if !(low..=high).contains(&value) {
                return Some(format!("`{name}` is {value}, allowed is {low} to {high}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_units_are_inverse() {
        let linear = Parameter {
            name: "x",
            about: "a test",
            default: 1.0,
            low: -4.0,
            high: 4.0,
            scale: Scale::Linear,
        };
        let logarithmic = Parameter {
            low: 0.5,
            high: 8.0,
            scale: Scale::Logarithmic,
            ..linear
        };
        assert_eq!((linear.at(0.0), linear.at(0.75)), (-4.0, 2.0));
        assert_eq!(logarithmic.at(0.5), 2.0);
        let [mut values, good] = [defaults(&[linear]), defaults(&[linear])];
        assert_eq!(problem(&[linear], &good), None);
        values[2][0] = f64::NAN;
        let refused = problem(&[linear], &values).unwrap();
        assert!(refused.contains("`x` is NaN"), "{refused}");
        assert!(problem(&[linear, logarithmic], &good).is_some());
        for parameter in [linear, logarithmic] {
            for unit in [0.0, 0.3, 1.0] {
                assert!((parameter.unit_of(parameter.at(unit)) - unit).abs() < 1e-12);
            }
        }
    }
}
