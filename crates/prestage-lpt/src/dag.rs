//! The stages of a pipeline as a graph of `needs` edges.
//!
//! Works on names only. The order it returns is stable: a stage comes after what it needs, and
//! otherwise keeps its place.

use std::collections::{BTreeMap, VecDeque};

use crate::error::{Error, Result, nearest};
use crate::name::fold;

/// One node: its name and the names of what it waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    pub(crate) name: &'a str,
    pub(crate) needs: &'a [String],
}

/// Checks names and edges and returns the indices in an order that respects the edges.
pub(crate) fn check(owner: &str, nodes: &[Node<'_>]) -> Result<Vec<usize>> {
    let mut problems = duplicates(owner, nodes);
    problems.extend(unknown_edges(owner, nodes));
    Error::collected(problems)?;
    let edges = edges(nodes);
    match shortest_cycle(&edges) {
        Some(cycle) => Err(Error::DagCycle {
            owner: owner.to_owned(),
            cycle: cycle
                .into_iter()
                .map(|index| nodes[index].name.to_owned())
                .collect(),
        }),
        None => Ok(order(&edges)),
    }
}

fn duplicates(owner: &str, nodes: &[Node<'_>]) -> Vec<Error> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for node in nodes {
        let slug = fold(node.name);
        if let Some(first) = seen.insert(slug.clone(), node.name) {
            problems.push(Error::StageDup {
                owner: owner.to_owned(),
                first: first.to_owned(),
                second: node.name.to_owned(),
                slug,
            });
        }
    }
    problems
}

fn unknown_edges(owner: &str, nodes: &[Node<'_>]) -> Vec<Error> {
    let mut problems = Vec::new();
    for node in nodes {
        let unknown = |needed: &&String| !nodes.iter().any(|known| known.name == **needed);
        for needed in node.needs.iter().filter(unknown) {
            problems.push(Error::DagUnknown {
                owner: owner.to_owned(),
                stage: node.name.to_owned(),
                needs: needed.clone(),
                nearest: nearest(needed, nodes.iter().map(|known| known.name)),
            });
        }
    }
    problems
}

/// For each node the indices of what it needs.
fn edges(nodes: &[Node<'_>]) -> Vec<Vec<usize>> {
    let index: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(i, n)| (n.name, i)).collect();
    nodes
        .iter()
        .map(|node| {
            node.needs
                .iter()
                .map(|needed| index[needed.as_str()])
                .collect()
        })
        .collect()
}

/// Breadth-first from every node back to itself; the first of the shortest, closed.
fn shortest_cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    (0..edges.len())
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

fn order(edges: &[Vec<usize>]) -> Vec<usize> {
    let mut placed = vec![false; edges.len()];
    let mut order = Vec::with_capacity(edges.len());
    while order.len() < edges.len() {
        let next = (0..edges.len())
            .find(|&i| !placed[i] && edges[i].iter().all(|&needed| placed[needed]))
            .expect("an acyclic graph always has a node whose needs are placed");
        placed[next] = true;
        order.push(next);
    }
    order
}

#[cfg(test)]
mod tests {
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
