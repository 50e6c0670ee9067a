//! Who came, who went, and who is of the job: a listing of /proc, and a reading of everyone who is watched.
//!
//! Parents are read before their children. So what a child used is seen with the child, or with the parent that has collected it, and never with both.

use barograph_model::Moment;

use super::ProcessSource;
use super::files::Files;
use super::listing::{Entry, NO_INODE, cpu_nanos};
use super::watch::{Scope, Select};
use super::watched::{self, Known, Standing, Watched};
use crate::{Fault, FaultKind};

impl ProcessSource {
    /// Compares the listing with what is known: who is new comes in, who is missing goes. Says whether there was a listing at this tick.
    pub(super) fn compare_listing(&mut self, at: Moment) -> Result<bool, Fault> {
        if self.fast.pids().next().is_some() && !self.listing.is_overdue(at) {
            self.meet_who_was_told_of();
            return Ok(false);
        }
        let ProcessSource { listing, known, before, files, .. } = self;
        let Some(entries) = listing.read(at)? else {
            self.meet_who_came_meanwhile(at);
            return Ok(false);
        };
        std::mem::swap(known, before);
        let mut before = before.drain(..).peekable();
        let mut missing = Vec::new();
        for &entry in entries {
            while let Some(old) = before.next_if(|old| old.entry.pid < entry.pid) {
                if is_hidden(files, &old) { known.push(old) } else { missing.push(old) }
            }
            let standing = match before.next_if(|old| old.entry.pid == entry.pid) {
                // With another inode the pid was used again, or the kernel had forgotten the inode.
                Some(old) if old.entry.inode == entry.inode || is_there(files, &old) => old.standing,
                Some(old) => {
                    missing.push(old);
                    Standing::New
                }
                None => Standing::New,
            };
            known.push(Known { entry, standing });
        }
        for old in before {
            if is_hidden(files, &old) { known.push(old) } else { missing.push(old) }
        }
        for old in missing {
            if let Standing::Watched(process) = old.standing {
                self.depart(at, old.entry.pid, *process, false);
            }
        }
        Ok(true)
    }

    /// Who is new comes in, by the word of the BPF iterator in place of a listing. Who has gone is seen when it is to be read.
    fn meet_who_was_told_of(&mut self) {
        let ProcessSource { fast, known, .. } = self;
        let (listed, mut index) = (known.len(), 0);
        for pid in fast.pids() {
            while index < listed && known[index].entry.pid < pid {
                index += 1;
            }
            if index == listed || known[index].entry.pid != pid {
                known.push(Known { entry: Entry { pid, inode: NO_INODE }, standing: Standing::New });
            }
        }
        // A stranger is never read again, so its end would not be seen, and then its pid be another's.
        known.retain(|known| !matches!(known.standing, Standing::Stranger) || fast.has_seen(known.entry.pid));
        if known.len() > listed || !known.is_sorted_by_key(|known| known.entry.pid) {
            known.sort_unstable_by_key(|known| known.entry.pid);
        }
    }

    /// Who is new comes in although listings rest: a child is seen however many strangers there are.
    fn meet_who_came_meanwhile(&mut self, at: Moment) {
        let Some(pids) = self.listing.given_meanwhile(at) else { return };
        let begin = cpu_nanos();
        let before = self.known.len();
        for pid in pids {
            if watched::find(&self.known[..before], pid).is_none() && self.files.stat(pid, None).is_ok_and(|stat| !stat.is_further_thread) {
                self.known.push(Known { entry: Entry { pid, inode: NO_INODE }, standing: Standing::New });
            }
        }
        self.known.sort_unstable_by_key(|known| known.entry.pid);
        self.listing.has_looked(at, cpu_nanos() - begin);
    }

    /// Writes the end of a process. It is late if the listing of this tick still had it: then its parent may have been read before it was collected.
    fn depart(&mut self, at: Moment, pid: u32, process: Watched, late: bool) {
        if process.member {
            self.ledger.depart(process.gone(pid, late));
            self.member_left = true;
        }
        if process.identity.is_some() {
            self.identities.ended(at, self.machine.ticks_per_second as f64, process.who(pid), None);
        }
        self.files.release(process.kept);
    }

    /// Reads everyone who is watched, and meets who is new. Who can't be read because it is not there any more is gone.
    pub(super) fn read_known(&mut self, at: Moment) {
        self.met.clear();
        let may_be_ours = self.began_with.take().and_then(|pid| self.listing.pids_since(at, pid)).unwrap_or(0..=u32::MAX);
        let others_are_due = self.others_are_due();
        for index in 0..self.known.len() {
            if !may_be_ours.contains(&self.known[index].entry.pid) {
                self.known[index].standing = Standing::Stranger;
            }
            while let Some(ancestor) = self.unread_ancestor(index) {
                self.read_one(at, ancestor);
            }
            if others_are_due || !matches!(&self.known[index].standing, Standing::Watched(process) if !process.member) {
                self.read_one(at, index);
            }
        }
        self.member_left = false;
        // Still new are those who vanished while we looked. Whoever has their pid now is met after the next listing.
        self.known.retain(|known| !matches!(known.standing, Standing::New));
    }

    fn others_are_due(&self) -> bool {
        self.others_every > 0 && self.turn.is_multiple_of(self.others_every)
    }

    /// Reads all processes at once where that is cheaper. The job's own are read by themselves, parents before children.
    pub(super) fn read_fast(&mut self, at: Moment) {
        if !self.others_are_due() {
            self.fast.rest();
            return;
        }
        let (mut others, mut threads) = (0, 0);
        for (_, process) in self.known.iter().filter_map(Known::watched) {
            others += usize::from(!process.member);
            threads += process.stat.threads;
        }
        self.fast.read(at, others, threads);
    }

    /// The farthest ancestor that is yet to be read, above parents that are. Pids begin anew at some point, so a parent may come after its child.
    fn unread_ancestor(&self, index: usize) -> Option<usize> {
        let parent = |index: usize| {
            let (pid, child) = self.known[index].member()?;
            let parent = (child.stat.parent > pid).then(|| self.find(child.stat.parent))??;
            self.known[parent].member().filter(|(_, process)| process.tried != self.turn).map(|_| parent)
        };
        std::iter::successors(parent(index), |&ancestor| parent(ancestor)).last()
    }

    fn read_one(&mut self, at: Moment, index: usize) {
        let pid = self.known[index].entry.pid;
        let standing = std::mem::replace(&mut self.known[index].standing, Standing::New);
        self.known[index].standing = match standing {
            Standing::Stranger => Standing::Stranger,
            Standing::New => self.meet(pid),
            Standing::Watched(process) if process.tried == self.turn => Standing::Watched(process),
            Standing::Watched(process) => self.read_again(at, pid, process),
        };
    }

    /// Whether those that are there before the job begins need no look: it is all about children that we will have, and we have none yet.
    pub(super) fn only_adopts(&self) -> bool {
        self.watch.adopts && self.watch.roots.is_empty() && self.watch.scope == Scope::Tree && !self.had_children
    }

    fn meet(&mut self, pid: u32) -> Standing {
        let run_nanos = self.files.run_nanos(pid);
        match self.files.stat(pid, None) {
            Ok(stat) => {
                self.met.push(pid);
                Standing::Watched(Box::new(Watched::new(self.turn, stat, run_nanos)))
            }
            Err(FaultKind::Gone) => Standing::New,
            Err(kind) => {
                self.faults.count(kind);
                if kind != FaultKind::Limit {
                    return Standing::Stranger;
                }
                // At a limit of ours it is tried again: it may be of the job.
                self.listing.trust_no_more();
                Standing::New
            }
        }
    }

    fn read_again(&mut self, at: Moment, pid: u32, mut process: Box<Watched>) -> Standing {
        process.tried = self.turn;
        if !process.member
            && let Some(answer) = self.fast.answer(pid, &process.stat)
        {
            process.advance_fast(self.turn, answer);
            return Standing::Watched(process);
        }
        let run_nanos = self.files.run_nanos(pid);
        // Whose parent has gone has another one, without having run.
        let may_have_new_parent = process.member && self.member_left;
        if !may_have_new_parent && process.rests(at.monotonic_nanos, pid, run_nanos, self.machine.page_size) {
            process.rest_on(self.turn);
            return Standing::Watched(process);
        }
        match self.files.stat(pid, process.kept.as_ref()) {
            Ok(stat) if stat.start_ticks == process.stat.start_ticks => {
                process.advance(self.turn, stat, run_nanos);
                process.read_at = at.monotonic_nanos;
                self.read_io(at, pid, &mut process);
                if !process.member && process.kept.is_none() && self.fast.is_off() {
                    // It has lived from one reading to the next: it is worth it.
                    process.kept = self.files.keep_other(pid, self.has_job());
                }
                Standing::Watched(process)
            }
            Ok(_) | Err(FaultKind::Gone) => {
                self.faults.count(FaultKind::Gone);
                self.depart(at, pid, *process, true);
                Standing::New
            }
            // A limit of ours, or a file that is not as it should be, says nothing about the process: it keeps what it had.
            Err(kind) => {
                self.faults.count(kind);
                Standing::Watched(process)
            }
        }
    }

    pub(super) fn read_io(&mut self, at: Moment, pid: u32, process: &mut Watched) {
        let wanted = process.member || process.selected || matches!(self.watch.select, Select::Everyone | Select::Busiest(_));
        if !wanted || (process.io_failed && at.monotonic_nanos < process.detail_due) {
            return;
        }
        if process.rested && process.io.is_some() {
            return;
        }
        match self.files.io(pid, process.kept.as_ref()) {
            Ok(io) => (process.io, process.io_failed) = (Some(io), false),
            Err(kind) => {
                // Who has ended withholds nothing: who collects it has what it used.
                let has_ended = self.has_ended(pid, process);
                process.io_failed = !has_ended;
                self.faults.count(if has_ended { FaultKind::Gone } else { kind });
            }
        }
    }

    /// Whether a process has ended whose `io` could not be read; else it is not ours to read, or this kernel has no such file.
    fn has_ended(&mut self, pid: u32, process: &Watched) -> bool {
        match self.files.stat(pid, None) {
            // Without memory its files are root's (`task_dump_owner` of the kernel): its own user is refused. The kernel's workers have never had any.
            Ok(stat) => stat.virtual_bytes == 0 && (process.member || process.stat.virtual_bytes > 0),
            Err(kind) => kind == FaultKind::Gone,
        }
    }

    /// Decides for those met at this tick whether they are of the job.
    pub(super) fn find_members(&mut self, at: Moment) {
        let met = std::mem::take(&mut self.met);
        // A parent may come after its child, so it takes as many rounds as there are such pairs in a line.
        while met.iter().filter(|&&pid| self.join(pid)).count() > 0 {}
        for &pid in &met {
            let Some(index) = self.find(pid) else { continue };
            let Standing::Watched(mut process) = std::mem::replace(&mut self.known[index].standing, Standing::Stranger) else { continue };
            if process.member || self.watch.scope == Scope::Machine {
                process.kept = if process.member { self.files.keep(pid) } else { None };
                self.read_io(at, pid, &mut process);
                self.known[index].standing = Standing::Watched(process);
            }
        }
        self.met = met;
    }

    /// Makes it a member if it is one and was not. Says whether it did.
    fn join(&mut self, pid: u32) -> bool {
        let Some(index) = self.find(pid) else { return false };
        let Some((_, process)) = self.known[index].watched() else { return false };
        let parent = process.stat.parent;
        // A recorder is not of the job that it watches, but where it is part of that very program.
        if process.member || pid == self.own_pid && !self.watch.roots.contains(&pid) {
            return false;
        }
        let is_ours = parent == self.own_pid && self.watch.adopts;
        if is_ours && self.first && !self.foreign.contains(&pid) {
            // A shell that became us by `exec` left us its children. They are not of the job, which is yet to begin.
            self.foreign.push(pid);
        }
        // The roots were there when we were told of them: later their pids are other processes'.
        let joins = self.first && self.watch.roots.contains(&pid)
            || is_ours && !self.foreign.contains(&pid)
            || self.find(parent).is_some_and(|parent| self.known[parent].member().is_some());
        if joins && let Standing::Watched(process) = &mut self.known[index].standing {
            process.member = true;
            self.ledger.seen += 1;
        }
        joins
    }
}

/// Whether a watched process is still the one that it was.
fn is_there(files: &mut Files, known: &Known) -> bool {
    known
        .watched()
        .is_some_and(|(pid, process)| files.stat(pid, process.kept.as_ref()).is_ok_and(|stat| stat.start_ticks == process.stat.start_ticks))
}

/// Whether it is not listed and yet there, as the option hidepid of proc(5) has it with processes of other users: its files are open since it was ours.
fn is_hidden(files: &mut Files, known: &Known) -> bool {
    known.watched().is_some_and(|(_, process)| process.kept.is_some()) && is_there(files, known)
}
