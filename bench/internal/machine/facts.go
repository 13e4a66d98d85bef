package machine

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Facts stand beside every result: a number without them cannot be compared
// with anything.
type Facts struct {
	CPU       string            `json:"cpu"`
	CPUs      []int             `json:"cpus"`
	ServerCPU int               `json:"server_cpu"`
	LoadCPU   int               `json:"load_cpu"`
	Memory    string            `json:"memory"`
	Kernel    string            `json:"kernel"`
	System    string            `json:"system"`
	Load      string            `json:"load_average"`
	Commit    string            `json:"commit"`
	Versions  map[string]string `json:"versions"`
}

// Gather collects the facts. root is the folder of the repository; versions
// maps the name of a program to the command that prints its version.
func Gather(root string, cpus []int, serverCPU, loadCPU int, versions map[string][]string) Facts {
	f := Facts{
		CPU: value("/proc/cpuinfo", "model name", ":"), CPUs: cpus, ServerCPU: serverCPU, LoadCPU: loadCPU,
		Memory: value("/proc/meminfo", "MemTotal", ":"), Kernel: firstLine("uname", "-sr"),
		System: strings.Trim(value("/etc/os-release", "PRETTY_NAME", "="), `"`),
		Load:   load(), Commit: firstLine("git", "-C", root, "describe", "--always", "--dirty", "--abbrev=10"),
		Versions: map[string]string{"go": runtime.Version()},
	}
	if f.CPU == "" {
		f.CPU = runtime.GOARCH
	}
	for name, command := range versions {
		f.Versions[name] = firstLine(command...)
	}
	return f
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(text))
	return strings.Join(f[:min(3, len(f))], " ")
}

// value finds "name SEPARATOR value" in a file of such lines.
func value(path, name, separator string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), separator); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// firstLine is the first line that a command prints. Some programs print their
// version to standard error, some exit with 1 after it.
func firstLine(command ...string) string {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.WaitDelay = time.Second
	out, _ := cmd.CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
