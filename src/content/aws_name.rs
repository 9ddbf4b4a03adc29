//! How names at AWS are written: regions, accounts, ARNs, parameters. Text alone; whether there is such a thing only AWS
//! knows.

/// Whether a text has the shape of a region: `eu-central-1`.
pub fn is_region(text: &str) -> bool {
    let mut words: Vec<&str> = text.split('-').collect();
    let number = words.pop().unwrap_or_default();
    let is_number = !number.is_empty() && number.len() <= 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_word =
        |word: &&str| !word.is_empty() && word.len() <= 16 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    is_number && (2..=4).contains(&words.len()) && words.iter().all(is_word)
}

/// Whether a text is the number of an account.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The parts of an ARN: service, region, account, and what it names there.
pub fn arn(text: &str) -> Option<[&str; 4]> {
    let is_plain = |letter: char| letter.is_ascii_graphic();
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, service, region, account, name]
            if partition.starts_with("aws") && !name.is_empty() && text.len() <= 2048 && text.chars().all(is_plain) =>
        {
            Some([*service, *region, *account, *name])
        }
        _ => None,
    }
}

/// Whether a text names something of an account by `kind/NAME`, in this service and, where one is said, in that region.
pub fn is_arn_of(text: &str, service: &str, kind: &str) -> bool {
    arn(text).is_some_and(|[found, _, account, name]| {
        let rest = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
        found == service && is_account(account) && !rest.is_empty()
    })
}

/// What is wrong with the name of a parameter whose braces are filled.
pub fn parameter_mistake(name: &str) -> Option<&'static str> {
    let is_known = |letter: char| letter.is_ascii_alphanumeric() || "_.-/".contains(letter);
    if !name.chars().all(is_known) {
        return Some(
            "expected letters, digits and _.-/, and of braces only {variant}, {arch}, {architecture} and {version}",
        );
    }
    let first = name.trim_start_matches('/').to_ascii_lowercase();
    if !name.starts_with('/') || first.is_empty() || name.ends_with('/') || name.len() > 1011 {
        return Some("expected a name that begins with `/`");
    }
    if first.starts_with("aws") || first.starts_with("ssm") {
        return Some("names that begin with `aws` or `ssm` are kept for AWS");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_region_never_becomes_part_of_an_address() {
        for good in ["eu-central-1", "us-gov-west-1", "ap-southeast-7", "cn-north-1", "mx-central-1"] {
            assert!(is_region(good), "{good}");
        }
        for bad in
            ["", "eu-central", "eu-central1", "eu_central_1", "x.example.org/-1", "EU-CENTRAL-1", "-1", "a-b-c-d-e-1"]
        {
            assert!(!is_region(bad), "{bad}");
        }
    }

    #[test]
    fn an_arn_names_its_service_an_account_and_a_kind() {
        assert!(is_arn_of("arn:aws:iam::111122223333:role/a/b", "iam", "role"));
        assert!(is_arn_of("arn:aws-cn:kms:cn-north-1:111122223333:key/1234", "kms", "key"));
        for bad in [
            "arn:aws:iam::111122223333:user/a",
            "arn:aws:iam::11112222333:role/a",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:sts::111122223333:role/a",
            "arn:other:iam::111122223333:role/a",
            "arn:aws:iam::111122223333:role/a b",
            "role/a",
        ] {
            assert!(!is_arn_of(bad, "iam", "role"), "{bad}");
        }
    }
}
