//! The machine that programs are told of: the same on every host, so that no build depends on where it runs.

use std::{fmt::Write, mem::size_of};

/// The kernel that programs are told of: a long-term release that every tool set of ours knows.
const RELEASE: &str = "6.12.0";
/// What stands behind the release.
const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC brc";
/// The host name.
pub(super) const HOST_NAME: &str = "brc";
/// The NIS domain name, as a kernel has it that nobody gave one.
pub(super) const DOMAIN_NAME: &str = "(none)";
/// The memory that programs are told of, in bytes: 8 GiB.
const MEMORY_BYTES: u64 = 8 << 30;

#[cfg(target_arch = "x86_64")]
const MACHINE: &str = "x86_64";
#[cfg(target_arch = "aarch64")]
const MACHINE: &str = "aarch64";

/// The length of each text of `struct utsname`.
const NAME_BYTES: usize = 65;

/// The files of `/proc` that tell of the machine, by path below it.
pub(super) fn proc_files(processors: u32) -> Vec<(&'static str, String)> {
    let line = |text: &str| format!("{text}\n");
    vec![
        ("cpuinfo", cpuinfo(processors)),
        ("stat", stat(processors)),
        ("meminfo", meminfo()),
        ("loadavg", line("0.00 0.00 0.00 1/1 1")),
        ("uptime", line("1.00 1.00")),
        ("version", line(&format!("Linux version {RELEASE} (brc@brc) {VERSION}"))),
        ("sys/kernel/ostype", line("Linux")),
        ("sys/kernel/osrelease", line(RELEASE)),
        ("sys/kernel/version", line(VERSION)),
        ("sys/kernel/hostname", line(HOST_NAME)),
        ("sys/kernel/domainname", line(DOMAIN_NAME)),
        ("sys/kernel/pid_max", line("4194304")),
        ("sys/kernel/threads-max", line("65536")),
        ("sys/kernel/ngroups_max", line("65536")),
        ("sys/kernel/cap_last_cap", line("40")),
        ("sys/kernel/overflowuid", line("65534")),
        ("sys/kernel/overflowgid", line("65534")),
        ("sys/kernel/randomize_va_space", line("0")),
        ("sys/kernel/random/boot_id", line("00000000-0000-4000-8000-000000000000")),
        ("sys/fs/file-max", line("1048576")),
        ("sys/fs/nr_open", line("1048576")),
        ("sys/fs/pipe-max-size", line("1048576")),
        ("sys/vm/overcommit_memory", line("0")),
        ("sys/vm/max_map_count", line("65530")),
    ]
}

fn cpuinfo(processors: u32) -> String {
    let mut text = String::new();
    for number in 0..processors {
        // What programs count are the lines `processor`; model and features are asked of the processor itself.
        let written = if cfg!(target_arch = "aarch64") {
            write!(text, "processor\t: {number}\nBogoMIPS\t: 100.00\nCPU architecture: 8\n\n")
        } else {
            write!(
                text,
                "processor\t: {number}\nvendor_id\t: brc\nmodel name\t: brc\nphysical id\t: 0\n\
                 siblings\t: {processors}\ncore id\t\t: {number}\ncpu cores\t: {processors}\nflags\t\t: fpu\n\n"
            )
        };
        // Writing to a String cannot fail.
        written.unwrap_or_default();
    }
    text
}

fn stat(processors: u32) -> String {
    let zeros = "0 0 0 0 0 0 0 0 0 0";
    let mut text = format!("cpu  {zeros}\n");
    for number in 0..processors {
        writeln!(text, "cpu{number} {zeros}").unwrap_or_default();
    }
    text + "intr 0\nctxt 0\nbtime 0\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n"
}

fn meminfo() -> String {
    let all = MEMORY_BYTES / 1024;
    format!(
        "MemTotal:       {all} kB\nMemFree:        {all} kB\nMemAvailable:   {all} kB\nBuffers:               0 kB\n\
         Cached:                0 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\n"
    )
}

/// The bytes of `struct utsname`.
pub(super) fn utsname() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(6 * NAME_BYTES);
    for text in ["Linux", HOST_NAME, RELEASE, VERSION, MACHINE, DOMAIN_NAME] {
        let mut name = text.as_bytes().to_vec();
        name.resize(NAME_BYTES, 0);
        bytes.extend(name);
    }
    bytes
}

/// The bytes of `struct sysinfo` of a 64-bit machine, in the order of linux/sysinfo.h.
pub(super) fn sysinfo() -> Vec<u8> {
    let words = [1, 0, 0, 0, MEMORY_BYTES, MEMORY_BYTES, 0, 0, 0, 0, 1, 0, 0];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
    // The last two words are the high memory; behind them the unit of all sizes, one byte.
    bytes.extend(1_u32.to_le_bytes());
    bytes.resize(size_of::<libc::sysinfo>(), 0);
    bytes
}

/// The processor mask that `sched_getaffinity` writes into a buffer of so many bytes; `None` when that is too
/// small or not a whole number of words, as the kernel has it.
pub(super) fn affinity(processors: u32, buffer_bytes: u64) -> Option<Vec<u8>> {
    let words = processors.div_ceil(64).max(1) as usize;
    let needed = words * 8;
    if !buffer_bytes.is_multiple_of(8) || buffer_bytes < needed as u64 {
        return None;
    }
    let mut mask = vec![0_u8; needed];
    for number in 0..processors as usize {
        if let Some(byte) = mask.get_mut(number / 8) {
            *byte |= 1 << (number % 8);
        }
    }
    Some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_sizes_of_the_kernel() {
        assert_eq!(utsname().len(), size_of::<libc::utsname>());
        assert_eq!(sysinfo().len(), size_of::<libc::sysinfo>());
    }

    #[test]
    fn a_mask_has_as_many_bits_as_processors() {
        for (processors, bytes) in [(1, 8), (8, 8), (64, 8), (65, 16), (200, 32)] {
            let mask = affinity(processors, 128).unwrap();
            assert_eq!(mask.len(), bytes);
            assert_eq!(mask.iter().map(|byte| byte.count_ones()).sum::<u32>(), processors);
        }
        assert_eq!(affinity(65, 8), None);
        assert_eq!(affinity(1, 12), None);
    }
}
