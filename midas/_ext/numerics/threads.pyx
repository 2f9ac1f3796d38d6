"""How many threads the system can start: OpenMP ends the process when it cannot have those that it was asked for."""

cdef extern from *:
    """
    #include <pthread.h>
    #include <stdlib.h>

    static pthread_mutex_t midas_gate = PTHREAD_MUTEX_INITIALIZER;

    static void *midas_wait(void *unused)
    {
        pthread_mutex_lock(&midas_gate);
        pthread_mutex_unlock(&midas_gate);
        return unused;
    }

    /* Starts threads, all alive at the same time, and ends them: how many there were; -1 without memory to count. */
    static int midas_start_threads(int count)
    {
        pthread_t *threads = (pthread_t *)malloc(sizeof(pthread_t) * (size_t)(count > 0 ? count : 1));
        int started, i;
        if (threads == NULL)
            return -1;
        pthread_mutex_lock(&midas_gate);
        for (started = 0; started < count; started++)
            if (pthread_create(&threads[started], NULL, midas_wait, NULL) != 0)
                break;
        pthread_mutex_unlock(&midas_gate);
        for (i = 0; i < started; i++)
            pthread_join(threads[i], NULL);
        free(threads);
        return started;
    }
    """
    int midas_start_threads(int count) noexcept nogil


def startable(int count):
    """How many of so many further threads can be started at the same time.

    Raises
    ------
    MemoryError : there is no room to find out
    """
    cdef int started
    with nogil:
        started = midas_start_threads(count)
    if started < 0:
        raise MemoryError
    return started
