# Installing: programs, units, manual pages, samples, the library.

INSTALL ?= install
# What is installed names the folders that were configured.
subst_dirs = sed -e 's|@sbindir@|$(sbindir)|g' \
	-e 's|@sysconfdir@|$(sysconfdir)|g' -e 's|@docdir@|$(docdir)|g'
# install_text(FILE, FOLDER, [NAME])
install_text = $(INSTALL) -d '$(DESTDIR)$2' && $(subst_dirs) $1 \
	>'$(DESTDIR)$2/$(or $3,$(notdir $1))' && \
	chmod 644 '$(DESTDIR)$2/$(or $3,$(notdir $1))'

unit_files := $(wildcard systemd/*.service systemd/*.socket systemd/*.path)
sysusers := $(firstword $(wildcard systemd/*sysusers*))
tmpfiles := $(firstword $(wildcard systemd/*tmpfiles*))
# Not for every machine: read them, then copy them to spliced.service.d/.
drop_ins := $(wildcard systemd/*.conf)
drop_ins := $(filter-out %sysusers.conf %tmpfiles.conf,$(drop_ins))
dashboards := $(wildcard systemd/grafana/*)
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
sample := $(wildcard conf/spliced.conf)

install: all install-library install-completion ## into $(DESTDIR)$(prefix); keeps a present spliced.conf
	$(Q)$(INSTALL) -d '$(DESTDIR)$(sbindir)'
	$(Q)$(INSTALL) -m 755 $(B)/spliced '$(DESTDIR)$(sbindir)/spliced'
	$(Q)$(INSTALL) -m 755 $(B)/splicedctl '$(DESTDIR)$(sbindir)/splicedctl'
	$(Q)$(INSTALL) -m 755 $(B)/spliced-pam '$(DESTDIR)$(sbindir)/spliced-pam'
	$(foreach page,$(wildcard man/*.8),\
		$(Q)$(call install_text,$(page),$(mandir)/man8)$(newline))
	$(foreach page,$(wildcard man/*.7),\
		$(Q)$(call install_text,$(page),$(mandir)/man7)$(newline))
	$(foreach page,$(wildcard man/*.5),\
		$(Q)$(call install_text,$(page),$(mandir)/man5)$(newline))
	$(foreach unit,$(unit_files),\
		$(Q)$(call install_text,$(unit),$(unitdir))$(newline))
	$(foreach file,$(drop_ins),\
		$(Q)$(call install_text,$(file),$(docdir)/systemd)$(newline))
	$(foreach file,$(dashboards),$(Q)$(INSTALL) -D -m 644 $(file) \
		'$(DESTDIR)$(docdir)/grafana/$(notdir $(file))'$(newline))
	$(if $(sysusers),$(Q)$(call \
		install_text,$(sysusers),$(sysusersdir),spliced.conf))
	$(if $(tmpfiles),$(Q)$(call \
		install_text,$(tmpfiles),$(tmpfilesdir),spliced.conf))
	$(if $(sample),$(Q)test -e \
		'$(DESTDIR)$(sysconfdir)/spliced/spliced.conf' || { $(call \
		install_text,$(sample),$(sysconfdir)/spliced); })

uninstall: uninstall-library uninstall-completion ## remove what install put there, but spliced.conf
	$(Q)rm -f '$(DESTDIR)$(sbindir)/spliced' \
		'$(DESTDIR)$(sbindir)/splicedctl' \
		'$(DESTDIR)$(sbindir)/spliced-pam' \
		$(foreach page,$(wildcard man/*.8),\
			'$(DESTDIR)$(mandir)/man8/$(notdir $(page))') \
		$(foreach page,$(wildcard man/*.7),\
			'$(DESTDIR)$(mandir)/man7/$(notdir $(page))') \
		$(foreach page,$(wildcard man/*.5),\
			'$(DESTDIR)$(mandir)/man5/$(notdir $(page))') \
		$(foreach unit,$(unit_files),\
			'$(DESTDIR)$(unitdir)/$(notdir $(unit))') \
		$(foreach file,$(drop_ins),\
			'$(DESTDIR)$(docdir)/systemd/$(notdir $(file))') \
		$(foreach file,$(dashboards),\
			'$(DESTDIR)$(docdir)/grafana/$(notdir $(file))') \
		$(if $(sysusers),'$(DESTDIR)$(sysusersdir)/spliced.conf') \
		$(if $(tmpfiles),'$(DESTDIR)$(tmpfilesdir)/spliced.conf')
