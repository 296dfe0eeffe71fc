package config

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func TestSecretsAreSplitAndTrimmed(t *testing.T) {
	const first, second = "7c1f0a94e2b85d36a0f4c9e81b27d653", "qhu2 91!Zk_pppfffxKq0;8nM&vGd=#s"
	got := accepts(t, "SESSION_SECRET", "  "+first+" , "+second+"\t").SessionSecrets
	if want := [][]byte{[]byte(first), []byte(second)}; !reflect.DeepEqual(got, want) {
		t.Errorf("secrets are %q; want %q", got, want)
	}
	if got := accepts(t, "SESSION_SECRET", " ").SessionSecrets; got != nil {
		t.Errorf("secrets are %q; want none", got)
	}
}

func TestBadSecretsStopTheStart(t *testing.T) {
	const good = "7c1f0a94e2b85d36a0f4c9e81b27d653"
	for name, tt := range map[string]struct{ value, reason string }{
		"one character too few":           {good[1:], "secret number 1 is shorter than 32"},
		"long only because of its spaces": {"short" + strings.Repeat(" ", 40), "secret number 1 is shorter"},
		"an empty one in the middle":      {good + ",," + good, "secret number 2 is empty"},
		"an empty one at the end":         {good + ",", "secret number 2 is empty"},
		"nothing but a comma":             {",", "secret number 1 is empty"},
		"the second is short":             {good + ",short", "secret number 2 is shorter"},
		"keyboard cat":                    {"keyboard cat", "secret number 1 is shorter"},
		"keyboard cat, repeated":          {"keyboard cat keyboard cat keyboard cat", "well-known sample"},
		"secret, repeated":                {strings.Repeat("secret", 6), "well-known sample"},
		"secret, padded with a character": {"secret" + strings.Repeat("x", 30), "well-known sample"},
		"secret, padded with digits":      {"secret12345678901234567890123456", "well-known sample"},
		"change-me, repeated":             {strings.Repeat("change-me-", 4), "well-known sample"},
		"CHANGE_ME and the like":          {"CHANGE_ME_PLEASE_CHANGE_THIS_SECRET_KEY", "well-known sample"},
		"your very long secret key here":  {"your-very-long-secret-key-here!!!!", "well-known sample"},
		"change in production":            {"your-secret-key-change-in-production", "well-known sample"},
		"a random string of 32 chars":     {"change-me-to-a-random-string-of-32-chars", "well-known sample"},
		"your 256 bit secret":             {"your-256-bit-secret-your-256-bit-secret", "well-known sample"},
		"this is a secret, repeated":      {"thisisasecretthisisasecretthisisasecret", "well-known sample"},
		"at least 32 characters":          {"my_super_secret_key_that_is_at_least_32_characters", "well-known sample"},
		"change it now, please":           {"this-is-a-very-secret-key-change-it-now-please", "well-known sample"},
		"for development only":            {"secret-key-for-development-only-do-not-use", "well-known sample"},
		"a long random secret string":     {"change_this_to_a_long_random_secret_string", "well-known sample"},
		"a sample as the second secret":   {good + ",supersecretsupersecretsupersecret", "secret number 2 is a well-known sample"},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, "SESSION_SECRET", tt.value, tt.reason)
		})
	}
}

func TestRandomSecretsAreNeverTakenForSamples(t *testing.T) {
	source := rand.NewChaCha8([32]byte{1})
	for range 20000 {
		var random [32]byte
		_, _ = source.Read(random[:]) // never fails
		for _, secret := range []string{
			hex.EncodeToString(random[:16]), hex.EncodeToString(random[:]),
			base64.StdEncoding.EncodeToString(random[:24]), base64.StdEncoding.EncodeToString(random[:]),
		} {
			if isSample(secret) || distinct(secret) < 8 {
				t.Errorf("%q is taken for a sample", secret)
			}
		}
	}
	if isSample("a secret that a person thought of, cat 17") {
		t.Error("a passphrase that contains words of a sample is taken for a sample")
	}
}
