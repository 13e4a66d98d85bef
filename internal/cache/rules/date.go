package rules

// ParseDate reads an HTTP date in any of its three forms (RFC 9110 5.6.7) as
// seconds since 1970. Names of days and months are taken in any case, as
// others do; everything else is strict. A day that its month does not have is
// refused, a weekday that does not fit the date is not.
func ParseDate(b []byte) (int64, bool) {
	if len(b) < 24 || len(b) > 33 {
		return 0, false
	}
	switch {
	case len(b) == 29 && b[3] == ',':
		// Sun, 06 Nov 1994 08:49:37 GMT
		if !known(weekdays[:], b[:3]) || b[4] != ' ' || b[7] != ' ' || b[11] != ' ' || b[16] != ' ' || !gmt(b[25:]) {
			return 0, false
		}
		return assemble(b[12:16], b[8:11], b[5:7], b[17:25])
	case len(b) == 24 && b[3] == ' ':
		// Sun Nov  6 08:49:37 1994
		if !known(weekdays[:], b[:3]) || b[7] != ' ' || b[10] != ' ' || b[19] != ' ' {
			return 0, false
		}
		day := [2]byte{b[8], b[9]}
		if day[0] == ' ' {
			day[0] = '0'
		}
		return assemble(b[20:24], b[4:7], day[:], b[11:19])
	}
	// Sunday, 06-Nov-94 08:49:37 GMT
	i := 0
	for i < len(b) && b[i] != ',' {
		i++
	}
	if i < 6 || len(b) != i+24 || !known(longWeekdays[:], b[:i]) {
		return 0, false
	}
	b = b[i:]
	if b[1] != ' ' || b[4] != '-' || b[8] != '-' || b[11] != ' ' || !gmt(b[20:]) {
		return 0, false
	}
	yy, ok := digits(b[9:11])
	if !ok {
		return 0, false
	}
	// A two-digit year that looks more than 50 years ahead is a past one. The
	// pivot is fixed, so that this stays a function of its argument; it is right until 2049.
	year := 2000 + yy
	if yy >= 70 {
		year = 1900 + yy
	}
	return civil(year, b[5:8], b[2:4], b[12:20])
}

var weekdays = [...]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
var longWeekdays = [...]string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
var months = [...]string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

func known(list []string, b []byte) bool {
	for _, s := range list {
		if EqualFold(b, s) {
			return true
		}
	}
	return false
}

func gmt(b []byte) bool { return len(b) == 4 && b[0] == ' ' && EqualFold(b[1:], "gmt") }

func digits(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func assemble(year, month, day, clock []byte) (int64, bool) {
	y, ok := digits(year)
	if !ok {
		return 0, false
	}
	return civil(y, month, day, clock)
}

func civil(y int64, month, day, clock []byte) (int64, bool) {
	m := 0
	for m < 12 && !EqualFold(month, months[m]) {
		m++
	}
	d, ok1 := digits(day)
	hh, ok2 := digits(clock[0:2])
	mm, ok3 := digits(clock[3:5])
	ss, ok4 := digits(clock[6:8])
	if m == 12 || !ok1 || !ok2 || !ok3 || !ok4 || clock[2] != ':' || clock[5] != ':' ||
		d < 1 || d > daysIn(y, m) || hh > 23 || mm > 59 || ss > 60 {
		return 0, false
	}
	return days(y, m, d)*86400 + hh*3600 + mm*60 + ss, true
}

func leap(y int64) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

func daysIn(y int64, month int) int64 {
	switch month {
	case 1:
		if leap(y) {
			return 29
		}
		return 28
	case 3, 5, 8, 10:
		return 30
	}
	return 31
}

// days is the number of days from 1970-01-01 to a date of the Gregorian
// calendar, negative before.
func days(y int64, month int, d int64) int64 {
	if month < 2 {
		y--
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	mp := int64((month + 10) % 12)
	doe := yoe*365 + yoe/4 - yoe/100 + (153*mp+2)/5 + d - 1
	return era*146097 + doe - 719468
}
