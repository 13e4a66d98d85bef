module github.com/httpsys/httpsys/bench

go 1.26

require github.com/httpsys/httpsys v0.0.0

replace github.com/httpsys/httpsys => ../
