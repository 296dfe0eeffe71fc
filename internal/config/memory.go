package config

import (
	"strconv"
	"strings"
)

// memoryLimit returns the container's limit in bytes: what Cloud Foundry says, else what the
// kernel says. It is 0 off the platforms, where the machine's memory is not ours to plan, and
// where GOMEMLIMIT is set, because then somebody has planned it already.
func (r *reader) memoryLimit() int64 {
	if r.platform == Local || r.real("GOMEMLIMIT") != "" {
		return 0
	}
	if given := r.real("MEMORY_LIMIT"); given != "" {
		if limit := parseBytes(given); limit > 0 {
			return limit
		}
		r.warn("MEMORY_LIMIT is not in a form such as 64M or 1G and is ignored")
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if limit := parseBytes(strings.TrimSpace(r.readFile(file))); limit > 0 {
			return limit
		}
	}
	return 0
}

// parseBytes reads a number of bytes with an optional suffix in powers of 1024, as in "64M", "1g"
// or "64MB". It returns 0 for anything else, and for numbers so large that they mean "no limit".
func parseBytes(s string) int64 {
	const most = 1 << 50
	s = strings.TrimSuffix(strings.ToLower(s), "b")
	shift := 0
	if s != "" {
		if i := strings.IndexByte("kmgt", s[len(s)-1]); i >= 0 {
			s, shift = s[:len(s)-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > most>>shift {
		return 0
	}
	return n << shift
}
