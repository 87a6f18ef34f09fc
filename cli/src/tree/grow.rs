//! Arranges namespaces and processes as nested frames and trees, with their labels. Inspects
//! nothing: it works on what `seclude::namespaces` has found.
//!
//! The names of processes are hostile input. What could control a terminal is escaped here.

use seclude::{LiveNamespace, Namespace, Namespaces, Process};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The inode number of the initial pid namespace, the same on every Linux. Process 2 in it is the
/// parent of the kernel threads.
const INITIAL: Home = 0xEFFF_FFFC;
/// The deepest level to draw. Deeper processes are only counted. The programs inside control the
/// depth, so it must be bounded.
const LEVELS: usize = 100;
/// The number of characters of a command line to show.
const LETTERS: usize = 80;

/// The frame of a process: the id of its pid namespace, or a negative number if that is not known.
type Home = i64;

/// A process with its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its ids, the outer one first. Empty for a line that counts processes which are not drawn.
    pub ids: Vec<u32>,
    /// Its name, and the kinds of namespace that it does not share with its parent. If the network
    /// is one of them, its addresses.
    pub label: String,
    /// Details in one line.
    pub story: String,
    pub branches: Vec<Branch>,
}

/// A pid namespace with the process trees in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub title: String,
    pub branches: Vec<Branch>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Branch {
    Node(Node),
    Frame(Frame),
}

/// The text as one line, with unprintable characters and backslashes escaped. This covers control
/// characters and marks that change the direction of writing.
pub fn clean(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => kept.push_str("\\\\"),
            '\n' => kept.push_str("\\n"),
            '\t' => kept.push_str("\\t"),
            '\r' => kept.push_str("\\r"),
            letter if is_printable(letter) => kept.push(letter),
            letter => kept.push_str(&escape(letter)),
        }
    }
    kept
}

/// A character in ASCII.
pub fn escape(letter: char) -> String {
    match u32::from(letter) {
        code @ ..0x100 => format!("\\x{code:02x}"),
        code @ ..0x10000 => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

fn is_printable(letter: char) -> bool {
    // The standard library escapes what is not printable, and at the start of a text also marks
    // that combine with the character before.
    let text: String = ['a', letter].into_iter().collect();
    !text.escape_debug().to_string().starts_with("a\\u")
}

/// Arranges the whole tree, or the part below the process `pid`. With `arguments`, processes are
/// labelled with their command lines. Returns `None` if there is no such process.
pub fn grow(seen: &Namespaces, pid: Option<u32>, arguments: bool) -> Option<Frame> {
    let forest = Forest::new(seen, arguments);
    let Some(pid) = pid else { return Some(forest.frame(forest.outermost, LEVELS)) };
    let home = *forest.home.get(&pid)?;
    Some(Frame {
        title: forest.title(home),
        branches: vec![Branch::Node(forest.node(pid, LEVELS))],
    })
}

/// The places of all processes: frames by namespace, processes by their outer pid.
struct Forest<'a> {
    arguments: bool,
    namespaces: BTreeMap<Home, &'a LiveNamespace>,
    /// The addresses of each network namespace.
    networks: BTreeMap<u64, &'a [IpAddr]>,
    closed: BTreeSet<u32>,
    /// The namespaces of each process, in the order of the list.
    kinds: BTreeMap<u32, Vec<(Namespace, u64)>>,
    processes: BTreeMap<u32, &'a Process>,
    home: BTreeMap<u32, Home>,
    outermost: Home,
    below: BTreeMap<u32, Vec<u32>>,
    roots: BTreeMap<Home, Vec<u32>>,
    frames_at: BTreeMap<u32, Vec<Home>>,
    frames_in: BTreeMap<Home, Vec<Home>>,
}

impl<'a> Forest<'a> {
    fn new(seen: &'a Namespaces, arguments: bool) -> Forest<'a> {
        let mut forest = Forest {
            arguments,
            namespaces: seen.list.iter().map(|one| (home_of(one.id), one)).collect(),
            networks: seen.list.iter().map(|one| (one.id, &*one.addresses)).collect(),
            closed: seen.closed.iter().map(|process| process.pid).collect(),
            kinds: BTreeMap::new(),
            processes: BTreeMap::new(),
            home: BTreeMap::new(),
            outermost: INITIAL,
            below: BTreeMap::new(),
            roots: BTreeMap::new(),
            frames_at: BTreeMap::new(),
            frames_in: BTreeMap::new(),
        };
        let known = |process: &'a Arc<Process>| (process.pid, process.as_ref());
        forest.processes.extend(seen.closed.iter().map(known));
        for namespace in &seen.list {
            forest.processes.extend(namespace.processes.iter().map(known));
            for process in &namespace.processes {
                let kinds = forest.kinds.entry(process.pid).or_default();
                kinds.push((namespace.kind, namespace.id));
            }
        }
        forest.settle();
        let depths = forest.processes.iter();
        let depths = depths.map(|(pid, process)| (process.pids.len(), forest.home[pid]));
        forest.outermost = depths.min().map_or(INITIAL, |(_, home)| home);
        for (pid, process) in &forest.processes {
            let home = forest.home[pid];
            if forest.home.get(&process.parent) == Some(&home) {
                forest.below.entry(process.parent).or_default().push(*pid);
            } else {
                forest.roots.entry(home).or_default().push(*pid);
            }
        }
        let empty = seen.list.iter().filter(|one| one.kind == Namespace::Pid);
        let frames: BTreeSet<Home> =
            empty.map(|one| home_of(one.id)).chain(forest.roots.keys().copied()).collect();
        for frame in frames {
            if frame != forest.outermost {
                forest.place(frame);
            }
        }
        forest
    }

    /// Finds the frame of each process, which is its pid namespace.
    ///
    /// For a closed process, the frame is taken from a parent or child at the same depth: a child
    /// is in its parent's namespace or a deeper one. At depth one it is the caller's namespace. A
    /// closed process without such a relative gets a frame of its own with a negative number.
    fn settle(&mut self) {
        for (pid, kinds) in &self.kinds {
            if let Some((_, id)) = kinds.iter().find(|(kind, _)| *kind == Namespace::Pid) {
                self.home.insert(*pid, home_of(*id));
            }
        }
        let mut relatives: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (pid, process) in &self.processes {
            if let Some(parent) = self.processes.get(&process.parent)
                && parent.pids.len() == process.pids.len()
            {
                relatives.entry(*pid).or_default().push(parent.pid);
                relatives.entry(parent.pid).or_default().push(*pid);
            }
        }
        let spread = |home: &mut BTreeMap<u32, Home>, mut known: Vec<u32>| {
            while let Some(pid) = known.pop() {
                for relative in relatives.get(&pid).into_iter().flatten() {
                    if !home.contains_key(relative) {
                        home.insert(*relative, home[&pid]);
                        known.push(*relative);
                    }
                }
            }
        };
        let known = self.home.keys().copied().collect();
        spread(&mut self.home, known);
        let is_outer = |process: &Process| process.pids.len() == 1;
        let ours = self
            .processes
            .iter()
            .find_map(|(pid, process)| self.home.get(pid).filter(|_| is_outer(process)).copied());
        for (pid, process) in &self.processes {
            if !self.home.contains_key(pid) {
                let home = ours.filter(|_| is_outer(process)).unwrap_or(-Home::from(*pid));
                self.home.insert(*pid, home);
                spread(&mut self.home, vec![*pid]);
            }
        }
    }

    /// Puts a frame at the parent of its first process, or else directly into the outer frame.
    fn place(&mut self, frame: Home) {
        let roots = self.roots.get(&frame).into_iter().flatten();
        let first = roots.map(|pid| self.processes[pid]).min_by_key(|process| process.inside_pid);
        let parent = self.namespaces.get(&frame).and_then(|one| one.parent).map(home_of);
        match (first, parent) {
            (Some(first), _) if self.processes.contains_key(&first.parent) => {
                self.frames_at.entry(first.parent).or_default().push(frame);
            }
            (_, Some(parent)) if self.namespaces.contains_key(&parent) => {
                self.frames_in.entry(parent).or_default().push(frame);
            }
            _ => self.frames_in.entry(self.outermost).or_default().push(frame),
        }
    }

    /// The title at the edge of a frame.
    fn title(&self, frame: Home) -> String {
        let Some(namespace) = self.namespaces.get(&frame) else {
            return "pid namespace, closed to this caller".to_owned();
        };
        let mut title = format!("pid namespace {frame}");
        if let Some(owner) = namespace.owner.and_then(|id| self.namespaces.get(&home_of(id))) {
            title.push_str(&format!(" of user namespace {}", owner.id));
            if let Some(uid) = owner.owner_uid {
                title.push_str(&format!(", made by user {uid}"));
            }
        }
        for path in &namespace.held_by {
            title.push_str(&format!(", held by {}", path.display()));
        }
        clean(&title)
    }

    /// A namespace with its contents, down to `levels` levels.
    fn frame(&self, frame: Home, levels: usize) -> Frame {
        let roots = self.roots.get(&frame).into_iter().flatten();
        let frames = self.frames_in.get(&frame).into_iter().flatten();
        let branches = roots
            .map(|pid| Branch::Node(self.node(*pid, levels.saturating_sub(1))))
            .chain(frames.map(|inner| Branch::Frame(self.frame(*inner, levels.saturating_sub(1)))))
            .collect();
        Frame { title: self.title(frame), branches }
    }

    /// A process with its descendants, down to `levels` levels.
    fn node(&self, pid: u32, levels: usize) -> Node {
        let process = self.processes[&pid];
        let below = self.below.get(&pid).map_or(&[][..], Vec::as_slice);
        let frames = self.frames_at.get(&pid).map_or(&[][..], Vec::as_slice);
        let branches = if self.home[&pid] == INITIAL && pid == 2 {
            vec![self.rest(below, &[], "threads of the kernel")]
        } else if levels <= 1 && !(below.is_empty() && frames.is_empty()) {
            vec![self.rest(below, frames, "processes further down")]
        } else {
            let children = below.iter().map(|child| Branch::Node(self.node(*child, levels - 1)));
            let frames = frames.iter().map(|one| Branch::Frame(self.frame(*one, levels - 1)));
            children.chain(frames).collect()
        };
        Node {
            ids: process.pids.clone(),
            label: self.label(process),
            story: self.story(process),
            branches,
        }
    }

    /// A line that counts processes which are not drawn.
    fn rest(&self, processes: &[u32], frames: &[Home], what: &str) -> Branch {
        let (mut count, mut pending, mut more) = (0, processes.to_vec(), frames.to_vec());
        loop {
            if let Some(pid) = pending.pop() {
                count += 1;
                pending.extend(self.below.get(&pid).into_iter().flatten());
                more.extend(self.frames_at.get(&pid).into_iter().flatten());
            } else if let Some(frame) = more.pop() {
                pending.extend(self.roots.get(&frame).into_iter().flatten());
            } else {
                break;
            }
        }
        let label = format!("{count} {what}");
        Branch::Node(Node { ids: Vec::new(), label, story: String::new(), branches: Vec::new() })
    }

    fn label(&self, process: &Process) -> String {
        let text = if self.arguments { process.command.join(" ") } else { process.name.clone() };
        let mut words = clean(&text);
        if let Some((at, _)) = words.char_indices().nth(LETTERS - 1)
            && words[at..].chars().count() > 1
        {
            words.truncate(at);
            words.push('…');
        }
        if self.closed.contains(&process.pid) {
            return format!("{words} (closed)");
        }
        let mut apart = Vec::new();
        let around = self.kinds.get(&process.parent).map_or(&[][..], Vec::as_slice);
        for (kind, id) in self.kinds.get(&process.pid).into_iter().flatten() {
            let is_apart = around.iter().any(|(other, there)| other == kind && there != id);
            if *kind != Namespace::Pid && is_apart {
                words.push_str(&format!(" +{}", kind.name()));
                let addresses = self.networks.get(id).copied().into_iter().flatten();
                apart.extend(addresses.map(|address| format!(" {address}")));
            }
        }
        words.extend(apart);
        words
    }

    fn story(&self, process: &Process) -> String {
        let words = clean(&process.command.join(" "));
        let kinds = self.kinds.get(&process.pid).into_iter().flatten();
        let kinds: Vec<String> = kinds.map(|(kind, id)| format!("{} {id}", kind.name())).collect();
        let kinds = match &*kinds.join(", ") {
            "" => "its namespaces are closed to this caller".to_owned(),
            kinds => kinds.to_owned(),
        };
        format!("{words}; user {}, state {}; {kinds}", process.uid, process.state)
    }
}

fn home_of(id: u64) -> Home {
    Home::try_from(id).unwrap_or(Home::MAX)
}
