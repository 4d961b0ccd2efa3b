// Package osspecific: how Argo's executor starts, signals and awaits the processes of a step, on Linux.
//
// Written for Sealflow's tests: the module archive of argo-workflows v3.7.12 that the Go module proxy serves lacks this
// one file, so its executor does not compile from there. Only the names are upstream's; tools/cluster/binaries.ts
// lays the file into a copy of the module; it is part of no product.
package osspecific

import (
	"os"
	"syscall"

	"github.com/argoproj/argo-workflows/v3/util/errors"
)

// Term asks a process to end.
var Term = syscall.SIGTERM

// CanIgnoreSignal tells signals of the runtime and of children apart from those that are meant for the step.
func CanIgnoreSignal(s os.Signal) bool {
	switch s {
	case syscall.SIGCHLD, syscall.SIGURG:
		return true
	}
	return false
}

// Setpgid gives a new process a group of its own, so that Kill reaches its children too.
func Setpgid(attributes *syscall.SysProcAttr) {
	attributes.Setpgid = true
}

// Kill signals the whole group of a process, or the process alone when it has no group any more.
func Kill(pid int, signal syscall.Signal) error {
	group, err := syscall.Getpgid(pid)
	if err != nil {
		return syscall.Kill(pid, signal)
	}
	return syscall.Kill(-group, signal)
}

// Wait ends when the step's first process does; on the way it reaps what that process left behind, as process 1 must.
func Wait(process *os.Process) error {
	first := process.Pid
	if err := process.Release(); err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR, err == nil && pid != first:
			continue
		case err != nil:
			return err
		case status.Signaled():
			return errors.NewExitErr(128 + int(status.Signal()))
		case status.Exited():
			return errors.NewExitErr(status.ExitStatus())
		}
	}
}
