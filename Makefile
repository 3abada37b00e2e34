# pm and its lab. Plain `make` lists what there is.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DEFAULT_GOAL := help

# The project's own Deno before any other: shells that never sourced scripts/install_deno need it too.
export PATH := $(CURDIR)/.deno/bin:$(PATH)
# It would move every server to one address of its own.
unexport DENO_SERVE_ADDRESS

TYPESCRIPT := $(wildcard *.ts scripts/*.ts tests/typescript/*.ts)
SHELL_SCRIPTS := .ci/run scripts/install_deno scripts/remove_deno.sh scripts/demo
# A proxy that the environment names is not for loopback; Deno's fetch would ask it for that too.
DIRECT := NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
LOAD := --requests 10000 --workers 8

.PHONY: help
help:
	@echo "make run      keep the three web servers on 8080, 8081 and 8082 alive; Ctrl-C ends them"
	@echo "make demo     the same with the proxy on http://localhost:1337/ in front; one Ctrl-C ends both"
	@echo "make load     10,000 checked requests against a running make demo; LOAD='--rate 100' for other loads"
	@echo "make web      one web server on 8081, without pm; it will crash"
	@echo "make proxy    the proxy on 1337, without pm; run make run beside it"
	@echo "make build    compile target/release/pm"
	@echo "make test     all tests"
	@echo "make proof    every number of the README, measured here; four minutes"
	@echo "make matrix   who is left, for every way in which pm can die and every kind of descendant"
	@echo "make fuzz     a million texts that nobody would write, for each reader; two minutes"
	@echo "make bench    the respawn figure, beside a bare C loop; needs root and a C compiler"
	@echo "make check    formatting, lints and types of everything"
	@echo "make deno     fetch Deno into .deno if there is none that is new enough"
	@echo "make clean    remove what was compiled; scripts/remove_deno.sh removes Deno"

.PHONY: run
run: build deno-at-hand
	@exec target/release/pm

.PHONY: demo
demo: build deno-at-hand
	@exec scripts/demo

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

.PHONY: test
test: deno-at-hand
	cargo test --locked
	$(DIRECT) deno test --allow-read --allow-write --allow-net --allow-run \
		tests/typescript

# The numbers in the README, in one go: about four minutes, on a machine that does nothing else.
.PHONY: proof
proof: build deno-at-hand
	PM_PROOF=1 cargo test --release --locked --test lab -- --nocapture --test-threads=1
	PM_PROOF=1 cargo test --release --locked --test blackbox -- --nocapture --test-threads=1
	cargo bench --locked --bench respawn

.PHONY: matrix
matrix:
	@echo "| pm ends by | worker | child | child that ignores TERM | setsid child | daemon | stopped child | 200 children |"
	@echo "|---|---|---|---|---|---|---|---|"
	@cargo test --locked --quiet --test blackbox matrix -- --nocapture | sed -n 's/^\.*matrix: //p'

.PHONY: fuzz
fuzz:
	PM_PROOF=1 cargo test --release --locked --test fuzz -- --nocapture

.PHONY: bench
bench:
	cargo build --release --locked --example worker
	cargo bench --locked --bench respawn

.PHONY: check
check: deno-at-hand
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	deno fmt --check
	deno lint
	deno check $(TYPESCRIPT)
	for script in $(SHELL_SCRIPTS); do bash -n $$script || exit 1; done

.PHONY: deno
deno:
	@scripts/install_deno

# What the other targets wait for: silent when there is nothing to do, so that `make web` prints what deno prints.
.PHONY: deno-at-hand
deno-at-hand:
	@scripts/install_deno --quiet

.PHONY: clean
clean:
	cargo clean
	@echo "Deno stays in .deno; scripts/remove_deno.sh removes it"
