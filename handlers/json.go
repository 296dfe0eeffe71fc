package handlers

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// appendJSON appends the answer of GET / to a client that prefers JSON. encoding/json would take five times as long for
// it; the tests hold the one against the other.
func (a *App) appendJSON(dst []byte, v visit) []byte {
	dst = appendNumber(dst, `{"visits":`, v.Count)
	dst = appendText(dst, `,"instance":`, a.Instance)
	dst = appendTime(dst, `,"started_at":`, a.Started)
	dst = appendText(dst, `,"store":`, a.StoreName)
	dst = appendTime(dst, `,"first_visit_at":`, v.CreatedAt.UTC())
	dst = appendNumber(dst, `,"expires_in_seconds":`, int64((v.ExpiresIn+time.Second/2)/time.Second))
	dst = append(dst, `,"processes":[`...)
	for i, row := range v.ledger.rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, `{"instance":`, row.Instance)
		dst = appendTime(dst, `,"started_at":`, row.Started)
		dst = appendNumber(dst, `,"visits":`, row.Visits)
		dst = append(dst, `,"current":`...)
		dst = append(strconv.AppendBool(dst, row.Current), '}')
	}
	dst = appendNumber(dst, `],"earlier_visits":`, v.ledger.earlier)
	dst = appendNumber(dst, `,"instances":`, int64(v.ledger.instances))
	dst = appendNumber(dst, `,"restarts":`, int64(v.ledger.restarts))
	dst = appendNumber(dst, `,"redis":{"round_trips":`, int64(v.roundTrips))
	dst = append(dst, `,"milliseconds":`...)
	dst = strconv.AppendFloat(dst, float64(v.redisTime.Microseconds())/1000, 'f', -1, 64)
	return append(dst, `}}`...)
}

func appendNumber(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(dst, name...), n, 10)
}

func appendTime(dst []byte, name string, t time.Time) []byte {
	dst = append(append(dst, name...), '"')
	return append(t.AppendFormat(dst, time.RFC3339Nano), '"')
}

// appendText appends a text of which encoding/json decides how it is written, if it is more than letters and the like.
func appendText(dst []byte, name, text string) []byte {
	dst = append(dst, name...)
	if !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' || strings.ContainsRune(`"\\<>&`, c) }) {
		return append(append(append(dst, '"'), text...), '"')
	}
	quoted, err := json.Marshal(text)
	if err != nil { // there is no such text
		return append(dst, "null"...)
	}
	return append(dst, quoted...)
}
