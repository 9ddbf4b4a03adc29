//! What EC2 says of the machine itself, and what a node of Kubernetes takes from it as long as nobody says otherwise.

use brc_contract::settings::Value;

/// As the layer of it is called.
pub const INSTANCE: &str = "ec2-metadata";

/// What EC2 calls a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `i-0b8f842520e04f3b9`.
    pub id: String,
    /// Its availability zone: `eu-central-1a`.
    pub zone: String,
    /// Its name in its network: `ip-10-0-0-15.eu-central-1.compute.internal`.
    pub name: String,
    /// Its address there.
    pub address: String,
}

impl Instance {
    /// What follows for a machine that has been given `values`: nothing where it is no node of a cluster.
    pub fn settings(&self, values: &Value) -> Value {
        let given = |key| values.at(["kubernetes", key]);
        if given("api-server").is_none() {
            return Value::none();
        }
        let is_by_id = given("hostname-override-source") == Some(&Value::Text("instance-id".to_owned()));
        let name = if is_by_id { &self.id } else { &self.name };
        let pairs = [
            ("hostname-override", name.clone()),
            ("node-ip", self.address.clone()),
            ("provider-id", format!("aws:///{}/{}", self.zone, self.id)),
        ];
        let table = pairs.map(|(key, value)| (key.to_owned(), Value::Text(value)));
        Value::Table(table.into()).nested(["kubernetes"].into_iter())
    }
}

#[cfg(test)]
mod tests {
    use brc_contract::settings::{KEYS, check};

    use super::*;

    #[test]
    fn a_node_has_the_names_that_ec2_gives_it_and_no_other_machine_has_any() {
        let text = |text: &str| text.to_owned();
        let instance = Instance {
            id: text("i-0b8f842520e04f3b9"),
            zone: text("eu-central-1a"),
            name: text("ip-10-0-0-15.eu-central-1.compute.internal"),
            address: text("10.0.0.15"),
        };
        assert!(instance.settings(&Value::none()).is_none());
        let server = Value::Text(text("https://cluster.example")).nested(["kubernetes", "api-server"].into_iter());
        let found = instance.settings(&server);
        let at = |found: &Value, key| found.at(["kubernetes", key]).cloned();
        assert_eq!(at(&found, "provider-id"), Some(Value::Text(text("aws:///eu-central-1a/i-0b8f842520e04f3b9"))));
        assert_eq!(at(&found, "hostname-override"), Some(Value::Text(instance.name.clone())));
        assert_eq!(check(KEYS, &found).mistakes, []);
        let source = Value::Text(text("instance-id")).nested(["kubernetes", "hostname-override-source"].into_iter());
        let found = instance.settings(&server.overlaid(source));
        assert_eq!(at(&found, "hostname-override"), Some(Value::Text(instance.id)));
    }
}
