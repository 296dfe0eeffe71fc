# Shortens what `go test -v` prints: a line for each package that passes, all but the noise for one that fails.
# A skipped test proves nothing, so it fails the run.

/^=== (RUN|PAUSE|CONT|NAME) / { next }
/^ *--- PASS: /               { passed++; next }
/--- SKIP: /                  { skipped = skipped "  " $0 "\n" }
/^(ok  |\?   )\t/             { print; fflush(); held = ""; next }
/^FAIL\t/                     { printf "%s%s\n", held, $0; fflush(); held = ""; next }
                              { held = held $0 "\n" }

END {
	printf "%s", held
	if (skipped) {
		printf "FAIL: these tests were skipped:\n%s", skipped
		exit 1
	}
	printf "%d tests and examples passed, none was skipped\n", passed
}
