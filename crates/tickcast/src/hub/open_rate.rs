//! Limits how often streams are opened.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::access::AddressGroup;

/// The number of streams that each address has opened in the current second. Nothing is kept of an
/// earlier second.
#[derive(Debug, Default)]
pub(super) struct OpenRate(Mutex<(u64, HashMap<AddressGroup, u32>)>);

impl OpenRate {
    /// Counts one more stream of an address, unless it already has opened `max` in this second.
    pub(super) fn admit(&self, address: AddressGroup, max: u32, now: Duration) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, opened) = &mut *counts;
        if *second != now.as_secs() {
            *second = now.as_secs();
            *opened = HashMap::new();
        }
        let count = opened.entry(address).or_default();
        let admitted = *count < max;
        *count += u32::from(admitted);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ClientAddress;

    #[test]
    fn each_address_opens_so_many_streams_a_second() {
        let rate = OpenRate::default();
        let address = |text: &str| ClientAddress(text.parse().unwrap()).group();
        let open = |text: &str, millis| rate.admit(address(text), 2, Duration::from_millis(millis));
        assert!(open("192.0.2.1", 100) && open("192.0.2.1", 900));
        assert!(!open("192.0.2.1", 999) && open("192.0.2.2", 999));
        assert!(open("192.0.2.1", 1000) && open("192.0.2.1", 1000) && !open("192.0.2.1", 1001));
        assert_eq!(rate.0.lock().unwrap().1.len(), 1);
    }
}
