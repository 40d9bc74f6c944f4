# spliced: build, test, install.  "make help" lists the goals.
#
# One non-recursive Makefile for GNU make.  It relies on configure for
# build/config.mk and build/config.h (and runs it when they are missing or
# old), finds its sources by wildcard, and writes only below build/.
#
# Knobs, each with a build folder of its own so that nothing is mixed:
#   DEV=1                        -Og and -Werror         build/dev
#   SANITIZE=address,undefined   gcc's sanitizers        build/asan-ubsan
#   SANITIZE=thread                                      build/tsan
#   COVERAGE=1                   gcov after the tests    build/coverage
#   CC=clang                     another compiler        build/clang
# V=1 shows the commands, WERROR=1 adds -Werror, DEPS=no installs nothing.
# CC, CFLAGS, CPPFLAGS, LDFLAGS and LDLIBS are honoured here and by configure.

SHELL := /bin/sh
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

MAKEFLAGS += --no-builtin-rules --no-print-directory
ifeq ($(MAKELEVEL)$(findstring -j,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

comma := ,
empty :=
space := $(empty) $(empty)
define newline


endef

goals := $(or $(MAKECMDGOALS),all)

# These goals install what they need, then call make again: only then can
# configure run, because it looks for what has just been installed.
wrapped := run check check-unit check-func check-all check-ktls lint fuzz \
	bench bench-server soak deb
unconfigured := configure help deps clean distclean format format-check
ifndef READY
unconfigured += $(wrapped)
ifneq ($(word 2,$(goals)),)
ifneq ($(filter $(wrapped) deps clean distclean,$(goals)),)
.NOTPARALLEL:
endif
endif
endif

.PHONY: all help tests run check check-unit check-func check-all check-ktls \
	lint fuzz bench bench-server soak format format-check coverage compdb \
	install uninstall deps clean distclean

# ---- Configuration ---------------------------------------------------------

ifneq ($(filter-out $(unconfigured),$(goals)),)
include build/config.mk
endif

# A compiler named on the command line is a knob of this build only; without
# this, make would hand it to configure through the environment.
override_of = $(if $(filter command%,$(origin $1)),-u $1)
unset_overrides = env $(foreach v,CC AR CFLAGS CPPFLAGS LDFLAGS,\
	$(call override_of,$v))

configure: configure.ac
	@echo "  AUTOCONF configure"
	@command -v autoconf >/dev/null || { echo "autoconf is missing:" \
		"\"make deps\" installs what the build needs" >&2; exit 1; }
	@autoconf -o $@.new configure.ac; status=$$?; rm -rf autom4te.cache; \
		test $$status = 0 && mv $@.new $@

# Configuring again keeps the options of the last time.
build/config.mk: configure $(wildcard build/deps.stamp)
	@echo "  CONFIGURE"
	@if test -x build/config.status; then cd build && \
		./config.status --recheck >config.out && \
		./config.status >>config.out; \
	else $(unset_overrides) ./configure --quiet; fi
	@touch $@

build/config.h: build/config.mk ;

# ---- Knobs and flags -------------------------------------------------------

# SANITIZE=fuzzer is what "make fuzz" uses to build its targets.
sanitizers := $(subst fuzzer,fuzz,$(subst thread,tsan,$(subst \
	undefined,ubsan,$(subst address,asan,$(SANITIZE)))))
other_cc := $(if $(filter-out $(CONFIGURED_CC),$(CC)),$(if $(filter \
	command%,$(origin CC)),$(notdir $(firstword $(CC)))))
knobs := $(if $(filter fuzzer,$(SANITIZE)),,$(other_cc)) $(if \
	$(DEV),dev) $(subst $(comma),-,$(sanitizers)) $(if $(COVERAGE),coverage)
B := $(patsubst %/,%,build/$(subst $(space),-,$(strip $(knobs))))

ifdef VERSION
about_cc := $(shell $(CC) --version 2>/dev/null) \
	machine=$(shell $(CC) -dumpmachine 2>/dev/null)
endif
is_clang := $(findstring clang,$(about_cc))
is_x86 := $(or $(findstring machine=x86_64,$(about_cc)),$(findstring \
	machine=i,$(about_cc)))

warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 \
	$(if $(is_clang),,-Wjump-misses-init) \
	$(if $(is_clang),,$(if $(filter thread,$(SANITIZE)),-Wno-tsan)) \
	$(if $(DEV)$(WERROR),-Werror)

# _FORTIFY_SOURCE needs optimization, and gives way to the user's own level.
fortify := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))$(filter \
	-O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
hardening := $(fortify) -fstack-protector-strong \
	$(if $(is_clang),$(if $(is_x86),-fstack-clash-protection),\
		-fstack-clash-protection) \
	$(if $(is_x86),-fcf-protection)

base_cflags := -std=gnu17 -fPIE -fvisibility=hidden $(warnings)
link_hardening := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
frame := -Wframe-larger-than=2048
# The library's objects serve archive and shared library alike.  In a program
# they cost nothing: the linker turns calls and accesses into direct ones.  A
# thread's variables, some 200 bytes, are of those that are there when the
# program starts; otherwise each access would be a call in the shared library.
core_pic := -fPIC -fno-semantic-interposition -ftls-model=initial-exec

ifneq ($(filter fuzzer,$(SANITIZE)),)
build_cflags := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=fuzzer-no-link,address,undefined
build_ldflags := -fsanitize=address,undefined
frame :=
else ifneq ($(SANITIZE),)
build_cflags := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=$(SANITIZE)
build_ldflags := -fsanitize=$(SANITIZE)
frame :=
else ifneq ($(COVERAGE),)
build_cflags := -Og -g --coverage
build_ldflags := --coverage
frame :=
else ifneq ($(DEV),)
build_cflags := -Og -g $(hardening)
else
build_cflags := -O2 -g $(hardening) -ffile-prefix-map=$(CURDIR)=.
endif

all_cppflags := -D_GNU_SOURCE -I. -Ibuild $(LIB_CFLAGS)
all_cflags := $(base_cflags) $(build_cflags)
all_ldflags := $(link_hardening) $(build_ldflags)
# The user's flags come last, so that they win.
compile = $(CC) $(all_cppflags) $(CPPFLAGS) $(all_cflags) $(flags_here) \
	$(CFLAGS) -MMD -MP
link = $(CC) $(all_cflags) $(CFLAGS) $(all_ldflags) $(LDFLAGS)
libs = $(LIB_LIBS) -lpthread $(LDLIBS)
# Programs that load or measure run at full speed in every build.
compile_plain = $(CC) -D_GNU_SOURCE -I. -Ibuild $(CPPFLAGS) $(base_cflags) \
	-O2 -g $(CFLAGS) -MMD -MP -MF $@.d -MT $@

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
endif

# remember(FILE, TEXT): FILE holds TEXT; its date changes only with the text.
# What is built with these flags or from this list depends on the file.
differ = $(or $(subst x$1,,x$2),$(subst x$2,,x$1))
remember = $(if $(call differ,$(file <$1),$2),$(shell mkdir -p \
	$(dir $1))$(file >$1,$2))

# ---- Sources ---------------------------------------------------------------

objects = $(patsubst %,$(B)/obj/%.o,$(basename $1))

core_objs := $(call objects,$(sort $(wildcard core/*.c core/*.S)))
conf_objs := $(call objects,$(sort $(wildcard conf/*.c)))
proxy_objs := $(call objects,$(sort $(wildcard daemon/proxy/*.c)))
daemon_objs := $(call objects,$(sort $(wildcard daemon/*.c)))
daemon_parts := $(filter-out $(B)/obj/daemon/main.o,$(daemon_objs))
ctl_objs := $(call objects,$(sort $(wildcard daemon/ctl/*.c)))
ctl_parts := $(filter-out $(B)/obj/daemon/ctl/main.o,$(ctl_objs))
pam_objs := $(call objects,$(sort $(wildcard daemon/pam/*.c)))
pam_parts := $(filter-out $(B)/obj/daemon/pam/main.o,$(pam_objs))
# Helpers that several unit tests share.
support_objs := $(call objects,$(filter-out t/unit/check_%,$(sort $(wildcard \
	t/unit/*.c))))

unit_names := $(sort $(patsubst t/unit/check_%.c,%,$(wildcard \
	t/unit/check_*.c)))
unit_progs := $(unit_names:%=$(B)/t/unit/check_%)
fuzz_names := $(sort $(patsubst t/fuzz/fuzz_%.c,%,$(wildcard \
	t/fuzz/fuzz_*.c)))
# What the two HTTP servers of the benchmark share.
http_parts := $(sort $(wildcard t/bench/http_*.c))
load_parts := t/bench/load_tunnel.c t/bench/secure.c
bench_progs := $(patsubst t/bench/%.c,$(B)/bench/%,$(filter-out \
	$(http_parts) $(load_parts),$(wildcard t/bench/*.c)))
example_progs := $(patsubst t/examples/%.c,$(B)/examples/%,$(wildcard \
	t/examples/*.c))
helper_progs := $(patsubst t/helper/%.c,$(B)/t/helper/%,$(wildcard \
	t/helper/*.c))

ifdef VERSION
$(call remember,$(B)/flags,$(compile) $(core_pic) $(link) $(libs))
$(call remember,$(B)/core.list,$(core_objs))
$(call remember,$(B)/conf.list,$(conf_objs))
$(call remember,$(B)/proxy.list,$(proxy_objs))
$(call remember,$(B)/daemon.list,$(daemon_objs))
$(call remember,$(B)/ctl.list,$(ctl_objs))
$(call remember,$(B)/pam.list,$(pam_objs))
endif

# ---- Build -----------------------------------------------------------------

include core/library.mk

products := $(B)/spliced $(B)/splicedctl $(B)/spliced-pam $(library) \
	$(example_progs)
all: $(products) ## build everything (the default)

$(B)/obj/core/%.o: flags_here = $(frame) $(core_pic)
$(B)/obj/daemon/proxy/%.o: flags_here = $(frame)
# As with what is installed, and a handler need not use its context.
$(B)/obj/t/examples/%.o: flags_here = -Icore -Wno-unused-parameter

$(B)/obj/%.o: %.c $(B)/flags | build/config.h
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(compile) -c -o $@ $<

$(B)/obj/%.o: %.S $(B)/flags | build/config.h
	$(say) AS $<
	@mkdir -p $(@D)
	$(Q)$(compile) -c -o $@ $<

$(B)/obj/daemon/admin_page.o: daemon/page.html

# From nothing each time: ar would keep members whose source is gone.
define archive
$(say) AR $@
@rm -f $@
$(Q)$(AR) rcsD $@ $(filter %.o,$^)
endef

$(B)/libtcpserver.a: $(core_objs) $(B)/core.list
	$(archive)
$(B)/libconf.a: $(conf_objs) $(B)/conf.list
	$(archive)
$(B)/libproxy.a: $(proxy_objs) $(B)/proxy.list
	$(archive)
# The daemon without its main(), for unit tests and fuzzers.
$(B)/libdaemon.a: $(daemon_parts) $(B)/daemon.list
	$(archive)
# splicedctl without its main().
$(B)/libctl.a: $(ctl_parts) $(B)/ctl.list
	$(archive)
# spliced-pam without its main().
$(B)/libverify.a: $(pam_parts) $(B)/pam.list
	$(archive)
$(B)/t/unit/libsupport.a: $(support_objs)
	@mkdir -p $(@D)
	$(archive)

core_libs := $(B)/libtcpserver.a
conf_libs := $(B)/libconf.a $(core_libs)
proxy_libs := $(B)/libproxy.a $(core_libs)
daemon_libs := $(B)/libdaemon.a $(B)/libproxy.a $(B)/libconf.a $(core_libs)
ctl_libs := $(B)/libctl.a $(daemon_libs)
pam_libs := $(B)/libverify.a $(proxy_libs)

$(B)/spliced: $(B)/obj/daemon/main.o $(daemon_libs) $(B)/flags
	$(say) LD $@
	$(Q)$(link) -o $@ $< $(daemon_libs) $(libs)

$(B)/splicedctl: $(B)/obj/daemon/ctl/main.o $(ctl_libs) $(B)/flags
	$(say) LD $@
	$(Q)$(link) -o $@ $< $(ctl_libs) $(libs)

$(B)/spliced-pam: $(B)/obj/daemon/pam/main.o $(pam_libs) $(B)/flags
	$(say) LD $@
	$(Q)$(link) -o $@ $< $(pam_libs) $(libs)

# check_foo.c is linked with the layer that holds foo.c and those below it;
# so is check_foo_bar.c where there is no foo_bar.c.
without_last = $(subst $(space),_,$(wordlist 2,$(words \
	$(subst _, ,$1)),x $(subst _, ,$1)))
in_layer = $(wildcard $1/$2.c $1/$2.h $1/$2.S)
unit_layer = $(firstword $(foreach name,$1 $(call without_last,$1),\
	$(if $(call in_layer,core,$(name)),core)\
	$(if $(call in_layer,conf,$(name)),conf)\
	$(if $(call in_layer,daemon/proxy,$(name)),proxy)\
	$(if $(call in_layer,daemon/ctl,$(name)),ctl)\
	$(if $(call in_layer,daemon/pam,$(name)),pam)\
	$(if $(call in_layer,daemon,$(name)),daemon)) daemon)
unit_deps = $($(call unit_layer,$1)_libs)

define unit_rule
$(B)/t/unit/check_$1: $(B)/obj/t/unit/check_$1.o $(if $(support_objs),\
	$(B)/t/unit/libsupport.a) $(call unit_deps,$1)
	$$(say) LD $$@
	@mkdir -p $$(@D)
	$$(Q)$$(link) -o $$@ $$(filter %.o %.a,$$^) $$(CHECK_LIBS) $$(libs)
endef
$(foreach name,$(unit_names),$(eval $(call unit_rule,$(name))))
$(B)/obj/t/unit/%.o: CPPFLAGS += $(CHECK_CFLAGS)

# For the guest of "make check-ktls", with the support of the unit tests.
ktls_progs := $(patsubst t/ktls/%.c,$(B)/t/ktls/%,$(wildcard \
	t/ktls/check_*.c))
$(ktls_progs): $(B)/t/ktls/%: $(B)/obj/t/ktls/%.o $(B)/obj/t/ktls/ktls.o \
	$(B)/t/unit/libsupport.a $(core_libs)
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(link) -o $@ $^ $(CHECK_LIBS) $(libs)
$(B)/obj/t/ktls/%.o: CPPFLAGS += $(CHECK_CFLAGS)
# These run there as well: what they do goes other ways then.
ktls_progs += $(filter $(B)/t/unit/check_tls_conn% \
	$(B)/t/unit/check_tls_relay%,$(unit_progs))

# Programs of the library alone.
define link_core
$(say) LD $@
@mkdir -p $(@D)
$(Q)$(link) -o $@ $(filter %.o %.a,$^) $(OPENSSL_LIBS) -lpthread $(LDLIBS)
endef

$(B)/examples/%: $(B)/obj/t/examples/%.o $(core_libs) $(B)/flags
	$(link_core)
$(B)/t/helper/tlsbeside: $(B)/obj/t/helper/tlsbeside.o $(core_libs) $(B)/flags
	$(link_core)
$(B)/bench/pool: $(B)/obj/t/bench/pool.o $(core_libs) $(B)/flags
	$(link_core)
$(B)/bench/http-server: $(call objects,t/bench/http-server.c $(http_parts)) \
		$(core_libs) $(B)/flags
	$(link_core)

$(B)/t/helper/httpsay: $(B)/obj/t/helper/httpsay.o $(proxy_libs) $(B)/flags
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(link) -o $@ $(filter %.o %.a,$^) $(libs)

# Rules alone, and the plain walk that the unit tests hold them against.
$(B)/bench/rules: $(call objects,t/bench/rules.c t/unit/rules_walk.c) \
		$(proxy_libs) $(B)/flags
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(link) -o $@ $(filter %.o %.a,$^) $(libs)

$(B)/bench/httpfloor: $(http_parts) $(wildcard t/bench/*.h)
$(B)/bench/load: $(load_parts)
$(B)/bench/load $(B)/bench/origin: $(wildcard t/bench/*.h)
$(B)/bench/httpfloor $(B)/bench/load: bench_libs := $(OPENSSL_LIBS)
$(B)/bench/%: t/bench/%.c $(B)/flags | build/config.h
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(compile_plain) -o $@ $(filter %.c,$^) $(LDFLAGS) $(bench_libs) \
		-lpthread

$(B)/t/helper/%: t/helper/%.c $(B)/flags | build/config.h
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(compile_plain) -o $@ $< $(LDFLAGS) -lpthread

$(B)/fuzz_%: $(B)/obj/t/fuzz/fuzz_%.o $(daemon_libs) $(B)/flags
	$(say) LD $@
	$(Q)$(link) -fsanitize=fuzzer -o $@ $< $(daemon_libs) $(libs)

need_check:
	@test -n "$(HAVE_CHECK)" || { echo "the unit tests need libcheck:" \
		"install the package \"check\", or run \"make deps\"" >&2; \
		exit 1; }
.PHONY: need_check

# Everything that "make check" runs, in one parallel build.
tests: all need_check $(unit_progs) $(helper_progs) $(bench_progs)

# ---- Goals that install what they need first -------------------------------

ifndef READY

packages_run := run
packages_bench := run bench
packages_bench-server := run bench
packages_check-ktls := run check ktls
packages_deb := run deb

$(wrapped):
	@test "$(DEPS)" = no || sh t/helper/deps.sh \
		$(or $(packages_$@),run check)
	@$(MAKE) READY=1 $@

else

# In the tree itself nothing is generated.
export PYTHONDONTWRITEBYTECODE := 1
export ASAN_OPTIONS ?= detect_leaks=1:detect_stack_use_after_return=0
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS ?= halt_on_error=1:second_deadlock_stack=1

python := /usr/bin/python3
unit_timeout := $(if $(SANITIZE),300,120)

run: all ## install what is missing, build, run spliced (ARGS="...")
	@exec $(B)/spliced $(ARGS)

# One step after the other, although the build before them is parallel: the
# functional tests measure time.  A failed step does not hide the next.
check: tests ## set up, build, then unit and functional tests and lint
	@failed=; for step in check-unit check-func lint; do \
		$(MAKE) $$step || failed="$$failed $$step"; \
	done; \
	test -z "$(COVERAGE)" || $(MAKE) coverage; \
	if test -n "$$failed"; then echo "check: failed:$$failed"; exit 1; \
	else echo "check: all passed"; fi

check-unit: need_check $(unit_progs) ## unit tests only
	@UNIT_LOGS=$(B)/t/unit UNIT_TIMEOUT=$(unit_timeout) \
		sh t/helper/unit.sh $(unit_progs)

check-func: tests ## tests against the real binary only (ARGS="...")
	@if test -f t/func/run.py; then \
		$(python) t/func/run.py --build $(B) $(ARGS); \
	else echo "func: 0 passed, 0 failed, 0 skipped"; fi

# Asked for together they do not run at once either.
ifneq ($(filter check-unit,$(goals)),)
check-func: | check-unit
endif

# Each step runs whatever became of those before it; the end names the failed.
failed_steps := build/check-all.failed
step = @printf '\n==== %s ====\n' "$1"; $2 || echo "  $1" >>$(failed_steps)
check-all: ## check, clang, sanitizers, valgrind, fuzz, slow tests
	@rm -f $(failed_steps)
	$(call step,gcc: make check,$(MAKE) check)
	$(call step,clang: every warning an error,\
		$(MAKE) CC=clang WERROR=1 tests check-unit)
	$(call step,clang-tidy,sh t/helper/lint.sh tidy)
	$(call step,ASan and UBSan,$(MAKE) -k SANITIZE=address$(comma)undefined \
		check-unit check-func)
	$(call step,TSan,$(MAKE) -k SANITIZE=thread check-unit check-func)
	$(call step,valgrind over the unit tests,$(MAKE) check-valgrind)
	$(call step,fuzzers,$(MAKE) fuzz T=60)
	$(call step,slow functional tests,$(MAKE) check-func ARGS=--slow)
	@printf '\ncheck-all: '; if test -e $(failed_steps); then \
		echo failed:; cat $(failed_steps); exit 1; else echo all passed; fi

# Else threads that never wait keep all others from running.
valgrind := valgrind --quiet --fair-sched=yes --error-exitcode=99 \
	--leak-check=full \
	--errors-for-leak-kinds=definite --trace-children=no
check-valgrind: need_check $(unit_progs)
	@UNIT_LOGS=$(B)/t/valgrind UNIT_TIMEOUT=600 CK_TIMEOUT_MULTIPLIER=20 \
		UNIT_WRAP="$(valgrind)" sh t/helper/unit.sh $(unit_progs)
.PHONY: check-valgrind

check-ktls: need_check $(ktls_progs) ## TLS by the kernel, in a guest (qemu)
	@sh t/ktls/run.sh build/ktls $(ktls_progs)

lint: build/config.mk ## layers, layout, cppcheck, habits, sizes, manuals
	@CC="$(CC)" sh t/helper/lint.sh

T ?= 60
fuzz: ## run every fuzzer for T seconds (T=60)
ifeq ($(fuzz_names),)
	@echo "fuzz: no fuzzers"
else
	@$(MAKE) CC=clang SANITIZE=fuzzer fuzz-programs
	@sh t/helper/fuzz.sh $(T) $(fuzz_names)
endif
fuzz-programs: $(fuzz_names:%=$(B)/fuzz_%)
	@:
.PHONY: fuzz-programs

bench: all $(bench_progs) ## measure against the peers from Debian (ARGS="...")
	@$(python) t/bench/bench.py --build $(B) $(ARGS)

bench-server: all $(bench_progs) ## HTTP by our library and nginx (ARGS="...")
	@$(python) t/bench/server.py --build $(B) $(ARGS)

soak: tests ## a thousand reloads under load (ARGS="--reloads N ...")
	@$(python) t/soak/soak.py --build $(B) $(ARGS)

endif

# ---- Reports ---------------------------------------------------------------

coverage: ## after COVERAGE=1 tests: lines that ran, file by file
	@find $(B)/obj -name '*.gcno' -exec gcov -n -r -s $(CURDIR) {} + | \
		awk -f t/helper/coverage.awk | sort

all_sources := $(sort $(wildcard core/*.[cS] conf/*.c daemon/*.c \
	daemon/*/*.c t/*/*.c))
c_files := $(sort $(wildcard core/*.[ch] conf/*.[ch] daemon/*.[ch] \
	daemon/*/*.[ch] t/*/*.[ch]))

compdb: build/config.h ## build/compile_commands.json for editors
	@{ echo '['; sep=; for source in $(all_sources); do \
		printf '%s{"directory": "%s", "file": "%s", "command": "%s"}' \
			"$$sep" '$(CURDIR)' $$source \
			'$(subst ",\",$(compile)) -c '$$source; \
		sep=$$(printf ',\n_'); sep=$${sep%_}; \
	done; printf '\n]\n'; } >build/compile_commands.json
	$(say) GEN build/compile_commands.json

# ---- Layout ----------------------------------------------------------------

# The configuration is for version 14; another one would lay out otherwise.
clang_format = $$(command -v clang-format-14 || echo clang-format)

format: ## lay out all C files by .clang-format
	@$(clang_format) -i $(c_files)

format-check: ## fail where the layout differs
	@$(clang_format) --dry-run -Werror $(c_files)

# ---- Installing ------------------------------------------------------------

include systemd/install.mk

# ---- For others ------------------------------------------------------------

include systemd/package.mk

# ---- The rest --------------------------------------------------------------

deps: ## install every package that build, tests and benchmark need
	@sh t/helper/deps.sh run check bench

clean: ## remove what was built, keep the configuration
	$(Q)test ! -d build || find build -mindepth 1 -maxdepth 1 \
		! -name 'config.*' -exec rm -rf {} +

distclean: ## remove all that was generated
	$(Q)rm -rf build configure autom4te.cache

help: ## this list
	@echo "Goals:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile \
		systemd/install.mk systemd/package.mk | \
		awk -F'|' '{ printf "  %-14s%s\n", $$1, $$2 }'
	@echo
	@sed -n '/^# Knobs/,/^$$/s/^# \{0,1\}//p' Makefile

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d $(B)/bench/*.d \
	$(B)/t/helper/*.d)
