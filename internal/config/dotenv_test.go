package config

import (
	"encoding/binary"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"
)

func dotenv(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".env")
	writeFile(t, path, text)
	return path
}

func TestDotenvIsRead(t *testing.T) {
	got, err := readDotenv(dotenv(t, "\ufeff# a comment\nPORT=3000\r\nexport INSTANCE=\"web one\"\nTEXT='two\nlines'\nLAST=x"))
	want := map[string]string{"PORT": "3000", "INSTANCE": "web one", "TEXT": "two\nlines", "LAST": "x"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("readDotenv() = %q, %v; want %q", got, err, want)
	}
}

func TestADollarInDotenvIsLiteralUnlessABraceFollows(t *testing.T) {
	got, err := readDotenv(dotenv(t, "HOST=redis\nA=$P4SS\nB=\"x$ABC$1$\"\nC='$ABC'\nD=redis://:pa$$W0RD@${HOST}:1\nE=\"\\$ABC\"\nF=\\$ABC\nG='${HOST}'\nH=$(date)\n"))
	want := map[string]string{"HOST": "redis", "A": "$P4SS", "B": "x$ABC$1$", "C": "$ABC", "D": "redis://:pa$$W0RD@redis:1",
		"E": "$ABC", "F": "$ABC", "G": "${HOST}", "H": "$(date)"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("readDotenv() =\n%q, %v; want\n%q", got, err, want)
	}
}

func TestAMissingDotenvIsNormal(t *testing.T) {
	got, err := readDotenv(filepath.Join(t.TempDir(), ".env"))
	if got != nil || err != nil {
		t.Errorf("readDotenv() = %q, %v; want nil, nil", got, err)
	}
}

func TestAnUnreadableDotenvIsAnError(t *testing.T) {
	folder := t.TempDir()
	_, err := readDotenv(folder)
	if want := folder + ": cannot be read: make it a readable file, or remove it"; err == nil || err.Error() != want {
		t.Errorf("readDotenv() of a folder = %v; want %q", err, want)
	}
}

func TestABrokenDotenvIsExplainedWithoutItsText(t *testing.T) {
	for name, tt := range map[string]struct{ text, reason string }{
		"a line without an equals sign":       {"PORT=1\n\nhunter2\nLOG_LEVEL=info\n", "line 3:"},
		"the last line, without a line break": {"PORT=1\nhunter2", "line 2:"},
		"a name with a dash":                  {"PORT=1\n# comment\nMY-SECRET=hunter2\n", "line 3:"},
		"an open quotation mark":              {"A='b\nc'\nPORT=1\nSESSION_SECRET=\"hunter2\nLOG_LEVEL=info\n", "line 4:"},
		"a value without a name":              {"=hunter2\n", "line 1:"},
		"the first line":                      {"hunter2 is my password\nPORT=1\n", "line 1:"},
		"UTF-16, little endian":               {inUTF16(binary.LittleEndian, "SESSION_SECRET=hunter2\r\n"), "save it as UTF-8"},
		"UTF-16, big endian":                  {inUTF16(binary.BigEndian, "SESSION_SECRET=hunter2\r\n"), "save it as UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			path := dotenv(t, tt.text)
			_, err := readDotenv(path)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.reason) {
				t.Fatalf("readDotenv() = %v; want an error that names the file and %q", err, tt.reason)
			}
			if strings.Contains(strings.ReplaceAll(err.Error(), "\x00", ""), "hunter2") {
				t.Errorf("the text is quoted: %v", err)
			}
		})
	}
}

func inUTF16(order binary.AppendByteOrder, text string) string {
	var encoded []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		encoded = order.AppendUint16(encoded, unit)
	}
	return string(encoded)
}
