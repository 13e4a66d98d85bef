package h2

import "golang.org/x/net/http2/hpack"

// The Huffman code of RFC 7541 Appendix B as a machine that reads four bits at
// a time: no code is shorter than five bits, so a step gives at most one
// byte. States are the inner nodes of the code's tree.
type huffmanStep struct {
	next uint8 // state
	sym  byte
	emit bool
	fail bool // the code of EOS, which must not occur
}

var (
	huffmanSteps [256][16]huffmanStep
	// huffmanEnd has the states where a string may end: up to seven bits of
	// padding, all ones (RFC 7541 5.2).
	huffmanEnd [256]bool
)

// The code is taken from the hpack package by encoding each byte: eight times the
// same byte takes as many bytes as its code has bits.
func init() {
	type node struct {
		child [2]int // > 0: inner node; < 0: leaf of byte -child-1; 0: nothing
		ones  int    // depth if all bits so far are 1, else -1
	}
	nodes := []node{{}}
	for c := range 256 {
		s := string([]byte{byte(c)})
		bits := int(hpack.HuffmanEncodeLength(s + s + s + s + s + s + s + s))
		code := hpack.AppendHuffmanString(nil, s)
		at := 0
		for i := range bits {
			bit := int(code[i/8] >> (7 - i%8) & 1)
			if i == bits-1 {
				nodes[at].child[bit] = -c - 1
				break
			}
			if nodes[at].child[bit] == 0 {
				ones := -1
				if bit == 1 && nodes[at].ones >= 0 {
					ones = nodes[at].ones + 1
				}
				nodes[at].child[bit] = len(nodes)
				nodes = append(nodes, node{ones: ones})
			}
			at = nodes[at].child[bit]
		}
	}
	if len(nodes) != 256 {
		panic("h2: not the Huffman code of HPACK") // 256 bytes and EOS make 256 inner nodes
	}
	for state := range nodes {
		huffmanEnd[state] = nodes[state].ones >= 0 && nodes[state].ones < 8
		for nibble := range 16 {
			step := &huffmanSteps[state][nibble]
			at := state
			for i := 3; i >= 0 && !step.fail; i-- {
				switch to := nodes[at].child[nibble>>i&1]; {
				case to > 0:
					at = to
				case to < 0:
					step.sym, step.emit, at = byte(-to-1), true, 0
				default:
					step.fail = true
				}
			}
			step.next = uint8(at)
		}
	}
}

// appendHuffman decodes b behind dst.
func appendHuffman(dst, b []byte) ([]byte, bool) {
	state := uint8(0)
	for _, c := range b {
		step := &huffmanSteps[state][c>>4]
		if step.emit {
			dst = append(dst, step.sym)
		}
		fail := step.fail
		step = &huffmanSteps[step.next][c&15]
		if step.emit {
			dst = append(dst, step.sym)
		}
		if fail || step.fail {
			return dst, false
		}
		state = step.next
	}
	return dst, huffmanEnd[state]
}
