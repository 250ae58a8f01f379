/* SPDX-License-Identifier: MIT */
/* Permissions: xs_wire.h's text is what the library has, numbers are what libxenstore has. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux.h"

/* By the two bits XS_PERM_READ and XS_PERM_WRITE. */
static const char letters[] = "nrwb";
_Static_assert(XS_PERM_NONE == 0 && XS_PERM_READ == 1 && XS_PERM_WRITE == 2, "letters[] is wrong");

int xenpv_linux_get_perms(struct xs_handle *store, xs_transaction_t transaction, const char *path,
                          struct xenpv_store_op *op)
{
    unsigned count;
    struct xs_permissions *perms = xs_get_permissions(store, transaction, path, &count);
    uint32_t at = 0;
    int rc = 0;

    if (!perms)
        return xenpv_linux_store_error(store, errno);
    for (unsigned i = 0; i < count; i++) {
        char text[16];
        int length = snprintf(text, sizeof(text), "%c%u", letters[perms[i].perms & 3], perms[i].id);

        rc = xenpv_linux_hand_out(op, at, text, (uint32_t)length + 1);
        at = op->length;
    }
    free(perms);
    return rc;
}

int xenpv_linux_set_perms(struct xs_handle *store, xs_transaction_t transaction, const char *path,
                          const struct xenpv_store_op *op)
{
    const char *text = op->value, *end = text + op->length;
    /* Each takes three bytes at the least: a letter, a digit and the NUL. */
    struct xs_permissions *perms = calloc(op->length / 3, sizeof(*perms));
    unsigned count = 0;
    int rc;

    if (!perms)
        return XENPV_ENOMEM;
    for (; text < end; text += strlen(text) + 1, count++) {
        perms[count].perms = (unsigned)(strchr(letters, text[0]) - letters);
        perms[count].id = (unsigned)strtoul(text + 1, NULL, 10);
    }
    rc = xs_set_permissions(store, transaction, path, perms, count)
             ? 0
             : xenpv_linux_store_error(store, errno);
    free(perms);
    return rc;
}
