// Screenshots takes the pictures of the README again: it runs the demo, visits it in Chromium, stops instances while it
// does, and writes docs/light.png and docs/dark.png. It is run from the root of the repository, after a build.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const (
	program = "bin/visit-counter"
	folder  = "docs"
	width   = 1280
	height  = 800

	startTime = time.Minute
	timeLimit = 3 * time.Minute
	stops     = 3 // how many instances are stopped on the way, and started again by the demo
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	url, end, err := startDemo(ctx)
	if err != nil {
		return err
	}
	return errors.Join(takePictures(ctx, url), end())
}

// startDemo runs the demo on a free port. end ends it with all its processes, and waits for that.
func startDemo(ctx context.Context) (url string, end func() error, err error) {
	port, err := freePort(ctx)
	if err != nil {
		return "", nil, err
	}
	demo := exec.CommandContext(ctx, program, "demo", "--port", strconv.Itoa(port), "--open=false")
	demo.Cancel = func() error { return demo.Process.Signal(os.Interrupt) }
	demo.Stderr = os.Stderr
	if err := demo.Start(); err != nil {
		return "", nil, fmt.Errorf("the demo does not start, has it been built? (%w)", err)
	}
	end = func() error {
		if err := demo.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		return demo.Wait()
	}
	url = "http://localhost:" + strconv.Itoa(port)
	if err := ready(ctx, url); err != nil {
		return "", nil, errors.Join(err, end())
	}
	return url, end, nil
}

func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// ready waits until the demo can count visits.
func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	return poll(ctx, "the demo to be ready", func() (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			return false, err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, err
		}
		defer func() { _ = answer.Body.Close() }()
		return answer.StatusCode == http.StatusOK, nil
	})
}

// poll waits until a condition is met. An error means that it is not.
func poll(ctx context.Context, what string, met func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := met()
		if err == nil && ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// takePictures visits the demo until the page has something to show, and takes its picture, light and dark.
func takePictures(ctx context.Context, url string) error {
	allocator, closeBrowser := chromedp.NewExecAllocator(ctx,
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("hide-scrollbars", true),
	)
	defer closeBrowser()
	tab, closeTab := chromedp.NewContext(allocator)
	defer closeTab()
	if err := chromedp.Do(tab, chromedp.EmulateViewport(width, height), chromedp.Navigate(url)); err != nil {
		return fmt.Errorf("visit the demo: %w", err)
	}
	for range stops {
		if err := visitAndStop(tab); err != nil {
			return fmt.Errorf("visit the demo: %w", err)
		}
	}
	if err := chromedp.Do(tab, visitManyTimes(), press("Visit again"), await("!document.getElementById('burst').textContent")); err != nil {
		return fmt.Errorf("visit the demo: %w", err)
	}
	for _, scheme := range []string{"light", "dark"} {
		if err := takePicture(tab, scheme); err != nil {
			return err
		}
	}
	return nil
}

// visitAndStop visits often, stops the instance that answered last, and waits until the page is back.
func visitAndStop(tab context.Context) error {
	return chromedp.Do(tab, visitManyTimes(), press("Stop this instance"), await("document.getElementById('waiting')"),
		await("document.getElementById('visits')"))
}

func visitManyTimes() chromedp.Action[chromedp.Void] {
	return chromedp.Steps(press("Visit 25 times at once"), await("document.getElementById('burst').textContent.includes('rose by')"))
}

// press clicks the button of that name.
func press(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.Search(fmt.Sprintf("//button[normalize-space()=%q]", name)))
}

// await waits until a condition holds, also in a page that has yet to be loaded.
func await(condition string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		return poll(ctx, condition, func() (bool, error) {
			return chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+condition+")"))
		})
	})
}

func takePicture(tab context.Context, scheme string) error {
	_, err := chromedp.Call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err != nil {
		return err
	}
	picture, err := chromedp.Run(tab, chromedp.FullScreenshot(100)) // 100 means PNG
	if err != nil {
		return err
	}
	small, err := compress(picture)
	if err != nil {
		return err
	}
	file := filepath.Join(folder, scheme+".png")
	if err := os.WriteFile(file, small, 0o644); err != nil { //nolint:gosec // a picture for everybody
		return err
	}
	fmt.Printf("%s  %d KB\n", file, len(small)/1000)
	return nil
}

// compress makes a PNG smaller: it leaves it the 256 colours of which there is most, which are nearly all it has.
func compress(picture []byte) ([]byte, error) {
	pixels, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	few := image.NewPaletted(pixels.Bounds(), commonColours(pixels, 256))
	draw.Draw(few, few.Bounds(), pixels, pixels.Bounds().Min, draw.Src)
	var small bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&small, few)
	return small.Bytes(), err
}

func commonColours(pixels image.Image, most int) color.Palette {
	area := make(map[color.Color]int)
	for y := pixels.Bounds().Min.Y; y < pixels.Bounds().Max.Y; y++ {
		for x := pixels.Bounds().Min.X; x < pixels.Bounds().Max.X; x++ {
			area[pixels.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(area), func(a, b color.Color) int { return area[b] - area[a] })
	return colours[:min(len(colours), most)]
}
