# What a newcomer types: `make demo` and `make test`. Both install what they need and say what
# they do.

CARGO   ?= cargo
# An unprivileged user must be able to execute it: not one in somebody's home.
PYTHON  ?= /usr/bin/python3
PREFIX  ?= /usr/local
# What unprivileged users read while they test; a checkout may lie in a home that is closed to them.
PUBLIC  ?= /var/tmp/seclude-build
VENV    := $(PUBLIC)/demo
STAGE   := $(PUBLIC)/stage
BUILD   := target/seclude-capi
# Where `make dist` puts what it makes.
DIST    ?= target/dist
export CARGO PYTHON

c_face := SECLUDE_TEST_C_DRIVER=$(PUBLIC)/driver
python_face := SECLUDE_TEST_PYTHON=$(VENV)/bin/python
table := $(c_face) $(python_face) SECLUDE_TEST_FACES=rust,c,python
# Documents whose programs are run: each block of code that is followed by what it prints.
shown := README.md core/README.md python/README.md \
	$(addprefix docs/,tutorial.md ci.md services.md tests.md command-line.md interpreters.md \
	notebooks.md outcomes.md errors.md rust.md c.md python.md nesting.md networks.md \
	egress.md testing-distributed-systems.md files.md images.md hardware.md)
musl := $(shell uname -m)-unknown-linux-musl
say = @printf '\n==== %s\n' '$(1)'

.DELETE_ON_ERROR:
.PHONY: help demo test needs lint faces test-rust test-c test-python test-table test-grounds \
	test-subprocess \
	test-adapters test-bwrap test-executor abi api msrv test-musl test-vm test-arm test-riscv fuzz \
	miri coverage package sanitize soak stress exposure test-races test-members test-adversary \
	test-harnesses programs test-programs test-readme programs-page faults bench bench-copies \
	bench-images test-images docs pictures \
	library program wheel install uninstall dist test-dist \
	test-reproducible clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: needs wheel library ## build the three faces, then judge honest and hostile programs in Python and in C
	$(call say,the judge in Python over the wheel)
	$(VENV)/bin/python python/examples/judge.py
	$(call say,the same submissions many at one time over pools of ready sandboxes; the same verdicts)
	$(VENV)/bin/python python/examples/pool_judge.py
	$(call say,a notebook: an interpreter that stays alive in a cell until a reset takes all it knew)
	$(VENV)/bin/python python/examples/notebook.py
	$(call say,the twin of the judge in C over libseclude)
	cc -std=c11 -Wall -Wextra -Wpedantic -Werror -O2 -o $(PUBLIC)/judge examples-c/judge.c \
		$$(PKG_CONFIG_PATH=$(STAGE)$(PREFIX)/lib/pkgconfig pkg-config --cflags --libs seclude)
	LD_LIBRARY_PATH=$(STAGE)$(PREFIX)/lib $(PUBLIC)/judge python/examples/submissions

test: needs lint abi api package test-rust test-c test-harnesses test-python test-table test-readme programs ## prove everything, as root and as an unprivileged user
	$(call say,everything passed)

needs: ## install what Debian has and this build needs (as root)
	@sh tests/needs.sh

# ---- the parts of the proof

lint: ## formatting and lints, warnings as errors
	$(call say,formatting and lints of the Rust code)
	$(CARGO) fmt --check
	$(CARGO) clippy --quiet --workspace --all-targets -- -D warnings
	RUSTFLAGS='--cfg fuzzing' CARGO_TARGET_DIR=target/fuzz-check $(CARGO) check --quiet \
		--manifest-path fuzz/Cargo.toml
	$(CARGO) test --quiet --package seclude-faces
	$(CARGO) run --quiet --package seclude-faces -- --check

faces: ## write what C, Python and the documentation repeat of the core's declarations, and the header
	$(CARGO) run --quiet --package seclude-faces
	SECLUDE_UPDATE_HEADER=1 $(CARGO) test --quiet --package seclude-capi --test header

test-rust: ## the core's own tests, then the proofs on the real kernel
	$(call say,the core and its proofs on the real kernel)
	$(CARGO) test --quiet --package seclude --package seclude-cli --package seclude-warden \
		--package seclude-wire
	$(CARGO) build --quiet --package seclude-cli
	$(CARGO) test --quiet --no-fail-fast --package seclude-tests --lib \
		$(patsubst tests/tests/%/main.rs,--test %,$(filter-out %/table/main.rs,$(wildcard tests/tests/*/main.rs)))

test-table: library wheel ## the behaviour table through Rust, C and Python, as root and as an unprivileged user
	$(call say,the behaviour table through the three faces)
	cc -std=c11 -Wall -Wextra -Werror -Iinclude -o $(PUBLIC)/driver tests/drivers/driver.c \
		$(STAGE)$(PREFIX)/lib/libseclude.a $$(cat $(BUILD)/native-static-libs)
	$(table) $(CARGO) test --quiet --package seclude-tests --test table
	$(call say,the pictures and the batches of the command line and of Python)
	$(table) $(CARGO) test --quiet --package seclude-tests --test cli -- python_
	$(call say,the table in cells and from a pool through two faces each; in Rust alone from a template)
	$(c_face) SECLUDE_TEST_GROUND=cell SECLUDE_TEST_FACES=rust,c $(CARGO) test --quiet \
		--package seclude-tests --test table
	$(python_face) SECLUDE_TEST_GROUND=pool SECLUDE_TEST_FACES=rust,python $(CARGO) test --quiet \
		--package seclude-tests --test table
	SECLUDE_TEST_GROUND=prepared SECLUDE_TEST_FACES=rust $(CARGO) test --quiet \
		--package seclude-tests --test table
	$(call say,the table without namespaces in Rust)
	SECLUDE_TEST_GROUND=confined SECLUDE_TEST_FACES=rust $(CARGO) test --quiet \
		--package seclude-tests --test table

test-grounds: library wheel ## the behaviour table in cells, from a pool, without namespaces and as process 1, each through all three faces
	$(call say,the table in cells and from a pool)
	$(table) SECLUDE_TEST_GROUND=cell $(CARGO) test --quiet --package seclude-tests --test table
	$(table) SECLUDE_TEST_GROUND=pool $(CARGO) test --quiet --package seclude-tests --test table
	$(call say,the table without namespaces)
	$(table) SECLUDE_TEST_GROUND=confined $(CARGO) test --quiet --package seclude-tests --test table
	$(table) SECLUDE_TEST_GROUND=as-pid-1 $(CARGO) test --quiet --package seclude-tests --test table

test-c: ## the header, the C tests, sanitizers, examples, install
	$(call say,the C face)
	$(CARGO) test --quiet --package seclude-capi
	bash tests/c/run.sh

test-harnesses: library program ## a sample project of each test harness, whose tests run in sandboxes: docs/tests.md
	$(call say,the test harnesses)
	chmod -R a+rX $(PUBLIC)
	sh tests/harnesses/run.sh $(STAGE)$(PREFIX) $(PUBLIC)/harnesses

test-python: ## the wheel: style, types, stubs, tests, every CPython that is here
	$(call say,the Python face)
	sh python/check.sh $(PUBLIC)/python

test-subprocess: wheel ## CPython's own tests of subprocess through the library's Popen, as an ordinary user
	$(call say,the tests of subprocess in CPython)
	$(VENV)/bin/python tests/programs/subprocess_suite.py

test-adapters: wheel ## the adapters for agent frameworks with the frameworks, which it installs (500 MB): docs/agents.md
	$(call say,the adapters for agent frameworks)
	sh python/check-adapters.sh $$(ls $(PUBLIC)/wheel/seclude-*.whl) $(PUBLIC)/adapters

test-executor: wheel ## CPython's own tests of process pools through the library's executor, as an ordinary user
	$(call say,the tests of process pools in CPython)
	$(VENV)/bin/python tests/programs/executor_suite.py

test-bwrap: ## bubblewrap's own test script through seclude bwrap; TESTS=DIRECTORY for its tests
	$(call say,the test script of bubblewrap)
	$(CARGO) build --quiet --package seclude-cli
	$(PYTHON) tests/programs/bubblewrap_suite.py --bwrap target/debug/seclude $(if $(TESTS),--tests $(TESTS))

abi: ## the exported symbols and types against the committed baseline
	$(call say,the ABI)
	sh capi/check-abi.sh

test-vm: ## the table and the proofs on other kernels and pure cgroup v2; KERNELS=6.1 for one
	$(call say,other kernels)
	sh tests/needs-vm.sh $(or $(SITUATIONS),systemd-root)
	tests/vm/run.sh $(if $(KERNELS),-k "$(KERNELS)") $(if $(SITUATIONS),-s "$(SITUATIONS)") $(VM_TESTS)
	$(if $(SITUATIONS),,tests/vm/run.sh $(if $(KERNELS),-k "$(KERNELS)") -s "systemd-root systemd-user" scope)

test-arm: ## the table and the proofs on aarch64, on an emulated processor; KERNELS=6.1 for one
	$(call say,aarch64)
	VM_ARCH=aarch64 sh tests/needs-vm.sh
	VM_ARCH=aarch64 tests/vm/run.sh $(if $(KERNELS),-k "$(KERNELS)") \
		-s "$(or $(SITUATIONS),root delegated)" $(VM_TESTS)

test-riscv: ## a part of the table on riscv64, on an emulated processor
	$(call say,riscv64)
	VM_ARCH=riscv64 sh tests/needs-vm.sh
	VM_ARCH=riscv64 tests/vm/run.sh -s "$(or $(SITUATIONS),root)" \
		$(or $(VM_TESTS),table=command:)

fuzz: ## each fuzz target for SECONDS (60 if not given); TARGETS=network for one: docs/fuzzing.md
	$(call say,fuzzing)
	CARGO_TARGET_DIR=$(PUBLIC)/fuzz sh fuzz/run.sh $(or $(SECONDS),60) $(TARGETS)

package: ## the published crates, built from their own packages
	$(call say,the packages)
	$(CARGO) package --quiet --allow-dirty --package seclude --package seclude-test \
		--target-dir target/package-check

api: ## the public API of the crate against the committed baseline; UPDATE=1 writes that
	$(call say,the API in Rust)
	rm -rf $${CARGO_TARGET_DIR:-target}/doc/seclude
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --quiet --no-deps --package seclude
	$(PYTHON) packaging/public-api.py core/public-api.txt $${CARGO_TARGET_DIR:-target}/doc/seclude \
		$(if $(UPDATE),--update)

msrv: ## compile everything with the oldest compiler that Cargo.toml names; takes rustup
	$(call say,the oldest compiler)
	sh tests/msrv.sh

test-musl: ## the behaviour table in Rust, and static programs in C, on musl
	$(call say,musl)
	sh tests/needs-dist.sh $(musl)
	sh tests/c/musl.sh
	$(CARGO) test --quiet --target $(musl) --package seclude-tests --test table

miri: ## the unit tests of the wire and the warden under Miri, which finds undefined behaviour; takes a nightly compiler
	$(call say,the wire and the warden under Miri)
	sh tests/needs-nightly.sh miri rust-src
	MIRIFLAGS="-Zmiri-permissive-provenance -Zmiri-provenance-gc=0" \
		$(CARGO) +nightly miri test --quiet --package seclude-wire --package seclude-warden

coverage: ## how many lines of the Rust code the tests reach, by room: tests/README.md
	$(call say,coverage)
	rustup component add llvm-tools
	$(PYTHON) tests/coverage.py

sanitize: ## the Rust tests that can run under AddressSanitizer and ThreadSanitizer: docs/fuzzing.md
	$(call say,sanitizers)
	CARGO_TARGET_DIR=$(PUBLIC)/sanitize sh tests/sanitize.sh $(SANITIZERS)

soak: ## 10,000 runs in one thread and in 16, 20,000 jobs through a pool, callers killed at 1,000 moments: nothing stays
	$(call say,soak)
	SECLUDE_SOAK_RUNS=10000 $(CARGO) test --quiet --package seclude-tests --test endurance -- \
		--nocapture soak::
	SECLUDE_ROUNDS=1000 $(CARGO) test --quiet --package seclude-tests --test callers -- \
		--nocapture lifetime::a_caller_killed
	SECLUDE_ROUNDS=20 $(CARGO) test --quiet --package seclude-tests --test lives -- \
		--nocapture cells::a_killed_caller
	SECLUDE_POOL_JOBS=20000 $(CARGO) test --quiet --package seclude-tests --test endurance -- \
		--nocapture pools::

stress: ## stress-ng's stressors inside, 20 seconds each
	$(call say,stress)
	SECLUDE_STRESS_SECONDS=20 $(CARGO) test --quiet --package seclude-tests --test endurance -- \
		--nocapture stress::

test-races: ## 10,000 rounds of links swapped while sandboxes are set up upon them
	$(call say,races)
	SECLUDE_ROUNDS=10000 $(CARGO) test --quiet --package seclude-tests --test files -- \
		--nocapture symlinks::a_race_is_not_won

test-members: ## a private network of 100 members, each of which reaches each other by name and address; takes 40 minutes
	$(call say,members)
	SECLUDE_MEMBERS=100 $(CARGO) test --quiet --package seclude-tests --test networks -- \
		--nocapture members::every_member_reaches

test-adversary: ## 1,000 rounds of hostile programs that attack the warden, in every mode; ROUNDS=50 for a quick look
	$(call say,adversaries)
	SECLUDE_ROUNDS=$(or $(ROUNDS),1000) $(CARGO) test --quiet --package seclude-tests \
		--test adversary -- --nocapture

test-readme: library wheel ## the programs of README.md and the guides, built and run from the documents' own text; all links
	$(call say,the programs of README.md and the guides)
	$(VENV)/bin/python tests/documents/run.py --python $(VENV)/bin/python --library $(STAGE)$(PREFIX) \
		--place $(PUBLIC)/documents $(shown)
	$(VENV)/bin/python docs/pictures/nested.py --check

programs: wheel ## a part of test-programs that is quick and needs nothing more
	$(call say,programs outside and inside: a part)
	$(VENV)/bin/python tests/programs/run.py --slice --jobs 4

test-programs: needs wheel ## programs and other people's suites, outside and in the default sandbox: docs/programs.md
	$(call say,programs and suites)
	sh tests/needs-programs.sh $(PUBLIC)/suites
	$(call say,outside and inside)
	$(VENV)/bin/python tests/programs/run.py --place $(PUBLIC)/suites --jobs 3 \
		$(if $(ONLY),--only $(ONLY))

programs-page: ## write docs/programs.md from tests/programs
	$(PYTHON) tests/programs/run.py --write-page

test-images: wheel ## Debian 12 and 13 and a layout like Alpine's as images: packages, a compiler, services, with many ids and with one; fetches 150 MB
	$(call say,systems as images)
	sh tests/needs.sh debootstrap
	$(VENV)/bin/python tests/systems/run.py

faults: ## every system call of the set-up fails with every error; prints the table of docs/faults.md
	$(call say,faults)
	SECLUDE_FAULTS=all $(CARGO) test --quiet --package seclude-tests --test faults -- --nocapture

bench: needs wheel ## what a run costs, side by side, as ratios, and the targets; ROUNDS=20 for a quick look: docs/benchmarks.md
	$(call say,what is compared with)
	sh tests/needs-bench.sh $(PUBLIC)/peers
	$(call say,side by side)
	$(PYTHON) tests/bench/compare.py --python $(VENV)/bin/python --peers $(PUBLIC)/peers/bin \
		$(if $(ROUNDS),--rounds $(ROUNDS),--write)

bench-confined: wheel ## a run where namespaces are denied, over a cold run in namespaces
	$(call say,a run without namespaces)
	$(VENV)/bin/python tests/bench/confined.py

bench-copies: wheel ## copies of trees over cp -a of the same trees, on a tmpfs and in the directory for temporary files
	$(call say,copies of trees)
	$(VENV)/bin/python tests/bench/copies.py $(if $(ROUNDS),--rounds $(ROUNDS))

bench-images: wheel ## images over the same without them: runs, cells, resets, imports, commits and copies
	$(call say,images)
	$(VENV)/bin/python tests/bench/images.py $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(ARCHIVE),--archive $(ARCHIVE))

bench-interpreter: wheel ## the first byte of user code after the reset of a warm interpreter with numpy
	$(call say,the first byte)
	test -x $(PUBLIC)/numpy/bin/python || { /usr/bin/python3 -m venv $(PUBLIC)/numpy && \
		$(PUBLIC)/numpy/bin/pip install --quiet --disable-pip-version-check numpy; }
	$(VENV)/bin/python tests/bench/first_byte.py --python $(PUBLIC)/numpy/bin/python3 \
		--show $(PUBLIC)/numpy --preload numpy

# ---- the documents

docs: ## the pages of docs/ and the Rust API as a site below target/site; a link that leads nowhere is an error
	$(call say,the site)
	test -x $(PUBLIC)/sphinx/bin/sphinx-build || { \
		$(PYTHON) -m venv $(PUBLIC)/sphinx && \
		$(PUBLIC)/sphinx/bin/pip install --quiet --disable-pip-version-check \
			--requirement docs/site/requirements.txt; }
	rm -rf target/site
	$(PUBLIC)/sphinx/bin/sphinx-build --fail-on-warning --keep-going --quiet -E -d target/site-trees \
		-c docs/site docs target/site
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --quiet --no-deps --package seclude \
		--target-dir target/site-api
	cp -R target/site-api/doc target/site/api
	$(PYTHON) tests/documents/browse.py target/site

pictures: wheel ## draw the pictures of docs/ anew from what runs
	$(VENV)/bin/python docs/pictures/nested.py

# ---- the faces

exposure: wheel ## what a program can see and do under unshare, bubblewrap and seclude: docs/exposure.md
	$(call say,exposure)
	$(PYTHON) tests/exposure/exposure.py --write --python $(VENV)/bin/python

library: ## build libseclude and install it below $(STAGE)
	$(call say,libseclude)
	DESTDIR=$(STAGE) PREFIX=$(PREFIX) sh capi/build-library.sh install

program: ## build the command seclude and install it below $(STAGE)
	$(call say,the command)
	DESTDIR=$(STAGE) PREFIX=$(PREFIX) sh cli/build-program.sh install

wheel: ## build the wheel and install it in an environment of its own
	$(call say,the wheel)
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check 'maturin>=1.9,<2' rich 'pytest>=8'
	sh cli/build-program.sh data python/seclude.data
	cd python && $(VENV)/bin/maturin build --release --quiet --interpreter $(VENV)/bin/python \
		--out $(PUBLIC)/wheel
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps \
		$(PUBLIC)/wheel/seclude-*.whl
	chmod -R a+rX $(PUBLIC)

install: ## install the command, libseclude, its header and the warden below $(DESTDIR)$(PREFIX)
	PREFIX=$(PREFIX) sh capi/build-library.sh install
	PREFIX=$(PREFIX) sh cli/build-program.sh install

dist: ## every artefact of a release below $(DIST), with checksums; PARTS="c wheels" for some: docs/releasing.md
	sh tests/needs-dist.sh
	sh packaging/all.sh $(DIST) $(PARTS)

test-dist: ## install and run what `make dist` has made; PARTS as there
	sh tests/needs-dist.sh
	bash packaging/check-temporary.sh
	sh packaging/check.sh $(DIST) $(filter-out crates,$(PARTS))

test-reproducible: ## build artefacts twice, in two directories: the same bytes; PARTS as there
	sh tests/needs-dist.sh
	sh packaging/reproduce.sh $(PARTS)

uninstall: ## remove from $(DESTDIR)$(PREFIX) the files that `make install` has put there
	PREFIX=$(PREFIX) sh cli/build-program.sh uninstall
	PREFIX=$(PREFIX) sh capi/build-library.sh uninstall

clean: ## remove what was built
	$(CARGO) clean
	rm -rf $(PUBLIC)
