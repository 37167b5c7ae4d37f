//! An implicit 4-ary heap of keys, least first, in a plain vector.
//!
//! Sifting moves a hole instead of swapping. Must not know what a key stands for.

use super::key::Key;

/// Children of a node. Four 16-byte keys fill one cache line.
pub(super) const ARITY: usize = 4;

/// Adds `key`.
#[inline]
pub(super) fn push(heap: &mut Vec<Key>, key: Key) {
    heap.push(key);
    let mut hole = heap.len() - 1;
    while hole > 0 {
        let parent = (hole - 1) / ARITY;
        if heap[parent] <= key {
            break;
        }
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = key;
}

/// Removes the root.
#[inline]
pub(super) fn remove_first(heap: &mut Vec<Key>) {
    if let Some(last) = heap.pop()
        && !heap.is_empty()
    {
        replace_first(heap, last);
    }
}

/// Puts `key` where the root was and moves it down to its place.
#[inline]
pub(super) fn replace_first(heap: &mut [Key], key: Key) {
    let mut hole = 0;
    loop {
        let first = hole * ARITY + 1;
        let Some(children) = heap.get(first..) else {
            break;
        };
        let (least, child) = match children.first_chunk::<ARITY>() {
            Some(children) => least_of_four(children),
            None if children.is_empty() => break,
            None => least(children),
        };
        if least >= key {
            break;
        }
        heap[hole] = least;
        hole = first + child;
    }
    heap[hole] = key;
}

/// Written as selects, which the compiler turns into conditional moves: which child
/// is least is a coin toss that no branch predictor can learn. (A tournament of three
/// comparisons took 69 ns instead of 54 in the hold model with 1,000 pending events,
/// and the same time in M/M/16 and in a pipeline.)
#[inline]
fn least_of_four(children: &[Key; ARITY]) -> (Key, usize) {
    let (mut key, mut index) = (children[0], 0);
    for (other, &child) in children.iter().enumerate().skip(1) {
        let less = child < key;
        index = if less { other } else { index };
        key = if less { child } else { key };
    }
    (key, index)
}

#[inline]
fn least(children: &[Key]) -> (Key, usize) {
    let mut best = (children[0], 0);
    for (index, &child) in children.iter().enumerate().skip(1) {
        if child < best.0 {
            best = (child, index);
        }
    }
    best
}
