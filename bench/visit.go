package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
)

// answer is a program's answer to one visit.
type answer struct {
	visits int64
	cookie string // "name=value", "" if none was set
}

// get makes one visit. It asks for HTML, which all programs serve.
func get(ctx context.Context, client *http.Client, url, cookie string) (answer, error) {
	return send(ctx, client, http.MethodGet, url, cookie)
}

func send(ctx context.Context, client *http.Client, method, url, cookie string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return answer{}, err
	}
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusSeeOther {
		return answer{}, fmt.Errorf("%s %s: %s", method, url, response.Status)
	}
	a := answer{visits: shown(body)}
	for _, c := range response.Cookies() {
		a.cookie = c.Name + "=" + c.Value
	}
	return a, nil
}

// shown returns the count on a page, 0 if there is none.
func shown(page []byte) int64 {
	found := regexp.MustCompile(`id="visits"[^>]*>([0-9]+)<`).FindSubmatch(page)
	if found == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(found[1]), 10, 64) // only digits, and too few to overflow
	return n
}

// newClient returns a client that keeps n connections open and follows no redirection.
func newClient(n int) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newSessions makes n sessions and returns their cookies. It visits each twice, so that the visitor counts as returning.
func newSessions(ctx context.Context, url string, n int) ([]string, error) {
	client := newClient(1)
	defer client.CloseIdleConnections()
	cookies := make([]string, n)
	for i := range cookies {
		first, err := get(ctx, client, url, "")
		if err != nil {
			return nil, err
		}
		cookies[i] = first.cookie
		if _, err := get(ctx, client, url, first.cookie); err != nil {
			return nil, err
		}
	}
	return cookies, nil
}

// lostOf visits one session n times, 64 visits at once, and returns how many of them were not counted.
func lostOf(ctx context.Context, url string, n int) (int64, error) {
	const atOnce = 64
	client := newClient(atOnce)
	defer client.CloseIdleConnections()
	first, err := get(ctx, client, url, "")
	if err != nil {
		return 0, err
	}
	var next atomic.Int64
	err = together(atOnce, func(int) error {
		for next.Add(1) <= int64(n) {
			if _, err := get(ctx, client, url, first.cookie); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	last, err := get(ctx, client, url, first.cookie)
	return first.visits + int64(n) + 1 - last.visits, err
}

// resurrectedOf ends n sessions during visits to them, and returns how many came back afterwards: a session that is gone
// starts at 1.
func resurrectedOf(ctx context.Context, url string, n int) (back int64, err error) {
	const visitors = 8
	client := newClient(visitors + 1)
	defer client.CloseIdleConnections()
	for range n {
		first, err := get(ctx, client, url, "")
		if err != nil {
			return 0, err
		}
		err = together(visitors+1, func(i int) error {
			if i == visitors/2 {
				_, err := send(ctx, client, http.MethodPost, url+"reset", first.cookie)
				return err
			}
			_, err := get(ctx, client, url, first.cookie)
			return err
		})
		if err != nil {
			return 0, err
		}
		last, err := get(ctx, client, url, first.cookie)
		if err != nil {
			return 0, err
		}
		if last.visits > 1 {
			back++
		}
	}
	return back, nil
}

// together calls f n times at once.
func together(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
