//go:build race

package httpsys

// raceAllocations is what the race detector adds: its sync.Pool forgets things
// now and then.
const raceAllocations = 2
