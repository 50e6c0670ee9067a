//! Network interfaces, from /proc/net/dev.

use std::sync::Arc;

use barograph_model::{Batch, Bytes, Count, Counter, Described, Gauge, Moment, Rows, Text, table};

use super::known::Known;
use crate::scan::{complete, last_position, lines, number_or_fault, words};
use crate::{Cadence, Entry, Fault, FaultKind, Faults, KeptFile, Machine, Root, Source};

table! {
    /// What went through each network interface, as counted by its driver. Most drivers include the heads of packets from the link layer on.
    pub Network = "network" in "/proc/net/dev and /sys/class/net" counted by counted {
        key {
            /// Name of the interface, such as `eth0`.
            interface: Text = "net/dev, before the colon",
        }
        /// 1 if the row counts towards the machine's sum, in which each byte stands once: that of an interface which is a device. Otherwise 0.
        /// Where none is a device, as in a container, all but `lo` count.
        counted: Gauge<Count> = "sys/class/net/NAME/device",
        /// Bytes received since the interface was made.
        received: Counter<Bytes> = "net/dev, receive bytes",
        /// Packets received.
        received_packets: Counter<Count> = "net/dev, receive packets",
        /// Packets that arrived broken or could not be taken.
        receive_errors: Counter<Count> = "net/dev, receive errs",
        /// Packets that arrived whole and were dropped: for want of memory, or because nobody here speaks their protocol.
        receive_drops: Counter<Count> = "net/dev, receive drop",
        /// Packets lost because a buffer of the interface ran over.
        receive_overruns: Counter<Count> = "net/dev, receive fifo",
        /// Packets of a wrong length, with a wrong checksum or misaligned.
        receive_frame_errors: Counter<Count> = "net/dev, receive frame",
        /// Packets received that were sent to many at once.
        received_multicast: Counter<Count> = "net/dev, receive multicast",
        /// Bytes sent since the interface was made.
        sent: Counter<Bytes> = "net/dev, transmit bytes",
        /// Packets sent.
        sent_packets: Counter<Count> = "net/dev, transmit packets",
        /// Packets that could not be sent.
        send_errors: Counter<Count> = "net/dev, transmit errs",
        /// Packets dropped on their way out.
        send_drops: Counter<Count> = "net/dev, transmit drop",
        /// Packets lost because the interface ran out of data while it sent them.
        send_underruns: Counter<Count> = "net/dev, transmit fifo",
        /// Times that two senders spoke at once.
        collisions: Counter<Count> = "net/dev, transmit colls",
        /// Times that the link was lost while sending.
        carrier_errors: Counter<Count> = "net/dev, transmit carrier",
    }
}

pub(super) const ENTRY: Entry = Entry { name: "network", tables: &[Network::TABLE], cadence: Cadence::MACHINE, open };

struct NetworkSource {
    interfaces: Interfaces,
    dev: KeptFile,
    buffer: Vec<u8>,
    faults: Faults,
    rows: Rows<Network>,
}

fn open(machine: &Arc<Machine>) -> Result<Option<Box<dyn Source>>, Fault> {
    let Some(dev) = keep(machine, "dev") else { return Ok(None) };
    Ok(Some(Box::new(NetworkSource {
        interfaces: Interfaces { machine: machine.clone(), devices: Known::new(), any_device: false },
        dev,
        buffer: Vec::new(),
        faults: Faults::default(),
        rows: Rows::new(),
    })))
}

/// /proc/net is a link to self/net, and shows the interfaces that its reader sees. Another machine's /proc (a container's host) is asked for what its
/// first process sees.
pub(super) fn keep(machine: &Machine, file: &str) -> Option<KeptFile> {
    let folders: &[&str] = if machine.roots().proc.as_os_str() == "/proc" { &["self/net", "net"] } else { &["1/net", "self/net", "net"] };
    folders.iter().find_map(|folder| machine.keep(Root::Proc, &format!("{folder}/{file}")).ok())
}

impl Source for NetworkSource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        self.dev.read(&mut self.buffer)?;
        fill_interfaces(complete(&self.buffer), at, &mut self.interfaces, &mut self.rows, &mut self.faults);
        Ok(())
    }

    fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.rows);
    }

    fn faults(&self) -> Faults {
        self.faults
    }
}

/// Which interfaces are devices: the others (bridges, tunnels, bonds …) pass on what goes through those, or what stays within the machine.
struct Interfaces {
    machine: Arc<Machine>,
    devices: Known<bool>,
    any_device: bool,
}

impl Interfaces {
    fn refresh<'a>(&mut self, names: impl Iterator<Item = &'a [u8]> + Clone) {
        let Interfaces { machine, devices, any_device } = self;
        devices.refresh(names, |name| {
            let name = String::from_utf8_lossy(name);
            machine.exists(Root::Sys, &format!("class/net/{name}/device"))
        });
        *any_device = devices.values().any(|&device| device);
    }

    /// Whether an interface of this name, which may be a device, counts towards the machine's sum.
    fn counts(&self, name: &[u8], device: bool) -> bool {
        if self.any_device { device } else { name != b"lo" }
    }
}

fn fill_interfaces(text: &[u8], at: Moment, interfaces: &mut Interfaces, rows: &mut Rows<Network>, faults: &mut Faults) {
    // The kernel puts two lines of headings before the interfaces.
    let lines = || lines(text).skip(2);
    interfaces.refresh(lines().filter_map(parse_interface).map(|(name, _)| name));
    let mut devices = interfaces.devices.values();
    for line in lines() {
        let Some((name, numbers)) = parse_interface(line) else {
            faults.count(FaultKind::Malformed);
            continue;
        };
        let is_device = devices.next() == Some(&true);
        let mut row = rows.row(at);
        row.text(Network::interface, name).set(Network::counted, u64::from(interfaces.counts(name, is_device)));
        for (column, word) in COLUMNS.into_iter().zip(words(numbers)) {
            if let Some(column) = column
                && let Some(value) = number_or_fault(word, faults)
            {
                row.set_int(column, value);
            }
        }
    }
}

/// The numbers of an interface in the kernel's order: eight of receiving, eight of sending. Compressed packets are of modems, and left out.
const COLUMNS: [Option<usize>; 16] = [
    Some(Network::received.index()),
    Some(Network::received_packets.index()),
    Some(Network::receive_errors.index()),
    Some(Network::receive_drops.index()),
    Some(Network::receive_overruns.index()),
    Some(Network::receive_frame_errors.index()),
    None,
    Some(Network::received_multicast.index()),
    Some(Network::sent.index()),
    Some(Network::sent_packets.index()),
    Some(Network::send_errors.index()),
    Some(Network::send_drops.index()),
    Some(Network::send_underruns.index()),
    Some(Network::collisions.index()),
    Some(Network::carrier_errors.index()),
    None,
];

/// `  eth0: 39798735 …`: the name and its numbers, which old kernels write without a blank between.
fn parse_interface(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = last_position(b':', line)?;
    let (name, numbers) = (line[..colon].trim_ascii(), &line[colon + 1..]);
    (!name.is_empty() && words(numbers).count() >= COLUMNS.len()).then_some((name, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_a_name_and_sixteen_numbers() {
        let (name, numbers) = parse_interface(b"  eth0:39798735    2534 0 0 0 0 0 0 216383 1759 0 0 0 0 0 0").unwrap();
        assert_eq!(name, b"eth0");
        assert_eq!(words(numbers).next(), Some(&b"39798735"[..]));
        assert!(parse_interface(b" face |bytes    packets errs").is_none());
        assert!(parse_interface(b"eth0: 1 2 3").is_none());
    }

    #[test]
    fn every_number_of_an_interface_has_its_place() {
        let mut places: Vec<usize> = COLUMNS.into_iter().flatten().collect();
        places.sort_unstable();
        let declared: Vec<usize> = (Network::counted.index() + 1..Network::TABLE.metrics.len()).collect();
        assert_eq!(places, declared);
    }
}
