//! What decoding allocates, counted: never more than 64 times the body, and a constant.
//!
//! The only test of its binary, so that nothing else allocates meanwhile.

use std::alloc::System;

use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use wire::Malformed;
use wire::frame::{Head, decode};
use wire::kafka_protocol::messages::RequestKind;
use wire::samples;
use wire::versions::ALL;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How many bytes may be allocated for each byte of a body.
const RATIO: usize = 64;
/// How many more may be allocated for errors and such.
const CONSTANT: usize = 4096;

/// Decodes a body, and how many bytes were allocated on the way, those given back included.
fn measure(key: i16, version: i16, body: &[u8]) -> (Result<RequestKind, Malformed>, usize) {
    let head = Head {
        key,
        version,
        correlation_id: 0,
        client_id: None,
        body: Bytes::copy_from_slice(body),
    };
    let region = Region::new(ALLOCATOR);
    let decoded = decode(head);
    let stats = region.change();
    (decoded, stats.bytes_allocated + usize::try_from(stats.bytes_reallocated).unwrap_or(0))
}

#[test]
fn what_is_allocated_is_bounded_by_the_body() {
    let mut lies = 0;
    let mut worst = (0.0, "", 0);
    for api in ALL {
        for version in (api.min..=api.max).filter(|version| api.serves(*version)) {
            let name = api.name;
            let sample = samples::body(api.key, version, 2, 0).expect("in the table");
            for array in &sample.arrays {
                let longest = sample.with_longest(*array);
                let end = array.at + if array.compact { 5 } else { 4 };
                for body in [&longest[..], &longest[..end]] {
                    let (decoded, allocated) = measure(api.key, version, body);
                    let refused = matches!(decoded, Err(Malformed::Count { .. }));
                    assert!(refused, "{name} {version} {}: {decoded:?}", array.name);
                    assert!(allocated <= CONSTANT, "{name} {version}: {allocated} bytes");
                    lies += 1;
                }
            }
            // As many of the smallest elements as a body can have.
            for elements in [0, 1, 5, 20, 100, 1000] {
                for seed in 0..8 {
                    if let Some(body) = nested(api.key, version, elements, seed) {
                        let (decoded, allocated) = measure(api.key, version, &body);
                        assert!(decoded.is_ok(), "{name} {version}: {decoded:?}");
                        let bound = RATIO * body.len() + CONSTANT;
                        assert!(allocated <= bound, "{name} {version}: {allocated} of {bound}");
                        let ratio = allocated as f64 / body.len().max(1000) as f64;
                        if ratio > worst.0 {
                            worst = (ratio, name, version);
                        }
                    }
                }
            }
        }
    }
    assert!(lies > 400, "{lies} lies were tried");
    assert!(worst.0 > 1.0, "the counting allocator counts: {worst:?}");
    smallest_elements();
}

/// A body with so many elements in each array, unless that is more than a test needs.
fn nested(key: i16, version: i16, elements: u32, seed: u64) -> Option<Vec<u8>> {
    let arrays = samples::body(key, version, 1, 0)?.arrays.len() as u32;
    // Whichever of them are nested.
    let total = elements.checked_pow(arrays)?;
    if total > 20_000 {
        return None;
    }
    Some(samples::body(key, version, elements, seed)?.bytes)
}

/// The bodies that decode to the most for their size: many elements that are all empty.
fn smallest_elements() {
    // LeaveGroup 5, Metadata 0, Produce 9, FindCoordinator 4, Metadata 12, DescribeConfigs 4,
    // CreateTopics 5, tagged fields of Heartbeat 4.
    let compact = |count: u32| {
        let next = count + 1;
        [(next | 0x80) as u8, ((next >> 7) | 0x80) as u8, (next >> 14) as u8].to_vec()
    };
    let count = 10_000u32;
    let repeat = |element: &[u8]| element.repeat(count as usize);
    let cases: [(i16, i16, Vec<u8>); 7] = [
        (13, 5, [&[1][..], &compact(count), &repeat(&[1, 0, 0, 0]), &[0]].concat()),
        (3, 0, [&count.to_be_bytes()[..], &repeat(&[0, 0])].concat()),
        (0, 9, [&[0, 0, 1, 0, 0, 0, 0][..], &compact(count), &repeat(&[1, 1, 0]), &[0]].concat()),
        (10, 4, [&[0][..], &compact(count), &repeat(&[1]), &[0]].concat()),
        (32, 4, [&compact(count)[..], &repeat(&[0, 1, 0, 0]), &[0, 0, 0]].concat()),
        (33, 2, [&compact(count)[..], &repeat(&[0, 1, 1, 0]), &[0, 0]].concat()),
        (42, 2, [&compact(count)[..], &repeat(&[1]), &[0]].concat()),
    ];
    for (key, version, body) in cases {
        let (decoded, allocated) = measure(key, version, &body);
        assert!(decoded.is_ok(), "{key} {version}: {decoded:?}");
        let bound = RATIO * body.len() + CONSTANT;
        assert!(allocated <= bound, "{key} {version}: {allocated} of {bound}");
    }
    let mut tags = vec![1, 0, 0, 0, 0, 1, 0];
    tags.extend_from_slice(&compact(count - 1));
    for tag in 0..count {
        let tag = tag + 200;
        tags.extend_from_slice(&[(tag | 0x80) as u8, ((tag >> 7) | 0x80) as u8, (tag >> 14) as u8]);
        tags.push(0);
    }
    let (decoded, allocated) = measure(12, 4, &tags);
    assert!(decoded.is_ok(), "{decoded:?}");
    assert!(allocated <= RATIO * tags.len() + CONSTANT, "{allocated} for {}", tags.len());
}
