# Copyright (C) the ngx_wsgi authors
# SPDX-License-Identifier: Apache-2.0

# Where configure was told to build: B=DIR if --build-dir=DIR.
B := build

ifeq (,$(filter clean help,$(MAKECMDGOALS)))
ifeq (,$(wildcard $(B)/config.mk))
$(error there is no $(B)/config.mk: run ./configure first)
endif
endif

-include $(B)/config.mk

export BUILD

ENV := . $(CURDIR)/$(B)/env.sh &&
MODULE := $(B)/ngx_http_wsgi_module.so
LIBRARY := $(B)/libngx_wsgi.so

# "make need FILE": what a target that has nothing to do says
need = @test -n "$(wildcard $(1))" \
    || { echo "make $@: there is no $(1)" >&2; exit 1; }


all: module library  ## the module and the library (the default)

help:  ## this list
	@sed -n 's/^\([a-z0-9][a-z0-9 -]*\):.*## /\1|/p' Makefile \
	    | awk -F '|' '{ printf "  make %-18s %s\n", $$1, $$2 }'
	@echo "  BUILD=debug|release|asan selects how all is compiled"


# The nginx module.  nginx's own Makefile compiles it, in a directory of ours
# that borrows the sources; its headers are not held to our warnings.

NGINX_INCS := core event event/modules event/quic os/unix http http/modules \
    http/v2 http/v3
MODULE_SRCS := $(sort $(wildcard ngx_module/*.[ch] include/*.h))

MODULE_CFLAGS := -pipe -g -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
    -Wpointer-arith -Wno-unused-parameter \
    $(NGINX_INCS:%=-isystem src/%) -isystem objs
MODULE_LINK := $(CC)
NGINX_CFLAGS := -O2 -g
NGINX_LINK := $(CC)

# AddressSanitizer knows the bounds of what malloc() gives, so each allocation
# from a pool is to be one.  nginx's own code is not held to UBSan.

ifeq ($(BUILD),debug)
MODULE_CFLAGS += -O0
else ifeq ($(BUILD),asan)
MODULE_CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
    -include $(CURDIR)/ci/asan_pool.h
MODULE_LINK += -fsanitize=address,undefined
NGINX_CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=address \
    -DNGX_DEBUG_PALLOC=1
NGINX_LINK += -fsanitize=address
else
MODULE_CFLAGS += -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2
endif

module: $(MODULE)  ## build/ngx_http_wsgi_module.so

nginx: $(B)/nginx/objs/Makefile  ## nginx itself, for --with-nginx=SRC
ifeq ($(NGINX_BUILD),yes)
	@echo "building $@"
	+@$(MAKE) -s -C $(B)/nginx -f objs/Makefile objs/nginx \
	    CFLAGS='$(NGINX_CFLAGS)' LINK='$(NGINX_LINK)'
endif

# A list that changes only when a file comes or goes.
$(B)/module.list: FORCE
	@echo $(MODULE_SRCS) | cmp -s - $@ || echo $(MODULE_SRCS) > $@

$(B)/nginx/objs/Makefile: $(B)/config.mk $(B)/module.list ngx_module/config
	@rm -rf $(B)/nginx && mkdir $(B)/nginx
	@for f in $(NGINX_SRC)/*; do case $$f in */objs | */Makefile) ;; \
	    *) ln -s "$$f" $(B)/nginx/ ;; esac; done
	@cd $(B)/nginx && auto=configure && { test -f $$auto \
	    || auto=auto/configure; } && sh ./$$auto $(NGINX_FLAGS) \
	    --with-cc="$(CC)" --builddir=objs --modules-path=$(MODULES_PATH) \
	    --add-dynamic-module=$(CURDIR)/ngx_module > ../nginx.log 2>&1 \
	    || { tail -n 5 ../nginx.log; rm -f objs/Makefile; exit 1; }

# Objects of another BUILD are thrown away.
$(B)/module.flags: FORCE
	@echo '$(MODULE_CFLAGS)' | cmp -s - $@ \
	    || { echo '$(MODULE_CFLAGS)' > $@; rm -rf $(B)/nginx/objs/addon/*/*; }

$(MODULE): $(B)/nginx/objs/Makefile $(B)/module.flags \
        $(MODULE_SRCS) | $(if $(filter yes,$(NGINX_BUILD)),nginx)
	$(call need,ngx_module/ngx_http_wsgi_*.c)
	@echo "building $@"
	+@$(MAKE) -s -C $(B)/nginx -f objs/Makefile modules \
	    CFLAGS='$(MODULE_CFLAGS)' LINK='$(MODULE_LINK)'
	@cp $(B)/nginx/objs/ngx_http_wsgi_module.so $@.new && mv $@.new $@


# The library.  It is a Go program, so what it needs is asked of the tree.
# It is loaded with RTLD_GLOBAL, for libpython's sake: whatever else it exported
# would stand in for the same names of other Go libraries in the process.

LIBRARY_SRCS := $(shell find include gosrc python_adapter -type f \
    ! -name '*_test.go' ! -path '*/e2e/*' ! -path '*/testdata/*' ! -name '*.pyc')

library: $(LIBRARY)  ## build/libngx_wsgi.so

$(B)/library.flags: FORCE
	@echo '$(BUILD)' | cmp -s - $@ || echo '$(BUILD)' > $@

$(LIBRARY): $(LIBRARY_SRCS) go.mod Makefile $(B)/config.mk $(B)/library.flags
	$(call need,gosrc/*.go)
	@echo "building $@"
	@echo '{ global: nwsgi_runtime; local: *; };' > $(B)/library.map
	@$(ENV) go build -buildmode=c-shared -buildvcs=false -trimpath \
	    -ldflags "-extldflags=-Wl,--version-script=$(CURDIR)/$(B)/library.map" \
	    -o $@.new ./gosrc
	@test "$$(nm -D --defined-only $@.new | awk '{ print $$3 }')" \
	        = nwsgi_runtime \
	    || { echo "$@ has to export nwsgi_runtime and no more" >&2; exit 1; }
	@rm -f $@.h $(B)/libngx_wsgi.so.h && mv $@.new $@


# Tests

# At the end, short forms of make fuzz, soak, asan and soak-hostile.
SHORT := Input|Response|Streaming|Buffering|File|Timeout|Abort|Reload|Access|Fork|Filter|Unparsed|Discard|Gone

test: all venv  ## all checks and tests, and a short form of the long ones
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory adapter
	@$(MAKE) --no-print-directory e2e
	@$(MAKE) --no-print-directory tsan
	@$(MAKE) --no-print-directory fuzz FUZZTIME=5s
	@$(MAKE) --no-print-directory soak SOAKTIME=30s
	@$(MAKE) --no-print-directory asan-e2e RUN='$(SHORT)'
	@$(MAKE) --no-print-directory asan-hostile HOSTILETIME=60s

unit:  ## unit tests of gosrc, with the race detector
	$(call need,gosrc/*/*_test.go)
	$(ENV) go test -race ./gosrc/...

adapter: venv  ## tests of python_adapter, without nginx
	$(call need,python_adapter/*_test.go)
	$(ENV) go test -count=1 ./python_adapter/...

e2e: all venv  ## tests with a real nginx
	$(call need,gosrc/e2e/*_test.go)
	$(ENV) CGO_ENABLED=0 go test -tags e2e -count=1 -timeout 60m \
	    $(if $(RUN),-run '$(RUN)') ./gosrc/e2e/...

# In a directory of its own.  If nginx's sources can be had, nginx is built like
# the rest; the distribution's gets the sanitizer's library by LD_PRELOAD.
ASAN := build/asan

asan: all venv  ## all e2e tests with ASAN and UBSan (RUN=regexp: some)
	@test -f $(NGINX_SRC)/src/core/nginx.c \
	    || ci/nginx-source.sh build/nginx-source || true
	@$(MAKE) --no-print-directory asan-e2e

asan-configure: venv
	@with=; for src in $(NGINX_SRC) build/nginx-source; do \
	    test ! -f $$src/src/core/nginx.c || with=--with-nginx=$$src; done; \
	BUILD=asan ./configure --build-dir=$(ASAN) $$with --with-python=$(PYTHON) \
	    --with-go=$(GO) > $(ASAN).log || { cat $(ASAN).log; exit 1; }

asan-e2e asan-hostile: asan-configure
	@$(MAKE) --no-print-directory B=$(ASAN) BUILD=asan $(@:asan-%=%)

# Malformed, pipelined, half-closed, reset HTTP/1 and HTTP/2, each connection
# made up from a seed and its number, which a failure tells.
HOSTILETIME := 30m

soak-hostile: all venv  ## hostile clients for HOSTILETIME=30m, with ASAN and UBSan
	@test -f $(NGINX_SRC)/src/core/nginx.c \
	    || ci/nginx-source.sh build/nginx-source || true
	@$(MAKE) --no-print-directory asan-hostile

hostile: all venv
	$(call need,gosrc/e2e/hostile_test.go)
	$(ENV) NWSGI_HOSTILE=$(HOSTILETIME) CGO_ENABLED=0 go test -tags e2e \
	    -count=1 -v -timeout 0 -run '^TestHostile$$' ./gosrc/e2e/

fuzz: $(B)/nginx/objs/Makefile  ## coverage-guided fuzzing (FUZZTIME=30s for each)
	$(call need,ci/fuzz/seeds/*/*)
	@$(MAKE) --no-print-directory -f ci/fuzz/Makefile

# A mix of everything through a front, with reloads, kills and crashes.
SOAKTIME := 30m

soak: all venv  ## everything at once for SOAKTIME=30m, with a summary
	$(call need,gosrc/e2e/soak_test.go)
	$(ENV) NWSGI_SOAK=$(SOAKTIME) CGO_ENABLED=0 go test -tags e2e -count=1 -v \
	    -timeout 0 -run '^TestSoak$$' ./gosrc/e2e/

asan-module tsan valgrind: $(B)/nginx/objs/Makefile  ## the module alone, under a checker
	@ci/try-module.sh $(@:asan-module=asan)

matrix:  ## the suite with each nginx and CPython of three Debian releases
	@ci/matrix.sh

bench: all venv  ## CPU per request, rates and memory, as a table
	$(call need,gosrc/bench/*.go)
	$(ENV) go run ./gosrc/bench

demo: all venv  ## the sample application at http://127.0.0.1:8080
	$(call need,demo/run.sh)
	$(ENV) demo/run.sh

venv: build/venv/installed  ## build/venv, with the frameworks that tests use

build/venv/installed: ci/requirements.txt $(wildcard build/config.mk)
	@ci/make-venv.sh $(PYTHON) build/venv

go-modules:  ## the Go modules, so that nothing else needs a network
	@$(ENV) go mod download


# Checks

check: all  ## the cheap checks of style and structure
	@ci/check-boundaries.sh
	@ci/check-funclen.sh
	@ci/check-directives.sh
	@ci/check-style.sh
	@ci/check-warnings.sh
	@ci/check-sample.sh

lint: check  ## check, and what takes longer
	@ci/lint.sh


docs: docs/wsgi.svg  ## the diagram of docs/design.md, from its text

docs/wsgi.svg: docs/wsgi.msc docs/draw.awk
	awk -f docs/draw.awk docs/wsgi.msc > $@

install: all  ## both files into nginx's directory of modules (DESTDIR)
	install -d $(DESTDIR)$(MODULES_PATH)
	install -m 644 $(MODULE) $(LIBRARY) $(DESTDIR)$(MODULES_PATH)
	@echo "nginx.conf: load_module $(MODULES_PATH)/ngx_http_wsgi_module.so;"

clean:  ## remove build/
	rm -rf build

FORCE:

.PHONY: all help module nginx library test unit adapter e2e asan asan-e2e \
    asan-configure asan-hostile asan-module tsan valgrind fuzz soak \
    soak-hostile hostile \
    matrix bench demo venv go-modules check lint docs install clean FORCE
