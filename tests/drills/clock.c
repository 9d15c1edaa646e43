/* Lets a process see the clock as far ahead or back as the file named by CLOCK says, in seconds, at each moment; how
   long things take stays right.

       cc -shared -fPIC -o clock.so clock.c -ldl
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile int64_t *offset;
static int (*told)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    void *file = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, open(getenv("CLOCK"), O_RDONLY), 0);
    if (file == MAP_FAILED)
        abort();
    offset = file;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!told)
        told = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = told(clock, now);
    if (!failed && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *offset;
    return failed;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec exact;
    (void)zone;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds)
        *seconds = now.tv_sec;
    return now.tv_sec;
}
