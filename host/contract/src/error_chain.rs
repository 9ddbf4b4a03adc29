//! How an error is told with its causes, by the builder and on the machine alike.

use std::error::Error;

/// An error and all its causes in one line: `a: b: c`. A cause that the message before it ends with already is not
/// said twice.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let message = cause.to_string();
        if !text.ends_with(&message) {
            text = format!("{text}: {message}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Said(&'static str, Option<Box<Said>>);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Said {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_ref().map(|cause| cause.as_ref() as &(dyn Error + 'static))
        }
    }

    #[test]
    fn every_cause_is_said_once() {
        let of = |texts: &[&'static str]| {
            let chain = texts.iter().rev().fold(None, |cause, text| Some(Box::new(Said(text, cause))));
            error_chain(&*chain.unwrap())
        };
        assert_eq!(of(&["a"]), "a");
        assert_eq!(of(&["a", "b", "c"]), "a: b: c");
        assert_eq!(of(&["`x` cannot be read: gone", "gone", "why"]), "`x` cannot be read: gone: why");
    }
}
