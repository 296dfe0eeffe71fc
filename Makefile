# The tasks of this project. `make help` lists them.

# The tools are pinned; `go run` builds them in Go's cache.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ERRCHECK    := github.com/kisielk/errcheck@v1.30.0
VULN_CHECK  := golang.org/x/vuln/cmd/govulncheck@v1.1.4
TEMPL        = github.com/a-h/templ/cmd/templ@$(shell go list -m -f '{{.Version}}' github.com/a-h/templ)

# The Go modules in this repository.
MODULES := $(sort $(dir $(wildcard go.mod */go.mod */*/go.mod)))

FUZZ_INPUTS ?= 250000

.DEFAULT_GOAL := help

.PHONY: run
run: build ## serve on http://localhost:8080 (PORT=...), with the Redis on this machine if there is one
	@bin/visit-counter run

.PHONY: demo
demo: build ## four instances behind one URL; STORE=memory shows how it fails without Redis
	@bin/visit-counter demo $(if $(STORE),--store $(STORE))

.PHONY: prove
prove: build ## check every promise against four local instances, one PASS line each
	@bin/visit-counter prove

.PHONY: test
test: setup lint ## everything: install what is missing, lint, run all tests with the race detector
	@status=0; for module in $(MODULES); do \
		CGO_ENABLED=1 go test -C $$module -race -parallel 4 -timeout 15m ./... || status=1; \
	done; exit $$status

.PHONY: setup
setup: ## install what the tests need: a Redis, a Sentinel, a browser, a C compiler
	@scripts/setup

.PHONY: generate
generate: ## regenerate the Go code of the pages, templates/*.templ
	@go run $(TEMPL) fmt -log-level warn templates
	@go run $(TEMPL) generate -log-level warn -path templates

.PHONY: lint
lint: ## gofmt, go fix, go vet, staticcheck and errcheck in every module, and check that `make generate` is not due
	@go run $(TEMPL) generate -check -log-level warn -path templates
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted, run gofmt -w:" $$unformatted >&2; exit 1; }
	@for module in $(MODULES); do ( \
		cd $$module && go vet ./... && \
		outdated=$$(go fix -diff ./... 2>&1); test -z "$$outdated" || { echo "$$outdated" >&2; exit 1; } && \
		go run $(STATICCHECK) -checks inherit,ST1000,ST1016,ST1020,ST1021,ST1022 ./... && \
		go run $(ERRCHECK) ./... \
	) || exit 1; done

.PHONY: fuzz
fuzz: ## every fuzz target on 250,000 inputs (FUZZ_INPUTS=...)
	@scripts/fuzz $(FUZZ_INPUTS)

.PHONY: vuln
vuln: ## look for known vulnerabilities (needs the Go vulnerability database, online)
	@go run $(VULN_CHECK) ./...

.PHONY: bench
bench: ## compare this store with others under load: the table of bench/README.md
	@cd bench && go run .

.PHONY: bench-go
bench-go: ## the Go benchmarks, with allocations
	@go test -run '^$$' -bench . -benchmem ./...

.PHONY: pictures
pictures: ## retake the pictures of the README
	@go test ./internal/e2e -run '^TestPictures$$' -count=1 -update

.PHONY: build
build: ## build bin/visit-counter, without debug information and gin's MessagePack
	@go build -trimpath -tags nomsgpack -ldflags '-s -w' -o bin/visit-counter .

.PHONY: clean
clean: ## remove the build output; the counts in .redis stay
	@rm -rf bin

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
