// Package control is what the daemon and the command line say to each other
// about administration. It holds what both sides share: the parameters and
// results of the calls, the snapshot of the service (State), where a daemon is
// found when nobody says it (DefaultSocket), and the Client that asks.
//
// The daemon's side, which checks rights and changes the configuration, is in
// server/; the commands and their output are in cli/. What the calls mean for
// people is in docs/commands.md, how they travel in docs/channel.md section 3.
package control
