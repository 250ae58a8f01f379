/* SPDX-License-Identifier: MIT */
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "os.h"

/* Of what a signal kept us from reading there is nothing to say. */
static int complain_of_input(const char *name, const char *what)
{
    if (os_stop_signal())
        return STATUS_FAILED;
    return complain(STATUS_ENVIRONMENT, "%s: cannot %s it: %s", name, what, strerror(errno));
}

/* False with errno set. */
static bool read_all(struct input *input, int fd, size_t most)
{
    const struct os_wait ready = {.handle = fd};

    while (input->length < most) {
        ptrdiff_t count = os_read(fd, input->bytes + input->length, most - input->length);

        if (count == 0)
            return true;
        if (count > 0)
            input->length += (size_t)count;
        else if (errno != EAGAIN || os_stop_signal())
            return false;
        else
            os_wait(&ready, 1, UINT64_MAX);
    }
    return true;
}

int input_read(struct input *input, const char *path, size_t most)
{
    bool standard = !path || strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    int fd = standard ? OS_STDIN : os_open_input(path), status = STATUS_DONE;

    if (fd < 0)
        return complain_of_input(name, "open");
    *input = (struct input){.bytes = malloc(most + 1)};
    if (!input->bytes)
        status = complain(STATUS_ENVIRONMENT, "out of memory");
    else if (!read_all(input, fd, most))
        status = complain_of_input(name, "read");
    if (!standard)
        os_close(fd);
    if (status == STATUS_DONE)
        input->bytes[input->length] = '\0';
    else
        free(input->bytes);
    return status;
}
