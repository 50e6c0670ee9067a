/* A job that needs nothing around it: holds so many MiB, uses so many CPU seconds, leaves an orphan for a while, and ends with status 7. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
    size_t bytes = (size_t)atoi(words[1]) << 20;
    double seconds = count > 2 ? atof(words[2]) : 0;
    volatile char *held = malloc(bytes);
    memset((char *)held, 1, bytes);
    if (fork() == 0) {
        if (fork() == 0)
            usleep(300000);
        _exit(0);
    }
    while ((double)clock() / CLOCKS_PER_SEC < seconds)
        ;
    return held[bytes / 2] == 1 ? 7 : 8;
}
