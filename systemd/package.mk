# What others get: completion for their shells, a tarball, Debian packages made
# of it, the root of a small container image.

# Each shell has a folder and a name of its own for it.
completion = \
	$(if $(filter %.bash,$1),bash-completion/completions/$(basename $(notdir \
		$1)))$(if $(filter %.fish,$1),fish/vendor_completions.d/$(notdir \
		$1))$(if $(filter _%,$(notdir $1)),zsh/site-functions/$(notdir $1))
completions := $(wildcard man/completion/*)

install-completion:
	$(foreach file,$(completions),$(Q)$(call install_text,$(file),$(patsubst \
		%/,%,$(datarootdir)/$(dir $(call completion,$(file)))),$(notdir \
		$(call completion,$(file))))$(newline))

uninstall-completion:
	$(if $(completions),$(Q)rm -f $(foreach file,$(completions),\
		'$(DESTDIR)$(datarootdir)/$(call completion,$(file))'))

dist_name = spliced-$(VERSION)
dist: configure build/config.mk ## build/spliced-VERSION.tar.gz, reproducible
	$(say) DIST build/$(dist_name).tar.gz
	$(Q)sh t/helper/dist.sh build $(dist_name) $(if $(TREE),tree)

ifdef READY

# REVISION is Debian's, the part of the version behind the hyphen.
deb: dist ## build/deb/*.deb of what git has (TREE=1: of all that lies here)
	$(say) DEB build/deb
	$(Q)sh t/helper/deb.sh build/$(dist_name).tar.gz build/deb $(REVISION)

endif

image: $(B)/spliced $(B)/splicedctl ## build/image, the root of a container
	$(say) IMAGE build/image
	$(Q)sh t/helper/image.sh $(B) build/image

.PHONY: dist deb image install-completion uninstall-completion
