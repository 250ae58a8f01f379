/* SPDX-License-Identifier: MIT */
/* What a network backend joins its vif to: a link. */
#ifndef XENPV_HARNESS_LINK_H
#define XENPV_HARNESS_LINK_H

#include <xenpv/abi/netif.h>
#include <xenpv/harness/allocator.h>
#include <xenpv/port.h>

#ifdef __cplusplus
extern "C" {
#endif

enum xenpv_link_checksum {
    XENPV_LINK_AS_IS, /* the frame stands as it is; nobody vouches for it */
    XENPV_LINK_GOOD,  /* the checksum of TCP or UDP is right */
    XENPV_LINK_BLANK, /* only that of the pseudo header is there, as virtio has it, too */
};

#define XENPV_LINK_FRAME_MAX XENPV_NETIF_PACKET_MAX /* bytes, Ethernet header included */

/* A frame in one piece, and what is told beside its bytes. */
struct xenpv_link_frame {
    uint8_t *data;
    uint32_t bytes;         /* 14..XENPV_LINK_FRAME_MAX */
    uint8_t checksum;       /* enum xenpv_link_checksum */
    uint8_t gso_type;       /* enum xenpv_netif_gso_type; if not NONE the checksum is blank */
    uint16_t gso_size;      /* bytes of payload of each segment */
    bool hashed;            /* the next three say something */
    uint8_t hash_type;      /* enum xenpv_netif_hash */
    uint8_t hash_algorithm; /* enum xenpv_netif_algorithm */
    uint32_t hash;
};

/* What a link can be sent beside whole frames that are ready for a wire. What it cannot, the
 * backend does itself first. */
enum xenpv_link_takes {
    XENPV_LINK_TAKES_BLANK = 1u << 0, /* blank checksums */
    XENPV_LINK_TAKES_GSO = 1u << 1,   /* large TCP packets */
};

/*
 * No call waits. All come from the thread that steps the backend, but ->close, which ends the link
 * once the backend has been destroyed.
 */
struct xenpv_link {
    void *ctx;
    uint32_t takes; /* enum xenpv_link_takes */
    /*
     * Takes a frame from the frontend, which is the caller's again afterwards. Its bytes are a
     * private copy. XENPV_EFULL: dropped, for there is no room; XENPV_E2BIG: dropped, for it is
     * larger than the link's frames; XENPV_EIO. NULL: every frame is taken, and its bytes are not
     * even fetched.
     */
    int (*send)(void *ctx, const struct xenpv_link_frame *frame);
    /*
     * The next frame for the frontend. On entry `data` has room for XENPV_LINK_FRAME_MAX bytes, and
     * the rest is zero. XENPV_ENOENT: there is none now. A link may set `data` to NULL: then no
     * bytes are moved, and the frontend finds what was there before. NULL: there never is one.
     */
    int (*receive)(void *ctx, struct xenpv_link_frame *frame);
    bool (*carrier)(void *ctx); /* the link is up; NULL: it always is */
    /* Readable when there may be a frame: to be waited for while xenpv_netback_takes_frames. NULL:
     * none. */
    xenpv_handle (*wait_handle)(void *ctx);
    void (*close)(void *ctx);
};

/*
 * Returns each frame to where it came from. `bytes` is the room for frames that wait, 262,144 or
 * more and a power of two: what does not fit is dropped. XENPV_EINVAL, XENPV_ENOMEM.
 */
int xenpv_link_loopback(const struct xenpv_allocator *allocator, uint32_t bytes,
                        struct xenpv_link *link);

/*
 * Two links: what is sent to one is received from the other. The two may be used by a thread each.
 * It is freed when both are closed. `bytes` as above, for each direction.
 */
int xenpv_link_pair(const struct xenpv_allocator *allocator, uint32_t bytes,
                    struct xenpv_link ends[2]);

/*
 * For measuring the way to the link: a sink for frames that are not even looked at, and an endless
 * source of frames of `bytes` bytes that are not even written, 0: of none. XENPV_EINVAL.
 */
int xenpv_link_null(uint32_t bytes, struct xenpv_link *link);

/*
 * A Linux TAP device, made if there is none of that name: what its kernel sends to it is received,
 * and the other way round; with checksum offload and large packets in both directions. Its address,
 * its MTU and whether it is up are the administrator's business. Deleted, it has no carrier, and
 * XENPV_NO_HANDLE to wait for. A frame that the kernel has sent is lost if it does not fit
 * XENPV_LINK_FRAME_MAX. XENPV_EINVAL: no name of 1 to 15 bytes;
 * XENPV_EACCES; XENPV_ENOENT: no TUN driver; XENPV_EBUSY: it is in use; XENPV_ENOTSUP: not on
 * Linux; XENPV_ENOMEM. Not on Windows.
 */
int xenpv_link_tap(const struct xenpv_allocator *allocator, const char *name,
                   struct xenpv_link *link);

/*
 * Replays the frames of a pcap file, one after the other, and drops what is sent to it. A frame
 * that the file has cut, or that is shorter than 14 bytes or longer than XENPV_LINK_FRAME_MAX, is
 * left out. XENPV_ENOENT; XENPV_EACCES: it cannot be opened, errno says why; XENPV_EINVAL: no pcap
 * file of Ethernet; XENPV_ENOTSUP: built without libpcap; XENPV_ENOMEM. Not on Windows.
 */
int xenpv_link_replay(const struct xenpv_allocator *allocator, const char *path,
                      struct xenpv_link *link);

/* Only of xenpv_link_replay: what it had not replayed when there was no frame any more. */
struct xenpv_link_omission {
    uint64_t frames; /* so many were left out */
    bool broken;     /* the file breaks off, or is malformed: what follows there is not known */
};
struct xenpv_link_omission xenpv_link_replay_omitted(const struct xenpv_link *link);

/*
 * Writes all frames that pass between a backend and `inner` to a pcap file, both ways, made anew;
 * each is on its way before it is written. `inner` is closed with it. Frames are written as they
 * are: with a blank checksum, or larger than a wire's. Once the file cannot be written any more
 * (xenpv_link_capture_failed) they pass on unwritten. "-" is standard output. Errors as above. Not
 * on Windows.
 */
int xenpv_link_capture(const struct xenpv_allocator *allocator, const char *path,
                       const struct xenpv_link *inner, struct xenpv_link *link);

/* Only of xenpv_link_capture: the file lacks frames. */
bool xenpv_link_capture_failed(const struct xenpv_link *link);

#ifdef __cplusplus
}
#endif
#endif
