//! Country and city of an address, from a MaxMind database the operator brings (GeoLite2 may not be shipped).

use foundation::{Error, Kind, Result};
use maxminddb::{Reader, geoip2};
use std::{net::IpAddr, path::Path};

pub struct Geo(Option<Reader<Vec<u8>>>);

impl Geo {
    /// # Errors
    /// The file is there to be used and cannot be.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let read = |path: &Path| {
            Reader::open_readfile(path).map_err(|error| {
                let message = format!(
                    "PORTICO_GEOIP_DATABASE: {} cannot be read as a MaxMind database: {error}",
                    path.display()
                );
                Error::new(Kind::Invalid, "GEOIP_DATABASE", message)
            })
        };
        path.map(read).transpose().map(Self)
    }

    /// (ISO country, English name of the city)
    pub fn find(&self, ip: IpAddr) -> (Option<String>, Option<String>) {
        let found = self
            .0
            .as_ref()
            .and_then(|reader| reader.lookup(ip).ok()?.decode::<geoip2::City>().ok()?);
        match found {
            Some(found) => (
                found.country.iso_code.map(str::to_owned),
                found.city.names.english.map(str::to_owned),
            ),
            None => (None, None),
        }
    }
}
