//! Breadth first through every state of a table. The way to a broken law is therefore as short as possible, and it is
//! printed step by step.
//!
//! A course (how a run goes on when nothing unexpected happens) is one edge out of each state. When all edges are
//! known, no course may go round in a circle: so each one ends, and where it ends its laws hold.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use pm::supervisor::{Action, Event};

use super::state::{Course, Move, State};
use super::table::Table;
use crate::laws::Broken;

/// No state: the course ends here, or goes on through states that were not searched.
const NONE: u32 = u32::MAX;

/// Longer than any course from any state of these tables.
const COURSE_MAX: u32 = 500;

pub struct Search<'a> {
    table: &'a Table,
    first: State,
    nodes: Vec<Node>,
    ids: HashMap<u64, u32>,
    open: VecDeque<(u32, State)>,
    pub transitions: u64,
}

/// How a state was first reached, and where each course leads from it.
struct Node {
    from: u32,
    /// Which of the moves that were possible there, and which of the states that follow.
    made: (u16, u16),
    courses: [u32; Course::ALL.len()],
}

/// What was seen.
pub struct Extent {
    pub states: usize,
    pub transitions: u64,
    /// The greatest number of steps from the first state.
    pub depth: u32,
    /// No state is left that was not searched.
    pub is_complete: bool,
}

impl<'a> Search<'a> {
    pub fn new(table: &'a Table) -> Self {
        let first = State::first(table, Instant::now());
        let mut search = Self {
            table,
            first: first.clone(),
            nodes: Vec::new(),
            ids: HashMap::new(),
            open: VecDeque::new(),
            transitions: 0,
        };
        search.enter(first.key(table), first, NONE, (0, 0));
        search
    }

    /// Searches until no state is left, or this many were seen. The error is the broken law and the way to it.
    pub fn run(mut self, states_max: usize) -> Result<Extent, String> {
        let mut is_complete = true;
        while let Some((id, state)) = self.open.pop_front() {
            if self.nodes.len() >= states_max {
                is_complete = false;
                self.follow_courses(id, &state)?;
            } else {
                self.expand(id, &state)?;
            }
        }
        for (course, name) in Course::ALL.into_iter().enumerate() {
            if let Some(id) = self.find_circle(course) {
                let how = format!("{name:?} never ends");
                return Err(self.explain(id, None, &Broken { law: "each course ends", how }));
            }
        }
        let last = u32::try_from(self.nodes.len() - 1).expect("few states");
        Ok(Extent {
            states: self.nodes.len(),
            transitions: self.transitions,
            depth: u32::try_from(self.way_to(last).len()).expect("few steps"),
            is_complete,
        })
    }

    fn expand(&mut self, id: u32, state: &State) -> Result<(), String> {
        let next = Course::ALL.map(|course| course.next(state));
        for (course, _) in Course::ALL.iter().zip(next).filter(|(_, next)| next.is_none()) {
            course.check_end(state).map_err(|broken| self.explain(id, None, &broken))?;
        }
        let moves = state.moves(self.table);
        for (n, made) in moves.iter().enumerate() {
            let explain = |search: &Self, broken| search.explain(id, Some(*made), &broken);
            let step = state.step(*made, self.table).map_err(|broken| explain(self, broken))?;
            for (which, reached) in step.next.into_iter().enumerate() {
                self.transitions += 1;
                let key = reached.key(self.table);
                // In a state that is known, the same laws hold; but some are for ticks only.
                if reached.cause == Some(Event::Tick) || !self.ids.contains_key(&key) {
                    reached.check().map_err(|broken| explain(self, broken))?;
                }
                let to = self.enter(key, reached, id, (small(n), small(which)));
                for (course, _) in next.iter().enumerate().filter(|(_, next)| **next == Some(*made))
                {
                    if which == 0 {
                        self.nodes[id as usize].courses[course] = to;
                    }
                }
            }
        }
        for (course, next) in next.iter().enumerate() {
            // Stubborn workers die by a signal, which is no move of the search.
            let Some(made) = next.filter(|next| !moves.contains(next)) else { continue };
            let explain = |search: &Self, broken| search.explain(id, Some(made), &broken);
            let step = state.step(made, self.table).map_err(|broken| explain(self, broken))?;
            let reached = step.next.into_iter().next().expect("a step leads somewhere");
            let key = reached.key(self.table);
            if let Some(to) = self.ids.get(&key) {
                self.nodes[id as usize].courses[course] = *to;
            } else {
                self.follow(Course::ALL[course], id, reached)?;
            }
        }
        Ok(())
    }

    /// The id of a state that was reached; the state is searched later if it is new.
    fn enter(&mut self, key: u64, state: State, from: u32, made: (u16, u16)) -> u32 {
        let new = u32::try_from(self.nodes.len()).expect("few states");
        let id = *self.ids.entry(key).or_insert(new);
        if id == new {
            self.nodes.push(Node { from, made, courses: [NONE; Course::ALL.len()] });
            self.open.push_back((id, state));
        }
        id
    }

    fn follow_courses(&self, id: u32, state: &State) -> Result<(), String> {
        Course::ALL.into_iter().try_for_each(|course| self.follow(course, id, state.clone()))
    }

    /// Takes a course step by step to its end, through states that are not searched.
    fn follow(&self, course: Course, id: u32, mut state: State) -> Result<(), String> {
        for _ in 0..COURSE_MAX {
            let Some(made) = course.next(&state) else {
                return course.check_end(&state).map_err(|broken| self.explain(id, None, &broken));
            };
            let step = state.step(made, self.table);
            let step = step.map_err(|broken| self.explain(id, Some(made), &broken))?;
            state = step.next.into_iter().next().expect("a step leads somewhere");
            state.check().map_err(|broken| self.explain(id, Some(made), &broken))?;
        }
        let how = format!("{course:?} never ends");
        Err(self.explain(id, None, &Broken { law: "each course ends", how }))
    }

    /// A state from which the course comes back to itself.
    fn find_circle(&self, course: usize) -> Option<u32> {
        let mut seen_in = vec![NONE; self.nodes.len()];
        for start in 0..u32::try_from(self.nodes.len()).expect("few states") {
            let mut at = start;
            while at != NONE && seen_in[at as usize] == NONE {
                seen_in[at as usize] = start;
                at = self.nodes[at as usize].courses[course];
            }
            if at != NONE && seen_in[at as usize] == start {
                return Some(at);
            }
        }
        None
    }

    /// The moves from the first state to this one.
    fn way_to(&self, mut id: u32) -> Vec<(u16, u16)> {
        let mut way = Vec::new();
        while self.nodes[id as usize].from != NONE {
            way.push(self.nodes[id as usize].made);
            id = self.nodes[id as usize].from;
        }
        way.reverse();
        way
    }

    /// The broken law and the way to it: each move, the answer, and what the slots were at then.
    fn explain(&self, id: u32, last: Option<Move>, broken: &Broken) -> String {
        let Broken { law, how } = broken;
        let mut lines = vec![format!("{}: broke the law `{law}`: {how}", self.table.name)];
        let mut state = self.first.clone();
        let epoch = state.now;
        let mut tell = |state: &State, made: Move, actions: &[Action], then: &str| {
            lines.push(format!("{:4}    {made:?}", (state.now - epoch).as_secs()));
            lines.extend(actions.iter().map(|action| format!("{:12}-> {action:?}", "")));
            lines.push(format!("{:8}{then}", ""));
        };
        for (n, which) in self.way_to(id) {
            let made = state.moves(self.table)[usize::from(n)];
            let step = state.step(made, self.table).expect("it was made before");
            let reached = step.next[usize::from(which)].clone();
            tell(&state, made, &step.actions, &reached.describe(epoch));
            state = reached;
        }
        if let Some(made) = last {
            tell(&state, made, &state.answer(made, self.table), "here");
        }
        lines.join("\n")
    }
}

fn small(n: usize) -> u16 {
    u16::try_from(n).expect("few moves")
}
