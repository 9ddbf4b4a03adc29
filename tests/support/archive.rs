//! Small Debian archives: keys, signed `InRelease`, indices, packages. Equal descriptions give equal bytes.

use std::{collections::BTreeMap, fmt::Write as _};

use pgp::{
    composed::{
        ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedKeyDetails, SignedPublicKey,
        SignedPublicSubKey, SubkeyParamsBuilder,
    },
    crypto::hash::HashAlgorithm,
    packet::{
        KeyFlags, SecretKey, SecretSubkey, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId,
    },
    types::{Duration, PacketHeaderVersion, Password, SignedUser, SigningKey, Tag, Timestamp},
};
use rand::{SeedableRng, rngs::StdRng};
use sha2::{Digest as _, Sha256};

use super::package::{TarEntry, ar, packed, tar, xz, zstd};

/// The time of all test archives: 2026-11-01T00:00:00Z.
pub const NOW: u64 = 1_793_491_200;

/// How a key is made; the default is a good one.
#[derive(Debug, Clone)]
pub struct KeySpec {
    pub seed: u64,
    pub kind: KeyType,
    pub created: u64,
    /// Seconds from its creation to its end.
    pub lifetime: Option<u32>,
    pub may_sign: bool,
    pub revoked: bool,
    /// What its self-signatures are over.
    pub hash: HashAlgorithm,
    /// Whether a subkey signs instead of the primary key.
    pub subkey: Option<SubkeySpec>,
}

/// How a signing subkey is bound.
#[derive(Debug, Clone, Copy)]
pub struct SubkeySpec {
    pub may_sign: bool,
    /// Whether it signed that it belongs to the primary key.
    pub agrees: bool,
    pub revoked: bool,
    pub lifetime: Option<u32>,
}

impl Default for KeySpec {
    fn default() -> Self {
        KeySpec {
            seed: 1,
            kind: KeyType::Ed25519Legacy,
            created: NOW - 365 * 86_400,
            lifetime: None,
            may_sign: true,
            revoked: false,
            hash: HashAlgorithm::Sha512,
            subkey: None,
        }
    }
}

impl Default for SubkeySpec {
    fn default() -> Self {
        SubkeySpec { may_sign: true, agrees: true, revoked: false, lifetime: None }
    }
}

/// A key that signs archives, with its certificate.
pub struct ArchiveKey {
    primary: SecretKey,
    subkey: Option<SecretSubkey>,
    certificate: SignedPublicKey,
}

impl ArchiveKey {
    pub fn new(spec: &KeySpec) -> Self {
        let created = Timestamp::from_secs(spec.created as u32);
        let mut subkeys = Vec::new();
        if spec.subkey.is_some() {
            let mut subkey = SubkeyParamsBuilder::default();
            subkeys.push(subkey.key_type(spec.kind.clone()).can_sign(true).created_at(created).build().unwrap());
        }
        let mut parameters = SecretKeyParamsBuilder::default();
        parameters.key_type(spec.kind.clone()).can_sign(true).created_at(created).subkeys(subkeys);
        let parameters = parameters.primary_user_id("test archive".to_owned()).build().unwrap();
        let made = parameters.generate(StdRng::seed_from_u64(spec.seed)).unwrap();
        let primary = made.primary_key;
        let subkey = made.secret_subkeys.into_iter().next().map(|subkey| subkey.key);
        let certificate = certificate(spec, &primary, subkey.as_ref());
        ArchiveKey { primary, subkey, certificate }
    }

    /// The public certificate, armoured.
    pub fn certificate(&self) -> Vec<u8> {
        self.certificate.to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    /// The public certificate, as it is.
    pub fn binary_certificate(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        pgp::ser::Serialize::to_writer(&self.certificate, &mut bytes).unwrap();
        bytes
    }

    /// Signs a text as `InRelease` is signed.
    pub fn sign(&self, text: &str, hash: HashAlgorithm, made: u64) -> String {
        let message = CleartextSignedMessage::new_many(text, |text| {
            let none = Password::empty();
            Ok(vec![match &self.subkey {
                Some(key) => config(key, SignatureType::Text, hash, made, vec![]).sign(key, &none, text.as_bytes())?,
                None => {
                    let key = &self.primary;
                    config(key, SignatureType::Text, hash, made, vec![]).sign(key, &none, text.as_bytes())?
                }
            }])
        });
        message.unwrap().to_armored_string(ArmorOptions::default()).unwrap()
    }
}

fn config(
    key: &impl SigningKey,
    kind: SignatureType,
    hash: HashAlgorithm,
    made: u64,
    more: Vec<SubpacketData>,
) -> SignatureConfig {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), hash);
    let made = SubpacketData::SignatureCreationTime(Timestamp::from_secs(made as u32));
    let data = [made, SubpacketData::IssuerFingerprint(key.fingerprint())].into_iter().chain(more);
    config.hashed_subpackets = data.map(|data| Subpacket::regular(data).unwrap()).collect();
    config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id())).unwrap()];
    config
}

fn flags(may_sign: bool, lifetime: Option<u32>) -> Vec<SubpacketData> {
    let mut flags = KeyFlags::default();
    flags.set_sign(may_sign);
    flags.set_certify(true);
    let mut data = vec![SubpacketData::KeyFlags(flags)];
    data.extend(lifetime.map(|seconds| SubpacketData::KeyExpirationTime(Duration::from_secs(seconds))));
    data
}

fn certificate(spec: &KeySpec, primary: &SecretKey, subkey: Option<&SecretSubkey>) -> SignedPublicKey {
    let none = Password::empty();
    let public = primary.public_key();
    let user = UserId::from_str(PacketHeaderVersion::New, "test archive").unwrap();
    let own =
        config(primary, SignatureType::CertPositive, spec.hash, spec.created, flags(spec.may_sign, spec.lifetime));
    let own = own.sign_certification(primary, public, &none, Tag::UserId, &user).unwrap();
    let revocations: Vec<Signature> = spec
        .revoked
        .then(|| config(primary, SignatureType::KeyRevocation, spec.hash, NOW - 10, vec![]))
        .map(|config| config.sign_key(primary, &none, public).unwrap())
        .into_iter()
        .collect();
    let details = SignedKeyDetails::new(revocations, vec![], vec![SignedUser::new(user, vec![own])], vec![]);
    let subkeys = subkey.zip(spec.subkey).map(|(subkey, how)| {
        let mut data = flags(how.may_sign, how.lifetime);
        if how.agrees {
            let back = config(subkey, SignatureType::KeyBinding, spec.hash, spec.created, vec![]);
            let back = back.sign_primary_key_binding(subkey, subkey.public_key(), &none, public).unwrap();
            data.push(SubpacketData::EmbeddedSignature(Box::new(back)));
        }
        let binding = config(primary, SignatureType::SubkeyBinding, spec.hash, spec.created, data);
        let binding = binding.sign_subkey_binding(primary, public, &none, subkey.public_key()).unwrap();
        let mut signatures = vec![binding];
        if how.revoked {
            let revocation = config(primary, SignatureType::SubkeyRevocation, spec.hash, NOW - 10, vec![]);
            signatures.push(revocation.sign_subkey_binding(primary, public, &none, subkey.public_key()).unwrap());
        }
        SignedPublicSubKey::new(subkey.public_key().clone(), signatures)
    });
    SignedPublicKey::new(public.clone(), details, subkeys.into_iter().collect())
}

/// A package: its control fields, scripts and files.
#[derive(Debug, Clone)]
pub struct PackageSpec {
    pub name: String,
    pub version: String,
    pub architecture: String,
    /// `Depends`, `Provides`, … as the index writes them.
    pub fields: Vec<(String, String)>,
    pub scripts: Vec<String>,
    pub files: Vec<TarEntry>,
}

impl PackageSpec {
    pub fn new(name: &str, version: &str) -> Self {
        PackageSpec {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: "amd64".to_owned(),
            fields: Vec::new(),
            scripts: Vec::new(),
            files: Vec::new(),
        }
    }

    pub fn with(mut self, field: &str, value: &str) -> Self {
        self.fields.push((field.to_owned(), value.to_owned()));
        self
    }

    pub fn depends(self, value: &str) -> Self {
        self.with("Depends", value)
    }

    pub fn provides(self, value: &str) -> Self {
        self.with("Provides", value)
    }

    pub fn architecture(mut self, word: &str) -> Self {
        self.architecture = word.to_owned();
        self
    }

    pub fn script(mut self, name: &str) -> Self {
        self.scripts.push(name.to_owned());
        self
    }

    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push(TarEntry::file(&format!("./{path}"), text.as_bytes()));
        self
    }

    /// Its path below the mirror's URL.
    pub fn path(&self) -> String {
        let version = self.version.split_once(':').map_or(self.version.as_str(), |(_, rest)| rest);
        format!("pool/main/{}/{}_{version}_{}.deb", self.name, self.name, self.architecture)
    }

    fn control(&self) -> String {
        let mut text =
            format!("Package: {}\nVersion: {}\nArchitecture: {}\n", self.name, self.version, self.architecture);
        for (name, value) in &self.fields {
            // Writing to a `String` does not fail.
            let _ = writeln!(text, "{name}: {value}");
        }
        text
    }

    /// The package itself.
    pub fn deb(&self) -> Vec<u8> {
        let mut control = vec![TarEntry::directory("./"), TarEntry::file("./control", self.control().as_bytes())];
        control.extend(self.scripts.iter().map(|name| TarEntry::file(&format!("./{name}"), b"#!/bin/sh\n")));
        let data = tar(&self.files);
        ar(&[("debian-binary", b"2.0\n"), ("control.tar.zst", &zstd(&tar(&control))), ("data.tar.xz", &xz(&data))])
    }

    fn paragraph(&self) -> String {
        let deb = self.deb();
        format!("{}Filename: {}\nSize: {}\nSHA256: {}\n\n", self.control(), self.path(), deb.len(), hex(&deb))
    }
}

/// A source package: its version, format and archives.
#[derive(Debug, Clone)]
pub struct SourceSpec {
    pub name: String,
    pub version: String,
    pub format: String,
    /// Its files by name.
    pub files: Vec<(String, Vec<u8>)>,
}

impl SourceSpec {
    /// A package of format 3.0 (quilt): `a_1.2-3` has `a_1.2.orig.tar.xz` and `a_1.2-3.debian.tar.xz`.
    pub fn quilt(name: &str, version: &str, orig: &[TarEntry], debian: &[TarEntry]) -> Self {
        let number = version.split_once(':').map_or(version, |(_, rest)| rest);
        let upstream = number.rsplit_once('-').map_or(number, |(upstream, _)| upstream);
        let files = vec![
            (format!("{name}_{number}.dsc"), b"Format: 3.0 (quilt)\n".to_vec()),
            (format!("{name}_{upstream}.orig.tar.xz"), xz(&tar(orig))),
            (format!("{name}_{number}.debian.tar.xz"), xz(&tar(debian))),
        ];
        let text = |text: &str| text.to_owned();
        SourceSpec { name: text(name), version: text(version), format: text("3.0 (quilt)"), files }
    }

    fn folder(&self) -> String {
        format!("pool/main/{}", self.name)
    }

    fn paragraph(&self) -> String {
        let SourceSpec { name, version, format, .. } = self;
        let list: String =
            self.files.iter().map(|(file, bytes)| format!(" {} {} {file}\n", hex(bytes), bytes.len())).collect();
        let folder = self.folder();
        format!(
            "Package: {name}\nBinary: {name}-bin\nVersion: {version}\nFormat: {format}\nFiles:\n 0 0 {name}.dsc\n\
             Checksums-Sha256:\n{list}Package-List: \n {name}-bin deb libs optional arch=any\nDirectory: {folder}\n\n"
        )
    }
}

/// A suite of an archive.
#[derive(Debug, Clone)]
pub struct SuiteSpec {
    pub name: String,
    pub mirror: String,
    pub date: u64,
    pub valid_until: Option<u64>,
    pub packages: Vec<PackageSpec>,
    pub sources: Vec<SourceSpec>,
    /// Its areas; all packages are in the last one, all sources in the first.
    pub areas: Vec<&'static str>,
    /// The ends of the names of its indices, one for each compression.
    pub compressed: Vec<&'static str>,
    /// What its indices say besides, before what they list.
    pub besides: String,
    /// What stands before the paths of its files.
    pub before_paths: &'static str,
    /// What the signature is over.
    pub hash: HashAlgorithm,
    /// The name that the file states, if not its own.
    pub claims: Option<String>,
}

impl SuiteSpec {
    pub fn new(name: &str, packages: Vec<PackageSpec>) -> Self {
        SuiteSpec {
            name: name.to_owned(),
            mirror: "debian".to_owned(),
            date: NOW - 3600,
            valid_until: Some(NOW + 7 * 86_400),
            packages,
            sources: Vec::new(),
            areas: vec!["main"],
            compressed: vec!["", ".xz"],
            besides: String::new(),
            before_paths: "",
            hash: HashAlgorithm::Sha256,
            claims: None,
        }
    }

    /// The text of its `Release`.
    pub fn release(&self) -> String {
        let claims = self.claims.as_deref().unwrap_or(&self.name);
        let mut text = format!("Origin: Test\nSuite: stable\nCodename: {claims}\nDate: {}\n", rfc5322(self.date));
        if let Some(end) = self.valid_until {
            text.push_str(&format!("Valid-Until: {}\n", rfc5322(end)));
        }
        text.push_str("Acquire-By-Hash: yes\nNo-Support-for-Architecture-all: Packages\n");
        text.push_str("Architectures: all amd64 arm64\n");
        text.push_str(&format!("Components: {}\nSHA256:\n", self.areas.join(" ")));
        for (path, bytes) in self.indices() {
            text.push_str(&format!(" {} {:>8} {path}\n", hex(&bytes), bytes.len()));
        }
        text
    }

    /// Its indices by path below its folder, plain and compressed.
    fn indices(&self) -> BTreeMap<String, Vec<u8>> {
        let (first, last) = (self.areas.first(), self.areas.last());
        let mut texts = BTreeMap::new();
        for area in &self.areas {
            for word in ["amd64", "arm64"] {
                let fits = |package: &&PackageSpec| {
                    Some(area) == last && (package.architecture == word || package.architecture == "all")
                };
                let packages = self.packages.iter().filter(fits).map(PackageSpec::paragraph);
                let text: String = [self.besides.clone()].into_iter().chain(packages).collect();
                texts.insert(format!("{area}/binary-{word}/Packages"), text);
            }
            let sources = self.sources.iter().filter(|_| Some(area) == first).map(SourceSpec::paragraph);
            texts.insert(format!("{area}/source/Sources"), sources.collect());
        }
        let mut files = BTreeMap::new();
        for (path, text) in texts {
            let text = text.replace("Filename: ", &format!("Filename: {}", self.before_paths));
            let text = text.replace("Directory: ", &format!("Directory: {}", self.before_paths));
            for suffix in &self.compressed {
                files.insert(format!("{path}{suffix}"), packed(text.as_bytes(), suffix));
            }
        }
        files
    }

    /// Every file of it by path below the mirror's URL, `InRelease` signed by `key`.
    pub fn files(&self, key: &ArchiveKey) -> BTreeMap<String, Vec<u8>> {
        let folder = format!("dists/{}", self.name);
        let mut files = BTreeMap::new();
        let signed = key.sign(&self.release(), self.hash, self.date);
        files.insert(format!("{folder}/InRelease"), signed.into_bytes());
        for (path, bytes) in self.indices() {
            let (parent, _) = path.rsplit_once('/').unwrap();
            files.insert(format!("{folder}/{parent}/by-hash/SHA256/{}", hex(&bytes)), bytes.clone());
            files.insert(format!("{folder}/{path}"), bytes);
        }
        files.extend(self.packages.iter().map(|package| (package.path(), package.deb())));
        for source in &self.sources {
            let paths = source.files.iter().map(|(file, bytes)| (format!("{}/{file}", source.folder()), bytes.clone()));
            files.extend(paths);
        }
        files
    }
}

pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A date as archives write it, by the calendar of Howard Hinnant's `civil_from_days`.
pub fn rfc5322(seconds: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut day) = (1970, days);
    let length = |year: u64| {
        if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) { 366 } else { 365 }
    };
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let february = length(year) - 337;
    let mut month = 0;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    format!("{}, {:02} {} {year} {clock} UTC", DAYS[(days % 7) as usize], day + 1, MONTHS[month])
}
