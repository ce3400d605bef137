// See CConfinement.h.
#define _GNU_SOURCE
#include "CConfinement.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int sg_confinement_spawn(const char *path, int socket, char *const environment[], pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure) return failure;
    failure = posix_spawnattr_init(&attributes);
    if (failure) {
        posix_spawn_file_actions_destroy(&actions);
        return failure;
    }
    // In this order: the socket may have any number in the parent, and 0 and 1 may be free there.
    if (!(failure = posix_spawn_file_actions_adddup2(&actions, socket, SG_CHILD_SOCKET))
        && !(failure = posix_spawn_file_actions_addclosefrom_np(&actions, SG_CHILD_SOCKET + 1))
        && !(failure = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0))
        && !(failure = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0))
        && !(failure = posix_spawnattr_setsigmask(&attributes, &none))
        && !(failure = posix_spawnattr_setsigdefault(&attributes, &all))
        && !(failure = posix_spawnattr_setpgroup(&attributes, 0))
        && !(failure = posix_spawnattr_setflags(
                 &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))) {
        char *const arguments[] = {(char *)path, NULL};
        failure = posix_spawn(child, path, &actions, &attributes, arguments, environment);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

static int limit(__rlimit_resource_t resource, uint64_t value) {
    struct rlimit wanted = {value, value};
    return setrlimit(resource, &wanted) == 0 ? 0 : errno;
}

int sg_confinement_limits(uint64_t memory) {
    int failure = 0;
    // Standard error may be a file: last words that cannot be written must not change how the process ends.
    signal(SIGXFSZ, SIG_IGN);
    // After the attempts: a change of credentials clears the wish to die with the parent.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    if ((failure = limit(RLIMIT_AS, memory)) || (failure = limit(RLIMIT_FSIZE, 0)) || (failure = limit(RLIMIT_CORE, 0)))
        return failure;
    // 0 to 3 are open, so that no call that makes a descriptor can succeed.
    return limit(RLIMIT_NOFILE, SG_CHILD_SOCKET + 1);
}

#if defined(__x86_64__)
#define SG_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SG_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define SG_REFUSE(call) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

// A list of what is refused, not of what is allowed: which calls a C library, an allocator and a decoder make is theirs to
// change. Refused calls fail with EPERM.
static int install_filter(void) {
#ifdef SG_ARCHITECTURE
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SG_ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        // x86-64 numbers from here on are the same calls by other names.
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#ifdef __NR_open
        SG_REFUSE(open),
        SG_REFUSE(creat),
#endif
        SG_REFUSE(openat),
        SG_REFUSE(openat2),
        SG_REFUSE(socket),
        SG_REFUSE(socketpair),
        SG_REFUSE(connect),
        SG_REFUSE(bind),
        SG_REFUSE(execve),
        SG_REFUSE(execveat),
        SG_REFUSE(kill),
        SG_REFUSE(ptrace),
        SG_REFUSE(process_vm_readv),
        SG_REFUSE(process_vm_writev),
        SG_REFUSE(io_uring_setup),
        SG_REFUSE(bpf),
        SG_REFUSE(keyctl),
        SG_REFUSE(mount),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 0;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
    return 0;
#endif
}

int sg_confinement_attempts(void) {
    // A user namespace lets a process without privileges have a network namespace; root needs none.
    int isolated = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    return isolated + install_filter();
}

int sg_confinement_open_beneath(int root, const char *path) {
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long descriptor = syscall(SYS_openat2, root, path, &how, sizeof how);
    return descriptor >= 0 ? (int)descriptor : -errno;
}
