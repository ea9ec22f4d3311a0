//! Times as text.

use tickcast_core::Time;

/// Checks that an accepted number of milliseconds is not changed, and that every accepted time is
/// within the range and reads back.
pub fn time(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(time) = text.parse::<Time>() else {
        return;
    };
    assert!(time >= Time::default() && time <= Time::MAX);
    assert_eq!(Time::from_millis(time.as_millis()), Ok(time));
    if let Ok(millis) = text.parse::<i64>() {
        assert_eq!(time.as_millis(), millis);
    }
    // Smaller and larger numbers look like another unit.
    if (100_000_000_000..100_000_000_000_000).contains(&time.as_millis()) {
        assert_eq!(time.as_millis().to_string().parse(), Ok(time));
    }
}
