//! Whole numbers of nodes.

use std::ops::RangeInclusive;

use super::{
    Code, Spanned,
    decode::{Cursor, Reader},
    parse::{Entry, Value},
};

impl Cursor<'_> {
    /// One argument that is a whole number in `range`.
    pub(super) fn number(
        &mut self,
        reader: &mut Reader<'_>,
        what: &str,
        range: RangeInclusive<u16>,
    ) -> Option<Spanned<u16>> {
        match self.next_argument() {
            Some(entry) => reader.number_of(entry, what, range),
            None => {
                self.missing_argument(reader, what);
                None
            }
        }
    }

    /// One property that has to be there and is a whole number in `range`.
    pub(super) fn number_property(
        &mut self,
        reader: &mut Reader<'_>,
        name: &'static str,
        what: &str,
        range: RangeInclusive<u16>,
    ) -> Option<Spanned<u16>> {
        match self.property(name) {
            Some(entry) => reader.number_of(entry, what, range),
            None => {
                let message = format!("`{}` wants `{name}=`", self.node.name);
                let help = format!("write `{name}={}`", range.start());
                reader.error(Code::MissingProperty, self.place(), message, help);
                None
            }
        }
    }
}

impl Reader<'_> {
    /// A whole number in `range`.
    fn number_of(&mut self, entry: &Entry<'_>, what: &str, range: RangeInclusive<u16>) -> Option<Spanned<u16>> {
        let expected = format!("write a number from {} to {}", range.start(), range.end());
        let Value::Integer(number, raw) = &entry.value else {
            self.error(Code::WrongType, entry.span, format!("wanted here is {what}, a whole number"), expected);
            return None;
        };
        let found = u16::try_from(*number).ok().filter(|number| range.contains(number));
        if found.is_none() {
            self.error(Code::BadValue, entry.span, format!("{raw} cannot be {what}"), expected);
        }
        Some(Spanned::new(found?, entry.span))
    }
}
