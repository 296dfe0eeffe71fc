package e2e

import (
	"bytes"
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "write the pictures of the README anew")

func TestPictures(t *testing.T) {
	t.Parallel()
	const width = 1280
	b := withHistory(t, "web.2", 170, longLife()...)
	b.do(t, chromedp.EmulateViewport(width, 800))
	for scheme, paper := range map[string]func(float64) bool{"light": bright, "dark": dim} {
		b.media(t, "", "prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce")
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100)) // 100 means PNG
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(tree, "docs", scheme+".png")
		if *update {
			if err := os.WriteFile(file, picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for name, data := range map[string][]byte{"the page": picture, file: []byte(readFile(t, "docs/"+scheme+".png"))} {
			pixels, err := png.Decode(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			red, green, blue, _ := pixels.At(0, 0).RGBA()
			if pixels.Bounds().Dx() != width || !paper(float64(red+green+blue)/3/0xffff) {
				t.Errorf("%s is %d px wide, and its paper %04x%04x%04x; want %d px, and a %s one", name, pixels.Bounds().Dx(), red, green, blue, width, scheme)
			}
		}
	}
}
