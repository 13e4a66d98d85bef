//go:build race

package tlsio

// raced: sync.Pool forgets at random and everything is larger.
const raced = true
