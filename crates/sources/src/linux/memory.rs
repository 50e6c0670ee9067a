//! Memory of the whole machine: /proc/meminfo for levels, /proc/vmstat for what was paged, swapped and faulted.

use std::sync::Arc;

use barograph_model::{Batch, Bytes, Count, Counter, Described, Gauge, Moment, Physical, Rows, Unit, table};

use crate::scan::{count, lines, number, split_key, words};
use crate::{Cadence, Entry, Fault, KeptFile, Machine, Root, Source};

table! {
    /// Memory of the whole machine, as the kernel accounts for it.
    pub Memory = "memory" in "/proc/meminfo and /proc/vmstat" {
        /// RAM that the kernel manages: installed memory less what firmware and kernel code keep.
        total: Gauge<Bytes> = "meminfo MemTotal",
        /// RAM that a new program could take without anything being swapped out.
        available: Gauge<Bytes> = "meminfo MemAvailable",
        /// RAM that holds nothing at all.
        free: Gauge<Bytes> = "meminfo MemFree",
        /// Raw blocks of devices held in RAM.
        buffers: Gauge<Bytes> = "meminfo Buffers",
        /// Pages of files held in RAM, shared memory and tmpfs included.
        cached: Gauge<Bytes> = "meminfo Cached",
        /// Pages that are in swap and in RAM too.
        swap_cached: Gauge<Bytes> = "meminfo SwapCached",
        /// Pages used lately, which are reclaimed last.
        active: Gauge<Bytes> = "meminfo Active",
        /// Pages not used lately, which are reclaimed first.
        inactive: Gauge<Bytes> = "meminfo Inactive",
        /// Pages that can't be reclaimed, locked ones among them.
        unevictable: Gauge<Bytes> = "meminfo Unevictable",
        /// Pages locked by mlock(2).
        locked: Gauge<Bytes> = "meminfo Mlocked",
        /// Pages of files that await being written back.
        dirty: Gauge<Bytes> = "meminfo Dirty",
        /// Pages of files that are being written back now.
        writeback: Gauge<Bytes> = "meminfo Writeback",
        /// Pages of programs that belong to no file: heaps and stacks.
        anonymous: Gauge<Bytes> = "meminfo AnonPages",
        /// Pages of files that programs have mapped.
        mapped: Gauge<Bytes> = "meminfo Mapped",
        /// Shared memory and tmpfs.
        shared: Gauge<Bytes> = "meminfo Shmem",
        /// Memory of the kernel that it gives back under pressure.
        kernel_reclaimable: Gauge<Bytes> = "meminfo KReclaimable",
        /// Data structures of the kernel.
        slab: Gauge<Bytes> = "meminfo Slab",
        /// The part of the slab that can be given back, such as caches of names.
        slab_reclaimable: Gauge<Bytes> = "meminfo SReclaimable",
        /// The part of the slab that can't be given back.
        slab_unreclaimable: Gauge<Bytes> = "meminfo SUnreclaim",
        /// Stacks of the kernel, one for each task.
        kernel_stacks: Gauge<Bytes> = "meminfo KernelStack",
        /// The tables that map virtual to physical memory.
        page_tables: Gauge<Bytes> = "meminfo PageTables",
        /// What the kernel took by vmalloc.
        vmalloc_used: Gauge<Bytes> = "meminfo VmallocUsed",
        /// Memory of per-core variables of the kernel.
        per_cpu: Gauge<Bytes> = "meminfo Percpu",
        /// Memory promised to programs, whether they touched it or not.
        committed: Gauge<Bytes> = "meminfo Committed_AS",
        /// The most that would be promised if the machine refused to overcommit.
        commit_limit: Gauge<Bytes> = "meminfo CommitLimit",
        /// Memory that the hardware found broken.
        hardware_corrupted: Gauge<Bytes> = "meminfo HardwareCorrupted",
        /// Anonymous memory in transparent huge pages.
        anonymous_huge_pages: Gauge<Bytes> = "meminfo AnonHugePages",
        /// Shared memory in huge pages.
        shared_huge_pages: Gauge<Bytes> = "meminfo ShmemHugePages",
        /// Huge pages in the default pool, in pages.
        huge_pages_total: Gauge<Count> = "meminfo HugePages_Total",
        /// Huge pages of the pool that nobody has taken.
        huge_pages_free: Gauge<Count> = "meminfo HugePages_Free",
        /// Huge pages promised and not yet taken.
        huge_pages_reserved: Gauge<Count> = "meminfo HugePages_Rsvd",
        /// Size of a huge page of the default pool.
        huge_page_size: Gauge<Bytes> = "meminfo Hugepagesize",
        /// Room for swap.
        swap_total: Gauge<Bytes> = "meminfo SwapTotal",
        /// Room for swap that is not in use.
        swap_free: Gauge<Bytes> = "meminfo SwapFree",
        /// Swapped memory kept compressed in RAM, after compression.
        zswap: Gauge<Bytes> = "meminfo Zswap",
        /// Swapped memory kept compressed in RAM, before compression.
        zswapped: Gauge<Bytes> = "meminfo Zswapped",
        /// Bytes that came from block devices by paging since boot.
        paged_in: Counter<Bytes> = "vmstat pgpgin",
        /// Bytes that went to block devices by paging since boot.
        paged_out: Counter<Bytes> = "vmstat pgpgout",
        /// Bytes read back from swap since boot.
        swapped_in: Counter<Bytes> = "vmstat pswpin",
        /// Bytes written out to swap since boot.
        swapped_out: Counter<Bytes> = "vmstat pswpout",
        /// Page faults since boot, minor and major.
        faults: Counter<Count> = "vmstat pgfault",
        /// Page faults since boot that had to wait for a device.
        major_faults: Counter<Count> = "vmstat pgmajfault",
        /// Bytes reclaimed in the background since boot.
        reclaimed_background: Counter<Bytes> = "vmstat pgsteal_kswapd",
        /// Bytes that programs had to reclaim themselves, waiting, since boot.
        reclaimed_direct: Counter<Bytes> = "vmstat pgsteal_direct",
        /// Pages of files that were thrown out and soon needed again, since boot: a cache that is too small.
        refaults_file: Counter<Count> = "vmstat workingset_refault_file",
        /// Anonymous pages that were swapped out and soon needed again, since boot.
        refaults_anonymous: Counter<Count> = "vmstat workingset_refault_anon",
        /// Times since boot that a program had to wait while memory was made contiguous.
        compaction_stalls: Counter<Count> = "vmstat compact_stall",
        /// Processes that the kernel killed since boot because memory ran out.
        oom_kills: Counter<Count> = "vmstat oom_kill",
    }
}

pub(super) const ENTRY: Entry = Entry { name: "memory", tables: &[Memory::TABLE], cadence: Cadence::MACHINE, open };

struct MemorySource {
    meminfo: KeptFile,
    vmstat: Option<KeptFile>,
    meminfo_keys: Keys,
    vmstat_keys: Keys,
    buffer: Vec<u8>,
    rows: Rows<Memory>,
}

fn open(machine: &Arc<Machine>) -> Result<Option<Box<dyn Source>>, Fault> {
    Ok(Some(Box::new(MemorySource {
        meminfo: machine.keep(Root::Proc, "meminfo")?,
        vmstat: machine.keep(Root::Proc, "vmstat").ok(),
        meminfo_keys: Keys::of_file("meminfo", |_| 1024),
        vmstat_keys: Keys::of_file("vmstat", |key| if key.starts_with("pgpg") { 1024 } else { machine.page_size }),
        buffer: Vec::new(),
        rows: Rows::new(),
    })))
}

impl Source for MemorySource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        self.meminfo.read(&mut self.buffer)?;
        let mut row = self.rows.row(at);
        self.meminfo_keys.parse(&self.buffer, |index, value| {
            row.set_int(index, value);
        });
        if let Some(vmstat) = &self.vmstat {
            vmstat.read(&mut self.buffer)?;
            self.vmstat_keys.parse(&self.buffer, |index, value| {
                row.set_int(index, value);
            });
        }
        Ok(())
    }

    fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.rows);
    }
}

/// The keys of one file that the declaration names, each with its column and what its numbers are multiplied by. The shortest come first: most lines are about
/// something else, and their lengths are compared before their bytes.
struct Keys {
    declared: Vec<Key>,
    /// The lines that they were found in, from the first to the last, of a text of so many: a running kernel changes neither, so that other lines need not be
    /// understood each time.
    places: Vec<(usize, Key)>,
    lines: usize,
}

#[derive(Clone, Copy)]
struct Key {
    key: &'static [u8],
    index: usize,
    scale: u64,
}

impl Keys {
    /// The declared metrics whose origin is `FILE KEY`; `unit` tells the bytes that the file's unit stands for.
    fn of_file(file: &str, unit: impl Fn(&str) -> u64) -> Keys {
        let mut declared: Vec<_> = Memory::TABLE
            .metrics
            .iter()
            .enumerate()
            .filter_map(|(index, metric)| {
                let (from, key) = metric.origin.split_once(' ')?;
                debug_assert_eq!(metric.physical, Physical::Int);
                let scale = if metric.unit == Unit::Bytes { unit(key) } else { 1 };
                (from == file).then_some(Key { key: key.as_bytes(), index, scale })
            })
            .collect();
        declared.sort_unstable_by_key(|entry| by_length(entry.key));
        Keys { declared, places: Vec::new(), lines: 0 }
    }

    fn find(&self, key: &[u8]) -> Option<Key> {
        let found = self.declared.binary_search_by_key(&by_length(key), |entry| by_length(entry.key)).ok()?;
        Some(self.declared[found])
    }

    /// Lines of `key: value kB` or `key value`; keys that are not declared are passed over, and so are values that are no number.
    fn parse(&mut self, text: &[u8], mut set: impl FnMut(usize, u64)) {
        let count = count(b'\n', text);
        if count == self.lines && self.parse_in_place(text, &mut set).is_some() {
            return;
        }
        self.places.clear();
        self.lines = count;
        for (number, line) in lines(text).enumerate() {
            let Some((key, value)) = split_key(line) else { continue };
            let Some(key) = self.find(key) else { continue };
            self.places.push((number, key));
            key.set(value, &mut set);
        }
    }

    /// The same, of a text whose lines are where they were; `None` if they are not.
    fn parse_in_place(&self, text: &[u8], set: &mut impl FnMut(usize, u64)) -> Option<()> {
        let (mut lines, mut next) = (lines(text), 0);
        for &(number, key) in &self.places {
            let value = lines.nth(number - next)?.strip_prefix(key.key)?;
            let value = if value.first()?.is_ascii_whitespace() { value } else { value.strip_prefix(b":")? };
            next = number + 1;
            key.set(value, set);
        }
        Some(())
    }
}

impl Key {
    fn set(self, value: &[u8], set: &mut impl FnMut(usize, u64)) {
        if let Some(value) = words(value).next().and_then(number).and_then(|value| value.checked_mul(self.scale)) {
            set(self.index, value);
        }
    }
}

fn by_length(key: &[u8]) -> (usize, &[u8]) {
    (key.len(), key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, keys: &mut Keys) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        keys.parse(text.as_bytes(), |index, value| found.push((Memory::TABLE.metrics[index].column(), value)));
        found
    }

    #[test]
    fn kibibytes_become_bytes_and_counts_stay() {
        let mut keys = Keys::of_file("meminfo", |_| 1024);
        let text = "MemTotal:       24684084 kB\nHugePages_Total:       3\nUnknown:  1 kB\nMemFree: many kB\n";
        assert_eq!(parsed(text, &mut keys), [("total_bytes".into(), 24_684_084 * 1024), ("huge_pages_total".into(), 3)]);
    }

    #[test]
    fn more_than_four_tebibytes_fit() {
        let mut keys = Keys::of_file("meminfo", |_| 1024);
        assert_eq!(parsed("MemTotal: 6442450944 kB\n", &mut keys), [("total_bytes".into(), 6 << 40)]);
    }

    #[test]
    fn vmstat_counts_paging_in_kibibytes_and_swapping_in_pages() {
        let mut keys = Keys::of_file("vmstat", |key| if key.starts_with("pgpg") { 1024 } else { 4096 });
        let text = "pgpgin 2\npswpin 3\noom_kill 1\n";
        let expected = [("paged_in_bytes".into(), 2048), ("swapped_in_bytes".into(), 12288), ("oom_kills".into(), 1)];
        assert_eq!(parsed(text, &mut keys), expected);
    }

    #[test]
    fn a_key_is_found_wherever_it_is_now() {
        let mut keys = Keys::of_file("meminfo", |_| 1);
        let value = |name: &str, value: u64| (name.to_owned(), value);
        let (active, free) = ("active_bytes", "free_bytes");
        let texts = [
            ("Junk: 0\nActive: 1 kB\nMemFree: 2\n", vec![value(active, 1), value(free, 2)]),
            ("Junk: 9\nActive: 3 kB\nMemFree: 4\n", vec![value(active, 3), value(free, 4)]),
            ("Active: 5 kB\nJunk: 0\nMemFree: 6\n", vec![value(active, 5), value(free, 6)]),
            ("Active(anon): 7 kB\nActive: 8\nMemFree: x\n", vec![value(active, 8)]),
            ("Active(anon): 7 kB\nActive\nMemFree: 9\n", vec![value(free, 9)]),
            ("Active(anon): 7 kB\n", vec![]),
            ("Active(anon): 7 kB\nActive: 10\n", vec![value(active, 10)]),
        ];
        for (text, expected) in texts {
            assert_eq!(parsed(text, &mut keys), expected, "{text}");
            assert_eq!(parsed(text, &mut keys), expected, "{text} once more");
        }
    }
}
