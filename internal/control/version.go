package control

// Version is the version of this source, of the daemon and of the command.
const Version = "0.1.0"
