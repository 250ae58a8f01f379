/* SPDX-License-Identifier: MIT */
/* What the store commands say and take: values, paths, modes, errors. */
#include <stdlib.h>
#include <string.h>

#include "cmd_store.h"
#include "complain.h"
#include "json.h"
#include "store.h"

const char *node_error(int error)
{
    switch (error) {
    case XENPV_ENOENT:
        return "there is no such node";
    case XENPV_EACCES:
        return "this domain has no permission";
    case XENPV_EINVAL:
        return "this is no valid path";
    case XENPV_ENOSPC:
        return "this domain's quota of the store is used up";
    case XENPV_E2BIG:
        return "the value or the path is too long";
    case XENPV_EAGAIN:
        return "others kept changing the store meanwhile, and it was tried often; try again";
    case XENPV_ENOTSUP:
        return "this port cannot do that";
    case XENPV_EIO:
        return "the store failed the request";
    case XENPV_ETIMEDOUT:
        return "the store did not answer in time";
    default:
        return xenpv_error_text(error);
    }
}

int complain_of_node(const char *verb, const char *path, int error)
{
    return complain(status_of_error(error), "store %s %s: %s", verb, path, node_error(error));
}

void print_value(const char *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c == '\\')
            printf("\\\\");
        else if (c >= ' ' && c < 0x7f)
            putchar(c);
        else
            printf("\\x%02x", c);
    }
}

void json_list(const char *key, const char *bytes, uint32_t length)
{
    json_open(key, '[');
    for (uint32_t at = 0; at < length; at += (uint32_t)strlen(bytes + at) + 1)
        json_text(NULL, bytes + at);
    json_close(']');
}

void print_permissions(const char *bytes, uint32_t length, char between)
{
    for (uint32_t at = 0; at < length; at += (uint32_t)strlen(bytes + at) + 1) {
        if (at)
            putchar(between);
        print_value(bytes + at, (uint32_t)strlen(bytes + at));
    }
}

char *join_path(const char *path, const char *name)
{
    size_t length = strlen(path);
    char *joined = malloc(length + strlen(name) + 2);

    if (joined)
        sprintf(joined, "%s%s%s", path, length && path[length - 1] == '/' ? "" : "/", name);
    return joined;
}

/* It has no name below itself, but it says which domain it is. */
int own_directory(struct machine *machine, char **path)
{
    uint32_t length;
    char *domid;
    int error = store_get(machine, XENPV_STORE_READ, "domid", &domid, &length);

    if (error)
        return complain_of_node("read", "domid", error);
    *path = join_path("/local/domain", domid);
    free(domid);
    return *path ? STATUS_DONE : complain(STATUS_ENVIRONMENT, "out of memory");
}

const char *add_mode(struct modes *modes, const char *text)
{
    size_t length = strlen(text), digits = strspn(text + (length > 0), "0123456789");

    if (length == 0 || !strchr("nrwb", text[0]) || digits == 0 || digits != length - 1 ||
        strtoul(text + 1, NULL, 10) > UINT16_MAX || length > 6)
        return "is no mode: it is one of n, r, w and b, and a domain's number, as r5";
    if (length >= sizeof(modes->bytes) - modes->length)
        return "is one mode too many";
    memcpy(modes->bytes + modes->length, text, length + 1);
    modes->length += (uint32_t)length + 1;
    return NULL;
}
