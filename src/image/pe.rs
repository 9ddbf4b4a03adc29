//! PE files, as far as unified kernel images need them: sections are read and appended, headers fixed.
//!
//! Format: Microsoft, "PE Format" (PE32+ only). Numbers are little-endian.

/// The size of one section header in bytes.
const SECTION_HEADER: usize = 40;
/// The size of the fixed part of a PE32+ optional header in bytes.
const OPTIONAL_HEADER: usize = 112;
/// More sections than any image of ours has are refused.
const MAX_SECTIONS: usize = 96;
/// `IMAGE_DLLCHARACTERISTICS_NX_COMPAT`.
const NX_COMPATIBLE: u16 = 0x0100;
/// `IMAGE_DIRECTORY_ENTRY_SECURITY`, where a signature is.
const SECURITY_DIRECTORY: usize = 4;

/// `IMAGE_SCN_CNT_CODE`, in the lowest byte of a section's flags.
const CODE: u8 = 0x20;
/// `IMAGE_SCN_CNT_INITIALIZED_DATA`, in the same byte.
const INITIALIZED_DATA: u8 = 0x40;
/// `IMAGE_SCN_MEM_READ`.
const READ: u32 = 0x4000_0000;

/// What a section holds, as its header's flags say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// `IMAGE_SCN_CNT_CODE`.
    Code,
    /// `IMAGE_SCN_CNT_INITIALIZED_DATA`.
    Data,
}

impl Content {
    fn of_header(header: &[u8]) -> Self {
        if header[36] & CODE != 0 { Content::Code } else { Content::Data }
    }

    fn flags(self) -> u32 {
        READ | u32::from(if self == Content::Code { CODE } else { INITIALIZED_DATA })
    }
}

/// The place of one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name, at most 8 bytes.
    pub name: String,
    /// The number of bytes that it holds.
    pub size: usize,
    /// The number of bytes that are kept for it in the file.
    pub raw_size: usize,
    /// Where it starts in the file.
    pub offset: usize,
    /// Where it starts in memory.
    pub address: u32,
}

/// A PE file in memory whose headers were checked.
#[derive(Debug, Clone)]
pub struct PeFile {
    bytes: Vec<u8>,
    /// Where the COFF file header starts.
    file_header: usize,
    /// Where the section headers start.
    section_headers: usize,
    sections: Vec<Section>,
}

/// A file is no PE file that can be worked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeError {
    /// It ends too early.
    #[error("it ends before its {what}")]
    Short { what: &'static str },
    /// A mark is missing or a number makes no sense.
    #[error("its {what} is {found:#x}: {expected}")]
    Field { what: &'static str, found: u64, expected: &'static str },
    /// There is no room for another section header.
    #[error("its headers have no room for section `{name}`")]
    NoRoom { name: String },
    /// A section of this name is there and too small.
    #[error("its section `{name}` has {room} bytes, too few for {size}")]
    TooSmall { name: String, room: usize, size: usize },
    /// A section is missing, or does not stand where sections are appended.
    #[error("it has no section `{name}` behind its own")]
    NotAppended { name: String },
    /// The file would be larger than its 32-bit fields can say.
    #[error("with section `{name}` it would be larger than 2 GiB")]
    TooLarge { name: String },
}

impl PeFile {
    /// Reads the headers of a PE32+ file.
    ///
    /// # Errors
    /// The first header that is missing, cut off or makes no sense.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, PeError> {
        if bytes.get(..2) != Some(b"MZ") {
            return Err(PeError::Short { what: "`MZ` mark" });
        }
        let start = number(&bytes, 0x3c, 4, "offset of the PE header")? as usize;
        let mark = number(&bytes, start, 4, "PE header")?;
        if mark != u64::from(u32::from_le_bytes(*b"PE\0\0")) {
            return Err(PeError::Field { what: "PE mark", found: mark, expected: "expected `PE`" });
        }
        let file_header = start + 4;
        let count = number(&bytes, file_header + 2, 2, "file header")? as usize;
        let optional_size = number(&bytes, file_header + 16, 2, "file header")? as usize;
        let section_headers = file_header + 20 + optional_size;
        let mut file = PeFile { bytes, file_header, section_headers, sections: Vec::new() };
        file.expect("kind of optional header", 0, 2, |kind| kind == 0x20b, "expected PE32+, 0x20b")?;
        file.expect("number of sections", 0, 2, |_| (1..=MAX_SECTIONS).contains(&count), "expected 1 to 96")?;
        let aligned = |found: u64| found.is_power_of_two() && (512..=1 << 16).contains(&found);
        let power = "expected a power of two from 512 to 65536";
        file.expect("section alignment", 32, 4, aligned, power)?;
        file.expect("file alignment", 36, 4, aligned, power)?;
        if optional_size < OPTIONAL_HEADER {
            return Err(PeError::Short { what: "optional header" });
        }
        for index in 0..count {
            let section = file.read_section(index)?;
            file.sections.push(section);
        }
        Ok(file)
    }

    /// The machine that the file is for.
    pub fn machine(&self) -> u16 {
        // Read when the headers were parsed.
        number(&self.bytes, self.file_header, 2, "machine").unwrap_or_default() as u16
    }

    /// Every section, in the order of the headers.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The bytes of the first section of this name; a section's content never lies outside the file.
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        let section = self.sections.iter().find(|section| section.name == name)?;
        self.bytes.get(section.offset..section.offset + section.size.min(section.raw_size))
    }

    /// Whether the file says that its data may be mapped without permission to execute.
    pub fn is_nx_compatible(&self) -> bool {
        self.optional(70, 2).is_ok_and(|flags| flags as u16 & NX_COMPATIBLE != 0)
    }

    /// Whether there is a signature at the end of the file.
    pub fn is_signed(&self) -> bool {
        let at = OPTIONAL_HEADER + SECURITY_DIRECTORY * 8;
        let has_directory = self.optional(108, 4).is_ok_and(|count| count > SECURITY_DIRECTORY as u64);
        has_directory && self.optional(at, 4).is_ok_and(|address| address != 0)
    }

    /// Takes back the promise of [`PeFile::is_nx_compatible`].
    pub fn clear_nx_compatible(&mut self) {
        if let Ok(flags) = self.optional(70, 2) {
            self.set_optional(70, &(flags as u16 & !NX_COMPATIBLE).to_le_bytes());
        }
    }

    /// Replaces the content of a section that is there; the room for it stays.
    ///
    /// # Errors
    /// [`PeError::TooSmall`] when there is too little room, or no such section.
    pub fn replace(&mut self, name: &str, content: &[u8]) -> Result<(), PeError> {
        let too_small = |room| PeError::TooSmall { name: name.to_owned(), room, size: content.len() };
        let index = self.sections.iter().position(|section| section.name == name).ok_or_else(|| too_small(0))?;
        let section = &mut self.sections[index];
        if content.len() > section.raw_size {
            return Err(too_small(section.raw_size));
        }
        section.size = content.len();
        let room = &mut self.bytes[section.offset..section.offset + section.raw_size];
        room.fill(0);
        room[..content.len()].copy_from_slice(content);
        let header = self.section_headers + index * SECTION_HEADER;
        self.bytes[header + 8..header + 12].copy_from_slice(&(content.len() as u32).to_le_bytes());
        Ok(())
    }

    /// Appends a read-only section behind the last one, in the file and in memory.
    ///
    /// # Errors
    /// [`PeError::NoRoom`] when the headers are full, [`PeError::TooLarge`] beyond 2 GiB.
    pub fn append(&mut self, name: &str, content: &[u8], kind: Content) -> Result<(), PeError> {
        let (section_alignment, file_alignment) = (self.optional(32, 4)?, self.optional(36, 4)? as usize);
        let header = self.section_headers + self.sections.len() * SECTION_HEADER;
        let headers = (self.optional(60, 4)? as usize).next_multiple_of(file_alignment);
        let first_content =
            self.sections.iter().filter(|section| section.raw_size > 0).map(|section| section.offset).min();
        let free =
            self.bytes.get(header..header + SECTION_HEADER).is_some_and(|room| room.iter().all(|byte| *byte == 0));
        if name.len() > 8
            || self.sections.len() >= MAX_SECTIONS
            || header + SECTION_HEADER > headers.min(first_content.unwrap_or(headers))
            || !free
        {
            return Err(PeError::NoRoom { name: name.to_owned() });
        }
        let end = self.sections.last().map_or(0, |last| u64::from(last.address) + last.size as u64);
        let address = end.next_multiple_of(section_alignment);
        let offset = self.bytes.len().next_multiple_of(file_alignment);
        let raw_size = content.len().next_multiple_of(file_alignment);
        let image_size = (address + content.len() as u64).next_multiple_of(section_alignment);
        if image_size > i32::MAX as u64 || offset + raw_size > i32::MAX as usize {
            return Err(PeError::TooLarge { name: name.to_owned() });
        }
        // Below 2^31 all of these fit into 32 bits.
        let (size, raw_size_32, offset_32, address) =
            (content.len() as u32, raw_size as u32, offset as u32, address as u32);
        let mut entry = [0; SECTION_HEADER];
        entry[..name.len()].copy_from_slice(name.as_bytes());
        for (at, value) in [(8, size), (12, address), (16, raw_size_32), (20, offset_32), (36, kind.flags())] {
            entry[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        self.bytes.resize(offset, 0);
        self.bytes.extend_from_slice(content);
        self.bytes.resize(offset + raw_size, 0);
        self.bytes[header..header + SECTION_HEADER].copy_from_slice(&entry);
        self.sections.push(Section { name: name.to_owned(), size: content.len(), raw_size, offset, address });
        let count = self.sections.len() as u16;
        self.bytes[self.file_header + 2..self.file_header + 4].copy_from_slice(&count.to_le_bytes());
        let data = self.optional(8, 4)? as u32;
        self.set_optional(8, &data.saturating_add(size).to_le_bytes());
        self.set_optional(56, &(image_size as u32).to_le_bytes());
        self.set_optional(60, &(headers as u32).to_le_bytes());
        self.set_optional(64, &[0; 4]); // the checksum, which nothing checks
        Ok(())
    }

    /// Replaces the content of a section that was appended and appends those behind it again: the file is then the one
    /// to which this content was appended in the first place.
    ///
    /// # Errors
    /// [`PeError::NotAppended`] when there is no such section, and what [`PeFile::append`] says.
    pub fn replace_appended(&mut self, name: &str, content: &[u8]) -> Result<(), PeError> {
        let missing = || PeError::NotAppended { name: name.to_owned() };
        let index = self.sections.iter().position(|section| section.name == name).ok_or_else(missing)?;
        let start = self.sections[index].offset;
        let headers = self.section_headers + self.sections.len() * SECTION_HEADER;
        if start < headers || self.sections[index..].iter().any(|section| section.offset < start) {
            return Err(missing());
        }
        let removed = self.sections.split_off(index);
        let bytes = self.bytes.split_off(start.min(self.bytes.len()));
        let headers = &mut self.bytes[self.section_headers + index * SECTION_HEADER..headers];
        let kinds: Vec<Content> = headers.chunks(SECTION_HEADER).map(Content::of_header).collect();
        headers.fill(0);
        let data = removed.iter().fold(self.optional(8, 4)?, |sum, section| sum.saturating_sub(section.size as u64));
        self.set_optional(8, &(data as u32).to_le_bytes());
        for (number, (section, kind)) in removed.iter().zip(kinds).enumerate() {
            let from = section.offset - start;
            let kept = bytes.get(from..from + section.size.min(section.raw_size)).unwrap_or_default();
            self.append(&section.name, if number == 0 { content } else { kept }, kind)?;
        }
        Ok(())
    }

    /// Lays the content of a section that was appended behind everything else in the file; its header and its place in
    /// memory stay, and nothing is changed when it lies there already.
    ///
    /// # Errors
    /// [`PeError::NotAppended`] when there is no such section.
    pub fn lay_last(&mut self, name: &str) -> Result<(), PeError> {
        let index = self.position(name)?;
        self.lay_out(index, (index + 1..self.sections.len()).chain([index]).collect())
    }

    /// Whether the content of a section lies behind everything else in the file.
    pub fn is_last(&self, name: &str) -> bool {
        let last = self.sections.iter().max_by_key(|section| section.offset);
        last.is_some_and(|section| section.name == name)
    }

    /// Lays the content of a section that was appended, and of those behind it, in the order of their headers.
    ///
    /// # Errors
    /// [`PeError::NotAppended`] when there is no such section.
    pub fn lay_in_order(&mut self, name: &str) -> Result<(), PeError> {
        let index = self.position(name)?;
        self.lay_out(index, (index..self.sections.len()).collect())
    }

    fn position(&self, name: &str) -> Result<usize, PeError> {
        let index = self.sections.iter().position(|section| section.name == name);
        index.ok_or_else(|| PeError::NotAppended { name: name.to_owned() })
    }

    /// Lays the contents of the sections from `first` on, which end the file, in this `order`.
    fn lay_out(&mut self, first: usize, order: Vec<usize>) -> Result<(), PeError> {
        let (before, moved) = self.sections.split_at(first);
        let start = moved.iter().map(|section| section.offset).min().unwrap_or(self.bytes.len());
        let kept = moved.iter().map(|section| section.raw_size).sum::<usize>();
        let headers = self.section_headers + self.sections.len() * SECTION_HEADER;
        let is_behind = before.iter().all(|section| section.offset.saturating_add(section.raw_size) <= start);
        if start < headers || !is_behind || start.checked_add(kept) != Some(self.bytes.len()) {
            return Err(PeError::NotAppended { name: self.sections[first].name.clone() });
        }
        let bytes = self.bytes.split_off(start);
        for index in order {
            let section = &mut self.sections[index];
            let from = section.offset - start;
            let content = bytes.get(from..from + section.raw_size).ok_or(PeError::Short { what: "sections" })?;
            // Offsets were below 2^32 before, and their sum stays.
            section.offset = self.bytes.len();
            self.bytes.extend_from_slice(content);
            let header = self.section_headers + index * SECTION_HEADER;
            self.bytes[header + 20..header + 24].copy_from_slice(&(section.offset as u32).to_le_bytes());
        }
        Ok(())
    }

    /// The file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn read_section(&self, index: usize) -> Result<Section, PeError> {
        let at = self.section_headers + index * SECTION_HEADER;
        let header = self.bytes.get(at..at + SECTION_HEADER).ok_or(PeError::Short { what: "section headers" })?;
        let field = |from: usize| number(header, from, 4, "section headers");
        let name = header[..8].split(|byte| *byte == 0).next().unwrap_or_default();
        let section = Section {
            name: String::from_utf8_lossy(name).into_owned(),
            size: field(8)? as usize,
            address: field(12)? as u32,
            raw_size: field(16)? as usize,
            offset: field(20)? as usize,
        };
        if section.raw_size > 0 && section.offset.saturating_add(section.raw_size) > self.bytes.len() {
            return Err(PeError::Short { what: "sections" });
        }
        Ok(section)
    }

    fn optional(&self, at: usize, len: usize) -> Result<u64, PeError> {
        number(&self.bytes, self.file_header + 20 + at, len, "optional header")
    }

    fn set_optional(&mut self, at: usize, value: &[u8]) {
        let at = self.file_header + 20 + at;
        if let Some(field) = self.bytes.get_mut(at..at + value.len()) {
            field.copy_from_slice(value);
        }
    }

    fn expect(
        &self,
        what: &'static str,
        at: usize,
        len: usize,
        is_good: impl Fn(u64) -> bool,
        expected: &'static str,
    ) -> Result<(), PeError> {
        let found = self.optional(at, len)?;
        if is_good(found) { Ok(()) } else { Err(PeError::Field { what, found, expected }) }
    }
}

/// A little-endian number of `len` bytes (at most 8) at `at`.
fn number(bytes: &[u8], at: usize, len: usize, what: &'static str) -> Result<u64, PeError> {
    let field = at.checked_add(len).and_then(|end| bytes.get(at..end)).ok_or(PeError::Short { what })?;
    let mut whole = [0; 8];
    whole[..len].copy_from_slice(field);
    Ok(u64::from_le_bytes(whole))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A PE32+ file with sections `.text` and `.sbat` and room for `free` more section headers.
    pub fn small_pe(machine: u16, free: usize) -> Vec<u8> {
        let start = 0x40;
        let optional_size = OPTIONAL_HEADER + 16 * 8;
        let section_headers = start + 24 + optional_size;
        let headers = (section_headers + (2 + free) * SECTION_HEADER).next_multiple_of(512);
        // What is not free is filled, so that the number of free headers is exact.
        let mut bytes = vec![0; headers + 1024];
        bytes[section_headers + (2 + free) * SECTION_HEADER..headers].fill(0xff);
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, b"MZ");
        put(0x3c, &(start as u32).to_le_bytes());
        put(start, b"PE\0\0");
        put(start + 4, &machine.to_le_bytes());
        put(start + 6, &2_u16.to_le_bytes());
        put(start + 20, &(optional_size as u16).to_le_bytes());
        let optional = start + 24;
        for (at, value) in [(0, 0x20b_u32), (32, 4096), (36, 512), (56, 3 * 4096), (60, headers as u32), (108, 16)] {
            put(optional + at, &value.to_le_bytes());
        }
        let sbat = b"sbat,1,SBAT Version\nstub,1\n\0";
        for (index, name, content) in [(0, b".text", &b"\xc3"[..]), (1, b".sbat", &sbat[..])] {
            let at = section_headers + index * SECTION_HEADER;
            let offset = headers + index * 512;
            put(at, name);
            let fields = [(8, content.len()), (12, (1 + index) * 4096), (16, 512), (20, offset)];
            fields.iter().for_each(|(from, value)| put(at + from, &(*value as u32).to_le_bytes()));
            put(offset, content);
        }
        bytes
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_refused_and_never_panics() {
        let whole = small_pe(0x8664, 1);
        for len in 0..whole.len() {
            assert!(PeFile::parse(whole[..len].to_vec()).is_err(), "{len}");
        }
        assert!(PeFile::parse(whole).is_ok());
    }

    #[test]
    fn a_changed_header_never_panics() {
        let whole = small_pe(0x8664, 1);
        for at in 0..0x40 + 24 + OPTIONAL_HEADER + 16 * 8 + 2 * SECTION_HEADER {
            for value in [0, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                if let Ok(mut file) = PeFile::parse(changed) {
                    let _ = file.append(".x", b"x", Content::Data);
                    let _ = file.replace(".sbat", b"y");
                    let _ = file.replace_appended(".sbat", b"y");
                    let _ = (file.lay_last(".sbat"), file.lay_last(".text"), file.lay_in_order(".text"));
                    let _ = (file.section(".sbat"), file.is_signed());
                }
            }
        }
    }
}
