"""The end that comes whatever the main thread does (docs/theory/conventions.md#interrupts).

Python's handler of a signal waits for the main thread, which may sit in a C library that does not come back: HDF5 on a
damaged file, MPI without its peers, a thread pool that waits for its last piece of work. So a program, once it works,
has a handler in C before Python's. The first signal starts a clock and is passed on; most programs have tidied up and
are gone long before it runs down. When it does, or when a second signal asks again, this handler ends the process
itself: it removes the part files that the process holds open, says the one line unless it has been said, and leaves.
It calls nothing but what POSIX allows in a handler of a signal, takes no lock and needs no interpreter.
"""

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <malloc.h>
    #include <poll.h>
    #include <signal.h>
    #include <stdlib.h>
    #include <string.h>
    #if defined(__linux__)
    #include <sys/prctl.h>
    #endif
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>

    enum { MIDAS_ENDINGS = 3, MIDAS_MESSAGE = 1024, MIDAS_PATH = 4096 };
    static const int midas_endings[MIDAS_ENDINGS] = {SIGINT, SIGTERM, SIGHUP};

    static const double midas_deadline = 1.2;      /* seconds from the first signal to the end, tidied up or not */
    static const double midas_once = 0.1;          /* signals within that time are one: of a terminal and a launcher */
    static const int midas_tick = 20000;           /* microseconds between two looks at the clock */

    static struct sigaction midas_before[MIDAS_ENDINGS];
    static char midas_words[MIDAS_ENDINGS][MIDAS_MESSAGE];
    static size_t midas_lengths[MIDAS_ENDINGS];
    static volatile sig_atomic_t midas_first = -1; /* which of the signals came first */
    static volatile sig_atomic_t midas_again;      /* Python could not raise, and is to try again */
    static volatile sig_atomic_t midas_silent;     /* the line has been said, or another process says it */
    static volatile sig_atomic_t midas_regular;    /* the program has come to its own end */
    static volatile sig_atomic_t midas_errors = 2; /* the descriptor of standard error */
    static struct timespec midas_since;

    static double midas_elapsed(void)
    {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - midas_since.tv_sec) + 1e-9 * (double)(now.tv_nsec - midas_since.tv_nsec);
    }

    /* Whether a name is that of a file that is being written: "<name>.<8 hexadecimal digits>.part". */
    static int midas_is_part(const char *path, size_t length)
    {
        return length > 14 && path[length - 14] == '.' && strspn(path + length - 13, "0123456789abcdef") == 8
            && strcmp(path + length - 5, ".part") == 0;
    }

    /* Removes the file of a descriptor if it is being written. */
    static void midas_remove_part(const char *number)
    {
        static char link[64], path[MIDAS_PATH];
        ssize_t length;
        int flags, fd = 0;
        const char *digit;
        for (digit = number; *digit; digit++) {
            if (*digit < '0' || *digit > '9')
                return;
            fd = 10 * fd + (*digit - '0');
        }
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || strlen(number) > 20)
            return;
        strcpy(link, "/proc/self/fd/");
        strcat(link, number);
        length = readlink(link, path, sizeof path - 1);
        if (length < 0)
            return;
        path[length] = 0;
        if ((flags & O_ACCMODE) != O_RDONLY && midas_is_part(path, (size_t)length))
            unlink(path);
    }

    static void midas_remove_parts(void)
    {
    #if defined(__linux__)
        struct entry { unsigned long long ino; long long off; unsigned short length; unsigned char type; char name[]; };
        static char entries[4096] __attribute__((aligned(8)));
        int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        long size, place;
        if (folder < 0)
            return;
        while ((size = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0)
            for (place = 0; place < size; place += ((struct entry *)(entries + place))->length)
                midas_remove_part(((struct entry *)(entries + place))->name);
        close(folder);
    #endif
    }

    static void midas_say(const char *words, size_t length)
    {
        struct pollfd errors = {midas_errors, POLLOUT, 0};
        /* a reader that has stopped reading keeps nobody from leaving */
        if (!midas_silent && poll(&errors, 1, 0) == 1 && write(midas_errors, words, length) < 0)
            midas_silent = 1;
    }

    static void midas_leave(void)
    {
        int which = midas_first;
        midas_remove_parts();
        midas_say(midas_words[which], midas_lengths[which]);
        _exit(128 + midas_endings[which]);
    }

    static void midas_pass_on(int which, siginfo_t *info, void *context)
    {
        if (midas_before[which].sa_flags & SA_SIGINFO)
            midas_before[which].sa_sigaction(midas_endings[which], info, context);
        else
            midas_before[which].sa_handler(midas_endings[which]);
    }

    static void midas_end(int number, siginfo_t *info, void *context)
    {
        int which, kept = errno;
        struct itimerval every = {{0, midas_tick}, {0, midas_tick}};
        for (which = 0; midas_endings[which] != number; which++)
            ;
        if (midas_first < 0) {
            clock_gettime(CLOCK_MONOTONIC, &midas_since);
            midas_first = which;
            setitimer(ITIMER_REAL, &every, NULL);
            midas_pass_on(which, info, context);
        } else if (midas_elapsed() > midas_once)
            midas_leave();
        errno = kept;
    }

    static void midas_look_at_clock(int number, siginfo_t *info, void *context)
    {
        int kept = errno;
        if (midas_first >= 0) {
            if (midas_elapsed() > midas_deadline)
                midas_leave();
            if (midas_again) {
                midas_again = 0;
                midas_pass_on(midas_first, info, context);
            }
        }
        errno = kept;
        (void)number;
    }

    static int midas_install(int which, const char *words, size_t length)
    {
        struct sigaction own, now, *before = &midas_before[which];
        if (length > MIDAS_MESSAGE)
            length = MIDAS_MESSAGE;
        memcpy(midas_words[which], words, length);
        midas_lengths[which] = length;
        if (sigaction(midas_endings[which], NULL, &now) != 0)
            return 0;
        if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == midas_end)
            return 1;                              /* other words, the same handlers */
        *before = now;
        if (!(before->sa_flags & SA_SIGINFO) && (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN))
            return 0;
        own = *before;
        own.sa_flags |= SA_SIGINFO;
        own.sa_sigaction = midas_end;
        return sigaction(midas_endings[which], &own, NULL) == 0;
    }

    static void midas_start_clock(void)
    {
        struct sigaction clock;
        sigset_t ticks;
        memset(&clock, 0, sizeof clock);
        clock.sa_flags = SA_SIGINFO | SA_RESTART;
        clock.sa_sigaction = midas_look_at_clock;
        sigaction(SIGALRM, &clock, NULL);
        sigemptyset(&ticks);
        sigaddset(&ticks, SIGALRM);
        sigprocmask(SIG_UNBLOCK, &ticks, NULL);
    }

    /* A forked process: it says nothing, removes nothing, and ends with the one that has started it. */
    static void midas_follow(int parent)
    {
        midas_silent = 1;
        midas_regular = 1;
    #if defined(__linux__)
        if (parent > 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(1);
        }
    #endif
    }

    /* A library ends the process because it gets no memory. */

    static char midas_poor[MIDAS_MESSAGE];
    static size_t midas_poor_length;
    static unsigned long midas_limit;              /* of the address space, kB */
    static char midas_stack[1 << 16];

    /* Whether the address space was used up but for a quarter, or 256 MB: what was asked for did not fit. */
    static int midas_is_used_up(void)
    {
        static char status[4096];
        const char *line;
        unsigned long most = 0;
        ssize_t length;
        int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
        if (file < 0)
            return 0;
        length = read(file, status, sizeof status - 1);
        close(file);
        if (length <= 0)
            return 0;
        status[length] = 0;
        line = strstr(status, "VmPeak:");
        if (line == NULL)
            return 0;
        for (line += 7; *line == ' ' || *line == '\t'; line++)
            ;
        for (; *line >= '0' && *line <= '9'; line++)
            most = 10 * most + (unsigned long)(*line - '0');
        return most + (midas_limit / 4 > 262144 ? midas_limit / 4 : 262144) > midas_limit;
    }

    static void midas_end_poorly(void)
    {
        if (midas_regular)
            return;
        midas_remove_parts();
        midas_say(midas_poor, midas_poor_length);
        _exit(1);
    }

    static void midas_fall(int number)
    {
        if (midas_is_used_up())
            midas_end_poorly();
        signal(number, SIG_DFL);
        raise(number);
    }

    static void midas_watch_memory(const char *words, size_t length, int errors, unsigned long limit)
    {
        static const int falls[] = {SIGABRT, SIGSEGV, SIGBUS};
        stack_t stack = {midas_stack, 0, sizeof midas_stack};
        struct sigaction own;
        int i;
        midas_errors = errors;
        midas_limit = limit / 1024;
        midas_poor_length = length > MIDAS_MESSAGE ? MIDAS_MESSAGE : length;
        memcpy(midas_poor, words, midas_poor_length);
        memset(&own, 0, sizeof own);
        own.sa_flags = SA_ONSTACK | SA_NODEFER;
        own.sa_handler = midas_fall;
        sigaltstack(&stack, NULL);
        for (i = 0; i < 3; i++)
            sigaction(falls[i], &own, NULL);
        atexit(midas_end_poorly);
    #if defined(M_ARENA_MAX)
        mallopt(M_ARENA_MAX, 1);                   /* each further one reserves 64 MB */
    #endif
    }
    """
    void midas_watch_memory(const char *words, size_t length, int errors, unsigned long limit) noexcept nogil
    int midas_regular
    int midas_install(int which, const char *words, size_t length) noexcept nogil
    void midas_start_clock() noexcept nogil
    void midas_remove_parts() noexcept nogil
    void midas_follow(int parent) noexcept nogil
    int midas_again
    int midas_first
    const int *midas_endings
    int midas_silent


def watch(bytes interrupted, bytes terminated, bytes hung_up):
    """From now on a signal that Python has a handler for ends the process in time.

    Parameters
    ----------
    interrupted, terminated, hung_up : what to say after SIGINT, SIGTERM and SIGHUP, with the line end
    """
    midas_start_clock()
    for which, words in enumerate((interrupted, terminated, hung_up)):
        midas_install(which, words, len(words))


def again():
    """Python's handler of the signal is to run once more, a moment later; it could not raise."""
    global midas_again
    midas_again = 1


def heard():
    """The signal that came first; 0 if none has."""
    return midas_endings[midas_first] if midas_first >= 0 else 0


def say_nothing():
    """The line has been said, or another process says it."""
    global midas_silent
    midas_silent = 1


def watch_memory(bytes words, int errors, long long limit):
    """From now on the process says these words when a library ends it, which none does but for lack of memory.

    Parameters
    ----------
    words : with the line end
    errors : descriptor of standard error, for all lines of this module
    limit : of the address space, bytes
    """
    midas_watch_memory(words, len(words), errors, limit)


def end_regularly():
    """The process ends of its own accord."""
    global midas_regular
    midas_regular = 1


def follow(int parent):
    """In a forked process: say nothing, and end with the one that has started this one.

    Parameters
    ----------
    parent : its process id; 0 when a thread has started this one that may end before: then it does not end with it
    """
    midas_follow(parent)


def remove_parts():
    """Remove the part files (`midas.runtime.part_files`) that the process has open for writing."""
    midas_remove_parts()
