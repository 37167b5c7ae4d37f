//! What the filters of a question say about the rows that can matter.
//!
//! Bounds may be too wide and are never too narrow: DataFusion looks at every row again. Whatever a filter
//! says that is not understood here bounds nothing.
use std::collections::BTreeSet;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Rows outside of these cannot be in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Metrics; any when absent.
    pub metrics: Names,
    /// Services; any when absent.
    pub services: Names,
    /// Tiers; any when absent.
    pub tiers: Names,
    /// First microsecond.
    pub from: i64,
    /// Microsecond after the last.
    pub to: i64,
}

/// Names that are possible; all when absent.
pub type Names = Option<BTreeSet<String>>;

impl Bounds {
    /// Anything goes.
    pub const NONE: Self = Self {
        metrics: None,
        services: None,
        tiers: None,
        from: i64::MIN,
        to: i64::MAX,
    };

    /// Of filters that hold together.
    pub fn of(filters: &[Expr]) -> Self {
        let each = filters.iter().map(bounds);
        each.fold(Self::NONE, |all, one| all.and(one))
    }

    fn and(self, other: Self) -> Self {
        Self {
            metrics: intersection(self.metrics, other.metrics),
            services: intersection(self.services, other.services),
            tiers: intersection(self.tiers, other.tiers),
            from: self.from.max(other.from),
            to: self.to.min(other.to),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            metrics: union(self.metrics, other.metrics),
            services: union(self.services, other.services),
            tiers: union(self.tiers, other.tiers),
            from: self.from.min(other.from),
            to: self.to.max(other.to),
        }
    }

    fn named(column: &str, names: BTreeSet<String>) -> Self {
        let names = Some(names);
        match column {
            "metric" => Self {
                metrics: names,
                ..Self::NONE
            },
            "service" => Self {
                services: names,
                ..Self::NONE
            },
            "tier" => Self {
                tiers: names,
                ..Self::NONE
            },
            _ => Self::NONE,
        }
    }
}

fn intersection(a: Names, b: Names) -> Names {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.intersection(&b).cloned().collect()),
        (a, b) => a.or(b),
    }
}

fn union(a: Names, b: Names) -> Names {
    Some(a?.union(&b?).cloned().collect())
}

fn bounds(filter: &Expr) -> Bounds {
    match filter {
        Expr::BinaryExpr(both) => match both.op {
            Operator::And => bounds(&both.left).and(bounds(&both.right)),
            Operator::Or => bounds(&both.left).or(bounds(&both.right)),
            _ => compared(both).unwrap_or(Bounds::NONE),
        },
        Expr::InList(list) if !list.negated => {
            let names: Option<BTreeSet<String>> = list.list.iter().map(text).collect();
            match (column(&list.expr), names) {
                (Some(column), Some(names)) => Bounds::named(column, names),
                _ => Bounds::NONE,
            }
        }
        Expr::Between(between) if !between.negated && is_time(&between.expr) => Bounds {
            from: instant(&between.low).map_or(i64::MIN, |(floor, _)| floor),
            to: instant(&between.high).map_or(i64::MAX, |(_, ceiling)| ceiling.saturating_add(1)),
            ..Bounds::NONE
        },
        _ => Bounds::NONE,
    }
}

/// Bounds of a comparison of a column with a constant, on whichever side it stands.
fn compared(comparison: &BinaryExpr) -> Option<Bounds> {
    let BinaryExpr { left, op, right } = comparison;
    if column(right).is_some() || is_time(right) {
        let swapped = BinaryExpr::new(right.clone(), op.swap()?, left.clone());
        return directed(&swapped);
    }
    directed(comparison)
}

fn directed(comparison: &BinaryExpr) -> Option<Bounds> {
    let BinaryExpr { left, op, right } = comparison;
    if is_time(left) {
        let (floor, ceiling) = instant(right)?;
        let (from, to) = match op {
            Operator::Eq => (floor, ceiling.saturating_add(1)),
            Operator::Gt | Operator::GtEq => (floor, i64::MAX),
            Operator::Lt => (i64::MIN, ceiling),
            Operator::LtEq => (i64::MIN, ceiling.saturating_add(1)),
            _ => return None,
        };
        return Some(Bounds {
            from,
            to,
            ..Bounds::NONE
        });
    }
    let name = (*op == Operator::Eq).then(|| text(right)).flatten()?;
    Some(Bounds::named(column(left)?, BTreeSet::from([name])))
}

/// The name of a column that stands alone.
fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        _ => None,
    }
}

/// Whether this is the time, at most made finer: a coarser one would be rounded.
fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => {
            let finer = matches!(
                cast.field.data_type(),
                DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _)
            );
            finer && is_time(&cast.expr)
        }
        expr => column(expr) == Some("time"),
    }
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    }
}

/// The microseconds below and above a constant moment.
fn instant(expr: &Expr) -> Option<(i64, i64)> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    let whole = |micros: i64| Some((micros, micros));
    match value {
        ScalarValue::TimestampSecond(Some(seconds), _) => whole(seconds.checked_mul(1_000_000)?),
        ScalarValue::TimestampMillisecond(Some(millis), _) => whole(millis.checked_mul(1_000)?),
        ScalarValue::TimestampMicrosecond(Some(micros), _) => whole(*micros),
        ScalarValue::TimestampNanosecond(Some(nanos), _) => {
            let floor = nanos.div_euclid(1_000);
            Some((floor, floor + i64::from(nanos.rem_euclid(1_000) > 0)))
        }
        _ => None,
    }
}
