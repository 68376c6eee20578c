//! How many different visitors there were, in a kilobyte: HyperLogLog (Flajolet et al., 2007) with 2^10 registers, so a
//! standard error of 3.3 %. While there are few, only the registers that are set are kept: two bytes and one each.

const BITS: u32 = 10;
const REGISTERS: usize = 1 << BITS;
/// Sparse up to this many bytes.
const SPARSE: usize = REGISTERS / 2;

#[derive(Clone, Debug, PartialEq)]
pub struct Sketch(Box<[u8; REGISTERS]>);

impl Default for Sketch {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl Sketch {
    /// `visitor` is a hash: its bits are as good as random.
    pub fn add(&mut self, visitor: i64) {
        let hash = visitor as u64;
        let place = (hash >> (64 - BITS)) as usize;
        let rank = ((hash << BITS) | (1 << (BITS - 1))).leading_zeros() as u8 + 1;
        self.0[place] = self.0[place].max(rank);
    }

    pub fn merge(&mut self, other: &Self) {
        for (own, theirs) in self.0.iter_mut().zip(other.0.iter()) {
            *own = (*own).max(*theirs);
        }
    }

    pub fn estimate(&self) -> u64 {
        let count = REGISTERS as f64;
        let sum: f64 = self.0.iter().map(|rank| (-f64::from(*rank)).exp2()).sum();
        let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let empty = self.0.iter().filter(|rank| **rank == 0).count();
        // Linear counting is better while many registers are empty.
        let estimate = if raw <= 2.5 * count && empty > 0 {
            count * (count / empty as f64).ln()
        } else {
            raw
        };
        estimate.round() as u64
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let set = self.0.iter().filter(|rank| **rank > 0).count();
        if set * 3 > SPARSE {
            return self.0.to_vec();
        }
        let mut bytes = Vec::with_capacity(set * 3);
        for (place, rank) in self.0.iter().enumerate().filter(|(_, rank)| **rank > 0) {
            bytes.extend_from_slice(&(place as u16).to_be_bytes());
            bytes.push(*rank);
        }
        bytes
    }

    /// Bytes that are no sketch count as an empty one.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut sketch = Self::default();
        if let Ok(registers) = bytes.try_into() {
            sketch.0 = Box::new(registers);
        } else {
            for entry in bytes.chunks_exact(3) {
                let place = usize::from(u16::from_be_bytes([entry[0], entry[1]])) % REGISTERS;
                sketch.0[place] = sketch.0[place].max(entry[2]);
            }
        }
        sketch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(number: u64) -> i64 {
        i64::from_le_bytes(blake3::hash(&number.to_le_bytes()).as_bytes()[..8].try_into().unwrap())
    }

    #[test]
    fn the_estimate_is_near_and_repetitions_do_not_count() {
        for count in [0, 1, 10, 100, 1_000, 10_000, 200_000] {
            let mut sketch = Sketch::default();
            for number in (0..count).chain(0..count / 2) {
                sketch.add(visitor(number));
            }
            let error = (sketch.estimate() as f64 - count as f64).abs() / (count as f64).max(1.0);
            assert!(error < 0.10, "{count}: {}", sketch.estimate());
        }
    }

    #[test]
    fn it_survives_its_bytes_and_merges_as_if_counted_together() {
        for count in [0, 5, 100, 5_000] {
            let (mut left, mut right, mut both) = (Sketch::default(), Sketch::default(), Sketch::default());
            for number in 0..count {
                if number % 2 == 0 { &mut left } else { &mut right }.add(visitor(number));
                both.add(visitor(number));
            }
            left.merge(&Sketch::from_bytes(&right.to_bytes()));
            assert_eq!(left, both);
            assert_eq!(Sketch::from_bytes(&both.to_bytes()), both);
        }
        assert_eq!(Sketch::default().to_bytes().len(), 0);
    }
}
