/* SPDX-License-Identifier: MIT */
/* What xenstored takes for the path of a node. */
#include "mock.h"
#include "text.h"

static const char own_prefix[] = "/local/domain/";

static bool valid_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '/' || c == '_' || c == '@';
}

/* The length of a leading "/local/domain/<domid>/", which the quota of path lengths leaves out. */
static size_t domain_prefix(const char *path)
{
    size_t at = sizeof(own_prefix) - 1;
    size_t digits = 0;

    if (strncmp(path, own_prefix, at) != 0)
        return 0;
    while (digits < 5 && path[at] >= '0' && path[at] <= '9') {
        at++;
        digits++;
    }
    return digits > 0 && path[at] == '/' ? at + 1 : 0;
}

static bool valid(const char *path, uint32_t limit)
{
    size_t length = strlen(path);

    for (size_t i = 0; i < length; i++) {
        if (!valid_char(path[i]) || (path[i] == '/' && path[i + 1] == '/'))
            return false;
    }
    if (length > 1 && path[length - 1] == '/')
        return false;
    return length <= domain_prefix(path) + limit;
}

void mock_path_of_domain(uint32_t domid, char *path, uint32_t capacity)
{
    struct text text;

    mock_text_start(&text, path, capacity);
    mock_text_add(&text, own_prefix);
    mock_text_add_number(&text, domid);
}

int mock_path(struct domain *domain, const char *dir, const char *name)
{
    struct xenpv_mock *mock = domain->mock;
    struct text text;

    if (dir[0] == '\0' || dir[0] == '@')
        return XENPV_EINVAL;
    mock_text_start(&text, mock->path, sizeof(mock->path));
    if (dir[0] != '/') {
        mock_text_add(&text, own_prefix);
        mock_text_add_number(&text, domain->domid);
        mock_text_add(&text, "/");
    }
    mock_text_add(&text, dir);
    if (name != NULL) {
        mock_text_add(&text, "/");
        mock_text_add(&text, name);
    }
    return !text.cut && valid(mock->path, mock->config.limits.store_path) ? XENPV_OK : XENPV_EINVAL;
}

int mock_path_of_watch(struct domain *domain, const char *dir)
{
    if (dir[0] != '@')
        return mock_path(domain, dir, NULL);

    size_t length = strlen(dir);

    if (length > RELATIVE_MAX)
        return XENPV_EINVAL;
    memcpy(domain->mock->path, dir, length + 1);
    return XENPV_OK;
}

bool mock_path_below(const char *path, const char *above)
{
    size_t length = strlen(above);

    if (length == 1 && above[0] == '/')
        return path[0] == '/';
    return strncmp(path, above, length) == 0 && (path[length] == '\0' || path[length] == '/');
}
