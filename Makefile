# Everything one does with this project. `make help` lists it.

# The tools are pinned and built from source. Each lies in a folder named after its version, so that a new
# version is a new file to make, and nobody's own copy is touched.
LINTER     := bin/tools/golangci-lint@v2.15.0/golangci-lint
RELOADER   := bin/tools/air@v1.67.4/air
VULN_CHECK := bin/tools/govulncheck@v1.1.4/govulncheck

# Every Go module of the tree; the benchmarks have their own.
MODULES := $(dir $(wildcard ./go.mod */go.mod))

FUZZ_INPUTS ?= 250000

.DEFAULT_GOAL := help

.PHONY: run
run: build ## serve on http://localhost:8080 (PORT=...), with the Redis of this machine if there is one
	@scripts/with-redis bin/visit-counter

.PHONY: dev
dev: $(RELOADER) ## the same, built and started again whenever a file changes
	@scripts/with-redis $(RELOADER)

.PHONY: demo
demo: build ## four instances behind one URL; STORE=memory shows how it fails without Redis
	@bin/visit-counter demo $(if $(STORE),--store $(STORE))

.PHONY: prove
prove: build ## run every promise against that fleet, a PASS line each
	@bin/visit-counter prove

.PHONY: test
test: setup lint ## everything: install what is missing, lint, run all tests with the race detector
	@scripts/test $(MODULES)

.PHONY: setup
setup: ## install what the tests need: a Redis, a Sentinel, a browser, a C compiler
	@scripts/setup

.PHONY: lint
lint: $(LINTER) ## gofmt, go vet and golangci-lint
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt these:" $$unformatted >&2; exit 1; }
	@for module in $(MODULES); do (cd $$module && go vet ./... && $(CURDIR)/$(LINTER) run ./...) || exit 1; done

.PHONY: fuzz
fuzz: ## every fuzz target on 250,000 inputs (FUZZ_INPUTS=...)
	@scripts/fuzz $(FUZZ_INPUTS)

.PHONY: vuln
vuln: $(VULN_CHECK) ## look for known vulnerabilities (needs the Go vulnerability database, online)
	@$(VULN_CHECK) ./...

.PHONY: bench
bench: ## this store beside others, under load: the table of bench/README.md
	@cd bench && go run .

.PHONY: bench-go
bench-go: ## the Go benchmarks, with allocations
	@go test -run '^$$' -bench . -benchmem ./...

.PHONY: screenshots
screenshots: build ## take the pictures of the README again, of the demo
	@go run ./scripts/screenshots

.PHONY: build
build: ## write bin/visit-counter, without what only a debugger needs and gin's MessagePack
	@go build -trimpath -tags nomsgpack -ldflags '-s -w' -o bin/visit-counter .

.PHONY: clean
clean: ## remove what was built; the counts in .redis stay
	@rm -rf bin

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# install builds the tool of package $(1) into the folder of the target, whose name ends in the version.
install = GOBIN=$(CURDIR)/$(@D) go install $(1)@$(lastword $(subst @, ,$(@D)))

$(LINTER):
	@echo "building golangci-lint, once (a minute or two)"
	@$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)

$(RELOADER):
	@$(call install,github.com/air-verse/air)

$(VULN_CHECK):
	@$(call install,golang.org/x/vuln/cmd/govulncheck)
