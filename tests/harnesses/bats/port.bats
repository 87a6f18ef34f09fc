# bats: `seclude run --test --` before a command that a test runs, or before bats itself.
bats_require_minimum_version 1.5.0

@test "one" { run -0 seclude run --test -- "$PORT"; }
@test "two" { run -0 seclude run --test -- "$PORT"; }
@test "three" { run -0 seclude run --test -- "$PORT"; }
@test "a failure passes through" { run -3 seclude run --test -- "$PORT" fail; }
