package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func dotenv(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDotenvIsRead(t *testing.T) {
	got, err := ReadDotenv(dotenv(t, "\ufeff# a comment\nPORT=3000\r\nexport INSTANCE=\"web one\"\nTEXT='two\nlines'\nLAST=x"))
	want := map[string]string{"PORT": "3000", "INSTANCE": "web one", "TEXT": "two\nlines", "LAST": "x"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ReadDotenv() = %q, %v; want %q", got, err, want)
	}
}

func TestAMissingDotenvIsNormal(t *testing.T) {
	got, err := ReadDotenv(filepath.Join(t.TempDir(), ".env"))
	if got != nil || err != nil {
		t.Errorf("ReadDotenv() = %q, %v; want nil, nil", got, err)
	}
}

func TestAnUnreadableDotenvIsAnError(t *testing.T) {
	if _, err := ReadDotenv(t.TempDir()); err == nil {
		t.Error("a folder was read as a file")
	}
}

func TestABrokenDotenvIsToldByItsLineAndWithoutItsText(t *testing.T) {
	for name, tt := range map[string]struct{ text, line string }{
		"a line without an equals sign":       {"PORT=1\n\nhunter2\nLOG_LEVEL=info\n", "line 3"},
		"the last line, without a line break": {"PORT=1\nhunter2", "line 2"},
		"a name with a dash":                  {"PORT=1\n# comment\nMY-SECRET=hunter2\n", "line 3"},
		"an open quotation mark":              {"A='b\nc'\nPORT=1\nSESSION_SECRET=\"hunter2\nLOG_LEVEL=info\n", "line 4"},
		"a value without a name":              {"=hunter2\n", "line 1"},
		"the first line":                      {"hunter2 is my password\nPORT=1\n", "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := dotenv(t, tt.text)
			_, err := ReadDotenv(path)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.line+":") {
				t.Fatalf("ReadDotenv() = %v; want an error that names the file and %s", err, tt.line)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the text is quoted: %v", err)
			}
		})
	}
}
