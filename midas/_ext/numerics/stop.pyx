"""Ctrl-C and the signals that end a process, heard while a kernel works (docs/theory/conventions.md#interrupts).

Python only notes a signal when it arrives; its handler runs once the main thread is back from the kernel. So a kernel
whose work can take seconds listens itself: for as long as it works, a handler in C stands before Python's, sets a flag
that the threads of the kernel look at between two pieces of work, and passes the signal on. The kernel then comes back
early, and the handler in Python does what it is there for, which mostly is to raise an exception. Signals that
Python has no handler for are left alone: they are ignored, or end the process at once.
"""
from cpython.exc cimport PyErr_CheckSignals

cdef extern from *:
    """
    #include <signal.h>

    static const int midas_signals[] = {SIGINT, SIGTERM, SIGHUP};
    enum { MIDAS_SIGNALS = 3 };

    static struct sigaction midas_earlier[MIDAS_SIGNALS];
    static int midas_armed[MIDAS_SIGNALS];
    static volatile sig_atomic_t midas_heard;

    static void midas_hear(int number, siginfo_t *info, void *context)
    {
        int i;
        midas_heard = 1;
        for (i = 0; i < MIDAS_SIGNALS; i++)
            if (midas_signals[i] == number) {
                if (midas_earlier[i].sa_flags & SA_SIGINFO)
                    midas_earlier[i].sa_sigaction(number, info, context);
                else
                    midas_earlier[i].sa_handler(number);
            }
    }

    static void midas_arm(void)
    {
        int i;
        struct sigaction own;
        midas_heard = 0;
        for (i = 0; i < MIDAS_SIGNALS; i++) {
            struct sigaction *earlier = &midas_earlier[i];
            midas_armed[i] = 0;
            if (sigaction(midas_signals[i], NULL, earlier) != 0)
                continue;
            if (!(earlier->sa_flags & SA_SIGINFO) && (earlier->sa_handler == SIG_DFL || earlier->sa_handler == SIG_IGN))
                continue;
            own = *earlier;
            own.sa_flags |= SA_SIGINFO;
            own.sa_sigaction = midas_hear;
            midas_armed[i] = sigaction(midas_signals[i], &own, NULL) == 0;
        }
    }

    static void midas_disarm(void)
    {
        int i;
        struct sigaction now;
        for (i = 0; i < MIDAS_SIGNALS; i++)
            /* a handler that somebody set in the meantime stays */
            if (midas_armed[i] && sigaction(midas_signals[i], NULL, &now) == 0
                && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == midas_hear)
                sigaction(midas_signals[i], &midas_earlier[i], NULL);
    }
    """
    void midas_arm() noexcept nogil
    void midas_disarm() noexcept nogil
    int midas_heard

# Kernels that work at the same time, in several threads of Python; changed under the interpreter lock.
cdef int listeners = 0


cdef int _join() except -1:
    global listeners
    if listeners == 0:
        midas_arm()
    listeners += 1
    return 0


cdef int _leave() except -1:
    global listeners
    listeners -= 1
    if listeners == 0:
        midas_disarm()
    return 0


cdef class Listening:
    """The block of a kernel that can take long; its loops look at `stopped`.

    Raises
    ------
    KeyboardInterrupt, or whatever the handler in Python raises : at the end of the block, if a signal was heard.
    """

    def __enter__(self):
        _join()
        try:
            PyErr_CheckSignals()  # one that came just before would be heard by nobody
        except BaseException:
            _leave()
            raise
        return self

    def __exit__(self, *_):
        cdef bint heard = stopped()
        _leave()
        if heard:
            PyErr_CheckSignals()
            raise KeyboardInterrupt


cdef bint stopped() noexcept nogil:
    """Whether a signal was heard: the rest of the work is not done, and what there is of it means nothing."""
    return midas_heard != 0
