//! A limit of what comes out of a stream, and of how long it is waited for.

use std::{
    io::{self, Read},
    sync::atomic::{AtomicBool, Ordering},
};

use super::UnpackError;
use crate::content::tar_reader::{Limits, ReadError};

/// A reader that ends with an error once too much came out of it, or when the fetch is to stop.
pub(super) struct Bounded<'a> {
    inner: Box<dyn Read + 'a>,
    left: u64,
    limit: u64,
    cancelled: &'a AtomicBool,
}

impl<'a> Bounded<'a> {
    /// Lets `limits.total_bytes` through.
    pub fn new(inner: Box<dyn Read + 'a>, limits: &Limits, cancelled: &'a AtomicBool) -> Self {
        Bounded { inner, left: limits.total_bytes, limit: limits.total_bytes, cancelled }
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other(UnpackError::Cancelled));
        }
        let size = self.inner.read(into)?;
        match self.left.checked_sub(size as u64) {
            Some(left) => self.left = left,
            None => {
                let what = "bytes when decompressed";
                return Err(io::Error::other(UnpackError::from(ReadError::Limit { what, limit: self.limit })));
            }
        }
        Ok(size)
    }
}
