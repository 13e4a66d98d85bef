package cache

import (
	"bytes"

	"github.com/httpsys/httpsys/internal/wire/message"
)

// parseLines reads field lines that this package wrote.
func parseLines(dst []message.Field, b []byte) []message.Field {
	for len(b) > 0 {
		colon := bytes.IndexByte(b, ':')
		end := colon + 2 + bytes.IndexByte(b[colon+2:], '\r')
		dst = append(dst, message.Field{Name: b[:colon], Value: b[colon+2 : end]})
		b = b[end+2:]
	}
	return dst
}

const (
	dayNames   = "ThuFriSatSunMonTueWed" // 1970-01-01 was a Thursday
	monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"
)

// appendDate appends an IMF-fixdate (RFC 9110 5.6.7).
func appendDate(dst []byte, unix int64) []byte {
	day, sec := unix/86400, unix%86400
	if sec < 0 {
		day, sec = day-1, sec+86400
	}
	wd := (day%7 + 7) % 7
	// The civil date of a day number, by counting from the first of March.
	z := day + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d := doy - (153*mp+2)/5 + 1
	m := mp + 2
	y := yoe + era*400
	if m >= 12 {
		m -= 12
	}
	if m < 2 {
		y++
	}
	dst = append(append(dst, dayNames[wd*3:wd*3+3]...), ", "...)
	dst = append(two(dst, d), ' ')
	dst = append(append(dst, monthNames[m*3:m*3+3]...), ' ')
	dst = append(two(two(dst, y/100), y%100), ' ')
	dst = append(two(dst, sec/3600), ':')
	dst = append(two(dst, sec/60%60), ':')
	return append(two(dst, sec%60), " GMT"...)
}

func two(dst []byte, n int64) []byte { return append(dst, byte('0'+n/10%10), byte('0'+n%10)) }
