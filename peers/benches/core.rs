//! Timing benchmarks of the core's operations.

use criterion::{Criterion, criterion_group, criterion_main};

fn core(criterion: &mut Criterion) {
    for mut operation in peers::operations() {
        criterion.bench_function(operation.name, |bencher| bencher.iter(&mut operation.run));
    }
}

criterion_group!(benches, core);
criterion_main!(benches);
