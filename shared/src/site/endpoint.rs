//! What can be checked, by the scheme of its URL.

use std::fmt;

use url::{Host, Url};

/// What is checked, by the scheme of its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `http://` and `https://`: a request. Without credentials and fragment.
    Http(Url),
    /// `tcp://host:port`: a connection.
    Tcp(Address),
    /// `tls://host:port`: a connection and its certificate.
    Tls(Address),
    /// `dns://server/name?type=A`: a question to a name server.
    Dns(Question),
}

/// A host and a port of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address.
    pub host: Host<String>,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What a name server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which name server.
    pub server: Address,
    /// The name.
    pub name: String,
    /// The type of record.
    pub record_type: RecordType,
}

macro_rules! record_types {
    ($($name:ident = $word:literal),+ $(,)?) => {
        /// Types of records that can be asked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are those of the DNS")]
        pub enum RecordType { $($name),+ }

        impl RecordType {
            /// All of them, as they are written.
            pub const ALL: &[&str] = &[$($word),+];

            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// Reads one, in whatever letters.
            pub fn parse(text: &str) -> Option<Self> {
                match text.to_ascii_uppercase().as_str() {
                    $($word => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}
record_types! {
    A = "A", Aaaa = "AAAA", Caa = "CAA", Cname = "CNAME", Mx = "MX", Ns = "NS", Ptr = "PTR", Soa = "SOA", Srv = "SRV",
    Txt = "TXT",
}

impl Endpoint {
    /// The kind of site.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Http(_) => Kind::Http,
            Self::Tcp(_) => Kind::Tcp,
            Self::Tls(_) => Kind::Tls,
            Self::Dns(_) => Kind::Dns,
        }
    }

    /// Whether TLS is spoken there.
    pub fn is_encrypted(&self) -> bool {
        match self {
            Self::Http(url) => url.scheme() == "https",
            Self::Tls(_) => true,
            Self::Tcp(_) | Self::Dns(_) => false,
        }
    }

    /// In its normal form.
    pub fn normal(&self) -> String {
        match self {
            Self::Http(url) => url.to_string(),
            Self::Tcp(address) => format!("tcp://{address}"),
            Self::Tls(address) => format!("tls://{address}"),
            Self::Dns(Question { server, name, record_type }) => {
                format!("dns://{server}/{name}?type={}", record_type.as_str())
            }
        }
    }
}

/// The kinds of site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Endpoint::Http`].
    Http,
    /// [`Endpoint::Tcp`].
    Tcp,
    /// [`Endpoint::Tls`].
    Tls,
    /// [`Endpoint::Dns`].
    Dns,
}

impl Endpoint {
    /// What a `url` of another scheme than http and https stands for.
    pub(crate) fn of_other_scheme(url: &Url) -> Result<Self, String> {
        Ok(match url.scheme() {
            "tcp" => Self::Tcp(address(url, None, "tcp://host:port")?),
            "tls" => Self::Tls(address(url, Some(443), "tls://host:port")?),
            "dns" => Self::Dns(question(url)?),
            other => {
                let is_word = other.len() <= 8 && other.bytes().all(|b| b.is_ascii_lowercase());
                let scheme = if is_word { other } else { "this scheme" };
                return Err(format!("{scheme} cannot be checked: http, https, tcp, tls and dns can"));
            }
        })
    }
}

/// The host and port of a `url` that has nothing else, written like `form`.
fn address(url: &Url, default_port: Option<u16>, form: &str) -> Result<Address, String> {
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("has more than a host and a port: write it like {form}"));
    }
    host_and_port(url, default_port, form)
}

fn host_and_port(url: &Url, default_port: Option<u16>, form: &str) -> Result<Address, String> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("has credentials, which nobody would ask for: write it like {form}"));
    }
    // The host of such a scheme is not parsed by the URL itself.
    let host = url.host_str().and_then(|host| Host::parse(host).ok());
    let host = host.ok_or_else(|| format!("has no host: write it like {form}"))?;
    let port = url.port().or(default_port).filter(|port| *port > 0);
    Ok(Address { host, port: port.ok_or_else(|| format!("has no port: write it like {form}"))? })
}

fn question(url: &Url) -> Result<Question, String> {
    const FORM: &str = "dns://server/name?type=A";
    let server = host_and_port(url, Some(53), FORM)?;
    let name = url.path().trim_matches('/');
    let is_name = !name.is_empty() && name.len() <= 253 && !name.contains(['/', '%']);
    if !is_name {
        return Err(format!("asks for no name: write it like {FORM}"));
    }
    let mut record_type = RecordType::A;
    for (key, value) in url.query_pairs() {
        if key != "type" {
            return Err(format!("has a parameter other than type, which says nothing: write it like {FORM}"));
        }
        record_type = RecordType::parse(&value)
            .ok_or_else(|| format!("asks for records of a type that is none of {}", RecordType::ALL.join(", ")))?;
    }
    Ok(Question { server, name: name.to_owned(), record_type })
}
