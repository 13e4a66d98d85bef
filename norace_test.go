//go:build !race

package httpsys

const raceAllocations = 0
