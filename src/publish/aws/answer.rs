//! What a service answered: JSON or XML, read within limits.

use super::{
    AwsError,
    xml::{Node, parse},
};

/// The most that is read of an answer; a page of EC2's has at most 1000 things.
pub(super) const MAX_BYTES: u64 = 16 << 20;

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    pub(super) what: String,
    pub(super) body: Vec<u8>,
    pub(super) headers: ureq::http::HeaderMap,
}

impl Answer {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<serde_json::Value, AwsError> {
        serde_json::from_slice(&self.body).map_err(|_| self.nonsense("it is no JSON"))
    }

    /// Reads the answer as XML.
    ///
    /// # Errors
    /// It is none, or what is looked for is not there.
    pub fn xml<T>(&self, read: impl FnOnce(Node<'_, '_>) -> Option<T>) -> Result<T, AwsError> {
        let text = std::str::from_utf8(&self.body).map_err(|_| self.nonsense("it is no UTF-8"))?;
        let document = parse(text).map_err(|_| self.nonsense("it is no XML"))?;
        read(Node::root(&document)).ok_or_else(|| self.nonsense("what was asked for is not in it"))
    }

    /// An answer that makes no sense.
    pub fn nonsense(&self, problem: &'static str) -> AwsError {
        AwsError::Answer { what: self.what.clone(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::xml::MAX_NODES, *};

    #[test]
    fn an_answer_with_a_document_type_or_without_end_is_refused() {
        let answer = |body: &str| Answer {
            what: "DescribeImages".to_owned(),
            body: body.as_bytes().to_vec(),
            headers: ureq::http::HeaderMap::new(),
        };
        let good = answer("<R xmlns=\"x\"><set><item><id>a</id></item><item><id>b</id></item></set></R>");
        let ids =
            good.xml(|root| Some(root.items("set").filter_map(|item| item.text("id")).map(str::to_owned).collect()));
        let ids: Vec<String> = ids.unwrap();
        assert_eq!(ids, ["a", "b"]);
        assert!(good.xml(|root| root.child("none").map(|_| ())).is_err());
        let bomb = "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]><r>&b;</r>";
        let many = format!("<r>{}</r>", "<a/>".repeat(MAX_NODES as usize));
        for bad in [bomb, "<r>", "", many.as_str()] {
            assert!(answer(bad).xml(|_| Some(())).is_err(), "{}", bad.get(..20).unwrap_or(bad));
        }
    }
}
