# pm and its lab. `make` without a target lists the targets.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DEFAULT_GOAL := help

# The project's own Deno comes before any other.
export PATH := $(CURDIR)/.deno/bin:$(PATH)
# Deno would serve every server on this address.
unexport DENO_SERVE_ADDRESS

TYPESCRIPT := $(wildcard *.ts scripts/*.ts tests/typescript/*.ts)
SHELL_SCRIPTS := .ci/run scripts/install_deno scripts/remove_deno.sh scripts/demo scripts/demo_held scripts/package scripts/pictures
# Deno's fetch would use the proxy of the environment for loopback too.
DIRECT := NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
LOAD := --requests 10000 --workers 8

# Where `make install` puts things; DESTDIR is put before all of it, to fill a package.
PREFIX := /usr/local
BIN = $(DESTDIR)$(PREFIX)/bin
MAN = $(DESTDIR)$(PREFIX)/share/man
BASH_COMPLETIONS = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
FISH_COMPLETIONS = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
# What is installed: this, or with PM=FILE a pm that was built elsewhere.
BUILT := target/release/pm
PM := $(BUILT)

# `make unit`: no test of these starts pm.
UNIT_TESTS := --lib --bins --test architecture --test plan --test simulation
# Each test crate but the lab, which needs Deno and fixed ports.
TEST_CRATES := $(basename $(notdir $(wildcard tests/*.rs))) $(notdir $(patsubst %/main.rs,%,$(wildcard tests/*/main.rs)))
RUST_TESTS := --lib --bins $(addprefix --test ,$(filter-out lab,$(TEST_CRATES)))

.PHONY: help
help:
	@echo "make run               keep the three web servers on 8080, 8081 and 8082 alive; Ctrl-C stops them"
	@echo "make demo              the same with the proxy on http://localhost:1337/ in front; Ctrl-C stops both"
	@echo "make demo-held         the lab without a proxy, on ports that stay open: 3,000 requests, none is refused; PORTS=9000-9002 for others"
	@echo "make load              10,000 checked requests to a running make demo; LOAD='--rate 100' for another load"
	@echo "make web               one web server on 8081 without pm; it will crash"
	@echo "make proxy             the proxy on 1337 without pm; run make run beside it"
	@echo "make build             compile target/release/pm"
	@echo "make install           pm, its manual and completions into PREFIX=/usr/local; make uninstall removes them"
	@echo "make unit              unit tests, plan, simulation and architecture; a few seconds"
	@echo "make check             formatting, lints and types: check-rust and check-typescript"
	@echo "make check-rust        the Rust code and the shell scripts; needs no Deno"
	@echo "make check-typescript  the TypeScript code"
	@echo "make test              all tests: test-rust and test-typescript"
	@echo "make test-rust         needs no Deno and no fixed port"
	@echo "make test-typescript   web.ts, proxy.ts, and pm with both; needs the ports 8080-8082 and 1337"
	@echo "make proof             measure every number of the README; fifteen minutes on an idle machine"
	@echo "make search            the laws of the supervisor in every state of small tables; a quarter of an hour"
	@echo "make mutants           which changes of the program no fast test sees; hours, needs cargo-mutants"
	@echo "make matrix            which processes are left, for each way pm can end and each kind of descendant"
	@echo "make fuzz              a million malformed texts for each reader; two minutes"
	@echo "make bench             what pm costs, beside bare C loops and cat: docs/performance.md; needs root and a C compiler"
	@echo "make bench-peers       respawn, idle, memory, start and stop beside other process managers that are installed"
	@echo "make bench-held        servers that are killed on held ports, with spares and without, beside plain ports; an hour"
	@echo "make plots             the results of both as SVG files in docs/plots"
	@echo "make recording         a session of pm as an SVG that plays by itself; needs tmux"
	@echo "make package           a static binary, a .deb and an image, in target/dist: docs/packages.md"
	@echo "make growing           what more workers and machines are worth: the figures and plots of docs/growing.md"
	@echo "make pictures          docs/pictures: the page of the lab, and pm top; Chromium, tmux, and ports 8080-8082"
	@echo "make check-speed       fails if pm's own code needs more instructions than the baseline says; needs valgrind"
	@echo "make deno              fetch Deno into .deno if there is no recent one"
	@echo "make clean             remove what was compiled; scripts/remove_deno.sh removes Deno"

.PHONY: run
run: build deno-at-hand
	@exec target/release/pm

.PHONY: demo
demo: build deno-at-hand
	@exec scripts/demo

.PHONY: demo-held
demo-held: build deno-at-hand
	@exec scripts/demo_held

.PHONY: load
load: deno-at-hand
	$(DIRECT) deno run --allow-net --allow-read scripts/load.ts $(LOAD)

.PHONY: web
web: deno-at-hand
	deno run --allow-read --allow-net web.ts 8081

.PHONY: proxy
proxy: deno-at-hand
	deno run --allow-net proxy.ts

.PHONY: build
build:
	cargo build --release --locked

# Needs neither Deno nor, after `make build`, cargo: root, who installs, often has none.
.PHONY: install
install: $(if $(filter $(BUILT),$(PM)),$(if $(shell command -v cargo 2>/dev/null),build))
	install -d "$(BIN)" "$(MAN)" "$(BASH_COMPLETIONS)" "$(ZSH_COMPLETIONS)" "$(FISH_COMPLETIONS)"
	install -m 755 "$(PM)" "$(BIN)/pm"
	umask 022 && "$(PM)" man --out "$(MAN)"
	umask 022 && "$(PM)" completions bash > "$(BASH_COMPLETIONS)/pm"
	umask 022 && "$(PM)" completions zsh > "$(ZSH_COMPLETIONS)/_pm"
	umask 022 && "$(PM)" completions fish > "$(FISH_COMPLETIONS)/pm.fish"

# The installed pm knows which pages it has.
.PHONY: uninstall
uninstall:
	pages=$$(mktemp -d) && "$(BIN)/pm" man --out "$$pages" && (cd "$$pages" && find . -type f) | \
		while read -r page; do rm -f "$(MAN)/$$page"; done; rm -r "$$pages"
	rm -f "$(BASH_COMPLETIONS)/pm" "$(ZSH_COMPLETIONS)/_pm" "$(FISH_COMPLETIONS)/pm.fish" "$(BIN)/pm"

.PHONY: unit
unit:
	cargo test --locked --quiet $(UNIT_TESTS)

.PHONY: test test-rust test-typescript
test: test-rust test-typescript

test-rust:
	cargo test --locked $(RUST_TESTS)
	cargo test --locked --doc

test-typescript: deno-at-hand
	$(DIRECT) deno test --allow-read --allow-write --allow-net --allow-run tests/typescript
	cargo test --locked --test lab

# Measures the numbers of the README. Nothing else may run on the machine.
.PHONY: proof
proof: build deno-at-hand search
	PM_PROOF=1 cargo test --release --locked --test lab -- --nocapture --test-threads=1
	PM_PROOF=1 cargo test --release --locked --test blackbox -- --nocapture --test-threads=1
	$(MAKE) bench

# Each state of small tables: no random run, and no state is left out.
.PHONY: search
search:
	PM_PROOF=1 cargo test --profile search --locked --test simulation exhaustive -- --nocapture

# Changes the program in each place, one at a time, and sees whether a fast test fails. Needs `cargo install
# cargo-mutants`. tests/MUTANTS.md explains those that no test can see. MUTANTS='--shard 1/8' runs a part.
.PHONY: mutants
mutants:
	nice cargo mutants --jobs 1 --file 'src/supervisor/**' --file 'src/plan/**' --file src/sys/children.rs --file 'src/sys/children/**' \
		--exclude '**/state_hash.rs' --output target $(MUTANTS) -- --locked --lib --test simulation --test plan

.PHONY: matrix
matrix:
	@echo "| pm ends by | worker | child | child that ignores TERM | setsid child | daemon | stopped child | 200 children |"
	@echo "|---|---|---|---|---|---|---|---|"
	@cargo test --locked --quiet --test blackbox matrix -- --nocapture | sed -n 's/^\.*matrix: //p'

.PHONY: fuzz
fuzz:
	PM_PROOF=1 cargo test --release --locked --test fuzz -- --nocapture

# Each is a program of its own: `cargo bench --bench storm`. See docs/performance.md.
BENCHES := respawn storm start idle memory crash_loop reload logs page scale
BENCH_RESULTS := $${CARGO_TARGET_DIR:-target}/bench

.PHONY: bench
bench:
	cargo bench --locked $(addprefix --bench ,$(BENCHES))
	@cat "$(BENCH_RESULTS)/report.md"

# Instructions of pm's own code for a death, a storm and the cutting of lines, counted by valgrind. Fails if there are
# more than benches/speed/baseline.json says. What `make test` has compiled is used.
COUNT := cargo --config benches/speed/counted.toml bench --locked --profile dev --bench speed

.PHONY: check-speed speed-baseline
check-speed:
	$(COUNT)

# Where more are meant, or fewer: commit the new baseline with what has changed them.
speed-baseline:
	$(COUNT) -- --write-baseline

# Those that are on PATH.
.PHONY: bench-peers
bench-peers:
	cargo bench --locked --bench peers

# Servers that are installed, as they are, on ports that pm holds. PM_BENCH_KILLS=20 takes ten minutes.
.PHONY: bench-held
bench-held: deno-at-hand
	cargo bench --locked --bench held

# The session at the top of the README. Needs tmux.
.PHONY: recording
recording: build deno-at-hand
	deno run --allow-run --allow-read --allow-write --allow-env scripts/record.ts target/release/pm docs/pictures/session.svg

# What is released, in target/dist: docs/packages.md.
.PHONY: package
package:
	scripts/package

# The figures and pictures of docs/growing.md: a model, so the same on each machine.
.PHONY: growing
growing: deno-at-hand
	deno run --allow-write scripts/growing.ts docs/plots

# From what the benchmarks have left in target/bench.
.PHONY: plots
plots: deno-at-hand
	deno run --allow-read --allow-write scripts/plots.ts "$(BENCH_RESULTS)" docs/plots

# Of a browser and a terminal that look at the lab for a minute.
.PHONY: pictures
pictures: build deno-at-hand
	npm ci --prefix tests/page --no-audit --no-fund --ignore-scripts
	@scripts/pictures

.PHONY: check check-rust check-typescript
check: check-rust check-typescript

check-rust:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	for script in $(SHELL_SCRIPTS); do bash -n $$script || exit 1; done

check-typescript: deno-at-hand
	deno fmt --check
	deno lint
	deno check $(TYPESCRIPT)

.PHONY: deno
deno:
	@scripts/install_deno

# Silent if Deno is there, so that `make web` prints only what deno prints.
.PHONY: deno-at-hand
deno-at-hand:
	@scripts/install_deno --quiet

.PHONY: clean
clean:
	cargo clean
	@echo "Deno stays in .deno; scripts/remove_deno.sh removes it"
