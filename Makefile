.PHONY: arena-proof bench-guests demo test fuzz guests oracle peers ends mutants docs bench bench-robot lint fresh clean set-up set-up-test
.DEFAULT_GOAL := help

run := .venv/bin/

help:
	@echo "make demo    ten demonstrations in, a verdict and a report out (sets everything up itself)"
	@echo "make test    all tests, linters and types (sets everything up itself)"
	@echo "make guests  LeRobot, robosuite, SO-101 and gym-aloha in environments of their own (5 to 12 GB), and what they promise"
	@echo "make bench-guests  whole evaluations beside LeRobot's own, a slow server, a kill; goes on where it was"
	@echo "make oracle  LeRobot 0.4.4 and 0.6.1 read our datasets and we theirs, in environments of their own"
	@echo "make peers   compares counts and sample sizes with statsmodels and fieldtrial, in an environment of their own"
	@echo "make ends    tests at the lowest and the newest versions that are declared, in environments of their own"
	@echo "make mutants plants 60 small faults in a room (ROOM=trials) and looks whether its tests notice"
	@echo "make fuzz    10,000 mutated files for every format that is read, 5,000 mutated tables and as many JSON documents, an arena's server by schemathesis, every advice in every state"
	@echo "make bench   the benchmarks whose ratios the README quotes"
	@echo "make bench-robot  twenty comparisons of a known truth; 100 kills of each process in motion; pace; a study under kills (idle, 1 h)"
	@echo "make arena-proof  90 kills of an arena's processes over 100 matches, 30 on PostgreSQL; 50 boards of a known truth; odd evaluators; load (40 min); goes on where it was"
	@echo "make fresh   sets a copy up in minimal images of Debian 12 and 13 and runs it there (root, debootstrap, 8 GB)"
	@echo "make docs    builds the documentation into site/"

# Asked every time: only the script can tell whether what is there was made for this place, this Python and these versions.
set-up:
	@scripts/setup.sh demo

set-up-test:
	@scripts/setup.sh test

demo: set-up
	$(run)roboscale demo

# Three workers on two cores: browsers, servers and what runs in real time leave each idle for a third of its time.
# Bytecode is kept, where a machine switches that off, too: the tests start hundreds of processes. It is made beside the
# linters, with the tests' own, or each worker would make all of it. OpenBLAS would keep every core awake for a tenth of
# a second after each product, in each of those processes.
pytest := env -u PYTHONDONTWRITEBYTECODE OPENBLAS_NUM_THREADS=1 $(run)python -m pytest
test: set-up-test
	@$(pytest) --collect-only -q tests >/dev/null 2>&1 & made=$$!; $(MAKE) lint; linted=$$?; wait $$made; exit $$linted
	$(pytest) -n 3 --dist loadfile --no-loadscope-reorder tests

lint: set-up-test
	$(run)ruff check .
	$(run)ruff format --check .
	$(run)mypy

fuzz: set-up-test
	$(run)python -m tests.fuzz.fuzz_records --count 10000
	$(run)python -m tests.fuzz.fuzz_tables --count 5000
	$(run)python -m tests.fuzz.fuzz_nested --count 5000
	ROBOSCALE_KILLS=30 $(run)python -m pytest -q tests/dataset/test_durability.py
	scripts/fuzz_arena.sh 120
	ROBOSCALE_WHOLE_MATRIX=1 $(run)python -m pytest -q tests/cli/test_advice_on_partial_sets.py tests/cli/test_advice_on_v2_sets.py
	ROBOSCALE_WHOLE_MATRIX=1 $(run)python -m pytest -q tests/test_house.py -k command_line_asks

guests: set-up-test
	scripts/guests.sh

oracle: set-up-test
	scripts/oracle.sh

peers: set-up-test
	scripts/peers.sh

fresh:
	scripts/try_fresh_machines.sh

ends:
	scripts/version_ends.sh

mutants: set-up-test
	[ -x mutants/.venv/bin/cosmic-ray ] || { $(run)python -m venv mutants/.venv && mutants/.venv/bin/pip install -q cosmic-ray coverage; }
	$(run)python scripts/mutants.py $(or $(ROOM),trials)

bench: set-up-test
	$(run)python -m benchmarks.rollout_overhead
	$(run)python -m benchmarks.rollout_memory
	$(run)python -m benchmarks.start_up
	$(run)python -m benchmarks.dataset_open
	$(run)python -m benchmarks.dataset_durability
	$(run)python -m benchmarks.dataset_quantiles
	$(run)python -m benchmarks.generation
	$(run)python -m benchmarks.stats_sequential
	$(run)python -m benchmarks.stats_independent
	$(run)python -m benchmarks.stats_coverage
	$(run)python -m benchmarks.stats_recipes
	$(run)python -m benchmarks.stats_many
	$(run)python -m benchmarks.stats_ranking
	$(run)python -m benchmarks.stats_next_trial
	$(run)python -m benchmarks.stats_fusion
	$(run)python -m benchmarks.stats_scaling
	$(run)python -m benchmarks.tables
	$(run)python -m benchmarks.rendering
	$(run)python -m benchmarks.serve_latency
	$(run)python -m benchmarks.policy_training
	$(run)python -m benchmarks.trial_log
	$(run)python -m benchmarks.loader
	$(run)python -m benchmarks.import_video
	$(run)python -m benchmarks.audit

bench-robot: set-up-test
	$(run)python -m benchmarks.bench_comparisons runs/bench-comparisons
	$(run)python -m benchmarks.bench_comparisons runs/bench-comparisons --equal --rounds 30
	$(run)python -m benchmarks.latency
	$(run)python -m benchmarks.robot_kills
	$(run)python -m benchmarks.robot_pace
	$(run)python -m benchmarks.study_kills
	$(run)python -m benchmarks.trial_kills
	$(run)python -m benchmarks.teleop_kills --out runs/teleop-kills
	$(run)python -m benchmarks.teleop_operator --out runs/driven
	$(run)python -m benchmarks.teleop_training runs/driven runs/driven-taught

# Each part once: stopped or failed, the same command goes on with the parts that are missing. `rm -r runs/arena-proof` begins anew.
proofs := kills kills-postgres demos sabotage board-10000 board-100000 load load-postgres
arena-proof: set-up-test $(proofs:%=runs/arena-proof/%.txt)
	@tail -n 40 $(proofs:%=runs/arena-proof/%.txt)

runs/arena-proof/kills.txt: proof = arena_kills runs/arena-proof/kills --sessions 100 --kills 30
runs/arena-proof/kills-postgres.txt: proof = arena_kills $$(mktemp -d) --sessions 30 --kills 10 --postgres
runs/arena-proof/demos.txt: proof = arena_demos --arenas 50
runs/arena-proof/sabotage.txt: proof = arena_sabotage --arenas 100
runs/arena-proof/board-10000.txt: proof = arena_board --sessions 10000
runs/arena-proof/board-100000.txt: proof = arena_board --sessions 100000
runs/arena-proof/load.txt: proof = arena_load --people 20 --robots 6 --seconds 120 --before 10000
runs/arena-proof/load-postgres.txt: proof = arena_load --people 20 --robots 6 --seconds 120 --postgres
runs/arena-proof/%.txt:
	@mkdir -p $(@D)
	$(run)python -m benchmarks.$(proof) > $@.part || { cat $@.part; exit 1; }
	@mv $@.part $@

bench-guests: set-up-test
	$(run)roboscale guest install lerobot
	$(run)python -m benchmarks.guest_peers runs/bench-guests

docs: set-up-test
	NO_MKDOCS_2_WARNING=1 $(run)mkdocs build --strict

clean:
	rm -rf .venv .venv-oracle* .venv-peers runs demo site build
