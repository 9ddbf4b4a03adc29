//! When a machine of a fleet takes an update: a little later than some, a little earlier than others.

use std::{error::Error, fmt};

/// So many seeds there are; every machine has one of them, always the same.
pub const SEEDS: u32 = 2048;

/// A point of a schedule: at this time so many of the [`SEEDS`] may have taken the update. It is written as it is into
/// what a repository offers, whose version is [`OFFERS_VERSION`](super::OFFERS_VERSION).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct WavePoint {
    /// Seconds since 1970.
    pub at: u64,
    /// How many seeds, from the lowest.
    pub seeds: u32,
}

/// How an update spreads over a fleet. Between two points it spreads evenly, so that no point is a spike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<WavePoint>);

/// Points are no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleError {
    /// A point is not later than the one before it, or reaches fewer.
    Order {
        /// Which one, from 1.
        point: usize,
    },
    /// The last point does not reach everybody.
    Incomplete {
        /// How many it reaches.
        seeds: u32,
    },
}

impl Schedule {
    /// The schedule with these points; without any, everybody takes the update at once. The first point is when the
    /// first machine does.
    ///
    /// # Errors
    /// Points that go back, or never reach everybody.
    pub fn new(points: Vec<WavePoint>) -> Result<Self, ScheduleError> {
        for (point, pair) in (2..).zip(points.windows(2)) {
            if pair[1].at < pair[0].at || pair[1].seeds < pair[0].seeds {
                return Err(ScheduleError::Order { point });
            }
        }
        match points.last() {
            Some(last) if last.seeds < SEEDS => Err(ScheduleError::Incomplete { seeds: last.seeds }),
            _ => Ok(Schedule(points)),
        }
    }

    /// When a machine with this seed may take the update, in seconds since 1970.
    pub fn opens(&self, seed: u32) -> u64 {
        let seed = seed.min(SEEDS - 1);
        let Some(at) = self.0.iter().position(|point| point.seeds > seed) else { return 0 };
        let end = self.0[at];
        let Some(start) = at.checked_sub(1).map(|before| self.0[before]) else { return end.at };
        // Both differences are at most 2048 apart from what is multiplied: no overflow below the year 10^15.
        let share =
            u128::from(end.at - start.at) * u128::from(seed - start.seeds) / u128::from(end.seeds - start.seeds);
        start.at + share as u64
    }
}

/// The seed of a machine, from its identity (`/etc/machine-id`, 32 digits). Vendors number their machines, so that
/// neither the first nor the last digits spread: the checksum of all of them does.
pub fn seed(machine_id: &str) -> u32 {
    crate::gpt::crc32(machine_id.trim().as_bytes()) % SEEDS
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScheduleError::Order { point } => {
                write!(f, "point {point} of the schedule is earlier than the one before it, or reaches fewer machines")
            }
            ScheduleError::Incomplete { seeds } => {
                write!(f, "the schedule ends with {seeds} of {SEEDS} seeds: the other machines would never be updated")
            }
        }
    }
}

impl Error for ScheduleError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(points: &[(u64, u32)]) -> Result<Schedule, ScheduleError> {
        Schedule::new(points.iter().map(|(at, seeds)| WavePoint { at: *at, seeds: *seeds }).collect())
    }

    #[test]
    fn machines_are_spread_evenly_inside_each_wave() {
        let hour = 3600;
        let schedule =
            schedule(&[(1000, 0), (1000 + hour, 20), (1000 + 24 * hour, 1024), (1000 + 48 * hour, 2048)]).unwrap();
        let times: Vec<u64> = (0..SEEDS).map(|seed| schedule.opens(seed)).collect();
        assert!(times.is_sorted());
        assert_eq!((times[0], times[20], times[1024]), (1000, 1000 + hour, 1000 + 24 * hour));
        assert!(*times.last().unwrap() < 1000 + 48 * hour);
        // In no quarter of an hour many more than their share: neither at a wave's start nor at its end.
        for (from, until, of) in [(0_u32, 20_u32, hour), (20, 1024, 23 * hour), (1024, 2048, 24 * hour)] {
            let most = (u64::from(until - from) * 900).div_ceil(of) + 1;
            for start in times[from as usize..until as usize].iter() {
                let there = times.iter().filter(|time| (*start..start + 900).contains(time)).count() as u64;
                assert!(there <= most.max(12), "{there} of at most {most} at {start}");
            }
        }
    }

    #[test]
    fn a_step_and_no_schedule_at_all_open_at_once() {
        assert_eq!(schedule(&[]).unwrap().opens(5), 0);
        let all = schedule(&[(50, SEEDS)]).unwrap();
        assert_eq!((all.opens(0), all.opens(SEEDS - 1), all.opens(u32::MAX)), (50, 50, 50));
        let steps = schedule(&[(10, 1), (10, 2), (20, SEEDS)]).unwrap();
        assert_eq!([0, 1, 2].map(|seed| steps.opens(seed)), [10, 10, 10]);
        let late = schedule(&[(u64::MAX - 1, 0), (u64::MAX, SEEDS)]).unwrap();
        assert_eq!(late.opens(SEEDS - 1), u64::MAX - 1);
    }

    #[test]
    fn what_goes_back_or_ends_early_is_no_schedule() {
        assert_eq!(schedule(&[(10, 0), (9, SEEDS)]), Err(ScheduleError::Order { point: 2 }));
        assert_eq!(schedule(&[(10, 5), (11, 4), (12, SEEDS)]), Err(ScheduleError::Order { point: 2 }));
        assert_eq!(schedule(&[(10, 5)]), Err(ScheduleError::Incomplete { seeds: 5 }));
    }

    #[test]
    fn seeds_spread_over_machines_that_are_numbered() {
        let mut found = vec![0_u32; 16];
        for number in 0..16_000_u32 {
            found[(seed(&format!("ec2{number:029x}")) / 128) as usize] += 1;
        }
        assert!(found.iter().all(|count| (800..1200).contains(count)), "{found:?}");
        assert_eq!(seed("00000000000000000000000000000000\n"), seed("00000000000000000000000000000000"));
    }
}
