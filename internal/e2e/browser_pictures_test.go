package e2e

import (
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "write the pictures of the README anew")

const pictureWidth = 1280

// TestPictures checks the README's pictures, and the page that they show. With -update it retakes them.
func TestPictures(t *testing.T) {
	t.Parallel()
	b := withHistory(t, "web.2", 14, longLife()...)
	for range 6 {
		b.press(t, "Visit again")
	}
	b.do(t, chromedp.EmulateViewport(pictureWidth, 800))
	for scheme, paper := range map[string]func(float64) bool{"light": bright, "dark": dim} {
		b.media(t, "", "prefers-color-scheme", scheme, "prefers-reduced-motion", "reduce")
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100)) // 100 means PNG
		must(t, err)
		name := "docs/" + scheme + ".png"
		if *update {
			must(t, os.WriteFile(filepath.Join(tree, name), picture, 0o644))
		}
		for what, data := range map[string]string{"the page": string(picture), name: readFile(t, name)} {
			pixels, err := png.Decode(strings.NewReader(data))
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			red, green, blue, _ := pixels.At(0, 0).RGBA()
			if pixels.Bounds().Dx() != pictureWidth || !paper(float64(red+green+blue)/3/0xffff) {
				t.Errorf("%s is %d px wide, and its paper %04x%04x%04x; want %d px, and a %s one", what, pixels.Bounds().Dx(), red, green, blue, pictureWidth, scheme)
			}
		}
	}
}
