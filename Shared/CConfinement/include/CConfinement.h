// A child process that may do nothing but compute: how it is started (parent's side) and how it locks itself in (its own); and
// the files that a configuration may name.
// In C because both need calls that Swift's module of the C library leaves out. Shared/MediaWork starts such a child,
// Services/MediaWorker is one.
#ifndef SIGHTGLASS_CONFINEMENT_H
#define SIGHTGLASS_CONFINEMENT_H

#include <stdint.h>
#include <sys/types.h>

// The child's end of its socket pair.
#define SG_CHILD_SOCKET 3

// Starts `path` with no argument but its name. It gets `socket` as descriptor 3, /dev/null as input and output, the parent's
// standard error (the runtime's last words before a crash go there), no other descriptor, the environment `environment` and
// nothing else, a process group of its own, no signal blocked or ignored. 0, or errno. Call it on a thread that lives as
// long as the child shall: the kernel takes that thread's end for the parent's.
int sg_confinement_spawn(const char *path, int socket, char *const environment[], pid_t *child);

// Locks the calling process in, for good: at most `memory` bytes of address space, no descriptor beyond those it has, no
// file grows, no core file, no new privileges, killed when its parent ends. 0, or errno of what failed: the process should
// end then.
int sg_confinement_limits(uint64_t memory);

// What not every kernel or container allows, each tried by itself: a network namespace without interfaces, and a filter
// that refuses opening files and sockets, starting programs and signalling others. Returns how many of the two hold.
// Before `sg_confinement_limits`, and while the process has one thread.
int sg_confinement_attempts(void);

// Opens a file or folder for reading that lies below the folder `root`, a descriptor. `path` is relative. No "..", no symbolic
// link and no mount leads out of the root: the kernel sees to it (openat2, RESOLVE_BENEATH). A descriptor that is not inherited
// and does not wait, or -errno.
int sg_confinement_open_beneath(int root, const char *path);

#endif
