//! Tiles in a rectangle, as large as what they stand for and as square as they can be (Bruls, Huizing, van Wijk:
//! Squarified Treemaps, 2000).

/// The sides of the rectangle, in units of their own.
const SIDES: (f64, f64) = (16.0, 9.0);

/// A rectangle of tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Treemap {
    /// What it shows.
    pub title: String,
    /// The tiles, the largest first; none without bytes.
    pub tiles: Vec<Tile>,
}

/// One tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// What it stands for.
    pub name: String,
    /// How large that is.
    pub bytes: u64,
    /// The section of the same page that shows what is in it.
    pub anchor: Option<String>,
}

/// Where a tile stands, in hundredths of the rectangle's sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// What of the rectangle is still free.
struct Free {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// The places of tiles, which come the largest first.
pub fn placed(tiles: &[Tile]) -> Vec<Place> {
    let whole: f64 = tiles.iter().map(|tile| tile.bytes as f64).sum();
    let (width, height) = SIDES;
    let areas: Vec<f64> = tiles.iter().map(|tile| tile.bytes as f64 * width * height / whole.max(1.0)).collect();
    let mut free = Free { left: 0.0, top: 0.0, width, height };
    let mut places = Vec::with_capacity(tiles.len());
    let mut rest = areas.as_slice();
    while !rest.is_empty() {
        let side = free.width.min(free.height);
        // A row takes tiles as long as the worst of them becomes more square by it.
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], side) <= worst(&rest[..count], side) {
            count += 1;
        }
        let (row, others) = rest.split_at(count);
        places.extend(free.take(row));
        rest = others;
    }
    places
}

/// How far from a square the least square tile of a row along `side` is.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let ratio = |area: f64| (side * side * area / (sum * sum)).max(sum * sum / (side * side * area));
    row.iter().copied().map(ratio).fold(0.0, f64::max)
}

impl Free {
    /// Lays a row along the shorter side and takes its place away.
    fn take(&mut self, row: &[f64]) -> Vec<Place> {
        let sum: f64 = row.iter().sum();
        let is_upright = self.width >= self.height;
        let side = if is_upright { self.height } else { self.width };
        let depth = if side > 0.0 { sum / side } else { 0.0 };
        let mut from = 0.0;
        let places = row.iter().map(|area| {
            let length = if depth > 0.0 { area / depth } else { 0.0 };
            let (left, top, width, height) = match is_upright {
                true => (self.left, self.top + from, depth, length),
                false => (self.left + from, self.top, length, depth),
            };
            from += length;
            let share = |value: f64, of: f64| value * 100.0 / of;
            Place {
                left: share(left, SIDES.0),
                top: share(top, SIDES.1),
                width: share(width, SIDES.0),
                height: share(height, SIDES.1),
            }
        });
        let places = places.collect();
        if is_upright {
            (self.left, self.width) = (self.left + depth, (self.width - depth).max(0.0));
        } else {
            (self.top, self.height) = (self.top + depth, (self.height - depth).max(0.0));
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tiles(sizes: &[u64]) -> Vec<Tile> {
        sizes.iter().map(|bytes| Tile { name: String::new(), bytes: *bytes, anchor: None }).collect()
    }

    proptest! {
        #[test]
        fn tiles_fill_the_rectangle_each_with_its_share_and_none_over_another(
            mut sizes in proptest::collection::vec(1_u64..1 << 40, 1..40),
        ) {
            sizes.sort_by(|a, b| b.cmp(a));
            let places = placed(&tiles(&sizes));
            let whole: f64 = sizes.iter().map(|size| *size as f64).sum();
            prop_assert_eq!(places.len(), sizes.len());
            for (index, (place, size)) in places.iter().zip(&sizes).enumerate() {
                let share = place.width * place.height / 10_000.0;
                prop_assert!((share - *size as f64 / whole).abs() < 1e-6, "{place:?}");
                prop_assert!(place.left >= -1e-6 && place.left + place.width <= 100.0 + 1e-6, "{place:?}");
                prop_assert!(place.top >= -1e-6 && place.top + place.height <= 100.0 + 1e-6, "{place:?}");
                for other in &places[..index] {
                    let apart = |from: f64, length: f64, to: f64, other: f64| {
                        from + length <= to + 1e-6 || to + other <= from + 1e-6
                    };
                    let is_apart = apart(place.left, place.width, other.left, other.width)
                        || apart(place.top, place.height, other.top, other.height);
                    prop_assert!(is_apart, "{place:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn tiles_of_one_size_are_nearly_square() {
        for place in placed(&tiles(&[5; 12])) {
            let ratio = place.width * SIDES.0 / (place.height * SIDES.1);
            assert!((0.4..2.5).contains(&ratio), "{place:?}");
        }
    }
}
