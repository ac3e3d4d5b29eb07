# SPDX-License-Identifier: GPL-2.0-only
# One build for all: the BPF object, the agent with that object inside, and the tests. `make help` lists the targets.

VERSION := 0.1.0

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
DESTDIR ?=

CC ?= cc
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
PKG_CONFIG ?= pkg-config
BUILD ?= build

# V=1 shows the commands, else one short line each
ifeq ($(V),1)
  Q :=
  say = @:
else
  Q := @
  say = @printf '  %-8s%s\n' '$(1)' '$(2)'
endif

PACKAGES := libbpf libmnl libelf zlib inih jansson ncursesw libmicrohttpd libcap-ng
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
# files beyond 2 GiB and times beyond 2038 where a long has 32 bits; the kernel's __u64 as long long on all processors
DIALECT := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -D__SANE_USERSPACE_TYPES__
ALL_CPPFLAGS = -I. -DFLOWTALLY_VERSION='"$(VERSION)"' $(CPPFLAGS)
ALL_CFLAGS = $(DIALECT) $(WARNINGS) $(shell $(PKG_CONFIG) --cflags $(PACKAGES)) $(CFLAGS)
ALL_LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES)) $(LDLIBS)

# SANITIZE=1: AddressSanitizer and UndefinedBehaviorSanitizer, in a build folder of its own
ifeq ($(SANITIZE),1)
  BUILD := $(BUILD)/sanitize
  CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
  LDFLAGS += -fsanitize=address,undefined
endif

# COVERAGE=1: counts which lines run (gcov(1)), in a build folder of its own
ifeq ($(COVERAGE),1)
  BUILD := $(BUILD)/coverage
  CFLAGS := -O0 -g --coverage -fprofile-update=atomic
  LDFLAGS += --coverage
endif

# FUZZ=1: the targets of libFuzzer and all that they call, in a build folder of its own
ifeq ($(FUZZ),1)
  BUILD := $(BUILD)/fuzz
  CC := $(CLANG)
  FUZZ_SANITIZERS := address,undefined,float-cast-overflow
  CFLAGS += -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZERS) -fno-sanitize-recover=all -fno-omit-frame-pointer
  LDFLAGS += -fsanitize=fuzzer,$(FUZZ_SANITIZERS)
endif

LIBBPF_OLDEST := 1.1

# clang for BPF does not look where Debian keeps asm/types.h
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -I. \
	-I/usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)

FOLDERS := lib netlink config report metrics control supervisor
SOURCES := $(wildcard $(FOLDERS:=/*.c))
MAIN := supervisor/main.c
OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(MAIN),$(SOURCES)))
LIBRARY := $(BUILD)/libflowtally.a
PROGRAM := $(BUILD)/flowtally

# what is built of each C file of PATTERN; what is for the kernel is not linked
programs = $(patsubst %.c,$(BUILD)/%,$(filter-out %.bpf.c,$(wildcard $(1))))
objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)))
UNIT_TESTS := $(call programs,tests/unit/test_*.c)
PROG_TESTS := $(call programs,tests/prog/test_*.c)
TEST_TOOLS := $(call programs,tests/netns/*.c)
BENCHES := $(call programs,tests/bench/*.c)
FUZZERS := $(call programs,tests/fuzz/fuzz_*.c)
FUZZ_SEEDS := $(BUILD)/tests/fuzz/seeds
LATER := $(BUILD)/later/build/flowtally
TOPOLOGY_TEST := $(BUILD)/tests/topology/topology
SIMULATION := $(BUILD)/tests/simulation/simulation
TEST_BPF := $(patsubst %.bpf.c,$(BUILD)/%.bpf.o,$(wildcard tests/*/*.bpf.c))
C_FILES := $(wildcard bpf/*.[ch] $(FOLDERS:=/*.[ch]) tests/*.[ch] tests/*/*.[ch])
SHELL_FILES := $(wildcard tests/*.sh tests/*/*.sh packaging/*.sh packaging/completion/*.bash) .ci/run

.PHONY: all run test test-sanitize test-kernels check analyse bench soak coverage fuzz fuzz-build fuzz-seeds install uninstall deb clean \
	help deps deps-tests tests unit-build format lint
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

all: $(PROGRAM) ## build the agent (no root, no network)

# standard output is for reports
run: ## install what is missing, build, and run the agent on this host's interfaces
	$(Q)$(MAKE) --no-print-directory deps >&2
	$(Q)$(MAKE) --no-print-directory all >&2
	$(Q)exec $(PROGRAM) run $(ARGS)

test: deps-tests ## install what is missing, build, and run every test (root)
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)$(MAKE) --no-print-directory SANITIZE=1 unit-build
	$(Q)BUILD=$(BUILD) CLANG=$(CLANG) tests/fuzz/build.sh
	$(Q)BUILD=$(BUILD) tests/run.sh all

check: all unit-build lint ## tests that need no root: format, static analysis, shell scripts, unit tests, sanitizers
	$(Q)$(MAKE) --no-print-directory SANITIZE=1 unit-build
	$(Q)BUILD=$(BUILD) tests/run.sh unit packaging

soak: all tests ## thousands of random hosts, 10,000 veth pairs, an hour of interval ends, 2 million flows at once, chaos, an hour of one life (root); SEEDS, STORM_PAIRS, ENDS_S, FLOOD_FLOWS, CHAOS_S, LONG_S, MODES
	$(Q)BUILD=$(BUILD) SEEDS=$${SEEDS:-1..3000} timeout_s=86400 tests/run.sh topology
	$(Q)BUILD=$(BUILD) STORM_PAIRS=$${STORM_PAIRS:-10000} STORY='*_storm*' timeout_s=86400 tests/run.sh netns
	$(Q)BUILD=$(BUILD) ENDS_S=$${ENDS_S:-3600} STORY='story_interval_ends_in_a_flood' timeout_s=86400 tests/run.sh netns
	$(Q)BUILD=$(BUILD) FLOOD_FLOWS=$${FLOOD_FLOWS:-2000000} STORY='story_more_flows_than_entries' timeout_s=86400 tests/run.sh netns
	$(Q)BUILD=$(BUILD) CHAOS_S=$${CHAOS_S:-600} V=1 STORY='story_chaos' timeout_s=86400 tests/run.sh netns
	$(Q)BUILD=$(BUILD) LONG_S=$${LONG_S:-3600} V=1 STORY='story_long_life' timeout_s=86400 tests/run.sh netns

fuzz: deps-tests ## hostile input for MINUTES=60 of CPU time a target (TARGETS), a million packets for the program (PACKETS, SEED) (root)
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)BUILD=$(BUILD) CLANG=$(CLANG) tests/fuzz/build.sh
	$(Q)BUILD=$(BUILD) FUZZ_SECONDS=$$(($${MINUTES:-60} * 60)) tests/run.sh fuzz
	$(Q)BUILD=$(BUILD) FLOWTALLY_TEST_SEED=$${SEED:-$$(date +%s)} \
		FLOWTALLY_TEST_PACKETS=$${PACKETS:-1000000} timeout_s=86400 PROG=test_flow_random \
		tests/run.sh prog

coverage: deps-tests ## which lines the tests run, by folder; fails below 95 % of pure code, 80 % of the rest (root); V=1
	$(Q)$(MAKE) --no-print-directory COVERAGE=1 all tests
	$(Q)BUILD=$(BUILD)/coverage tests/coverage.sh

test-sanitize: deps-tests ## the tests that need root with AddressSanitizer and UndefinedBehaviorSanitizer; RINGS, STORY, MODES, SEEDS
	$(Q)$(MAKE) --no-print-directory SANITIZE=1 all tests
	$(Q)BUILD=$(BUILD)/sanitize tests/run.sh $${RINGS:-prog netns topology}

test-kernels: deps-tests ## the tests that need root on Debian's 5.10, 6.1 and 6.12 in qemu; KERNELS, RINGS, STORY, MODES, SEEDS, ELEMENTS, KINDS, CHAOS_S
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)BUILD=$(BUILD) tests/kernels/run.sh $(KERNELS)

bench: deps-tests ## measure: cost of a packet, throughput, swap and drain, links (root); DOC=1: into doc/performance.md
	$(Q)DEPS_BENCH=1 packaging/install-deps.sh
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)BUILD=$(BUILD) tests/bench/run.sh

# What wants one of them builds in a make of its own, which begins when all is installed.
deps:
	$(Q)packaging/install-deps.sh

deps-tests:
	$(Q)DEPS_TESTS=1 packaging/install-deps.sh

tests: unit-build $(PROG_TESTS) $(TEST_TOOLS) $(LATER) $(TOPOLOGY_TEST) $(TEST_BPF) $(BENCHES) ## build what `test` runs, and run nothing

# with FUZZ=1
fuzz-build: $(FUZZERS)

fuzz-seeds: $(FUZZ_SEEDS) all ## write the inputs of this kernel and this build into tests/fuzz/corpus anew (root)
	$(Q)BUILD=$(BUILD) tests/fuzz/seeds.sh

# A file anew when it or what it includes has changed. gcc takes what is stored behind a pointer from
# reallocarray() for lost, and knows no cleanup attribute: AddressSanitizer looks for leaks.
ANALYSED := $(patsubst %.c,$(BUILD)/%.analysed,$(SOURCES))

analyse: ## gcc -fanalyzer and clang-tidy over the agent: minutes
	$(Q)DEPS_ANALYSE=1 packaging/install-deps.sh
	$(Q)$(MAKE) --no-print-directory $(ANALYSED)

$(BUILD)/%.analysed: $(BUILD)/%.o .clang-tidy
	$(call say,ANALYSE,$*.c)
	$(Q)gcc $(ALL_CPPFLAGS) $(ALL_CFLAGS) -fanalyzer -Wno-analyzer-malloc-leak -c $*.c -o /dev/null
	$(Q)clang-tidy --quiet $*.c -- $(DIALECT) $(ALL_CPPFLAGS) >$@.out 2>&1 || { cat $@.out; false; }
	$(Q)touch $@

unit-build: $(UNIT_TESTS) $(SIMULATION)

lint: ## clang-format, which folder knows which, static analyser, shellcheck
	$(call say,FORMAT,$(words $(C_FILES)) files)
	$(Q)clang-format --dry-run -Werror $(C_FILES)
	$(call say,LAYERS,$(FOLDERS))
	$(Q)tests/layers.sh
	$(call say,CPPCHECK,$(words $(SOURCES)) files)
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=tests/cppcheck.suppressions -I. -D_GNU_SOURCE \
		-DFLOWTALLY_VERSION='""' --include=tests/cppcheck.h \
		$(SOURCES)
	$(call say,SHELL,$(words $(SHELL_FILES)) files)
	$(Q)shellcheck -x $(SHELL_FILES)

format: ## lay out all C files with clang-format
	$(Q)clang-format -i $(C_FILES)

# what an administrator may have changed stays
install_once = test -e $(2) || install -D -m 0644 $(1) $(2)
# on this machine, where it has it; what fails says so, and that without systemd running is no failure of make
where_there = ! command -v $(firstword $(1)) >/dev/null || $(1) || true

install: all ## install under DESTDIR, PREFIX; without DESTDIR so that the unit can be started
	install -D -m 0755 $(PROGRAM) $(DESTDIR)$(SBINDIR)/flowtally
	$(call install_once,config/flowtally.conf,$(DESTDIR)$(SYSCONFDIR)/flowtally/flowtally.conf)
	$(call install_once,packaging/flowtally.logrotate,$(DESTDIR)$(SYSCONFDIR)/logrotate.d/flowtally)
	install -D -m 0644 doc/flowtally.8 $(DESTDIR)$(MANDIR)/man8/flowtally.8
	install -D -m 0644 doc/flowtally.conf.5 $(DESTDIR)$(MANDIR)/man5/flowtally.conf.5
	install -d $(DESTDIR)$(UNITDIR)
	sed 's,/usr/sbin/,$(SBINDIR)/,' packaging/flowtally.service > $(DESTDIR)$(UNITDIR)/flowtally.service
	chmod 0644 $(DESTDIR)$(UNITDIR)/flowtally.service
	install -D -m 0644 packaging/flowtally.sysusers $(DESTDIR)$(SYSUSERSDIR)/flowtally.conf
	install -D -m 0644 packaging/flowtally.tmpfiles $(DESTDIR)$(TMPFILESDIR)/flowtally.conf
	install -D -m 0644 packaging/completion/flowtally.bash $(DESTDIR)$(BASHCOMPDIR)/flowtally
	install -D -m 0644 packaging/completion/_flowtally $(DESTDIR)$(ZSHCOMPDIR)/_flowtally
ifeq ($(DESTDIR),)
	$(call where_there,systemd-sysusers $(SYSUSERSDIR)/flowtally.conf)
	$(call where_there,systemd-tmpfiles --create $(TMPFILESDIR)/flowtally.conf)
	$(call where_there,systemctl --no-ask-password daemon-reload)
endif

uninstall: ## remove what install put there, but for the configuration and the rules of logrotate
	rm -f $(DESTDIR)$(SBINDIR)/flowtally $(DESTDIR)$(MANDIR)/man8/flowtally.8 \
		$(DESTDIR)$(MANDIR)/man5/flowtally.conf.5 $(DESTDIR)$(UNITDIR)/flowtally.service \
		$(DESTDIR)$(SYSUSERSDIR)/flowtally.conf $(DESTDIR)$(TMPFILESDIR)/flowtally.conf \
		$(DESTDIR)$(BASHCOMPDIR)/flowtally $(DESTDIR)$(ZSHCOMPDIR)/_flowtally

deb: ## build the Debian package in build/deb (debhelper, no root)
	$(Q)BUILD=$(BUILD) packaging/make-deb.sh $(VERSION)

clean: ## remove the build folder
	rm -rf $(BUILD)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s%s\n", $$1, $$2 }' Makefile
	@echo 'Variables: V=1, SANITIZE=1, COVERAGE=1, CC, CLANG, CFLAGS, DESTDIR, PREFIX, BUILD, ARGS (options for run)'

# Objects are made again when the commands that make them change.
$(BUILD)/flags: FORCE
	@$(PKG_CONFIG) --exists 'libbpf >= $(LIBBPF_OLDEST)' || { echo "libbpf $(LIBBPF_OLDEST) or later is needed, here is" \
		"$$($(PKG_CONFIG) --modversion libbpf 2>/dev/null || echo none): Debian 12, Ubuntu 24.04 and later have it" >&2; exit 1; }
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) $(CLANG) $(BPF_CFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) $(CLANG) $(BPF_CFLAGS)' > $@
.PHONY: FORCE
FORCE:

$(BUILD)/%.bpf.o: %.bpf.c $(BUILD)/flags
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@ 2>/dev/null || true

# The BPF object as bytes in a read-only section, with nothing but the assembler: flow_object.S includes it.
$(BUILD)/bpf/flow_object.o: bpf/flow_object.S $(BUILD)/bpf/flow.bpf.o
	$(call say,EMBED,$@)
	$(Q)$(CC) -c -DFLOW_OBJECT='"$(BUILD)/bpf/flow.bpf.o"' $< -o $@

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(LIBRARY): $(OBJECTS) $(BUILD)/bpf/flow_object.o
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

define link
$(call say,LINK,$@)
$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) $^ $(ALL_LIBS) -o $@
endef

$(PROGRAM): $(BUILD)/supervisor/main.o $(LIBRARY)
	$(link)

$(UNIT_TESTS) $(PROG_TESTS) $(BENCHES) $(TEST_TOOLS) $(FUZZERS) $(FUZZ_SEEDS): $(BUILD)/%: $(BUILD)/%.o $(LIBRARY)
	$(link)

$(TOPOLOGY_TEST): $(call objects,tests/topology/*.c) $(LIBRARY)
	$(link)

$(SIMULATION): $(call objects,tests/simulation/*.c) $(LIBRARY)
	$(link)

$(UNIT_TESTS) $(PROG_TESTS): ALL_LIBS += -lcmocka

# the test makes allocations fail
$(BUILD)/tests/unit/test_no_memory: private LDFLAGS += \
	$(foreach name,malloc calloc realloc reallocarray strdup strndup,-Wl,--wrap=$(name))

# the test is the kernel
$(BUILD)/tests/unit/test_attach: private LDFLAGS += \
	$(foreach name,change clsact_find clsact_delete clsact_each filter_delete filter_each,-Wl,--wrap=tc_$(name)) \
	$(foreach name,link_create prog_query,-Wl,--wrap=bpf_$(name))

# the test is the kernel
$(BUILD)/tests/unit/test_cpu_walk: private LDFLAGS += -Wl,--wrap=sched_setaffinity
# the test makes messages find no memory, and interrupts dumps
$(BUILD)/tests/prog/test_netlink: private LDFLAGS += \
	$(foreach name,link_parse netlink_receive,-Wl,--wrap=$(name))

# A version that follows this one, for the stories of upgrades: of sources that are changed (tests/later.sh)
$(LATER): tests/later.sh Makefile $(SOURCES) $(wildcard bpf/* $(FOLDERS:=/*.h))
	$(call say,LATER,$@)
	$(Q)tests/later.sh $(BUILD)/later
	$(Q)$(MAKE) --no-print-directory -C $(BUILD)/later BUILD=build SANITIZE= COVERAGE= all >$(BUILD)/later/log
	$(Q)touch $@

.SECONDARY:
-include $(shell find $(BUILD) \( -path '$(BUILD)/deb' -o -path '$(BUILD)/later' \) -prune -o -type f -name '*.d' -print 2>/dev/null)
