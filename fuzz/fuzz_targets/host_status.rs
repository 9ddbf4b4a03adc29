//! Any bytes as what the machine under `brc-agent status` says: reading it must end, and without a panic.

#![no_main]

use brc_agent::{loader, mount, verity};
use brc_linux::{block_device::BlockDevice, mapped_target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = loader::text(bytes);
    let targets = mapped_target::targets(bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let _ = verity::judge(&text, &targets, &targets);
    let _ = BlockDevice::parse(&text);
    let _ = mount::mounted_on(&text, "/");
    let _ = brc_contract::os_release::value(&text, "IMAGE_ID");
});
