/* SPDX-License-Identifier: MIT */
/*
 * Flows: which frames belong together, as a number that chooses a queue. The hash is that of
 * xen/include/public/io/netif.h, "Hash algorithms"; both ends of a vif, and many network cards,
 * compute the same. Any thread.
 */
#ifndef XENPV_FLOW_H
#define XENPV_FLOW_H

#include <xenpv/abi/netif.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Toeplitz: bits of data and key are taken from the most significant one of the first byte on; key
 * bytes beyond `key_bytes` are zero.
 */
uint32_t xenpv_toeplitz(const uint8_t *key, uint32_t key_bytes, const uint8_t *data,
                        uint32_t bytes);

#define XENPV_FLOW_TYPES 0xfu  /* all of 1 << enum xenpv_netif_hash */
#define XENPV_FLOW_NONE  0xffu /* no type: the frame is not of IP, or its kind is not asked for */
#define XENPV_FLOW_KEY   40u   /* bytes of a key that covers all types */

/* A key for who is given none: of the library's own. */
extern const uint8_t xenpv_flow_key[XENPV_FLOW_KEY];

/*
 * The hash of the frame that begins with the `bytes` bytes at `frame`, an Ethernet header first, up
 * to two VLAN tags; of `types`, 1 << enum xenpv_netif_hash, the most exact one that the frame is
 * of. TCP's ports are looked for behind IPv4 options, but in no fragment, and right behind the
 * header of IPv6 only. 0 and *type XENPV_FLOW_NONE: none.
 */
uint32_t xenpv_flow_hash(const uint8_t *frame, size_t bytes, uint32_t types, const uint8_t *key,
                         uint32_t key_bytes, uint8_t *type);

#ifdef __cplusplus
}
#endif
#endif
