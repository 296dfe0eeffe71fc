package templates

import (
	"testing"
	"time"

	"visit-counter/internal/config"
)

func TestNumbersAndNounsAgree(t *testing.T) {
	for n, want := range map[int64]string{0: "0 times", 1: "1 time", 2: "2 times", 21: "21 times", 1000000: "1000000 times"} {
		if got := count(n, "time"); got != want {
			t.Errorf("count(%d) = %q; want %q", n, got, want)
		}
	}
}

func TestDurationsUseTheirLargestUnit(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Hour, "0 seconds"},
		{0, "0 seconds"},
		{999 * time.Millisecond, "0 seconds"},
		{time.Second, "1 second"},
		{59*time.Second + 999*time.Millisecond, "59 seconds"},
		{time.Minute, "1 minute"},
		{3*time.Minute + 50*time.Second, "3 minutes"},
		{time.Hour, "1 hour"},
		{24 * time.Hour, "24 hours"},
		{48*time.Hour - time.Second, "47 hours"},
		{48 * time.Hour, "2 days"},
		{30 * 24 * time.Hour, "30 days"},
	} {
		if got := span(c.d); got != c.want {
			t.Errorf("span(%v) = %q; want %q", c.d, got, c.want)
		}
	}
}

func TestTheFutureIsJustNow(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 21, 0, 0, time.UTC)
	for before, want := range map[time.Duration]string{
		-time.Minute:           "just now",
		0:                      "just now",
		999 * time.Millisecond: "just now",
		time.Second:            "1 second ago",
		3 * time.Minute:        "3 minutes ago",
	} {
		if got := ago(now, now.Add(-before)); got != want {
			t.Errorf("%v before now is %q; want %q", before, got, want)
		}
	}
}

func TestStampsAreUTC(t *testing.T) {
	newYork := time.FixedZone("EST", -5*60*60)
	date, clock := stamp(time.Date(2026, 11, 20, 22, 18, 5, 999, newYork))
	if date != "2026-11-21" || clock != "03:18:05" {
		t.Errorf("stamp = %q, %q; want 2026-11-21, 03:18:05", date, clock)
	}
}

func TestMillisecondsHaveTwoDecimals(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 4 * time.Microsecond: "0.00 ms", 312 * time.Microsecond: "0.31 ms", 1500 * time.Millisecond: "1500.00 ms",
	} {
		if got := milliseconds(d); got != want {
			t.Errorf("milliseconds(%v) = %q; want %q", d, got, want)
		}
	}
}

func TestTheSentenceClaimsOnlyWhatIsKnown(t *testing.T) {
	for _, c := range []struct {
		instances, restarts int
		store               config.Store
		want                string
	}{
		{4, 3, config.StoreRedis, "4 instances and 3 restarts later, no visit has been lost"},
		{1, 1, config.StoreRedis, "1 instance and 1 restart later, no visit has been lost"},
		{3, 0, config.StoreRedis, "3 instances so far, no restart yet, and no visit has been lost"},
		{1, 0, config.StoreRedis, "1 instance so far, no restart yet, and no visit has been lost"},
		{1, 0, config.StoreMemory, "Only this process knows of you, and no visit has been lost yet"},
	} {
		h := Home{Instances: c.instances, Restarts: c.restarts}
		if got := h.sentence(c.store); got != c.want {
			t.Errorf("%+v: sentence = %q", c, got)
		}
	}
}

func TestUptimeOfANewProcess(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "just started", 999 * time.Millisecond: "just started", time.Second: "up for 1 second", time.Hour: "up for 1 hour",
	} {
		if got := uptime(d); got != want {
			t.Errorf("uptime(%v) = %q; want %q", d, got, want)
		}
	}
}

func TestAVisitAlwaysHasABar(t *testing.T) {
	for _, c := range []struct {
		part, total int64
		want        string
	}{{0, 0, "0%"}, {1, 1000000, "1%"}, {1, 3, "33%"}, {9, 9, "100%"}} {
		if got := share(c.part, c.total); string(got) != c.want {
			t.Errorf("share(%d, %d) = %q; want %q", c.part, c.total, got, c.want)
		}
	}
}

func TestOptionsOfCommandsStayInOneLine(t *testing.T) {
	for s, want := range map[string]string{
		"make run":                  "make run",
		"A=redis://h make --x=1 z":  "A=redis://h make <span>--x=1</span> z",
		"A=redis://127.0.0.1:12345": "A=<wbr>redis://127.0.0.1:12345",
		"echo \"<b>\" --<i>":        "echo &#34;&lt;b&gt;&#34; <span>--&lt;i&gt;</span>",
	} {
		if got := command(s); string(got) != want {
			t.Errorf("command(%q) = %q; want %q", s, got, want)
		}
	}
}

func TestOnlyLongNamesAreBroken(t *testing.T) {
	for name, want := range map[string]string{
		"web.2": "web.2", "laptop.home:8080": "laptop.home:8080",
		"<laptop>.local:8081": "&lt;laptop&gt;.<wbr>local:<wbr>8081",
	} {
		if got := breakable(name); string(got) != want {
			t.Errorf("breakable(%q) = %q; want %q", name, got, want)
		}
	}
}
