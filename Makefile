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
STD      := -std=c11 -D_GNU_SOURCE
CFLAGS   ?= -O2 -g

variant_release  :=
variant_asan     := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
variant_tsan     := -O1 -fsanitize=thread
variant_coverage := -O0 --coverage
variant_fuzz     := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
FLAGS := $(STD) $(CFLAGS) $(variant_$(VARIANT)) $(WARNINGS) $(WERROR) -MMD -MP

# Who may include whom. A folder is compiled with itself and those below it on the include path, so an
# upward or sideways include does not compile.
base_sees   := base
spool_sees  := base spool
config_sees := base config
watch_sees  := base spool watch
layer        = $(word 2,$(subst /, ,$<))

LIB_SOURCES  := $(wildcard lib/*/*.c)
LIB_OBJECTS  := $(LIB_SOURCES:%.c=$(B)/%.o)
PROGRAMS     := cancelreq cancelwatch
LIBS         := -lyaml -ljansson -lpthread
MAN_PAGES    := $(wildcard man/*.[1-8])

.PHONY: all
all: $(B)/libcancel.a $(B)/libcancel.so.$(VERSION) $(PROGRAMS:%=$(B)/bin/%)

$(B)/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(CC) -Ilib/include $(addprefix -Ilib/,$($(layer)_sees)) $(FLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

$(B)/libcancel.a: $(LIB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(B)/libcancel.so.$(VERSION): $(LIB_OBJECTS)
	$(CC) $(FLAGS) -shared -Wl,-soname,libcancel.so.$(SOVERSION) -Wl,-z,defs -o $@ $^ $(LIBS)

# Programs see the public headers only.
define program
$(B)/$(1)/%.o: $(1)/%.c
	@mkdir -p $$(@D)
	$$(CC) -Ilib/include $$(FLAGS) -c -o $$@ $$<

$(B)/bin/$(1): $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c)) $(B)/libcancel.a
	@mkdir -p $$(@D)
	$$(CC) $$(FLAGS) -o $$@ $$^ $$(PROGRAM_LIBS)
endef
PROGRAM_LIBS := $(LIBS)
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# Tests may see all of lib.
TEST_INCLUDES := -Ilib/include $(addprefix -Ilib/,base spool config watch) -Itests/support
SUITES        := unit tool fault
SUPPORT       := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))

$(B)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(CC) $(TEST_INCLUDES) $(FLAGS) -DBUILD_DIR='"$(CURDIR)/$(B)"' -DSOURCE_DIR='"$(CURDIR)"' -c -o $@ $<

define suite
$(B)/tests/$(1)/suite: $(patsubst %.c,$(B)/%.o,$(wildcard tests/$(1)/*.c)) $(SUPPORT) $(B)/libcancel.a
	$$(CC) $$(FLAGS) -o $$@ $$^ -lcriterion $$(LIBS)
endef
$(foreach s,$(SUITES),$(eval $(call suite,$(s))))

-include $(shell find $(B) -name '*.d' 2>/dev/null)
