/* SPDX-License-Identifier: MIT */
/* XenStore's messages, their header, the ring page and the limits: our header against Xen's. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <xen/io/xs_wire.h>

#include <xenpv/abi/xs_wire.h>
#include <xenpv/harness/mock.h>
#include <xenpv/store.h>

struct row {
    const char *name;
    uint64_t ours, theirs;
};

#define NUMBER(ours, theirs)                                                                       \
    {                                                                                              \
#ours, ours, theirs                                                                        \
    }
#define TYPE(name) NUMBER(XENPV_XS_##name, XS_##name)
#define FIELD(our_struct, our_field, their_struct, their_field)                                    \
    NUMBER(offsetof(struct our_struct, our_field), offsetof(struct their_struct, their_field)),    \
        NUMBER(sizeof(((struct our_struct *)0)->our_field),                                        \
               sizeof(((struct their_struct *)0)->their_field))
#define HEADER(ours, theirs) FIELD(xenpv_xs_header, ours, xsd_sockmsg, theirs)
#define PAGE(ours, theirs)   FIELD(xenpv_xs_page, ours, xenstore_domain_interface, theirs)

static const struct row rows[] = {
    TYPE(CONTROL),
    TYPE(DIRECTORY),
    TYPE(READ),
    TYPE(GET_PERMS),
    TYPE(WATCH),
    TYPE(UNWATCH),
    TYPE(TRANSACTION_START),
    TYPE(TRANSACTION_END),
    TYPE(INTRODUCE),
    TYPE(RELEASE),
    TYPE(GET_DOMAIN_PATH),
    TYPE(WRITE),
    TYPE(MKDIR),
    TYPE(RM),
    TYPE(SET_PERMS),
    TYPE(WATCH_EVENT),
    TYPE(ERROR),
    TYPE(IS_DOMAIN_INTRODUCED),
    TYPE(RESUME),
    TYPE(SET_TARGET),
    TYPE(RESET_WATCHES),
    TYPE(DIRECTORY_PART),
    NUMBER(sizeof(struct xenpv_xs_header), sizeof(struct xsd_sockmsg)),
    HEADER(type, type),
    HEADER(id, req_id),
    HEADER(tx, tx_id),
    HEADER(length, len),
    NUMBER(sizeof(struct xenpv_xs_page), sizeof(struct xenstore_domain_interface)),
    PAGE(req, req),
    PAGE(rsp, rsp),
    PAGE(req_cons, req_cons),
    PAGE(req_prod, req_prod),
    PAGE(rsp_cons, rsp_cons),
    PAGE(rsp_prod, rsp_prod),
    PAGE(features, server_features),
    PAGE(connection, connection),
    PAGE(error, error),
    NUMBER(XENPV_XS_RING, XENSTORE_RING_SIZE),
    NUMBER(XENPV_XS_PAYLOAD, XENSTORE_PAYLOAD_MAX),
    NUMBER(XENPV_STORE_VALUE_MAX, XENSTORE_PAYLOAD_MAX),
    NUMBER(XENPV_STORE_ABSOLUTE_MAX, XENSTORE_ABS_PATH_MAX),
    NUMBER(XENPV_STORE_RELATIVE_MAX, XENSTORE_REL_PATH_MAX),
    NUMBER(XENPV_XS_FEATURE_RECONNECT, XENSTORE_SERVER_FEATURE_RECONNECTION),
    NUMBER(XENPV_XS_FEATURE_ERROR, XENSTORE_SERVER_FEATURE_ERROR),
    NUMBER(XENPV_MOCK_STORE_RECONNECT, XENSTORE_SERVER_FEATURE_RECONNECTION),
    NUMBER(XENPV_MOCK_STORE_ERROR, XENSTORE_SERVER_FEATURE_ERROR),
};

int main(void)
{
    int failures = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].ours == rows[i].theirs)
            continue;
        printf("not ok - %s: %llu, and Xen has %llu\n", rows[i].name,
               (unsigned long long)rows[i].ours, (unsigned long long)rows[i].theirs);
        failures++;
    }
    printf("%s - the messages of xenstored, and its ring page\n", failures ? "not ok" : "ok");
    return failures != 0;
}
