//! Any bytes as a disk: reading its partition table, mending and changing it must end, and without a panic.

#![no_main]

use brc_contract::{
    Guid, SlotName, Slots,
    gpt::{Copies, DiskSize, Label, Step, Table, TableError},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let size = DiskSize { sector: 512, sectors: (bytes.len() / 512) as u64 };
    let read = |sector: u64, length: usize| -> Result<Vec<u8>, TableError> {
        let from = usize::try_from(sector).ok().and_then(|sector| sector.checked_mul(512)).unwrap_or(usize::MAX);
        let mut read = bytes.get(from..).unwrap_or_default().iter().copied().take(length).collect::<Vec<u8>>();
        read.resize(length, 0);
        Ok(read)
    };
    let _ = Table::read(size, read);
    let Ok(copies) = Copies::read(size, read) else { return };
    let Ok(table) = copies.table() else { return };
    let names = ["a_1.efi", "a_2+1-2.efi", "a_2.part"];
    let _ = Slots::read("a", table, names, SlotName::A);
    let mut changed = table.clone();
    for partition in table.partitions() {
        changed.name(partition.number, Guid::NIL, &Label::new("x").unwrap());
    }
    for step in copies.change(&changed).unwrap() {
        if let Step::Write { sector, bytes } = step {
            assert!(sector < size.sectors && bytes.len() == 512);
        }
    }
});
