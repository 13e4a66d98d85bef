package daemon

import "sync"

// heapFloor is what the collector takes for memory in use beyond what is. It
// runs each time that the heap has doubled, and that of a daemon with few
// connections is so small (some 4 MB) that a flood of handshakes would make it
// run fifty times a second, each time for longer than a handshake takes, on the
// processor that the loop is on. With the floor it runs a quarter as often. It is
// never touched, so it takes no memory but for the garbage that it lets pile up:
// as much as itself, once for the daemon, and less where there are many
// connections.
const heapFloor = 12 << 20

// raiseHeapFloor keeps it for as long as the process lives.
var raiseHeapFloor = sync.OnceValue(func() []byte { return make([]byte, heapFloor) })
