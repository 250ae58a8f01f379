/* SPDX-License-Identifier: MIT */
#include <xenpv/harness/link.h>

/* The context is no memory, but the bytes of a frame. */
static int receive_nothing(void *ctx, struct xenpv_link_frame *frame)
{
    frame->data = NULL;
    frame->bytes = (uint32_t)(uintptr_t)ctx;
    return XENPV_OK;
}

static void close_nothing(void *ctx)
{
    (void)ctx;
}

int xenpv_link_null(uint32_t bytes, struct xenpv_link *link)
{
    if (bytes > XENPV_LINK_FRAME_MAX || (bytes && bytes < 14))
        return XENPV_EINVAL;
    *link = (struct xenpv_link){.ctx = (void *)(uintptr_t)bytes, /* NOLINT(*-no-int-to-ptr) */
                                .takes = XENPV_LINK_TAKES_BLANK | XENPV_LINK_TAKES_GSO,
                                .receive = bytes ? receive_nothing : NULL,
                                .close = close_nothing};
    return XENPV_OK;
}
