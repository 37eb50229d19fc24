//! tokio-util's CancellationToken as the other side of some token rows: prints "operation nanoseconds" for
//! each.

use std::hint::black_box;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

const REPETITIONS: usize = 7;

fn check(count: u32) {
    let token = CancellationToken::new();
    for _ in 0..count {
        if black_box(&token).is_cancelled() {
            panic!("nobody cancelled it");
        }
    }
}

fn child(count: u32) {
    let parent = CancellationToken::new();
    for _ in 0..count {
        drop(black_box(parent.child_token()));
    }
}

fn median_ns(run: fn(u32), count: u32) -> f64 {
    let mut ns: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let start = Instant::now();
            run(count);
            start.elapsed().as_nanos() as f64 / f64::from(count)
        })
        .collect();
    ns.sort_by(f64::total_cmp);
    ns[REPETITIONS / 2]
}

fn main() {
    let shorter = match std::env::args().nth(1).as_deref() {
        Some("short") => 100,
        _ => 1,
    };
    println!("check {}", median_ns(check, 5_000_000 / shorter));
    println!("child {}", median_ns(child, 500_000 / shorter));
}
