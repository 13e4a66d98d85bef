//go:build !race

package tlsio

const raced = false
