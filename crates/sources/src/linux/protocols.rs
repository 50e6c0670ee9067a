//! What TCP and UDP count, from /proc/net/snmp and netstat.

use std::sync::Arc;
use std::time::Duration;

use barograph_model::{Batch, Count, Counter, Described, Gauge, Moment, Physical, Rows, table};

use super::network::keep;
use crate::scan::{complete, lines, number_or_fault, words};
use crate::{Cadence, Entry, Fault, FaultKind, Faults, KeptFile, Machine, Source};

table! {
    /// What TCP and UDP counted since the network namespace was made: for a machine, since boot; in a container, since its start.
    pub Protocols = "protocols" in "/proc/net/snmp and /proc/net/netstat" {
        /// Segments received over TCP, broken ones included.
        tcp_received: Counter<Count> = "snmp Tcp InSegs",
        /// Segments sent over TCP, those that were sent again not included.
        tcp_sent: Counter<Count> = "snmp Tcp OutSegs",
        /// Segments sent again over TCP because no answer came: packets get lost on the way.
        tcp_retransmitted: Counter<Count> = "snmp Tcp RetransSegs",
        /// Segments that arrived broken.
        tcp_receive_errors: Counter<Count> = "snmp Tcp InErrs",
        /// Segments sent that end a connection at once.
        tcp_resets_sent: Counter<Count> = "snmp Tcp OutRsts",
        /// Connections that were cut off while they were established.
        tcp_established_resets: Counter<Count> = "snmp Tcp EstabResets",
        /// Connections begun from here.
        tcp_opened: Counter<Count> = "snmp Tcp ActiveOpens",
        /// Connections begun from elsewhere and answered here.
        tcp_accepted: Counter<Count> = "snmp Tcp PassiveOpens",
        /// Attempts at a connection that failed.
        tcp_failed: Counter<Count> = "snmp Tcp AttemptFails",
        /// Connections that are established at this moment, those whose other side has closed included.
        tcp_established: Gauge<Count> = "snmp Tcp CurrEstab",
        /// Connections refused because a program did not accept the earlier ones fast enough.
        tcp_listen_overflows: Counter<Count> = "netstat TcpExt ListenOverflows",
        /// Connections that a listening socket lost for whatever reason, `tcp_listen_overflows` included.
        tcp_listen_drops: Counter<Count> = "netstat TcpExt ListenDrops",
        /// Datagrams delivered over UDP and IPv4.
        udp_received: Counter<Count> = "snmp Udp InDatagrams",
        /// Datagrams sent over UDP and IPv4.
        udp_sent: Counter<Count> = "snmp Udp OutDatagrams",
        /// Datagrams for a port where nobody listens, over UDP and IPv4.
        udp_no_port: Counter<Count> = "snmp Udp NoPorts",
        /// Datagrams that arrived and could not be delivered for another reason than `udp_no_port`, over UDP and IPv4. Includes
        /// `udp_receive_buffer_errors`.
        udp_receive_errors: Counter<Count> = "snmp Udp InErrors",
        /// Datagrams dropped because the receiving program was too slow and its buffer full, over UDP and IPv4.
        udp_receive_buffer_errors: Counter<Count> = "snmp Udp RcvbufErrors",
        /// Datagrams that were not sent because the buffer of their sender was full, over UDP and IPv4.
        udp_send_buffer_errors: Counter<Count> = "snmp Udp SndbufErrors",
    }
}

/// Dearer to read than all interfaces together, and looked at when something went wrong.
pub(super) const ENTRY: Entry = Entry { name: "protocols", tables: &[Protocols::TABLE], cadence: Cadence::AtMost(Duration::from_secs(1)), open };

struct ProtocolsSource {
    files: Vec<(KeptFile, Keys)>,
    buffer: Vec<u8>,
    faults: Faults,
    rows: Rows<Protocols>,
}

fn open(machine: &Arc<Machine>) -> Result<Option<Box<dyn Source>>, Fault> {
    let files: Vec<_> = ["snmp", "netstat"].into_iter().filter_map(|file| Some((keep(machine, file)?, Keys::of_file(file)))).collect();
    if files.is_empty() {
        return Ok(None);
    }
    Ok(Some(Box::new(ProtocolsSource { files, buffer: Vec::new(), faults: Faults::default(), rows: Rows::new() })))
}

impl Source for ProtocolsSource {
    fn read(&mut self, at: Moment) -> Result<(), Fault> {
        let mut row = self.rows.row(at);
        for (file, keys) in &self.files {
            match file.read(&mut self.buffer) {
                Ok(()) => parse(complete(&self.buffer), keys, &mut self.faults, |column, value| {
                    row.set_int(column, value);
                }),
                Err(fault) => self.faults.count(fault.kind),
            }
        }
        Ok(())
    }

    fn each_batch(&mut self, visit: &mut dyn FnMut(&mut Batch)) {
        visit(&mut self.rows);
    }

    fn faults(&self) -> Faults {
        self.faults
    }
}

/// The keys of one file that the declaration names: section, name, and column.
struct Keys(Vec<(&'static [u8], &'static [u8], usize)>);

impl Keys {
    /// The declared metrics whose origin is `FILE SECTION KEY`.
    fn of_file(file: &str) -> Keys {
        let origins = Protocols::TABLE.metrics.iter().enumerate().filter_map(|(column, metric)| {
            debug_assert_eq!(metric.physical, Physical::Int);
            let (section, key) = metric.origin.strip_prefix(file)?.strip_prefix(' ')?.split_once(' ')?;
            Some((section.as_bytes(), key.as_bytes(), column))
        });
        Keys(origins.collect())
    }
}

/// Pairs of lines, `Tcp: InSegs OutSegs …` and `Tcp: 12 7 …`.
fn parse(text: &[u8], keys: &Keys, faults: &mut Faults, mut set: impl FnMut(usize, u64)) {
    let mut lines = lines(text);
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let (mut names, mut values) = (words(names), words(values));
        let (section, again) = (names.next().unwrap_or_default(), values.next());
        if Some(section) != again {
            faults.count(FaultKind::Malformed);
            return;
        }
        let wanted = keys.0.iter().filter(|(wanted, _, _)| section.strip_suffix(b":") == Some(wanted));
        if wanted.clone().next().is_none() {
            continue;
        }
        for (name, value) in names.zip(values) {
            if let Some(&(_, _, column)) = wanted.clone().find(|(_, key, _)| *key == name)
                && let Some(value) = number_or_fault(value, faults)
            {
                set(column, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_found_by_section_and_name() {
        let text = b"Tcp: MaxConn InSegs InErrs\nTcp: -1 12 x\nUdp: InErrors InSegs\nUdp: 3 4\nUdpLite: InErrors\nUdpLite: 9\nIp: Forwarding\n";
        let (mut found, mut faults) = (Vec::new(), Faults::default());
        parse(text, &Keys::of_file("snmp"), &mut faults, |column, value| found.push((Protocols::TABLE.metrics[column].name, value)));
        assert_eq!(found, [("tcp_received", 12), ("udp_receive_errors", 3)]);
        assert_eq!(faults.of(FaultKind::Malformed), 1);
    }
}
