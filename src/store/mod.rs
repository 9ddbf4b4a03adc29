//! Where content is kept: blobs and trees by digest, what actions gave, checkouts, logs.
//!
//! *Takes* bytes and trees. *Gives* them back by digest. *Promises*: what is read is what was written (digests
//! are computed here, never trusted); a kill or power cut at any moment leaves a store that the next run can
//! use; several processes may use one store. *Does not know* what the content is for.
//!
//! ```text
//! VERSION                 `brc-store 1`
//! objects/ab/abcdef…      blobs and tree objects, by BLAKE3; 0444, or 0555 for executable files
//! sha256/ab/abcdef…       the BLAKE3 of the blob with this SHA-256
//! memo/ab/abcdef…         what the action with this key gave: lines `output digest`
//! checkouts/…             trees laid out with hard links into `objects`
//! logs/…                  what actions printed
//! temporary/…             unfinished; anything here may go when no process holds the store
//! lock                    shared by every process that uses the store, exclusive for `gc`
//! ```
