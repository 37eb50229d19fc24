# libcancel. `make help` lists the targets; README.md says where to begin.
#
# Everything is built under build/<variant>/. A variant picks flags and folder together, so that variants
# stand side by side: release (default), asan, tsan, coverage, fuzz.

VERSION   := 0.1.0
SOVERSION := 0

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
SBINDIR    ?= $(PREFIX)/sbin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/libcancel
COMPDIR    ?= $(PREFIX)/share/bash-completion/completions

VARIANT ?= release
B       := build/$(VARIANT)

CC       ?= cc
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wwrite-strings -Wvla
WERROR   ?=
# One line a step; V=1 shows the commands.
Q := $(if $(V),,@)
SAY = $(if $(V),,@printf '  %-5s %s\n' $(1) $@)
STD      := -std=c11 -D_GNU_SOURCE
CFLAGS   ?= -O2 -g

variant_release  :=
variant_asan     := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
variant_tsan     := -O1 -fsanitize=thread
variant_coverage := -O0
variant_fuzz     := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
# In the coverage variant the library is counted, in files that all its processes map: what is killed counts too.
counted_coverage  := -fprofile-instr-generate=$(CURDIR)/$(B)/counts/%c%m -fcoverage-mapping \
                     -fprofile-update=atomic -mllvm -runtime-counter-relocation
counting_coverage := -fprofile-instr-generate
FLAGS := $(STD) $(CFLAGS) $(variant_$(VARIANT)) $(WARNINGS) $(WERROR) -MMD -MP

# Who may include whom. A folder is compiled with itself and those below it on the include path, so an
# upward or sideways include does not compile.
base_sees   := base
spool_sees  := base spool
config_sees := base config
token_sees  := base token
watch_sees  := base spool watch
task_sees   := base spool config token watch task
layer        = $(word 2,$(subst /, ,$<))

LIB_SOURCES  := $(wildcard lib/*/*.c)
LIB_OBJECTS  := $(LIB_SOURCES:%.c=$(B)/%.o)
PROGRAMS     := cancelreq cancelwatch
LIBS         := -lyaml -ljansson -lpthread $(counting_$(VARIANT))
MAN_PAGES    := $(wildcard man/*.[1-8])

.PHONY: all
all: $(B)/libcancel.a $(B)/libcancel.so.$(VERSION) $(PROGRAMS:%=$(B)/bin/%)

$(B)/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(Q)$(CC) -Ilib/include $(addprefix -Ilib/,$($(layer)_sees)) $(FLAGS) $(counted_$(VARIANT)) -fPIC -fvisibility=hidden -c -o $@ $<

$(B)/libcancel.a: $(LIB_OBJECTS)
	@rm -f $@
	$(call SAY,AR)
	$(Q)ar qcs $@ $^

$(B)/libcancel.so.$(VERSION): $(LIB_OBJECTS)
	$(call SAY,LINK)
	$(Q)$(CC) $(FLAGS) -shared -Wl,-soname,libcancel.so.$(SOVERSION) -Wl,-z,defs -o $@ $^ $(LIBS)

program_objects = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c $(1)/*/*.c))

# Programs see the public headers only, and their own folders.
define program
$(B)/$(1)/%.o: $(1)/%.c
	@mkdir -p $$(@D)
	$$(call SAY,CC)
	$$(Q)$$(CC) -Ilib/include -I$(1) $$(FLAGS) -c -o $$@ $$<

$(B)/bin/$(1): $(call program_objects,$(1)) $(B)/libcancel.a
	@mkdir -p $$(@D)
	$$(call SAY,LINK)
	$$(Q)$$(CC) $$(FLAGS) -o $$@ $$^ $$(PROGRAM_LIBS)
endef
# Static, but for libc: a request is made while somebody waits, and the loader's time would be most of it.
PROGRAM_LIBS := -l:libyaml.a -l:libjansson.a -lpthread $(counting_$(VARIANT))
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# Tests may see all of lib.
TEST_INCLUDES := -Ilib/include $(addprefix -Ilib/,base spool config watch token task) -Itests/support
TEST_DEFINES  := -DBUILD_DIR='"$(CURDIR)/$(B)"' -DSOURCE_DIR='"$(CURDIR)"'
SUITES        := unit tool fault
SUPPORT       := $(B)/tests/support.a
STRESS        := $(patsubst tests/stress/%.c,$(B)/tests/stress/%,$(wildcard tests/stress/*.c))

# To optimise what is run once takes longer than to run it. TEST_CFLAGS= for the warnings that only an optimiser has.
TEST_CFLAGS   ?= $(if $(filter release,$(VARIANT)),-O0)
RUN_ONCE      := tests/stress/% tests/unit/% tests/tool/% tests/fault/% tests/support/% tests/campaign/% tests/fuzz/%

$(B)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(Q)$(CC) $(TEST_INCLUDES) $(FLAGS) $(if $(filter $(RUN_ONCE),$<),$(TEST_CFLAGS)) $(TEST_DEFINES) -c -o $@ $<

# An archive, so that a plain program takes from it only what knows nothing of Criterion.
$(SUPPORT): $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))
	@rm -f $@
	$(call SAY,AR)
	$(Q)ar qcs $@ $^

define suite
$(B)/tests/$(1)/suite: $(patsubst %.c,$(B)/%.o,$(wildcard tests/$(1)/*.c)) $(SUPPORT) $(B)/libcancel.a
	$$(call SAY,LINK)
	$$(Q)$$(CC) $$(FLAGS) -o $$@ $$^ -lcriterion $$(LIBS)
endef
$(foreach s,$(SUITES),$(eval $(call suite,$(s))))

# What a test stops at each of its calls: a run that begins.
$(B)/tests/drive/drive: $(B)/tests/drive/drive.o $(B)/libcancel.a
	$(call SAY,LINK)
	$(Q)$(CC) $(FLAGS) -o $@ $^ $(LIBS)

# A command that does not want to end, for tests of `cancelwatch run`. It is the same in each variant, and begins at once:
# what the tests give a command a short time for is what it does, and not how it starts.
HOSTILE := $(patsubst %.c,$(B)/%,$(wildcard tests/hostile/hostile.c))
$(B)/tests/hostile/hostile: tests/hostile/hostile.c
	@mkdir -p $(@D)
	$(call SAY,LINK)
	$(Q)$(CC) $(STD) $(CFLAGS) $(WARNINGS) $(WERROR) -static -o $@ $< -lpthread

# The oracle sees every decision at the calls that make it, and shows that it would see one without locks.
$(B)/tests/stress/crowd: LIBS += -Wl,--wrap=renameat2,--wrap=unlinkat,--wrap=fcntl,--wrap=openat
$(STRESS): $(B)/tests/stress/%: $(B)/tests/stress/%.o $(SUPPORT) $(B)/libcancel.a
	$(call SAY,LINK)
	$(Q)$(CC) $(FLAGS) -o $@ $^ $(LIBS)

# A promise tried in many ways: each folder is a program, and a target (with - for _).
CAMPAIGNS     := $(notdir $(patsubst %/,%,$(dir $(wildcard tests/campaign/*/main.c))))
CAMPAIGN_PROGRAMS := $(foreach c,$(CAMPAIGNS),$(B)/tests/campaign/$(c)/$(c))
campaign_objects = $(patsubst %.c,$(B)/%.o,$(wildcard tests/campaign/$(1)/*.c))

define campaign
$(B)/tests/campaign/$(1)/$(1): $(call campaign_objects,$(1)) $(SUPPORT) $(B)/libcancel.a
	$$(call SAY,LINK)
	$$(Q)$$(CC) $$(FLAGS) -o $$@ $$^ $$(LIBS)
endef
$(foreach c,$(CAMPAIGNS),$(eval $(call campaign,$(c))))

# The campaign with one source file changed, and the program that it is of: called by tests/mutants/run, which has put the
# file into $(MUTANT).
.PHONY: mutant
mutant: $(call campaign_objects,$(CAMPAIGN)) $(SUPPORT) $(B)/libcancel.a $(foreach p,$(PROGRAMS),$(call program_objects,$(p)))
	@$(CC) $(addprefix -I,$(dir $(SOURCE)) $(firstword $(subst /, ,$(SOURCE)))) $(TEST_INCLUDES) $(FLAGS) -MMD -MF $(MUTANT)/mutant.d -w -c -o $(MUTANT)/mutant.o $(MUTANT)/$(SOURCE)
	@$(CC) $(FLAGS) -o $(MUTANT)/campaign $(call campaign_objects,$(CAMPAIGN)) $(if $(filter lib/%,$(SOURCE)),$(MUTANT)/mutant.o) \
	  $(SUPPORT) $(B)/libcancel.a $(LIBS)
	@mkdir -p $(MUTANT)/bin
	@$(foreach p,$(if $(filter lib/%,$(SOURCE)),$(PROGRAMS),$(firstword $(subst /, ,$(SOURCE)))),\
	  $(CC) $(FLAGS) -o $(MUTANT)/bin/$(p) $(filter-out $(B)/$(SOURCE:.c=.o),$(call program_objects,$(p))) \
	  $(MUTANT)/mutant.o $(B)/libcancel.a $(PROGRAM_LIBS) &&) true

# What the fuzzers found, and mutations of it, through the same checks: their short form, which needs no clang.
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
REPLAYS := $(FUZZERS:%=$(B)/tests/fuzz/replay/%)
$(B)/tests/fuzz/replay/lines: $(B)/cancelreq/lines.o
$(REPLAYS): $(B)/tests/fuzz/replay/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/replay/replay.o $(B)/libcancel.a
	$(call SAY,LINK)
	$(Q)$(CC) $(FLAGS) -o $@ $^ $(LIBS)

# The benchmark's peers in other languages. One that is not installed, or does not build, has its rows left out.
TOKIO_CRATES  := /usr/share/cargo/registry
ifneq ($(findstring bench,$(MAKECMDGOALS)),)
GIO_CFLAGS    := $(shell pkg-config --cflags gio-2.0 2>/dev/null)
GIO_LIBS      := $(shell pkg-config --libs gio-2.0 2>/dev/null)
HAS_GO        := $(shell command -v go 2>/dev/null)
HAS_TOKIO     := $(and $(shell command -v cargo 2>/dev/null),$(wildcard $(TOKIO_CRATES)/tokio-util-*))
endif
BENCH_SOURCES := $(filter-out $(if $(GIO_LIBS),,%/peer_gcancellable.c),$(wildcard tests/bench/*.c tests/bench/*.cc))
BENCH_OBJECTS := $(addprefix $(B)/,$(addsuffix .o,$(basename $(BENCH_SOURCES))))
BENCH_PEERS   := $(if $(HAS_GO),$(B)/tests/bench/peers/go) $(if $(HAS_TOKIO),$(B)/tests/bench/peers/tokio)

$(B)/tests/bench/%.o: tests/bench/%.cc
	@mkdir -p $(@D)
	$(call SAY,CXX)
	$(Q)$(CXX) -std=c++20 -O2 -g -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(WERROR) -MMD -MP -c -o $@ $<
$(B)/tests/bench/peer_gcancellable.o: FLAGS += $(GIO_CFLAGS)
$(B)/tests/bench/bench: LIBS += -lstdc++ $(GIO_LIBS)
$(B)/tests/bench/bench: $(BENCH_OBJECTS) $(B)/libcancel.a
	$(call SAY,LINK)
	$(Q)$(CC) $(FLAGS) -o $@ $^ $(LIBS)
$(B)/tests/bench/peers/go: tests/bench/peers/context.go
	@mkdir -p $(@D)
	$(call SAY,GO)
	-$(Q)GO111MODULE=off GOPROXY=off GOTOOLCHAIN=local GOCACHE=$(abspath $(@D))/go.cache go build -o $@ $<
# Cargo wants a folder of its own, writes into it, and leaves .d files that are not for us. Debian's crates stand in
# for the registry.
$(B)/tests/bench/peers/tokio: tests/bench/peers/tokio.rs tests/bench/peers/tokio.toml
	@mkdir -p $@.cargo/src
	@cp tests/bench/peers/tokio.rs $@.cargo/src/main.rs && cp tests/bench/peers/tokio.toml $@.cargo/Cargo.toml
	$(call SAY,CARGO)
	-$(Q)cargo build --quiet --offline --release --manifest-path $@.cargo/Cargo.toml --target-dir $@.cargo/target \
	  --config 'source.crates-io.replace-with="debian"' --config 'source.debian.directory="$(TOKIO_CRATES)"' \
	  && cp $@.cargo/target/release/tokio_peer $@ && rm -r $@.cargo

# The worker of the demonstration is a program as a user would write it.
$(B)/tests/demo/hash_files: tests/demo/hash_files.c $(B)/libcancel.a
	@mkdir -p $(@D)
	$(call SAY,LINK)
	$(Q)$(CC) -Ilib/include $(FLAGS) -o $@ $(filter %.c %.a,$^) $(LIBS)

# So are the examples, which are installed; tests/examples/run compares what they say.
EXAMPLE_SOURCES := $(wildcard tests/examples/*.c tests/examples/*.cc)
EXAMPLES        := $(addprefix $(B)/,$(basename $(EXAMPLE_SOURCES)))
CXX_FLAGS       := -std=c++11 $(CFLAGS) $(variant_$(VARIANT)) -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
                   $(WERROR) -MMD -MP

$(B)/tests/examples/%: tests/examples/%.c $(B)/libcancel.a
	@mkdir -p $(@D)
	$(call SAY,LINK)
	$(Q)$(CC) -Ilib/include $(FLAGS) -o $@ $(filter %.c %.a,$^) $(LIBS)
$(B)/tests/examples/%: tests/examples/%.cc $(B)/libcancel.a
	@mkdir -p $(@D)
	$(call SAY,LINK)
	$(Q)$(CXX) -Ilib/include $(CXX_FLAGS) -o $@ $(filter %.cc %.a,$^) $(LIBS)

# --- what a person calls ------------------------------------------------------------------------------

.PHONY: help
help:
	@echo 'make                  build the libraries and programs under $(B)'
	@echo 'make setup            install what building and testing need (Debian 12 packages)'
	@echo 'make demo             show the main job end to end on a real task'
	@echo 'make check            build and run the tests; closes on "N passed, N failed"'
	@echo 'make install          DESTDIR= PREFIX=$(PREFIX)'
	@echo 'make bench            measure beside the peers; ONLY=PATTERN picks rows'
	@echo 'make asan tsan valgrind coverage    the tests in other variants'
	@echo 'make faults kills powercut model fuzz hostile watch-truth soak'
	@echo '                      try to break what DESIGN.md promises, for RUN_SECONDS=60'
	@echo 'make mutants stress   that those could fail; the stress programs, for longer'
	@echo 'make headers tidy format    the code itself'
	@echo 'make setup-dev        install what the last three lines need'

# What a bare Debian 12 lacks. The first list builds and tests; the second is for those who change the code.
PACKAGES     := gcc g++ libc6-dev make libyaml-dev libjansson-dev libcriterion-dev python3 jq strace procps \
                task-spooler patch spin
DEV_PACKAGES := clang clang-format clang-tidy cppcheck libclang-rt-14-dev valgrind llvm mandoc \
                libglib2.0-dev

.PHONY: setup setup-dev
setup:
	@sh .ci/setup $(PACKAGES)
setup-dev: setup
	@sh .ci/setup $(DEV_PACKAGES)

.PHONY: demo
demo: all $(B)/tests/demo/hash_files
	@sh tests/demo/demo.sh $(B)

.PHONY: tests check
JOBS = $(shell nproc)
tests: all $(SUITES:%=$(B)/tests/%/suite) $(STRESS) $(B)/tests/demo/hash_files $(B)/tests/drive/drive $(HOSTILE) $(EXAMPLES) \
  $(CAMPAIGN_PROGRAMS) $(REPLAYS)
check:
	@$(MAKE) --no-print-directory --jobs=$(JOBS) tests headers
	@sh tests/run $(SUITES:%=$(B)/tests/%/suite) $(CAMPAIGN_PROGRAMS) \
	  $(foreach c,$(CAMPAIGNS),'$(c) mutant: sh tests/mutants/run $(B) $(c) one') \
	  'model: sh tests/model/run $(B)' 'fuzz: sh tests/fuzz/replay/run $(B)' 'fuzz mutant: sh tests/fuzz/mutants/run $(B) one' $(STRESS) \
	  'demo: sh tests/demo/demo.sh $(B)' 'examples: sh tests/examples/run $(B)' \
	  'install: sh tests/install.sh $(B)'

# --- other variants -----------------------------------------------------------------------------------

# Criterion exits 0 whatever the leak checker and valgrind find in a test, so both write logs, and a log that is
# not empty is the failure (tests/run looks).
.PHONY: asan tsan valgrind coverage fuzz stress bench
asan:
	@$(MAKE) --no-print-directory --jobs=$(JOBS) VARIANT=asan CFLAGS=-g tests
	@LOGS=build/asan/logs sh tests/run --sanitizer $(SUITES:%=build/asan/tests/%/suite) \
	  $(CAMPAIGN_PROGRAMS:$(B)/%=build/asan/%) 'fuzz: sh tests/fuzz/replay/run build/asan' \
	  $(STRESS:$(B)/%=build/asan/%) 'examples: sh tests/examples/run build/asan'
tsan:
	@$(MAKE) --no-print-directory --jobs=$(JOBS) VARIANT=tsan CFLAGS=-g $(STRESS:$(B)/%=build/tsan/%) $(PROGRAMS:%=build/tsan/bin/%) \
	  $(HOSTILE:$(B)/%=build/tsan/%)
	@LOGS=build/tsan/logs sh tests/run --sanitizer $(STRESS:$(B)/%=build/tsan/%)
# Those that run other programs, or measure memory, say nothing under valgrind that they do not say without.
UNDER_VALGRIND := @(text|utf8|time|duration|path|config|ask|batch|decide|drop|list|lookup|sweep|seen|later|dirwatch|watermark|token_source|token_fd)/*
valgrind: tests
	@FILTER='$(UNDER_VALGRIND)' LOGS=$(B)/valgrind sh tests/run --valgrind $(B)/tests/unit/suite $(STRESS)
coverage:
	@rm -rf build/coverage/counts
	@$(MAKE) --no-print-directory --jobs=$(JOBS) VARIANT=coverage CC=clang CXX=clang++ CFLAGS=-g tests
	@sh tests/run $(SUITES:%=build/coverage/tests/%/suite) $(CAMPAIGN_PROGRAMS:$(B)/%=build/coverage/%) \
	  $(foreach s,$(STRESS:$(B)/%=build/coverage/%),'$(notdir $(s)): RUN_SECONDS=$${RUN_SECONDS:-2} $(s)'); result=$$?; \
	  tests/coverage.py build/coverage && exit $$result
# Rows by pattern with ONLY=; BENCH_FLAGS=--short for a quick look.
bench: $(B)/tests/bench/bench $(BENCH_PEERS) $(PROGRAMS:%=$(B)/bin/%)
	@$< $(BENCH_FLAGS) --json build/bench.json $(if $(ONLY),'$(ONLY)')
# The start of a task is raced a hundred thousand times, and a thousand commands run at once.
stress: $(STRESS) $(PROGRAMS:%=$(B)/bin/%) $(HOSTILE)
	@RUN_SECONDS=$${RUN_SECONDS:-60} TRIALS=$${TRIALS:-100000} RUNS=$${RUNS:-1000} sh tests/run $(STRESS)

# A campaign's long form, and all of its mutants.
.PHONY: $(subst _,-,$(CAMPAIGNS)) mutants
$(subst _,-,$(CAMPAIGNS)): %: all $(CAMPAIGN_PROGRAMS) $(HOSTILE)
	@RUN_SECONDS=$${RUN_SECONDS:-60} $(B)/tests/campaign/$(subst -,_,$*)/$(subst -,_,$*)
	@sh tests/mutants/run $(B) $(subst -,_,$*)
.PHONY: model
model:
	@RUN_SECONDS=$${RUN_SECONDS:-60} sh tests/model/run $(B)
mutants: all $(CAMPAIGN_PROGRAMS) $(REPLAYS)
	@sh tests/run $(foreach c,$(CAMPAIGNS),'$(c) mutants: sh tests/mutants/run $(B) $(c)') \
	  'fuzz mutants: sh tests/fuzz/mutants/run $(B)'

RUN_SECONDS ?= 20
build/fuzz/tests/fuzz/%: tests/fuzz/%.c
	@$(MAKE) --no-print-directory VARIANT=fuzz CC=clang CFLAGS=-g build/fuzz/libcancel.a build/fuzz/cancelreq/lines.o
	@mkdir -p $(@D)
	clang $(TEST_INCLUDES) $(STD) -g -O1 $(WARNINGS) -fsanitize=address,undefined,fuzzer \
	  -fno-sanitize-recover=all -o $@ $< $(if $(filter lines,$*),build/fuzz/cancelreq/lines.o) build/fuzz/libcancel.a $(LIBS)
fuzz: $(FUZZERS:%=build/fuzz/tests/fuzz/%)
	@rm -f build/fuzz/tally
	@FUZZ_TALLY=build/fuzz/tally sh tests/run $(foreach f,$(FUZZERS),'fuzz $(f): sh tests/fuzz/run build/fuzz/tests/fuzz/$(f) \
	  tests/fuzz/corpus/$(f) $(RUN_SECONDS)'); status=$$?; \
	  sh tests/fuzz/total build/fuzz/tally $(words $(FUZZERS)); exit $$status

# --- the code itself ----------------------------------------------------------------------------------

PUBLIC_HEADERS := $(wildcard lib/include/cancel/*.h)
# Every public header stands alone, in C and in C++.
.PHONY: headers tidy format format-check
headers:
	@for h in $(PUBLIC_HEADERS); do \
	  printf '#include <%s>\nextern int unit;\n' "$${h#lib/include/}" > $(B)/header.c && \
	  $(CC) -std=c11 $(WARNINGS) -Werror -Ilib/include -fsyntax-only $(B)/header.c && \
	  $(CXX) -std=c++11 -Wall -Wextra -Wpedantic -Werror -Ilib/include -fsyntax-only -x c++ $(B)/header.c || exit 1; \
	done
	@echo 'headers: $(words $(PUBLIC_HEADERS)) compile alone, as C11 and as C++11'
headers: | $(B)/libcancel.a

C_FILES := $(wildcard lib/*/*.[ch] lib/include/cancel/*.h cancelreq/*.[ch] cancelwatch/*.[ch] cancelwatch/*/*.[ch] tests/*/*.[ch] tests/*/*/*.[ch])
# gcc 12 loses sight of what a copied structure takes along; LeakSanitizer looks at that instead.
ANALYZER_BLIND := -Wno-analyzer-malloc-leak
tidy:
	clang-tidy --quiet --warnings-as-errors='*' $(wildcard lib/*/*.c) -- $(STD) -Ilib/include $(addprefix -Ilib/,base spool config watch token task)
	clang-tidy --quiet --warnings-as-errors='*' $(wildcard cancelreq/*.c cancelwatch/*.c cancelwatch/*/*.c) -- $(STD) -Ilib/include -Icancelwatch
	cppcheck --quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  -Ilib/include -Icancelwatch $(addprefix -Ilib/,base spool config watch token task) lib cancelreq cancelwatch
	for f in $(LIB_SOURCES); do gcc $(STD) $(WARNINGS) -Werror -fanalyzer $(ANALYZER_BLIND) -O2 -Ilib/include \
	  $(addprefix -Ilib/,base spool config watch token task) -c -o /dev/null $$f || exit 1; done
	for f in $(wildcard cancelreq/*.c cancelwatch/*.c cancelwatch/*/*.c); do gcc $(STD) $(WARNINGS) -Werror -fanalyzer \
	  $(ANALYZER_BLIND) -O2 -Ilib/include -Icancelwatch -c -o /dev/null $$f || exit 1; done
format:
	clang-format -i $(C_FILES)
format-check:
	clang-format --dry-run --Werror $(C_FILES)

# --- installing ---------------------------------------------------------------------------------------

INSTALL := install
.PHONY: install
install: all
	$(INSTALL) -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig \
	  $(DESTDIR)$(INCLUDEDIR)/cancel $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(COMPDIR)
	$(INSTALL) $(B)/bin/cancelreq $(DESTDIR)$(BINDIR)/
	$(INSTALL) $(B)/bin/cancelwatch $(DESTDIR)$(SBINDIR)/
	ln -sf $(SBINDIR)/cancelwatch $(DESTDIR)$(BINDIR)/cancelwatch
	$(INSTALL) -m 644 $(B)/libcancel.a $(DESTDIR)$(LIBDIR)/
	$(INSTALL) $(B)/libcancel.so.$(VERSION) $(DESTDIR)$(LIBDIR)/
	ln -sf libcancel.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libcancel.so.$(SOVERSION)
	ln -sf libcancel.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libcancel.so
	$(INSTALL) -m 644 $(PUBLIC_HEADERS) $(DESTDIR)$(INCLUDEDIR)/cancel/
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|' \
	  conf/libcancel.pc.in > $(B)/libcancel.pc
	$(INSTALL) -m 644 $(B)/libcancel.pc $(DESTDIR)$(LIBDIR)/pkgconfig/
	for page in $(MAN_PAGES); do \
	  $(INSTALL) -D -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; \
	done
	for file in cancel.yaml $(patsubst conf/%,%,$(wildcard conf/systemd/* conf/cron/* conf/tmpfiles.d/* conf/rules/*)); do \
	  $(INSTALL) -D -m 644 conf/$$file $(DESTDIR)$(DOCDIR)/examples/$$file || exit 1; \
	done
	$(INSTALL) -m 644 $(EXAMPLE_SOURCES) $(DESTDIR)$(DOCDIR)/examples/
	$(INSTALL) -m 644 conf/completion/cancelreq conf/completion/cancelwatch $(DESTDIR)$(COMPDIR)/

.PHONY: clean
clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
