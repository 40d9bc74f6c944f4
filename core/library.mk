# The library as others get it: shared, static, header, pkg-config file and
# manual.  What this tree links is $(B)/libtcpserver.a, of the same objects but
# with the functions in it that are hidden here.

# The number of the soname changes when programs have to be linked anew.
so_name := libtcpserver.so.0
so_file := $(so_name).1
map := core/tcpserver.map
public := $(shell sed -n 's/^\t\t\(tcp_[a-z0-9_]*\);$$/\1/p' $(map))

# Sanitized or counting objects are of no use to others.
ifeq ($(SANITIZE)$(COVERAGE),)
library := $(B)/$(so_file) $(B)/install/libtcpserver.a
endif

# Taken from the archive is what a public function needs; names are not among
# that, nor is c-ares.
reached := $(public:%=-Wl,-u,%)
lto := $(if $(findstring -flto,$(CFLAGS)),$(if $(is_clang),,\
	-flinker-output=nolto-rel))

# What the library calls of itself is not to be replaced from outside.
link_shared = $(CC) $(all_cflags) $(core_pic) $(CFLAGS) -shared \
	-Wl,-soname,$(so_name) -Wl,--version-script=$(map) -Wl,-z,defs \
	-Wl,-Bsymbolic-functions $(filter-out -pie,$(link_hardening) \
	$(LDFLAGS))
link_object = $(CC) $(all_cflags) $(core_pic) $(CFLAGS) $(lto) -r -nostdlib

ifdef VERSION
$(call remember,$(B)/library.flags,$(link_shared) $(link_object))
endif

$(B)/$(so_file): $(B)/libtcpserver.a $(map) $(B)/library.flags
	$(say) LD $@
	$(Q)$(link_shared) -o $@ $(reached) $< $(OPENSSL_LIBS) -lpthread \
		$(LDLIBS)

# One object, in which the hidden names are local: a program may have an
# addr_parse() or loop_run() of its own.
$(B)/install/tcpserver.o: $(B)/libtcpserver.a $(map) $(B)/library.flags
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(link_object) -o $@.all $(reached) $<
	$(Q)$(OBJCOPY) --localize-hidden $@.all $@
	@rm -f $@.all

$(B)/install/libtcpserver.a: $(B)/install/tcpserver.o
	$(archive)

# ---- Installing ------------------------------------------------------------

pkgconfigdir = $(libdir)/pkgconfig
man3dir = $(mandir)/man3
examplesdir = $(docdir)/examples
examples := $(wildcard t/examples/*.c)
# A folder below the prefix is named by it, so that both can be moved.
below_prefix = $(patsubst $(prefix)/%,$${prefix}/%,$(patsubst \
	$(prefix),$${prefix},$1))
subst_pc = sed -e 's|@prefix@|$(prefix)|' -e 's|@version@|$(VERSION)|' \
	-e 's|@exec_prefix@|$(call below_prefix,$(exec_prefix))|' \
	-e 's|@libdir@|$(call below_prefix,$(libdir))|' \
	-e 's|@includedir@|$(call below_prefix,$(includedir))|'

# A loader that knows libdir is told at once that the library is there.
install-library: $(library)
ifdef library
	$(Q)$(INSTALL) -d '$(DESTDIR)$(includedir)' '$(DESTDIR)$(man3dir)' \
		'$(DESTDIR)$(pkgconfigdir)' '$(DESTDIR)$(examplesdir)'
	$(Q)$(INSTALL) -m 644 core/tcpserver.h '$(DESTDIR)$(includedir)'
	$(Q)$(INSTALL) -m 644 $(library) '$(DESTDIR)$(libdir)'
	$(Q)cd '$(DESTDIR)$(libdir)' && ln -sf $(so_file) $(so_name) && \
		ln -sf $(so_name) libtcpserver.so
	$(Q)$(subst_pc) core/tcpserver.pc.in \
		>'$(DESTDIR)$(pkgconfigdir)/tcpserver.pc'
	$(Q)chmod 644 '$(DESTDIR)$(pkgconfigdir)/tcpserver.pc'
	$(Q)$(call install_text,man/tcpserver.3,$(man3dir))
	$(Q)cd '$(DESTDIR)$(man3dir)' && for name in $(public); do \
		ln -sf tcpserver.3 $$name.3; done
	$(Q)$(INSTALL) -m 644 $(examples) '$(DESTDIR)$(examplesdir)'
	$(Q)test -n '$(DESTDIR)' || \
		PATH=$$PATH:/usr/sbin:/sbin ldconfig 2>/dev/null || :
endif

uninstall-library: build/config.mk
	$(Q)rm -f '$(DESTDIR)$(includedir)/tcpserver.h' \
		$(foreach name,$(so_file) $(so_name) libtcpserver.so \
			libtcpserver.a,'$(DESTDIR)$(libdir)/$(name)') \
		'$(DESTDIR)$(pkgconfigdir)/tcpserver.pc' \
		$(foreach name,tcpserver $(public),\
			'$(DESTDIR)$(man3dir)/$(name).3') \
		$(foreach name,$(notdir $(examples)),\
			'$(DESTDIR)$(examplesdir)/$(name)')

.PHONY: install-library uninstall-library
