//! Prices in a compact form.

use std::cmp::Ordering;

use crate::Price;

/// A price in 16 bytes for nearly all prices. The compact form matters because a symbol has
/// thousands of candles.
#[derive(Debug, Clone)]
pub(super) enum CompactPrice {
    Short { units: i64, scale: u8 },
    Long(Box<Price>),
}

impl CompactPrice {
    pub(super) fn price(&self) -> Price {
        match self {
            Self::Short { units, scale } => {
                Price::from_units(*units, *scale).unwrap_or_else(|| unreachable!("it was one"))
            }
            Self::Long(price) => **price,
        }
    }
}

impl From<Price> for CompactPrice {
    fn from(price: Price) -> Self {
        match price.to_units() {
            Some((units, scale)) => Self::Short { units, scale },
            None => Self::Long(Box::new(price)),
        }
    }
}

impl PartialEq for CompactPrice {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for CompactPrice {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (
                Self::Short { units, scale },
                Self::Short {
                    units: others,
                    scale: other,
                },
            ) if scale == other => Some(units.cmp(others)),
            _ => self.price().partial_cmp(&other.price()),
        }
    }
}
