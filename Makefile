# httpsys. `make` builds, `make demo` shows it, `make test` tests all of it.

GO ?= go
export GOFLAGS ?= -buildvcs=false
FUZZTIME ?= 60s
BENCHFLAGS ?=

.PHONY: all npm demo test lint fuzz bench tools clean FORCE

all: bin/httpsys

bin/httpsys: FORCE
	@mkdir -p bin
	$(GO) build -o $@ ./cmd/httpsys

FORCE:

# The main job, on embedded defaults: one daemon, programs in Go and Node.js, one port.
demo: bin/httpsys
	@for p in foo bar pull chat room demo; do $(GO) build -o bin/$$p ./examples/$$p || exit 1; done
	@exec ./bin/demo ./bin .

# The npm packages, in bin/npm: httpsys, and the daemon for this platform.
npm:
	@./scripts/npm

# All tests. Installs what they need, and says so.
test: tools lint
	./scripts/test

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run gofmt -w on these files'; exit 1; }
	$(GO) vet ./...
	cd compat && $(GO) vet ./...
	cd bench && $(GO) vet ./...

tools:
	@./scripts/tools

# FUZZTIME bounds each fuzzer.
fuzz:
	./scripts/fuzz $(FUZZTIME)

# Everything side by side, about ten minutes; see bench/README.md.
bench:
	$(GO) build -C bench -o ../bin/bench ./cmd/bench
	bin/bench --install $(BENCHFLAGS)

clean:
	rm -rf bin
