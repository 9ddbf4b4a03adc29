//! Tool sets that only machines of other architectures use.

use super::*;

/// What a machine wants whose tools are for `here`, so that another's are for `there`.
fn wanted_by(world: &World, here: Architecture, there: Architecture) -> Wanted {
    let tool = |architecture| Closure { architecture, ..closure(&["a"]) };
    Wanted { elsewhere: vec![tool(there)], ..world.wanting(vec![tool(here)]) }
}

fn locked(world: &World, wanted: Wanted, old: &Lock) -> (Lock, Vec<String>) {
    let (lock, report) = world.lock(wanted, old, Goal::Complete).unwrap();
    (lock, report.warnings.iter().map(ToString::to_string).collect())
}

#[test]
fn the_lock_is_the_same_whichever_machine_makes_it() {
    let both = vec![PackageSpec::new("a", "1"), PackageSpec::new("a", "1").architecture("arm64")];
    let world = World::new(&[SuiteSpec::new("trixie", both)]);
    let [x86, arm] = [Architecture::X86_64, Architecture::Aarch64];
    let (one, warnings) = locked(&world, wanted_by(&world, x86, arm), &Lock::default());
    let (other, _) = locked(&world, wanted_by(&world, arm, x86), &Lock::default());
    assert_eq!((&one, one.closures.len(), warnings), (&other, 2, vec![]));
    assert_eq!(world.lock_counting(wanted_by(&world, arm, x86), &one, Goal::Complete).unwrap().2, [""; 0]);
}

#[test]
fn what_another_machine_lacks_hinders_nobody_here() {
    let world = World::new(&[SuiteSpec::new("trixie", vec![PackageSpec::new("a", "1")])]);
    let wanted = wanted_by(&world, Architecture::X86_64, Architecture::Aarch64);
    let (lock, warnings) = locked(&world, wanted, &Lock::default());
    assert_eq!(names(&lock), ["a 1"]);
    let says = "aarch64 machines cannot compose this, since nothing can be locked for their `tool test`: `a` is wanted, \
                but no archive has `a` for arm64, and nothing that may be chosen provides it";
    assert_eq!(warnings, [says]);
    // On such a machine it is a mistake.
    let wanted = wanted_by(&world, Architecture::Aarch64, Architecture::X86_64);
    assert!(told(world.lock(wanted, &Lock::default(), Goal::Complete)).contains("no archive has `a` for arm64"));
}
