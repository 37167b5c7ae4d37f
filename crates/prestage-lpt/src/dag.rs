//! The stages of a pipeline as a graph of `needs` edges.
//!
//! Works on names only. The order it returns is stable: a stage comes after what it needs, and
//! otherwise keeps its place.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use crate::error::{Error, PROBLEMS_MAX, Result, nearest};
use crate::expansion::STAGES_MAX;
use crate::name::fold;

/// From so many nodes the shortest circle is looked for; a pipeline of ours has no more.
const CYCLE_STARTS_MAX: usize = STAGES_MAX;

/// One node: its name and the names of what it waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    pub(crate) needs: &'a [String],
}

/// Checks names and edges and returns the indices in an order that respects the edges.
pub(crate) fn check(owner: &str, nodes: &[Node<'_>]) -> Result<Vec<usize>> {
    let mut problems = duplicates(owner, nodes);
    let edges = match edges(nodes) {
        Some(edges) => edges,
        None => {
            problems.extend(unknown_edges(owner, nodes));
            Vec::new()
        }
    };
    Error::collected(problems)?;
    let order = order(&edges);
    if order.len() == nodes.len() {
        return Ok(order);
    }
    let cycle = shortest_cycle(&edges, &order).expect("only a circle keeps nodes out of the order");
    Err(Error::DagCycle {
        owner: owner.to_owned(),
        cycle: cycle
            .into_iter()
            .map(|index| nodes[index].name.to_owned())
            .collect(),
    })
}

fn duplicates(owner: &str, nodes: &[Node<'_>]) -> Vec<Error> {
    let mut seen: BTreeMap<Cow<'_, str>, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for node in nodes {
        let slug = fold(node.name);
        if let Some(first) = seen.insert(slug.clone(), node.name) {
            problems.push(Error::StageDup {
                owner: owner.to_owned(),
                first: first.to_owned(),
                second: node.name.to_owned(),
                slug: slug.into_owned(),
            });
        }
    }
    problems
}

fn unknown_edges(owner: &str, nodes: &[Node<'_>]) -> Vec<Error> {
    let mut problems = Vec::new();
    let known: BTreeSet<&str> = nodes.iter().map(|node| node.name).collect();
    for node in nodes {
        let unknown = |needed: &&String| !known.contains(needed.as_str());
        for needed in node.needs.iter().filter(unknown) {
            if problems.len() == PROBLEMS_MAX {
                return problems;
            }
            problems.push(Error::DagUnknown {
                owner: owner.to_owned(),
                stage: node.name.to_owned(),
                needs: needed.clone(),
                nearest: nearest(needed, known.iter().copied()),
            });
        }
    }
    problems
}

/// For each node the indices of what it needs; none when something needed does not exist.
fn edges(nodes: &[Node<'_>]) -> Option<Vec<Vec<usize>>> {
    let index: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(i, n)| (n.name, i)).collect();
    let of = |needed: &String| index.get(needed.as_str()).copied();
    nodes
        .iter()
        .map(|node| node.needs.iter().map(of).collect())
        .collect()
}

/// Breadth-first from the nodes that no order can place, back to themselves; the first of the
/// shortest, closed. Of very many nodes only some are tried, beginning with one on a circle.
fn shortest_cycle(edges: &[Vec<usize>], order: &[usize]) -> Option<Vec<usize>> {
    let mut is_left = vec![true; edges.len()];
    for &placed in order {
        is_left[placed] = false;
    }
    let left = || (0..edges.len()).filter(|&node| is_left[node]);
    // Every node that is left waits for another one that is, so whoever goes on meets a circle.
    let next = |node: usize| edges[node].iter().copied().find(|&needed| is_left[needed]);
    let on_circle = left().fold(left().next()?, |node, _| next(node).unwrap_or(node));
    left()
        .take(CYCLE_STARTS_MAX)
        .chain([on_circle])
        .filter_map(|start| cycle_through(start, edges))
        .min_by_key(Vec::len)
}

fn cycle_through(start: usize, edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut from: Vec<Option<usize>> = vec![None; edges.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &needed in &edges[node] {
            if needed == start {
                let mut cycle = vec![start, node];
                let mut at = node;
                while at != start {
                    at = from[at]
                        .expect("every visited node but the start was reached from another");
                    cycle.push(at);
                }
                cycle.reverse();
                return Some(cycle);
            }
            if from[needed].is_none() {
                from[needed] = Some(node);
                queue.push_back(needed);
            }
        }
    }
    None
}

/// Always the first node all of whose needs are placed (Kahn 1962, with a heap of what is ready);
/// nodes of a circle and what waits for them are left out.
fn order(edges: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut dependants: Vec<Vec<usize>> = vec![Vec::new(); edges.len()];
    for (node, needs) in edges.iter().enumerate() {
        for &needed in needs {
            dependants[needed].push(node);
        }
    }
    let is_ready = |node: &usize| waiting[*node] == 0;
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..edges.len()).filter(is_ready).map(Reverse).collect();
    let mut order = Vec::with_capacity(edges.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for &dependant in &dependants[node] {
            waiting[dependant] -= 1;
            if waiting[dependant] == 0 {
                ready.push(Reverse(dependant));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(graph: &[(&str, &[&str])]) -> Result<Vec<usize>> {
        let needs: Vec<Vec<String>> = graph
            .iter()
            .map(|(_, needs)| needs.iter().map(|n| (*n).to_owned()).collect())
            .collect();
        let nodes: Vec<Node<'_>> = graph
            .iter()
            .zip(&needs)
            .map(|((name, _), needs)| Node { name, needs })
            .collect();
        check("t", &nodes)
    }

    #[test]
    fn order_is_stable_and_respects_needs() {
        let order = run(&[("c", &["a"]), ("a", &[]), ("b", &["a"])]).unwrap();
        assert_eq!(order, [1, 0, 2]);
    }

    proptest! {
        #[test]
        fn the_order_takes_the_first_ready_node_each_time(
            needs in proptest::collection::vec(proptest::collection::vec(0_usize..40, 0..4), 1..40),
            places in Just((0..40).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            // Node `i` may need those that the shuffle places before it: no circle arises.
            let count = needs.len();
            let edges: Vec<Vec<usize>> = needs
                .iter()
                .enumerate()
                .map(|(node, needs)| {
                    let earlier = |needed: &usize| *needed < count && places[*needed] < places[node];
                    needs.iter().copied().filter(earlier).collect()
                })
                .collect();
            let mut expected: Vec<usize> = Vec::new();
            while expected.len() < count {
                let is_ready = |node: &usize| {
                    !expected.contains(node)
                        && edges[*node].iter().all(|needed| expected.contains(needed))
                };
                let next = (0..count).find(is_ready).unwrap();
                expected.push(next);
            }
            prop_assert_eq!(order(&edges), expected);
        }
    }

    #[test]
    fn the_shortest_cycle_is_reported() {
        let graph: &[(&str, &[&str])] = &[
            ("a", &["b"]),
            ("b", &["c"]),
            ("c", &["a", "d"]),
            ("d", &["c"]),
        ];
        let Error::DagCycle { cycle, .. } = run(graph).unwrap_err() else {
            panic!("expected a cycle");
        };
        assert_eq!(cycle, ["c", "d", "c"]);
        let own: &[(&str, &[&str])] = &[("a", &["a"])];
        assert_eq!(run(own).unwrap_err().code(), "E-DAG-CYCLE");
    }

    #[test]
    fn unknown_edges_and_folded_duplicates_are_all_reported() {
        let graph: &[(&str, &[&str])] =
            &[("Deploy_x", &[]), ("deploy-x", &["biuld"]), ("build", &[])];
        let error = run(graph).unwrap_err();
        let codes: Vec<&str> = error.problems().iter().map(|e| e.code()).collect();
        assert_eq!(codes, ["E-STAGE-DUP", "E-DAG-UNKNOWN"]);
        assert!(
            error.to_string().contains("did you mean `build`"),
            "{error}"
        );
    }
}
