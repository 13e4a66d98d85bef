package conn

import (
	"fmt"
	"testing"
)

// The age grows, and is 0 again after a validation.
func TestAgeOfARepeatedAnswer(t *testing.T) {
	text := func(age int64) string { return fmt.Sprintf("HTTP/1.1 200 OK\r\nAge: %d\r\n\r\nbody", age) }
	r := &repeat{response: []byte(text(7)), ageAt: len("HTTP/1.1 200 OK\r\nAge: "), age: 7}
	r.ageTo = r.ageAt + 1
	for _, age := range []int64{8, 9, 10, 11, 99, 100, 12345, 67890, 5, 0, 1 << 40, 3} {
		if r.setAge(age); string(r.response) != text(age) || r.age != age {
			t.Fatalf("age %d: %q", age, r.response)
		}
	}
}
