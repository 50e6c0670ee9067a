//! Facts of the host that do not change while a job runs: its name, kernel, cores and memory, and the limits that the job was given.

use crate::scan::{lines, split_key};
use crate::{Machine, Root};

/// The machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostFacts {
    /// Its name.
    pub name: String,
    /// Its distribution, as it calls itself in os-release(5).
    pub os: String,
    /// Version of the kernel.
    pub kernel: String,
    /// Architecture of its processors.
    pub arch: &'static str,
    /// The kernel's random name of this boot.
    pub boot_id: String,
    /// Cores that are on line.
    pub cores: u64,
    /// RAM that the kernel manages, in bytes.
    pub memory_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Clock ticks of /proc in a second.
    pub ticks_per_second: u64,
    /// IANA name of the time zone of its people, such as `Europe/Berlin`.
    pub zone: String,
}

impl HostFacts {
    /// Reads them. What can't be read is empty or 0.
    pub fn read(machine: &Machine) -> HostFacts {
        let kernel_says = |path: &str| machine.text(Root::Proc, path).unwrap_or_default();
        let mut text = Vec::new();
        let cores = machine.read(Root::Proc, "stat", &mut text).map(|()| count_cores(&text));
        let memory = machine.read(Root::Proc, "meminfo", &mut text).ok().and_then(|()| total_memory(&text));
        HostFacts {
            name: kernel_says("sys/kernel/hostname"),
            os: machine.text(Root::Etc, "os-release").and_then(|text| pretty_name(&text)).unwrap_or_else(|| "Linux".to_owned()),
            kernel: kernel_says("sys/kernel/osrelease"),
            arch: std::env::consts::ARCH,
            boot_id: kernel_says("sys/kernel/random/boot_id"),
            cores: cores.unwrap_or(0),
            memory_bytes: memory.unwrap_or(0),
            page_size: machine.page_size,
            ticks_per_second: machine.ticks_per_second,
            zone: zone(std::env::var("TZ").ok(), machine.link(Root::Etc, "localtime")),
        }
    }
}

/// The zone's name as the environment or /etc/localtime tell it, tzset(3). Looking for the file's content among all zones would take milliseconds.
fn zone(environment: Option<String>, link: Option<String>) -> String {
    let name = |text: String| text.rsplit_once("zoneinfo/").map_or_else(|| text.trim_start_matches(':').to_owned(), |(_, name)| name.to_owned());
    environment.map(name).filter(|name| !name.is_empty() && !name.starts_with('/')).or_else(|| link.map(name)).unwrap_or_else(|| "UTC".to_owned())
}

fn count_cores(stat: &[u8]) -> u64 {
    lines(stat).filter(|line| line.strip_prefix(b"cpu").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))).count() as u64
}

fn total_memory(meminfo: &[u8]) -> Option<u64> {
    let (_, value) = lines(meminfo).filter_map(split_key).find(|(key, _)| *key == b"MemTotal")?;
    let kibibytes: u64 = std::str::from_utf8(value).ok()?.split(' ').next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// What this process and its children are allowed, where it is less than the machine has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimitFacts {
    /// Memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Cores; 1.5 is one and a half.
    pub cores: Option<f64>,
    /// What says so, such as a control group; empty if nothing does.
    pub origin: String,
    /// What [`oom_kills`] says, where memory is limited.
    pub oom_kills: Option<u64>,
}

impl LimitFacts {
    /// The tightest limits on this process: those of its control group and of all above it, and the cores that it may run on.
    pub fn read(machine: &Machine, host: &HostFacts) -> LimitFacts {
        let mut limits = LimitFacts::default();
        let status = machine.text(Root::Proc, "self/status").unwrap_or_default();
        if let Some(cores) = allowed_cores(&status).filter(|&cores| cores < host.cores) {
            limits.cores = Some(cores as f64);
            limits.origin = "CPU affinity".to_owned();
        }
        let groups = machine.text(Root::Proc, "self/cgroup").unwrap_or_default();
        for (controllers, path) in groups.lines().filter_map(controllers_and_path) {
            let has = |name: &str| controllers.split(',').any(|controller| controller == name);
            // In a container the path may be seen from outside, where it leads nowhere; the hierarchy's root is then the container's group.
            for path in ancestors(path) {
                if controllers.is_empty() {
                    for root in ["fs/cgroup", "fs/cgroup/unified"] {
                        limits.memory(machine.text(Root::Sys, &format!("{root}{path}/memory.max")), path, host);
                        limits.cores_v2(machine.text(Root::Sys, &format!("{root}{path}/cpu.max")), path, host);
                    }
                }
                if has("memory") {
                    limits.memory(machine.text(Root::Sys, &format!("fs/cgroup/memory{path}/memory.limit_in_bytes")), path, host);
                }
                if has("cpu") {
                    let value = |file: &str| {
                        ["cpu", "cpu,cpuacct"].iter().find_map(|name| machine.text(Root::Sys, &format!("fs/cgroup/{name}{path}/{file}")))
                    };
                    let both = value("cpu.cfs_quota_us").zip(value("cpu.cfs_period_us"));
                    limits.cores_v2(both.map(|(quota, period)| format!("{quota} {period}")), path, host);
                }
            }
        }
        limits.oom_kills = limits.memory_bytes.and_then(|_| oom_kills(machine));
        limits
    }

    fn memory(&mut self, text: Option<String>, path: &str, host: &HostFacts) {
        // No limit reads `max` in version 2, and a number beyond all memory in version 1.
        let Some(bytes) = text.and_then(|text| text.parse().ok()).filter(|&bytes| bytes < host.memory_bytes) else { return };
        if self.memory_bytes.is_none_or(|known| bytes < known) {
            self.memory_bytes = Some(bytes);
            self.origin = format!("cgroup {}", if path.is_empty() { "/" } else { path });
        }
    }

    fn cores_v2(&mut self, text: Option<String>, path: &str, host: &HostFacts) {
        let Some(cores) = text.as_deref().and_then(quota).filter(|&cores| cores < host.cores as f64) else { return };
        if self.cores.is_none_or(|known| cores < known) {
            self.cores = Some(cores);
            self.origin = format!("cgroup {}", if path.is_empty() { "/" } else { path });
        }
    }
}

/// How many processes of this process's control group the kernel has killed so far because memory ran out, and in version 2 of the groups in it.
pub fn oom_kills(machine: &Machine) -> Option<u64> {
    let groups = machine.text(Root::Proc, "self/cgroup")?;
    groups.lines().filter_map(controllers_and_path).find_map(|(controllers, path)| {
        let (roots, file): (&[&str], _) = match controllers {
            "" => (&["fs/cgroup", "fs/cgroup/unified"], "memory.events"),
            _ if controllers.split(',').any(|controller| controller == "memory") => (&["fs/cgroup/memory"], "memory.oom_control"),
            _ => return None,
        };
        let told = |path| roots.iter().find_map(|root| machine.text(Root::Sys, &format!("{root}{path}/{file}")));
        ancestors(path).find_map(|path| told(path)?.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok()))
    })
}

/// The controllers of a line of /proc/PID/cgroup, none in version 2, and the group's path.
fn controllers_and_path(line: &str) -> Option<(&str, &str)> {
    line.split_once(':')?.1.split_once(':')
}

/// `/a/b`, `/a`, and the root as the empty path.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path.trim_end_matches('/')), |path| path.rfind('/').map(|end| &path[..end]))
}

/// Cores on which a process may run, by its taskset(1) or the cpuset of its control group.
fn allowed_cores(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:"))?;
    let digits = mask.trim().chars().filter(|&digit| digit != ',');
    digits.map(|digit| digit.to_digit(16).map(|four| u64::from(four.count_ones()))).sum()
}

/// Cores of a quota and its period in microseconds; `max` and -1 are none.
fn quota(text: &str) -> Option<f64> {
    let (quota, period) = text.split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Roots;

    #[test]
    fn quotas_are_cores() {
        assert_eq!(quota("150000 100000"), Some(1.5));
        assert_eq!(quota("max 100000"), None);
        assert_eq!(quota("-1 100000"), None);
        assert_eq!(quota("100000 0"), None);
    }

    #[test]
    fn cores_of_a_mask_are_counted() {
        assert_eq!(allowed_cores("Cpus_allowed:\tff,0000f001\nCpus_allowed_list:\t0,12-15,32-39\n"), Some(13));
        assert_eq!(allowed_cores("Name:\tx\n"), None);
    }

    #[test]
    fn every_group_above_is_asked() {
        assert_eq!(ancestors("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", ""]);
        assert_eq!(ancestors("/").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn the_tightest_limit_holds() {
        let host = HostFacts { memory_bytes: 100, cores: 8, ..HostFacts::default() };
        let mut limits = LimitFacts::default();
        for text in ["max", "9223372036854771712", "70", "50", "60"] {
            limits.memory(Some(text.to_owned()), "/a", &host);
        }
        assert_eq!((limits.memory_bytes, limits.origin.as_str()), (Some(50), "cgroup /a"));
        limits.cores_v2(Some("150000 100000".to_owned()), "", &host);
        assert_eq!((limits.cores, limits.origin.as_str()), (Some(1.5), "cgroup /"));
    }

    #[test]
    fn kills_of_the_own_group_are_told_by_both_versions() {
        for (groups, file, told) in [
            ("4:memory:/a/b\n0::/\n", "fs/cgroup/memory/a/b/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            ("0::/a/b\n", "fs/cgroup/a/b/memory.events", "low 0\noom 7\noom_kill 3\noom_group_kill 0\n"),
            // As a container that has its own group where the root would be.
            ("0::/outside\n", "fs/cgroup/memory.events", "oom_kill 3\n"),
        ] {
            let place = tempfile::tempdir().unwrap();
            let root = |name: &str| place.path().join(name);
            let roots = Roots { proc: root("proc"), sys: root("sys"), etc: root("etc"), mounts: root("mounts") };
            for (path, text) in [(roots.proc.join("self/cgroup"), groups), (roots.sys.join(file), told)] {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            assert_eq!(oom_kills(&Machine::open(roots).unwrap()), Some(3), "{file}");
        }
        assert_eq!(controllers_and_path("1:cpu,memory:/x:y"), Some(("cpu,memory", "/x:y")));
    }

    #[test]
    fn zones_have_names() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(zone(some(":Asia/Tokyo"), None), "Asia/Tokyo");
        assert_eq!(zone(some(""), some("/usr/share/zoneinfo/Europe/Berlin")), "Europe/Berlin");
        assert_eq!(zone(some("/etc/zone"), some("../usr/share/zoneinfo/Etc/UTC")), "Etc/UTC");
        assert_eq!(zone(None, None), "UTC");
    }

    #[test]
    fn facts_of_a_host() {
        assert_eq!(count_cores(b"cpu  1 2\ncpu0 1 2\ncpu1 1 2\nintr 3\n"), 2);
        assert_eq!(total_memory(b"MemFree: 1 kB\nMemTotal:  6442450944 kB\n"), Some(6 << 40));
        assert_eq!(pretty_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n").as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
    }
}
