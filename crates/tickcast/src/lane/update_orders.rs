//! The order in which symbols last changed, shared by all lanes of a market.

use std::sync::{Arc, Mutex, PoisonError};

use tickcast_core::sse::render::UpdateOrder;
use tickcast_core::{Replica, Seq};

/// The last two orders. A lane that is behind another one may still need the older of the two. An
/// order is made when a stream needs one and none fits, at most once in half a tape.
#[derive(Debug, Default)]
pub(crate) struct UpdateOrders(Mutex<[Option<Arc<UpdateOrder>>; 2]>);

impl UpdateOrders {
    /// Returns an order that fits a replica.
    pub(super) fn fitting(&self, replica: &Replica) -> Arc<UpdateOrder> {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tape = replica.tape();
        // The order must still fit while the streams of a turn are rendered.
        let half = Seq::new(tape.start().get().midpoint(tape.head().get()));
        let from = half.min(tape.head());
        let is_fresh = |order: &&Arc<UpdateOrder>| order.fits(tape) && order.as_of() >= from;
        if let Some(order) = orders.iter().flatten().find(is_fresh) {
            return Arc::clone(order);
        }
        let order = Arc::new(UpdateOrder::new(replica.market()));
        let oldest = orders
            .iter_mut()
            .min_by_key(|order| order.as_ref().map(|order| order.as_of()));
        if let Some(oldest) = oldest {
            *oldest = Some(Arc::clone(&order));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use tickcast_core::{Epoch, Limits, Now, Sequencer, SourceId, SourceOptions, Tick};

    use super::*;

    #[test]
    fn an_order_is_made_once_in_half_a_tape() {
        let limits = Limits::default().tape_ticks(100);
        let mut log = Sequencer::new(Epoch::new(1), limits);
        let (orders, mut made) = (UpdateOrders::default(), Vec::new());
        let mut replica = log.replica();
        let mut behind = None;
        for number in 0..1000 {
            let json = format!(r#"{{"symbol":"S{}","price":1}}"#, number % 7);
            let tick = Tick::from_json(json.as_bytes()).unwrap();
            let options = SourceOptions::default();
            log.accept(&tick, SourceId(0), options, Now::default())
                .unwrap();
            log.show();
            replica.catch_up(u64::MAX).unwrap();
            let order = orders.fitting(&replica);
            assert!(order.fits(replica.tape()));
            if made.last() != Some(&order.as_of()) {
                made.push(order.as_of());
                behind = Some(replica.clone());
            }
            // A lane that is not as far uses the order before.
            if let Some(behind) = &behind {
                assert!(orders.fitting(behind).as_of() <= behind.head());
            }
        }
        assert!(made.len() < 25, "{made:?}");
    }
}
